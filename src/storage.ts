/**
 * The port: what a remote storage implements and all that an adapter author has to read. It is batch-first, because a
 * network round trip costs the same for one key as for a hundred. It relies on nothing; it holds no policy: time budgets,
 * error wrapping and chunking belong to `storage-guard.ts` and `batch.ts`, which call it.
 *
 * @module
 */

/** What a storage can and cannot do. Every field is optional; the core reads every field, and a field nobody reads is deleted. */
export interface StorageTraits {
  /** Longest key in UTF-8 bytes; a longer one is stored under its first bytes and its digest. Default: no limit. */
  readonly maxKeyBytes?: number | undefined;
  /** Largest slot in bytes; a larger one is refused locally with an event. Default: no limit. */
  readonly maxValueBytes?: number | undefined;
  /** Most keys in one call; more are sent in chunks. Default: no limit. */
  readonly maxBatch?: number | undefined;
  /** Shortest life the storage can give a slot, in ms; a shorter one is raised to it and the envelope decides. Default: 1. */
  readonly minTtlMs?: number | undefined;
  /** `true` if `write` honours `ifStamp` atomically for each key, and `ensure` and `raise` exist. Default: `false`. */
  readonly conditional?: boolean | undefined;
  /** How soon a read elsewhere sees a write. Default: `"eventual"`. */
  readonly consistency?: "strong" | "regional" | "eventual" | undefined;
  /** `"request"` if the client holds sockets and must not outlive a request on Workers. Default: `"isolate"`. */
  readonly scope?: "isolate" | "request" | undefined;
  /** The formula for round trips, where it is not one for each call; printed in the README's table. */
  readonly roundTrips?: string | undefined;
}

/** What a storage holds under one key. */
export interface Slot {
  /** The bytes exactly as they were written. The first 8 (fewer, if there are fewer) are the slot's stamp. */
  readonly bytes: Uint8Array;
  /** What is left of the slot's life by the storage's clock, in ms, where the storage can tell. */
  readonly remainingMs?: number | undefined;
}

/** The answer to `read`; both lists are aligned with the input. */
export interface ReadResult {
  /** The slot of each key; `undefined` where there is none. */
  readonly slots: readonly (Slot | undefined)[];
  /** The number of each generation; `undefined` where there is none. */
  readonly generations: readonly (number | undefined)[];
}

/** One slot to write. */
export interface WriteEntry {
  readonly key: string;
  /** Maybe a part of a larger buffer, beside other slots of the same call: take the view, not `bytes.buffer`. */
  readonly bytes: Uint8Array;
  /** Life in ms from the moment the storage applies the call, at least 1; `null`: no end. */
  readonly ttlMs: number | null;
  /** Write only while the slot shows this stamp; `null`: only if there is no slot; left out: always. */
  readonly ifStamp?: Uint8Array | null | undefined;
}

/**
 * A place that keeps slots of bytes under string keys. Implementations throw what their driver threw, never retry, and
 * never swallow.
 *
 * Invariant: an expired slot is absent to `read` and to `ifStamp` alike, pruned or not.
 * Invariant: a key of a batch that cannot be served (a foreign type, say) harms no other key of the batch.
 * Invariant: keys are byte-exact: case, accents, trailing spaces and NUL matter.
 */
export interface Storage {
  /** The kind, for stats and events: `"upstash"`. */
  readonly name: string;
  readonly traits: StorageTraits;
  /** What an operator has to run once before the first use, as text without secrets: the statements that make the table. Told in an event when it is missing. */
  readonly setup?: string | undefined;
  /** Reads slots and generations together, in one round trip. */
  read(keys: readonly string[], generations: readonly string[], signal: AbortSignal): Promise<ReadResult>;
  /**
   * Writes slots, each on its own terms; aligned with the input: `true` stored, `false` refused by `ifStamp`,
   * `undefined` if the storage cannot tell. A batch never holds a key twice.
   */
  write(entries: readonly WriteEntry[], signal: AbortSignal): Promise<readonly (boolean | undefined)[]>;
  /** Removes slots; a missing one is no error. */
  remove(keys: readonly string[], signal: AbortSignal): Promise<void>;
  /** Sets each generation to "server time in µs, at least old + 1"; a coarser clock fills the last three digits at random. */
  raise(generations: readonly string[], signal: AbortSignal): Promise<void>;
  /** Creates each missing generation as `raise` would, and answers what then stands; aligned with the input. */
  ensure?(generations: readonly string[], signal: AbortSignal): Promise<readonly number[]>;
  /** Deletes at most `limit` expired slots, for storages that do not do so by themselves; answers how many. */
  prune?(limit: number, signal: AbortSignal): Promise<number>;
  /** Releases what the storage itself opened; never a client that it was given. */
  close?(): Promise<void>;
}

/** Length of a stamp, in bytes. */
export const STAMP_BYTES = 8;
