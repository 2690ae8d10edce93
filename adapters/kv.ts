/**
 * The storage on Workers KV. It relies on the binding alone. KV can neither compare before it writes nor show a write
 * everywhere at once, so this storage is a weak one: it has no stamps and no generations.
 *
 * @module
 */
import type { Storage, StorageTraits } from "../src/storage.ts";
import { fromBase64, toBase64 } from "./base64.ts";
import { byteRoom, type ByteRoom } from "../src/byte-room.ts";
import { READ_AT_ONCE, readKv } from "./kv-read.ts";
import { checkMethods, optionsOf } from "./options.ts";

/** The few methods of a `KVNamespace` that are used. */
export interface KvNamespace {
  get(keys: string[], type: "text"): Promise<Map<string, string | null>>;
  put(key: string, value: string, options?: { expirationTtl?: number }): Promise<void>;
  delete(key: string): Promise<void>;
}

/** Options of {@link kv}. */
export interface KvOptions {
  /** The binding, as in `env.CACHE`. */
  readonly namespace: KvNamespace;
}

/** The platform's floor for a life. */
const MIN_TTL_MS = 60_000;

/** A request may have six connections open; more only wait. */
const AT_ONCE = 6;

const TRAITS: StorageTraits = {
  conditional: false,
  consistency: "eventual",
  maxBatch: READ_AT_ONCE,
  maxKeyBytes: 512,
  // 25 MiB of text, four characters for three bytes.
  maxValueBytes: 25 * 1024 * 1024 * 0.75,
  minTtlMs: MIN_TTL_MS,
  roundTrips: "read: 1 for each 100 keys, more above 25 MB; write and remove: 1 for each key, 6 at once",
};

/**
 * A storage on Workers KV: cheap, close to every reader, and weak.
 *
 * It does not promise what a guarded storage does. A write is seen elsewhere after up to a minute or more, and it cannot be
 * made to depend on what is there: after an `invalidate`, a load that began before it may still store the old value, here or
 * in another place. What can be said is a bound: such a value is gone after the tier's ttl, plus KV's delay, plus the
 * node's hard timeout. `lookup().guarded` is `false` when this storage answered.
 *
 * Invariant: a slot lives at least 60 s, because KV knows no shorter life; a shorter ttl is kept by the entry itself.
 * Invariant: values are base64, because KV reads many keys at once as text only.
 *
 * KV answers at most 25 MB in one call and refuses more. A batch of large values is then read in halves, which is no failure;
 * a call that is refused tells nothing, so each such read costs one or a few calls more than it has parts.
 *
 * A key that cannot be written or removed harms no other: all are tried, then the first error is thrown. KV takes one write
 * a second for each key and answers more with an error.
 *
 * @param options.namespace a KV binding.
 * @throws TypeError if `namespace` is no KV binding, or for an option that there is not.
 * @example
 * ```ts
 * import { createCache, local } from "cacheme";
 * import { kv, type KvNamespace } from "cacheme/kv";
 *
 * declare const env: { CACHE: KvNamespace }; // import { env } from "cloudflare:workers"
 * const cache = createCache({ storages: { local: local(), kv: () => kv({ namespace: env.CACHE }) } });
 * ```
 * @see https://developers.cloudflare.com/kv/api/
 */
export function kv(options: KvOptions): Storage {
  const { namespace } = optionsOf(options, ["namespace"], "kv");
  checkMethods(namespace, ["get", "put", "delete"], "kv: namespace", "a KV binding");
  return {
    name: "kv",
    traits: TRAITS,
    async read(keys, generations, signal) {
      signal.throwIfAborted();
      const values = keys.length === 0 ? new Map<string, string | null>() : await readKv(namespace, keys, signal);
      const room = byteRoom(keys.length);
      return { slots: keys.map((key) => slotOf(values.get(key), room)), generations: generations.map(() => undefined) };
    },
    async write(entries, signal) {
      await eachOf(entries, signal, ({ key, bytes, ttlMs }) => namespace.put(key, toBase64(bytes), ttlMs === null ? {} : { expirationTtl: seconds(ttlMs) }));
      return entries.map(() => undefined);
    },
    async remove(keys, signal) {
      await eachOf(keys, signal, (key) => namespace.delete(key));
    },
    // There are no generations: the core asks a storage that is not conditional for none.
    async raise() {},
  };
}

function seconds(ttlMs: number): number {
  return Math.ceil(Math.max(MIN_TTL_MS, ttlMs) / 1000);
}

/** Text that is no base64 was not written by this storage: a slot without bytes, which no entry decodes from. */
function slotOf(value: string | null | undefined, room: ByteRoom): { readonly bytes: Uint8Array } | undefined {
  return value === null || value === undefined ? undefined : { bytes: fromBase64(value, room) ?? new Uint8Array(0) };
}

async function eachOf<T>(items: readonly T[], signal: AbortSignal, run: (item: T) => Promise<void>): Promise<void> {
  const outcomes: PromiseSettledResult<void>[] = [];
  for (let start = 0; start < items.length; start += AT_ONCE) {
    signal.throwIfAborted();
    outcomes.push(...(await Promise.allSettled(items.slice(start, start + AT_ONCE).map(run))));
  }
  for (const outcome of outcomes) if (outcome.status === "rejected") throw outcome.reason;
}
