/**
 * `local()`: the isolate-local tier as users make it, for a cache or alone. It checks the options and joins a store
 * (`slots.ts`) with an eviction policy. It holds values by reference, in this isolate only, until they expire, are evicted
 * or the isolate ends; it starts no timers and reads no clock at construction, so it may stand at module scope.
 *
 * @module
 */
import { runtime } from "#runtime";
import type { Clock } from "../clock.ts";
import { systemClock } from "../clock.ts";
import type { Duration } from "../duration.ts";
import { describe, toMs } from "../duration.ts";
import { optionsOf } from "../fields.ts";
import type { LocalTier } from "./local-tier.ts";
import { lru } from "./lru.ts";
import type { EvictionPolicy } from "./policy.ts";
import { Slots } from "./slots.ts";
import { tinyLfu } from "./tinylfu.ts";

const POLICIES = { "w-tinylfu": tinyLfu, lru } as const;
const DEFAULT_MAX_ENTRIES = 10_000;
/** A life from which on it does not matter that it begins with the turn of the event loop, or up to 64 calls early in one that does not end. */
const LONG_LIFE_MS = 60_000;
/** A `Map` of V8 has 2^24 places, and is built anew in place only while at least half of them are of keys that left. */
const LARGEST_MAX_ENTRIES = 2 ** 23;

/** Options of {@link local}. */
export interface LocalOptions<Value = unknown> {
  /**
   * Which entry goes when the tier is full. `"w-tinylfu"` keeps what is asked for often, resists scans and adapts; `"lru"`
   * keeps what was asked for last; `adaptive()` finds out which of several orders hits most. Default: `"w-tinylfu"`.
   */
  readonly policy?: "w-tinylfu" | "lru" | EvictionPolicy | undefined;
  /** Most entries, 1 to 2^23. Memory grows with use, it is not reserved. Default: 10,000. */
  readonly maxEntries?: number | undefined;
  /** Most weight, a whole number of at least 1; needs `weigh`. `maxEntries` holds as well. Default: no limit. */
  readonly maxBytes?: number | undefined;
  /**
   * The weight of a value in bytes, at least 0; fractions round up. It runs once for each value stored. If it throws or
   * returns anything else, the value is not stored and an older one under the same key is gone.
   */
  readonly weigh?: ((value: Value, key: string) => number) | undefined;
  /** Where stand-alone calls take the time from; only `monotonic` is read. Default: the host's clock. */
  readonly clock?: Partial<Clock> | undefined;
}

/**
 * A local tier, which a cache's nodes share by way of {@link LocalTier}, and which is also of use alone: the methods here
 * work on a space of their own and never meet the entries of nodes, but share the tier's bounds with them.
 */
export interface LocalStorage<Value = unknown> extends LocalTier {
  /** The value, counted as an access, or `undefined` if absent or expired. */
  get(key: string): Value | undefined;
  /**
   * Stores a value for `ttl` (milliseconds or `"30s"`; `null`, `Infinity` or left out: no end), less the fraction of a
   * millisecond. A ttl of a minute or more may be counted from the beginning of the present turn of the event loop, unless the
   * tier has a `clock`.
   *
   * @returns `false` if it was not stored: its ttl is 0, or it is heavier than `maxBytes`. An older value is gone then.
   * @throws TypeError naming `key` or `ttl` (nothing has changed then), or what `weigh` throws.
   */
  set(key: string, value: Value, ttl?: Duration | null): boolean;
  /** Removes a key; `true` if it was there. */
  delete(key: string): boolean;
  /** Whether the key has a live value, a stored `undefined` included. Does not count as an access. */
  has(key: string): boolean;
}

/**
 * Makes an isolate-local tier with a fixed upper bound. Every operation takes constant time.
 *
 * It does not copy values: whoever changes one changes it for everybody. Expired entries count in `size` until they are met
 * or evicted. Other isolates never see its entries.
 *
 * Invariant: at no time does it hold more than `maxEntries` entries or weigh more than `maxBytes`.
 *
 * @throws TypeError naming the option and the value.
 *
 * @example
 * ```ts
 * import { local } from "cacheme";
 *
 * const pages = local<string>({ maxEntries: 500, maxBytes: 8_000_000, weigh: (page, key) => 2 * (page.length + key.length) });
 * pages.set("/about", "<h1>About</h1>", "5m");
 * pages.get("/about"); // "<h1>About</h1>"
 * ```
 */
