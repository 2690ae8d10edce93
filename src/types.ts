/**
 * The public types of the cache: its options, its calls, what they answer, its statistics; and, passed on, the types of
 * nodes. It relies on the ports and holds no code.
 *
 * @module
 */

import type { Clock } from "./clock.ts";
import type { Duration } from "./duration.ts";
import type { CacheEvent } from "./events.ts";
import type { LocalTier } from "./local/local-tier.ts";
import type { MaybePromise, Needs, NodeInfo, Reference, RegisteredEnv, RegisteredStorage, UnknownValue } from "./node-types.ts";
import type { StatsSink } from "./stats-batch.ts";
import type { Storage } from "./storage.ts";

export type * from "./node-types.ts";

/** A storage, or how to make one at its first use. */
export type StorageOption = Storage | LocalTier | (() => Storage | LocalTier);

/** Keeps a request alive until a promise has settled, as `ctx.waitUntil` does on Workers. */
export type WaitUntil = (promise: Promise<unknown>) => void;

/** Options of `createCache`. */
export interface CreateCacheOptions<Names extends string = RegisteredStorage, Env extends RegisteredEnv | undefined = RegisteredEnv | undefined> {
  /** First part of every full key; no control characters. Default: `"cacheme"`. */
  readonly prefix?: string | undefined;
  /** Storages by the names that nodes use. */
  readonly storages: { readonly [Name in Names]: StorageOption };
  /** Default: the host's own on workerd, elsewhere none. */
  readonly waitUntil?: WaitUntil | undefined;
  /** What loaders get as `context.env`. */
  readonly env?: Env;
  /** Told of everything that is not thrown. What it throws itself is counted and dropped. */
  readonly onEvent?: ((event: CacheEvent) => void) | undefined;
  /** Replaces parts of the host's clock, for tests. */
  readonly clock?: Partial<Clock> | undefined;
  readonly guard?: GuardOptions | undefined;
  /** Where statistics are sent. Default: nowhere. */
  readonly stats?: StatsOption | undefined;
}

/** A stats sink or several, or a sink with how often it is written to. */
export type StatsOption = StatsSink | readonly StatsSink[] | StatsOptions;

/** How often statistics are sent. A sink is written to when a window has ended or enough was counted, and by `cache.flush`. */
export interface StatsOptions {
  readonly sink: StatsSink | readonly StatsSink[];
  /** Time from the first request that is counted to the write; above 0, and at most 15 s where requests own their I/O. Default: 10 s. */
  readonly window?: Duration | undefined;
  /** Counted requests after which a window ends early. Default: 1,000. */
  readonly every?: number | undefined;
}

/** How long the cache waits for its storages, and when it stops asking. */
export interface GuardOptions {
  /** Budget of one storage call, above 0. Default: 1 s. */
  readonly timeout?: Duration | undefined;
  /** When a failing storage is left alone; `false`: never. Default: see {@link BreakerOptions}. */
  readonly breaker?: BreakerOptions | false | undefined;
}

/**
 * When a storage that fails is left alone. While the breaker is open, reads are misses at once, and `set`, `refresh` and
 * `invalidate` reject at once, naming the tier. After the cool-down one call is let through to see.
 */
export interface BreakerOptions {
  /** Calls that fail or time out in a row, of any kind, before it opens; a whole number of at least 1. Default: 5. */
  readonly failures?: number | undefined;
  /** How long it then stays open, above 0. Default: 5 s. */
  readonly coolDown?: Duration | undefined;
}

/** Options of `cache.with`; what is left out stays as it is. */
export interface ScopeOptions<Env = RegisteredEnv | undefined> {
  readonly waitUntil?: WaitUntil | undefined;
  readonly env?: Env;
  readonly prefix?: string | undefined;
  /**
   * What `invalidate`, `invalidateNode` or `invalidateTags` resolved with, here or in another isolate (by way of a cookie, say):
   * for what it names, local copies are skipped and no flight is joined that began before this view was made. What is no
   * token is ignored, with an event: a token can only cost a miss.
   */
  readonly after?: InvalidationToken | undefined;
}

/** How one read may deviate from the node's rules. */
export interface ReadOptions {
  /** Ends the caller's wait; the load goes on for the others. */
  readonly signal?: AbortSignal | undefined;
  /** Skips every tier, loads, and stores what was loaded. Default: `false`. */
  readonly bypass?: boolean | undefined;
  /** Takes no entry older than this. Default: any fresh entry. */
  readonly maxAge?: Duration | undefined;
}

/** Options of `cache.get`. */
export interface GetOptions extends ReadOptions {
  readonly load?: undefined;
}

/** Options of `cache.get` with a loader for this one call. */
export interface GetWithLoadOptions<Result> extends ReadOptions {
  /** Runs instead of the node's `load` if this call leads the flight. */
  readonly load: (() => MaybePromise<Result>) | undefined;
}

