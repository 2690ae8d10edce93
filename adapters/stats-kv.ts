/**
 * Statistics in Workers KV: a sink that writes every batch under a key of its own, a reader that adds them up, and a compaction
 * for a cron trigger. It relies on the binding alone. KV cannot add, so nothing here reads a key, changes it and writes it back.
 *
 * A batch's key is `{prefix}:{hour}:{isolate}:{sequence}`; a sum's is `{prefix}:{hour}:sum:{digest of the names of its parts}`.
 *
 * Invariant: a batch that is listed in a sum is counted by that sum alone, whether or not its own key is still there.
 * Invariant: a batch is removed only when a sum that lists it has been there for longer than KV needs to show it everywhere.
 *
 * @module
 */
import { createStatsSum } from "../src/stats-batch.ts";
import type { NodeStats, StatsBatch, StatsSink } from "../src/stats-batch.ts";
import { compactHours, listHours, readCounted } from "./stats-kv-hours.ts";
import type { Compacted } from "./stats-kv-hours.ts";
import { optionsOf } from "./options.ts";
import { HOUR_MS, checkBinding, hourOf, lifeOf, prefixOf } from "./stats-kv-keys.ts";
import type { StatsKvNamespace } from "./stats-kv-keys.ts";

export type { Compacted as CompactedKvStats } from "./stats-kv-hours.ts";
export type { StatsKvNamespace } from "./stats-kv-keys.ts";

/** Options of {@link kvStats}. */
export interface KvStatsOptions {
  /** First part of every key, at most 256 bytes. Default: `"stats"`. */
  readonly prefix?: string | undefined;
  /** How long a batch is kept, in s; at least 60. `null`: for good. Default: 90 days. */
  readonly expirationTtl?: number | null | undefined;
}

/**
 * A sink that writes each batch to Workers KV.
 *
 * A key is written once a window and isolate, far below KV's one write a second for each key. A write that is repeated
 * overwrites itself. Batches are seen elsewhere after up to a minute or more.
 *
 * @param binding a KV binding.
 * @throws TypeError if it is none, naming the option and the value otherwise.
 * @example
 * ```ts
 * import { createCache, local } from "cacheme";
 * import { kvStats } from "cacheme/stats-kv";
 *
 * export const cache = createCache({ storages: { local: local() }, stats: kvStats(env.KV) });
 * ```
 * @see https://developers.cloudflare.com/kv/api/write-key-value-pairs/
 */
export function kvStats(binding: StatsKvNamespace, options: KvStatsOptions = {}): StatsSink {
  checkBinding(binding, "kvStats");
  const given = optionsOf(options, ["prefix", "expirationTtl"], "kvStats");
  const prefix = prefixOf(given.prefix, "kvStats");
  const life = lifeOf(given.expirationTtl, "kvStats");
  return {
    name: "stats-kv",
    write: (batch: StatsBatch) => binding.put(`${prefix}:${hourOf(batch.to)}:${batch.isolate}:${batch.sequence}`, JSON.stringify(batch), life),
  };
}

/** Options of {@link readKvStats}. */
export interface ReadKvStatsOptions {
  readonly prefix?: string | undefined;
  /** Unix ms or a date; whole hours are read, in UTC. Default: everything that is there. */
  readonly from?: number | Date | undefined;
  readonly to?: number | Date | undefined;
}

/** What was written to KV, added up. */
export interface KvStats {
  /** As `cache.stats()` gives them, over all isolates. */
  readonly nodes: { readonly [node: string]: NodeStats };
  /** Batches that were added up. */
  readonly batches: number;
  /** Writes to this sink that failed, as far as isolates could tell later. */
  readonly failedWrites: number;
}

/**
 * Adds up what all isolates wrote. Costs one `list` for each 1,000 keys and one `get` for each 100; what is above 25 MB of
 * these is read in halves.
 *
 * Values that are no statistics are passed over.
 *
 * @throws what the binding throws; TypeError for wrong options.
 * @example
 * ```ts
 * import { readKvStats } from "cacheme/stats-kv";
 *
 * const { nodes } = await readKvStats(env.KV, { from: Date.now() - 24 * 3_600_000 });
 * const ratio = nodes["UserInfo"]?.hitRate;
 * ```
 */
