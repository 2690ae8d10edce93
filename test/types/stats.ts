/** The option `stats`: which sinks it takes, what a sink is told, and the two that come with the library on bindings as they are. */

import { createCache } from "cacheme";
import type { LocalTier, NodeDelta, NodeStats, StatsBatch, StatsOption, StatsOptions, StatsSink, TierDelta } from "cacheme";
import { analyticsEngineStats } from "cacheme/stats-analytics-engine";
import type { AnalyticsEngineBinding, AnalyticsEngineStatsOptions } from "cacheme/stats-analytics-engine";
import { compactKvStats, compactOnSchedule, kvStats, readKvStats } from "cacheme/stats-kv";
import type { CompactedKvStats, KvStats, KvStatsOptions, StatsKvNamespace } from "cacheme/stats-kv";
import { is } from "./assert.ts";
import type { Equal } from "./assert.ts";

declare const near: LocalTier;
const storages = { local: near };

/** The bindings as the platform's own types have them, as far as that matters: more overloads, options and methods than are used. */
interface PlatformNamespace {
  get(key: string, options?: { type?: "text"; cacheTtl?: number }): Promise<string | null>;
  get(keys: string[], type: "text"): Promise<Map<string, string | null>>;
  put(key: string, value: string | ArrayBuffer | ReadableStream, options?: { expiration?: number; expirationTtl?: number; metadata?: unknown }): Promise<void>;
  delete(key: string): Promise<void>;
  list(options?: {
    limit?: number;
    prefix?: string | null;
    cursor?: string | null;
  }): Promise<
    | { list_complete: false; keys: { name: string; expiration?: number }[]; cursor: string; cacheStatus: string | null }
    | { list_complete: true; keys: { name: string; expiration?: number }[]; cacheStatus: string | null }
  >;
  getWithMetadata(key: string): Promise<{ value: string | null; metadata: unknown }>;
}
interface PlatformDataset {
  writeDataPoint(event?: { indexes?: ((ArrayBuffer | string) | null)[]; doubles?: number[]; blobs?: ((ArrayBuffer | string) | null)[] }): void;
}
interface Env {
  readonly STATS: PlatformNamespace;
  readonly POINTS: PlatformDataset;
}
declare const env: Env;

// Both sinks take a real binding and are sinks.
const toKv = kvStats(env.STATS);
const toEngine = analyticsEngineStats(env.POINTS, { maxPoints: 100, label: "fra" });
is<Equal<typeof toKv, StatsSink>>();
is<Equal<typeof toEngine, StatsSink>>();
kvStats(env.STATS, { prefix: undefined, expirationTtl: undefined });
kvStats(env.STATS, { prefix: "stats", expirationTtl: null });
analyticsEngineStats(env.POINTS, { maxPoints: undefined, label: undefined });

// One sink, several, or one with how often it is written to.
createCache({ storages, stats: toKv });
createCache({ storages, stats: [toKv, toEngine] });
createCache({ storages, stats: { sink: toKv } });
createCache({ storages, stats: { sink: [toKv, toEngine], window: "10s", every: 500 } });
createCache({ storages, stats: { sink: toKv, window: undefined, every: undefined } });
createCache({ storages, stats: undefined });
is<Equal<StatsOption, StatsSink | readonly StatsSink[] | StatsOptions>>();

// A sink of one's own: synchronous or not, and told a batch of plain read-only data.
createCache({ storages, stats: { write: (batch) => void is<Equal<typeof batch, StatsBatch>>() } });
createCache({ storages, stats: { name: "log", write: async ({ nodes }) => void nodes.length } });
declare const batch: StatsBatch;
is<Equal<typeof batch.nodes, readonly NodeDelta[]>>();
is<Equal<typeof batch.sequence, number>>();
declare const delta: NodeDelta;
is<Equal<typeof delta.tiers, readonly TierDelta[]>>();
is<Equal<typeof delta.hitCount, number>>();
// @ts-expect-error a batch is read-only
batch.sequence = 1;

// What is read back has the types of `cache.stats()`.
const read = readKvStats(env.STATS, { from: new Date(0), to: 1, prefix: "stats" });
is<Equal<typeof read, Promise<KvStats>>>();
declare const stats: KvStats;
is<Equal<(typeof stats.nodes)[string], NodeStats>>();
const compacted = compactKvStats(env.STATS, { limit: 10 });
is<Equal<typeof compacted, Promise<CompactedKvStats>>>();
const scheduled = compactOnSchedule((given: Env) => given.STATS, { prefix: "stats" });
is<Equal<typeof scheduled, (controller: unknown, env: Env) => Promise<void>>>();

// The names of what they take are public.
const options: [KvStatsOptions, AnalyticsEngineStatsOptions, StatsKvNamespace, AnalyticsEngineBinding] = [{}, {}, env.STATS, env.POINTS];
void options;

// @ts-expect-error a sink has a method `write`
createCache({ storages, stats: {} });
// @ts-expect-error a binding is no sink
createCache({ storages, stats: env.STATS });
// @ts-expect-error the window is no duration
createCache({ storages, stats: { sink: toKv, window: "10sec" } });
// @ts-expect-error unknown option
createCache({ storages, stats: { sink: toKv, interval: "10s" } });
// @ts-expect-error `write` is told a batch, not its text
createCache({ storages, stats: { write: (text: string) => void text } });
// @ts-expect-error a dataset is no namespace
kvStats(env.POINTS);
// @ts-expect-error a namespace is no dataset
analyticsEngineStats(env.STATS);
// @ts-expect-error a binding that may be undefined
kvStats((env as Partial<Env>).STATS);
// @ts-expect-error the life of a batch is a number of seconds
kvStats(env.STATS, { expirationTtl: "90d" });
// @ts-expect-error unknown option
analyticsEngineStats(env.POINTS, { sampling: 1 });
// @ts-expect-error a scheduled handler picks a namespace
compactOnSchedule((given: Env) => given.POINTS);