/** Options of `cache.set`. */
export interface SetOptions {
  /** Cap on the life in every tier: each keeps the value for the smaller of this and its own ttl. `0`: stored nowhere. */
  readonly ttl?: Duration | null | undefined;
}

/** A value and where it came from. */
export interface Lookup<Value, Names extends string = string> {
  readonly value: Value;
  /** The name of the tier's storage, or `"load"`. */
  readonly source: Names | "load";
  readonly state: "fresh" | "stale";
  /** Time since just before the value was loaded, in ms. */
  readonly ageMs: number;
  /** What is left of its life in the tier that answered, in ms; `null`: no end. */
  readonly ttlMs: number | null;
  /** Whether the caller shared a flight that another one led. */
  readonly collapsed: boolean;
  /** `false` if a tier answered that cannot rule out that an older load comes back after an invalidation. */
  readonly guarded: boolean;
}

/** One result of `lookupAll`: a lookup, or what the reference failed with. Tell them apart by `"error" in result`. */
export type LookupResult<Value, Names extends string = string> = Lookup<Value, Names> | { readonly error: unknown };

/** What `invalidate` resolves with: an opaque string of printable ASCII, so that it can travel in a cookie. */
export type InvalidationToken = string;

/** A function whose results are cached under the references of a node. None of its functions throws synchronously. */
export interface Memoized<Args extends readonly unknown[], Value> {
  (...args: Args): Promise<Value>;
  /** As `cache.invalidate` of the reference. */
  invalidate(...args: Args): Promise<InvalidationToken>;
  /** As `cache.refresh` of the reference, with the memoized function as its loader. */
  refresh(...args: Args): Promise<Value>;
  /** As `cache.getAll` of the references; aligned with `calls`. */
  all(calls: readonly Args[]): Promise<Value[]>;
}

// A node without a known value takes any; a known value is what its loaders have to give.
type Loose<Value> = [Value] extends [UnknownValue] ? unknown : Value;
type Unless<Value, Result> = unknown extends Loose<Value> ? Result : Value;

/**
 * Answers references through the tiers of their nodes. Made by `createCache`. Storage errors never reach a reader; a
 * loader's own error does, unchanged. After `close` every call rejects with `ERR_CLOSED`.
 */