export async function readKvStats(binding: StatsKvNamespace, options: ReadKvStatsOptions = {}): Promise<KvStats> {
  checkBinding(binding, "readKvStats");
  const { prefix, from, to } = optionsOf(options, ["prefix", "from", "to"], "readKvStats");
  const hours = await listHours(binding, prefixOf(prefix, "readKvStats"), bound(from, "from", 0), bound(to, "to", Number.MAX_SAFE_INTEGER));
  const keys = { batches: hours.flatMap((hour) => hour.batches), sums: hours.flatMap((hour) => hour.sums) };
  const { batches, sums, listed } = await readCounted(binding, keys, Number.POSITIVE_INFINITY);
  const total = createStatsSum();
  for (const { nodes } of [...sums, ...batches]) total.add(nodes);
  const failedWrites = [...sums, ...batches].reduce((all, one) => all + one.failedWrites, 0);
  return { nodes: total.stats(), batches: batches.length + listed.size, failedWrites };
}

function bound(time: number | Date | undefined, option: string, otherwise: number): number {
  const at = time === undefined ? otherwise : Number(time);
  if (Number.isNaN(at)) throw new TypeError(`readKvStats: ${option} must be Unix ms or a date, got ${String(time)}`);
  return at;
}

/** Options of {@link compactKvStats}. */
export interface CompactKvStatsOptions extends KvStatsOptions {
  /** Batches summed up, and keys removed, in one run at most; at least 1. Default: 500, since an invocation may make 1,000 calls. */
  readonly limit?: number | undefined;
  /** Time a sum has to be there before its parts are removed, in ms. Default: 10 minutes. */
  readonly settleMs?: number | undefined;
  /** Unix ms. Default: now. */
  readonly now?: number | undefined;
}

const COMPACT_OPTIONS = ["prefix", "expirationTtl", "limit", "settleMs"] as const;

/**
 * Replaces the batches of each hour by their sum, once the hour has been over for an hour. The first run writes sums, a later one
 * removes what they list; so it may be interrupted anywhere, run twice, or run in two places at once.
 *
 * @throws what the binding throws; running it again is safe. TypeError for wrong options.
 */
export async function compactKvStats(binding: StatsKvNamespace, options: CompactKvStatsOptions = {}): Promise<Compacted> {
  checkBinding(binding, "compactKvStats");
  const { limit = 500, settleMs = 600_000, now = Date.now(), prefix, expirationTtl } = optionsOf(options, [...COMPACT_OPTIONS, "now"], "compactKvStats");
  if (!(Number.isInteger(limit) && limit >= 1)) throw new TypeError(`compactKvStats: limit must be a whole number of at least 1, got ${limit}`);
  if (!(settleMs >= 0)) throw new TypeError(`compactKvStats: settleMs must be 0 or more, got ${settleMs}`);
  return compactHours(binding, {
    prefix: prefixOf(prefix, "compactKvStats"),
    life: lifeOf(expirationTtl, "compactKvStats"),
    limit,
    settled: now - settleMs,
    now,
    closed: now - 2 * HOUR_MS,
  });
}

/**
 * The `scheduled` handler of a Worker: compacts the statistics in the binding that `pick` finds.
 *
 * @throws TypeError for an option that there is not; the values are checked by each run.
 * @example
 * ```ts
 * import { compactOnSchedule } from "cacheme/stats-kv";
 *
 * export default {
 *   fetch: () => new Response("ok"),
 *   scheduled: compactOnSchedule((env: Env) => env.KV),
 * };
 * ```
 */
export function compactOnSchedule<Env>(
  pick: (env: Env) => StatsKvNamespace,
  options: Omit<CompactKvStatsOptions, "now"> = {},
): (controller: unknown, env: Env) => Promise<void> {
  const given = optionsOf(options, COMPACT_OPTIONS, "compactOnSchedule");
  return async (_, env) => {
    await compactKvStats(pick(env), given);
  };
}