export function local<Value = unknown>(options: LocalOptions<Value> = {}): LocalStorage<Value> {
  const { maxEntries = DEFAULT_MAX_ENTRIES, maxBytes, clock } = optionsOf(options, ["policy", "maxEntries", "maxBytes", "weigh", "clock"], "local");
  const policy = policyOf(options.policy);
  checkWhole("maxEntries", maxEntries, LARGEST_MAX_ENTRIES);
  if (maxBytes !== undefined) checkWhole("maxBytes", maxBytes, Number.MAX_SAFE_INTEGER);
  if (options.weigh !== undefined && typeof options.weigh !== "function")
    throw new TypeError(`local: weigh must be a function, got ${describe(options.weigh)}`);
  if (maxBytes !== undefined && options.weigh === undefined) throw new TypeError(`local: maxBytes needs weigh, got maxBytes ${maxBytes} alone`);
  if (clock !== undefined && (typeof clock !== "object" || clock === null))
    throw new TypeError(`local: clock must be an object with a monotonic function, got ${describe(clock)}`);
  // What a tier holds is for its owner to say; nodes that share it store values of other types, which `weigh` has to expect.
  const weigh = options.weigh as ((value: unknown, key: string) => number) | undefined;
  return new Tier<Value>(new Slots({ maxEntries, maxBytes: maxBytes ?? Number.MAX_SAFE_INTEGER, weigh }, policy), clock);
}

/**
 * A tier as it is given away. Its functions are its own, so that they can be taken off it. `size` and `bytes` stand in the
 * prototype: an object with getters of its own is a dictionary to V8, in which finding `get` takes as long as a tenth of a hit.
 */
class Tier<Value> implements LocalStorage<Value> {
  readonly kind = "local";
  readonly space: LocalStorage<Value>["space"];
  readonly clear: () => void;
  readonly get: LocalStorage<Value>["get"];
  readonly set: LocalStorage<Value>["set"];
  readonly delete: LocalStorage<Value>["delete"];
  readonly has: LocalStorage<Value>["has"];
  readonly #slots: Slots;

  constructor(slots: Slots, clock: Partial<Clock> | undefined) {
    const own = slots.space<Value>();
    const exact = () => (clock?.monotonic === undefined ? systemClock.monotonic() : clock.monotonic());
    const turn = (clock?.monotonic === undefined ? runtime.turn : undefined) ?? { horizon: Number.POSITIVE_INFINITY, read: exact };
    this.#slots = slots;
    this.space = (unwrap) => slots.space(unwrap);
    this.clear = () => slots.clear();
    this.get = (key) => own.ask(key, slots.turn);
    this.set = (key, value, ttl = null) => {
      if (typeof key !== "string") throw new TypeError(`key must be a string, got ${describe(key)}`);
      const ttlMs = toMs(ttl, "ttl");
      if (ttlMs === null) return own.set(key, value, Number.POSITIVE_INFINITY, slots.time());
      // Reading the clock costs more than a hit: it is left alone until something of this space can end.
      slots.turn = turn;
      // A turn may have lasted for longer than a short life; a long one may as well begin with the turn.
      const setAt = ttlMs < LONG_LIFE_MS ? exact() : slots.time();
      return own.set(key, value, setAt + ttlMs, setAt);
    };
    this.delete = (key) => own.delete(key);
    this.has = (key) => own.has(key, slots.time());
  }

  get size(): number {
    return this.#slots.size;
  }

  get bytes(): number {
    return this.#slots.bytes;
  }
}

function policyOf(policy: LocalOptions["policy"] = "w-tinylfu"): EvictionPolicy {
  if (policy === "w-tinylfu" || policy === "lru") return POLICIES[policy];
  if (typeof policy === "object" && policy !== null && typeof policy.create === "function") return policy;
  const hint = typeof policy === "function" ? ", did you mean adaptive()?" : "";
  throw new TypeError(`local: policy must be "w-tinylfu", "lru" or a policy object, got ${describe(policy)}${hint}`);
}

function checkWhole(option: string, value: number, most: number): void {
  if (Number.isInteger(value) && value >= 1 && value <= most) return;
  throw new TypeError(`local: ${option} must be a whole number from 1 to ${most}, got ${describe(value)}`);
}
