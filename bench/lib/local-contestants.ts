/**
 * The caches that the benchmarks of the local tier compare, brought to one shape: this library with each policy, a bare `Map`
 * as the limit of what can be reached, and packages from npm. Where a cache has expiry it is on, with an hour for every entry.
 *
 * @module
 */
import { adaptive, local } from "cacheme";
import type { LocalOptions } from "cacheme";
import { optionalPeer } from "./peers.ts";

/** One bounded cache. */
export interface LocalContestant {
  get(key: string): unknown;
  set(key: string, value: object): void;
}

/** Makes a cache of at most `capacity` entries. */
export type MakeContestant = (capacity: number) => LocalContestant;

const TTL_MS = 3_600_000;

/** Names of all contestants; those after the first four come from npm. */
export const LOCAL_CONTESTANTS = [
  "bare Map",
  "cacheme, lru",
  "cacheme, w-tinylfu",
  "cacheme, adaptive()",
  "lru-cache",
  "quick-lru",
  "flru",
  "@neophi/sieve-cache",
  "mnemonist",
  "transitory",
] as const;

/** The factory of a contestant; `undefined` if its package was not installed. */
export async function contestantNamed(name: string): Promise<MakeContestant | undefined> {
  switch (name) {
    case "bare Map":
      return bareMap;
    case "cacheme, lru":
      return ours({ policy: "lru" });
    case "cacheme, w-tinylfu":
      return ours({ policy: "w-tinylfu" });
    case "cacheme, adaptive()":
      return ours({ policy: adaptive() });
    case "lru-cache":
      return fromClass(await optionalPeer("lru-cache"), "LRUCache", (capacity) => [{ max: capacity, ttl: TTL_MS }]);
    case "quick-lru":
      return fromClass(await optionalPeer("quick-lru"), "default", (capacity) => [{ maxSize: capacity, maxAge: TTL_MS }]);
    case "flru":
      return fromFunction(await optionalPeer("flru"));
    case "@neophi/sieve-cache":
      return fromClass(await optionalPeer("@neophi/sieve-cache"), "SieveCache", (capacity) => [capacity]);
    case "mnemonist":
      return fromClass(await optionalPeer("mnemonist"), "LRUMap", (capacity) => [capacity]);
    case "transitory":
      return fromTransitory(await optionalPeer("transitory"));
    default:
      throw new TypeError(`no contestant is called ${JSON.stringify(name)}`);
  }
}

/** It never evicts: unbounded, it shows what the look-up alone costs. */
function bareMap(): LocalContestant {
  return new Map<string, object>();
}

function ours(options: LocalOptions): MakeContestant {
  return (capacity) => {
    const store = local<object>({ ...options, maxEntries: capacity });
    return { get: store.get, set: (key, value) => void store.set(key, value, TTL_MS) };
  };
}

type Exports = Readonly<Record<string, unknown>> | undefined;

function fromClass(exports: Exports, className: string, argumentsFor: (capacity: number) => readonly unknown[]): MakeContestant | undefined {
  const Made = exports?.[className];
  if (typeof Made !== "function") return undefined;
  return (capacity) => checked(className, Reflect.construct(Made, argumentsFor(capacity)));
}

function fromFunction(exports: Exports): MakeContestant | undefined {
  const create = exports?.["default"];
  return typeof create === "function" ? (capacity) => checked("flru", create(capacity)) : undefined;
}

function fromTransitory(exports: Exports): MakeContestant | undefined {
  const newCache = exports?.["newCache"];
  if (typeof newCache !== "function") return undefined;
  return (capacity) => {
    const cache: unknown = newCache().maxSize(capacity).expireAfterWrite(TTL_MS).build();
    if (typeof cache === "object" && cache !== null && "getIfPresent" in cache && typeof cache.getIfPresent === "function") {
      const { getIfPresent } = cache;
      // It answers null for what it does not hold.
      return { ...pick(cache), get: (key) => getIfPresent.call(cache, key) ?? undefined };
    }
    throw new TypeError("transitory: its cache has no getIfPresent");
  };
}

function pick(cache: object): { set(key: string, value: object): void } {
  if ("set" in cache && typeof cache.set === "function") {
    const { set } = cache;
    return { set: (key, value) => void set.call(cache, key, value) };
  }
  throw new TypeError("transitory: its cache has no set");
}

function checked(name: string, cache: unknown): LocalContestant {
  if (isContestant(cache)) return cache;
  throw new TypeError(`${name}: no get and set`);
}

function isContestant(cache: unknown): cache is LocalContestant {
  return typeof cache === "object" && cache !== null && "get" in cache && typeof cache.get === "function" && "set" in cache && typeof cache.set === "function";
}