export interface Cache<Names extends string = string, Env extends RegisteredEnv | undefined = RegisteredEnv> {
  /**
   * The value of a reference: from a tier, or loaded.
   *
   * @throws what the loader throws; `ERR_NO_LOADER`, `ERR_LOAD_TIMEOUT`, `ERR_LOAD_ABANDONED`; the signal's reason.
   */
  get<Value>(reference: Reference<Value> & Needs<Names, Env>, options?: GetOptions): Promise<Value>;
  /** As above, with a loader for this one call. */
  get<Value, Result extends Loose<Value>>(reference: Reference<Value> & Needs<Names, Env>, options: GetWithLoadOptions<Result>): Promise<Unless<Value, Result>>;
  /**
   * The values of references, aligned with them, duplicates included; nodes may be mixed.
   *
   * @throws the error of the first failing reference in argument order, once all have settled.
   */
  getAll<const Results extends readonly unknown[]>(
    references: { readonly [Index in keyof Results]: Reference<Results[Index]> & Needs<Names, Env> },
    options?: ReadOptions,
  ): Promise<{ -readonly [Index in keyof Results]: Results[Index] }>;
  /** As `get`, with where the value came from. */
  lookup<Value>(reference: Reference<Value> & Needs<Names, Env>): Promise<Lookup<Value, Names>>;
  /** As `getAll`, with where the values came from; a reference that failed gives `{ error }` in its place. */
  lookupAll<const Results extends readonly unknown[]>(references: {
    readonly [Index in keyof Results]: Reference<Results[Index]> & Needs<Names, Env>;
  }): Promise<{ -readonly [Index in keyof Results]: LookupResult<Results[Index], Names> }>;
  /** The fresh local value, or `undefined`. Loads nothing and counts nothing. */
  peek<Value>(reference: Reference<Value> & Needs<Names, Env>): Value | undefined;
  /**
   * Stores a value in every tier; an older load that still runs stores nothing.
   *
   * @throws `ERR_STORAGE_WRITE` naming the tiers that failed, all having been tried; `ERR_SERIALIZE`.
   */
  set<Value>(reference: Reference<Value> & Needs<Names, Env>, value: NoInfer<Value>, options?: SetOptions): Promise<void>;
  /** As `set`, for many. */
  setAll<const All extends readonly unknown[]>(entries: {
    readonly [Index in keyof All]: readonly [Reference<All[Index]> & Needs<Names, Env>, NoInfer<All[Index]>];
  }): Promise<void>;
  /** Loads anew, replaces every tier, and gives the value; never joins a load that began earlier. */
  refresh<Value>(reference: Reference<Value> & Needs<Names, Env>): Promise<Value>;
  /**
   * Clears every tier; an older load that still runs stores nothing.
   *
   * @throws `ERR_STORAGE_WRITE` naming the tiers that failed, all having been tried; calling again is safe.
   */
  invalidate(references: (Reference<unknown> & Needs<Names, Env>) | readonly (Reference<unknown> & Needs<Names, Env>)[]): Promise<InvalidationToken>;
  /**
   * Makes every entry of a node a miss, in one call a tier however many there are: raises the node's generation, from right
   * to left, and cuts off this isolate's local copies and flights. Other isolates' local copies live on to the end of their ttl
   * and of the node's longer stale window. A tier without conditional writes has no generations, and keeps its entries to their
   * end; an event says so once.
   *
   * @throws `ERR_STORAGE_WRITE` naming the tiers that failed, all having been tried; calling again is safe.
   */
  invalidateNode(node: NodeInfo): Promise<InvalidationToken>;
  /**
   * As `invalidateNode`, for all entries with one of these tags, of any node under this prefix; in every remote storage, in
   * the reverse of the order in which the cache lists them.
   *
   * @throws TypeError for what is no tag; `ERR_STORAGE_WRITE` as above.
   */
  invalidateTags(...tags: readonly string[]): Promise<InvalidationToken>;
  /** Wraps a function so that its results are cached; on a miss it runs instead of the node's `load`. */
  memoize<Args extends readonly unknown[], Value, Result extends Loose<Value>>(
    toNode: (...args: Args) => Reference<Value> & Needs<Names, Env>,
    fn: (...args: Args) => MaybePromise<Result>,
  ): Memoized<Args, Unless<Value, Result>>;
  /** The nodes that this cache has served. */
  nodes(): readonly NodeInfo[];
  /** A snapshot for each node served, by name. */
  stats(): { readonly [node: string]: NodeStats };
  /** A snapshot for one node; all zero if it was never served. */
  stats(node: NodeInfo): NodeStats;
  /** Changes the prefix, before the first read or write only. */
  setPrefix(prefix: string): void;
  /** The full key, `{prefix}:{key}:{version}`. */
  keyOf(reference: Reference<unknown>): string;
  /** Adds or replaces a storage, and gives the same cache typed with it. The old storage is not closed. */
  registerStorage<const Name extends string>(name: Name, storage: StorageOption): Cache<Names | Name, Env>;
  /** A request-scoped view of the same cache. */
  with<NewEnv extends RegisteredEnv | undefined = Env>(scope: ScopeOptions<NewEnv>): Cache<Names, NewEnv>;
  /**
   * Removes at most `limit` expired slots from each storage that keeps them until told to, and gives the number removed; for a
   * cron trigger. Readers never see an expired slot, pruned or not. Small limits with pauses disturb readers least.
   *
   * @throws TypeError for a limit that is no whole number of at least 1; `ERR_STORAGE_WRITE` if a storage failed, all having been tried.
   */
  prune(limit: number): Promise<number>;
  /** Resolves when this view's background writes have ended and statistics were sent; a sink is waited for no longer than a storage, at least 1 s. */
  flush(): Promise<void>;
  /** Flushes, then releases the storages. */
  close(): Promise<void>;
}

/** What one tier of a node did. */
export interface TierStats {
  readonly hitCount: number;
  readonly missCount: number;
  readonly errorCount: number;
  readonly timeoutCount: number;
  readonly readTimeMs: number;
  readonly writeCount: number;
  readonly writeTimeMs: number;
  /** Writes that the storage refused because the slot had changed. */
  readonly refusedCount: number;
}

/**
 * What a node did, as a plain object. A rate of nothing is 0.
 *
 * Invariant: `hitCount + missCount = requestCount` and `loadSuccessCount + loadFailureCount = loadCount`.
 */
export interface NodeStats {
  readonly requestCount: number;
  /** Requests that did not need the source. */
  readonly hitCount: number;
  readonly hitRate: number;
  readonly missCount: number;
  readonly missRate: number;
  readonly loadCount: number;
  readonly loadSuccessCount: number;
  readonly loadFailureCount: number;
  readonly loadFailureRate: number;
  /** Time in the source alone, without reads of tiers. */
  readonly totalLoadTimeMs: number;
  readonly averageLoadTimeMs: number;
  readonly staleCount: number;
  /** Requests that shared a flight, or repeated a reference within one `getAll`. */
  readonly collapsedCount: number;
  /** Flights whose value was not stored, because something newer came between. */
  readonly fencedCount: number;
  readonly errorCount: number;
  readonly doorkeeperRejectCount: number;
  /** By storage name. */
  readonly tiers: { readonly [storage: string]: TierStats };
  /** Percentiles of load times, in ms. */
  readonly loadLatency: { readonly p50: number; readonly p90: number; readonly p99: number; readonly max: number };
}
