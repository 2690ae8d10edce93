/**
 * The stores of the simulated fleet. Upstash is the reference storage, which keeps the port's contract to the letter, with the
 * traits of the adapter; each call of it is one HTTP request with one command, as the adapter sends it. KV is a model of the
 * platform's binding under the real adapter: one central store, a copy in each location for a minute (of absence too), writes that
 * show elsewhere when that copy ends, and one write a second for a key. Every call takes effect half-way through its latency.
 *
 * @module
 */
import { kv } from "../../../adapters/kv.ts";
import type { KvNamespace } from "../../../adapters/kv.ts";
import { upstash } from "../../../adapters/upstash.ts";
import type { Storage } from "../../../src/storage.ts";
import { memoryStorage } from "../../../testing/memory-storage.ts";
import type { Random } from "../zipf.ts";
import { drawLatency } from "./latency.ts";
import type { Latency } from "./latency.ts";
import type { Timeline } from "./timeline.ts";

/** What was asked of a store, and what is billed. */
export interface Usage {
  requests: number;
  /** What is billed: commands of Upstash, keys of KV. */
  reads: number;
  writes: number;
  /** Writes that KV refused because the key had been written in the same second. */
  refused: number;
}

/** A store that all isolates share. */
export interface Store {
  readonly usage: Usage;
  /** The store as an isolate in that location sees it. */
  at(location: number): Storage;
}

/** How long a location keeps what it read: the platform's default `cacheTtl`. */
const KV_COPY_MS = 60_000;
const KV_WRITE_GAP_MS = 1_000;

interface World {
  readonly timeline: Timeline;
  readonly random: Random;
}

/** A call on its way: it takes effect half-way, and is answered at the end. */
function call<Result>({ timeline, random }: World, latency: Latency, effect: () => Result | Promise<Result>): Promise<Result> {
  const ms = drawLatency(random, latency);
  return new Promise((resolve, reject) => {
    timeline.after(ms / 2, () => {
      // What fails at the store is told at the end as well.
      const outcome = Promise.resolve().then(effect);
      outcome.catch(() => undefined);
      timeline.after(ms / 2, () => void outcome.then(resolve, reject));
    });
  });
}

/** One Redis database in one region. */
export function upstashStore(world: World, latency: Latency): Store {
  const usage: Usage = { requests: 0, reads: 0, writes: 0, refused: 0 };
  const { traits } = upstash({ url: "http://127.0.0.1", token: "of-a-simulation" });
  const memory = memoryStorage({ name: "upstash", clock: world.timeline.clock, traits });
  const send = <Result>(kind: "reads" | "writes", effect: () => Promise<Result>): Promise<Result> => {
    usage.requests++;
    usage[kind]++;
    return call(world, latency, effect);
  };
  // What has left is carried out, whatever its sender thinks of it by then.
  const { signal } = new AbortController();
  const storage: Storage = {
    name: "upstash",
    traits,
    read: (keys, generations) => send("reads", () => memory.read(keys, generations, signal)),
    write: (entries) => send("writes", () => memory.write(entries, signal)),
    remove: (keys) => send("writes", () => memory.remove(keys, signal)),
    raise: (generations) => send("writes", () => memory.raise(generations, signal)),
    ensure: (generations) => send("writes", () => memory.ensure(generations, signal)),
  };
  return { usage, at: () => storage };
}

/** What a KV read takes where the location has a copy, where it has none, and what a write takes. */
export interface KvLatency {
  readonly hot: Latency;
  readonly cold: Latency;
  readonly write: Latency;
}

/** One KV namespace. */
export function kvStore(world: World, latency: KvLatency): Store {
  const { timeline } = world;
  const usage: Usage = { requests: 0, reads: 0, writes: 0, refused: 0 };
  const central = new Map<string, { readonly value: string; readonly until: number }>();
  const writtenAt = new Map<string, number>();
  const locations = new Map<number, Map<string, { readonly value: string | null; readonly until: number }>>();

  function namespaceAt(location: number): KvNamespace {
    const copies = locations.get(location) ?? new Map<string, { readonly value: string | null; readonly until: number }>();
    locations.set(location, copies);
    const keep = (key: string, value: string | null): void => void copies.set(key, { value, until: timeline.now() + KV_COPY_MS });
    const copyOf = (key: string): string | null | undefined => {
      const copy = copies.get(key);
      return copy && copy.until > timeline.now() ? copy.value : undefined;
    };
    const write = (key: string, apply: () => void): Promise<void> => {
      usage.requests++;
      usage.writes++;
      return call(world, latency.write, () => {
        if (timeline.now() - (writtenAt.get(key) ?? Number.NEGATIVE_INFINITY) < KV_WRITE_GAP_MS) {
          usage.refused++;
          throw new Error("KV PUT failed: 429 Too Many Requests");
        }
        writtenAt.set(key, timeline.now());
        apply();
      });
    };
    return {
      async get(keys) {
        usage.requests++;
        usage.reads += keys.length;
        const isHot = keys.every((key) => copyOf(key) !== undefined);
        return call(world, isHot ? latency.hot : latency.cold, () => {
          const found = new Map<string, string | null>();
          for (const key of keys) {
            const copy = copyOf(key);
            if (copy !== undefined) {
              found.set(key, copy);
              continue;
            }
            const slot = central.get(key);
            const value = slot && slot.until > timeline.now() ? slot.value : null;
            keep(key, value);
            found.set(key, value);
          }
          return found;
        });
      },
      put: (key, value, { expirationTtl = Number.POSITIVE_INFINITY } = {}) =>
        write(key, () => {
          central.set(key, { value, until: timeline.now() + expirationTtl * 1_000 });
          keep(key, value);
        }),
      delete: (key) =>
        write(key, () => {
          central.delete(key);
          keep(key, null);
        }),
    };
  }
  return { usage, at: (location) => kv({ namespace: namespaceAt(location) }) };
}
