/**
 * What one isolate counted between two flushes, as plain data for a stats sink: differences, so that batches may be added up in
 * any order. It relies on the counters of `stats.ts` and does no I/O.
 *
 * Invariant: taking a difference moves the baseline in the same step, so nothing that was counted is in two batches.
 *
 * @module
 */

import { createCounters, snapshot, tierCounters } from "./stats.ts";
import type { NodeCounters, TierCounters } from "./stats.ts";
import type { NodeStats } from "./types.ts";

export type { NodeStats } from "./types.ts";

/** What was counted in one tier of a node. The names are those of `TierStats`. */
export interface TierDelta extends Readonly<TierCounters> {
  /** The storage's name. */
  readonly tier: string;
}

/** What was counted of one node. The names are those of `NodeStats`; all but `maxLoadMs` are differences. */
export interface NodeDelta extends Readonly<Omit<NodeCounters, "loadTimes" | "tiers">> {
  readonly node: string;
  /** The longest load since the isolate began, in ms: the larger of two is their sum. */
  readonly maxLoadMs: number;
  /** Loads by duration, as pairs of a bucket and a count: bucket 0 is below 1 ms, bucket b below 2^(b/4) ms. */
  readonly loadTimes: readonly (readonly [bucket: number, count: number])[];
  readonly tiers: readonly TierDelta[];
}

/**
 * What one isolate counted in one window.
 *
 * Invariant: `isolate` and `sequence` name a batch. One that is written again, since nobody knows what became of the first
 * write, has the same name and the same content.
 */
export interface StatsBatch {
  /** The version of this layout. */
  readonly format: 1;
  /** 16 random hex digits, drawn in the isolate's first flush. */
  readonly isolate: string;
  /** Counts up from 1 in each isolate and sink. */
  readonly sequence: number;
  /** Unix ms. */
  readonly from: number;
  readonly to: number;
  /** Writes to this sink that failed in this isolate since the batch before. */
  readonly failedWrites: number;
  readonly nodes: readonly NodeDelta[];
}

/**
 * Where batches go. A write that rejects, throws or takes longer than 5 s is reported as the event `stats-failed`, and the same
 * batch is offered again with the next flush: a sink whose writes are named by `isolate` and `sequence` counts nothing twice.
 *
 * @example
 * ```ts
 * import { createCache, local, type StatsSink } from "cacheme";
 *
 * const sink: StatsSink = {
 *   name: "collector",
 *   write: async (batch) => {
 *     const answer = await fetch(url, { method: "PUT", body: JSON.stringify(batch) });
 *     if (!answer.ok) throw new Error(`the collector answered ${answer.status}`);
 *   },
 * };
 * const cache = createCache({ storages: { local: local() }, stats: sink });
 * ```
 */
export interface StatsSink {
  /** Named in events. Default: `"stats"`. */
  readonly name?: string | undefined;
  write(batch: StatsBatch): Promise<void> | void;
}

const NO_TIER_COUNTS = { hitCount: 0, missCount: 0, errorCount: 0, timeoutCount: 0, readTimeMs: 0, writeCount: 0, writeTimeMs: 0, refusedCount: 0 };
const NO_NODE_COUNTS = {
  hitCount: 0,
  missCount: 0,
  loadSuccessCount: 0,
  loadFailureCount: 0,
  totalLoadTimeMs: 0,
  staleCount: 0,
  collapsedCount: 0,
  fencedCount: 0,
  errorCount: 0,
  doorkeeperRejectCount: 0,
};

/** What was counted since the baseline, which is moved to the present; nodes without news are left out. */
export function takeDeltas(counters: ReadonlyMap<string, NodeCounters>, baseline: Map<string, NodeCounters>): NodeDelta[] {
  return [...counters].flatMap(([node, now]) => takeDelta(node, now, inMap(baseline, node)) ?? []);
}

function inMap(all: Map<string, NodeCounters>, node: string): NodeCounters {
  let own = all.get(node);
  if (!own) {
    own = createCounters();
    all.set(node, own);
  }
  return own;
}

function takeDelta(node: string, now: NodeCounters, before: NodeCounters): NodeDelta | undefined {
  const counts = takeCounts(NO_NODE_COUNTS, now, before);
  const loadTimes: [number, number][] = [];
  for (const [bucket, count] of now.loadTimes.entries()) {
    const more = count - (before.loadTimes[bucket] ?? 0);
    before.loadTimes[bucket] = count;
    if (more > 0) loadTimes.push([bucket, more]);
  }
  const tiers: TierDelta[] = [];
  for (const [tier, own] of now.tiers) {
    const ownCounts = takeCounts(NO_TIER_COUNTS, own, tierCounters(before, tier));
    if (isNews(ownCounts)) tiers.push({ tier, ...ownCounts });
  }
  if (!isNews(counts) && tiers.length === 0) return undefined;
  return { node, ...counts, maxLoadMs: now.maxLoadMs, loadTimes, tiers };
}

/** The differences of some counters; the earlier ones catch up. */
function takeCounts<Name extends string>(
  zero: Record<Name, number>,
  now: Readonly<Record<NoInfer<Name>, number>>,
  before: Record<NoInfer<Name>, number>,
): Record<Name, number> {
  const counts = { ...zero };
  for (const name in zero) {
    counts[name] = now[name] - before[name];
    before[name] = now[name];
  }
  return counts;
}

function isNews(counts: Readonly<Record<string, number>>): boolean {
  return Object.values(counts).some((count) => count !== 0);
}

/** Batches added up, by node. What was read from elsewhere may lack fields or hold nonsense: that counts as 0. */
export interface StatsSum {
  add(nodes: readonly NodeDelta[]): void;
  /** As `cache.stats()` gives it. */
  stats(): { readonly [node: string]: NodeStats };
  /** As one batch would hold it. */
  deltas(): NodeDelta[];
}

/** Nothing yet. */
export function createStatsSum(): StatsSum {
  const all = new Map<string, NodeCounters>();
  return {
    add(nodes) {
      for (const delta of nodes) addDelta(inMap(all, String(delta.node)), delta);
    },
    stats: () => Object.fromEntries([...all].map(([node, counters]) => [node, snapshot(counters)])),
    deltas: () => takeDeltas(all, new Map()),
  };
}

function addDelta(sum: NodeCounters, delta: NodeDelta): void {
  addCounts(NO_NODE_COUNTS, sum, delta);
  sum.maxLoadMs = Math.max(sum.maxLoadMs, numberOf(delta.maxLoadMs));
  for (const pair of listOf(delta.loadTimes)) {
    const [bucket, count] = listOf(pair);
    const before = sum.loadTimes[numberOf(bucket)];
    if (before !== undefined) sum.loadTimes[numberOf(bucket)] = before + numberOf(count);
  }
  for (const tier of listOf(delta.tiers)) addCounts(NO_TIER_COUNTS, tierCounters(sum, String(tier.tier)), tier);
}

function addCounts<Name extends string>(zero: Record<Name, number>, sum: Record<NoInfer<Name>, number>, more: Readonly<Record<NoInfer<Name>, number>>): void {
  for (const name in zero) sum[name] += numberOf(more[name]);
}

function numberOf(value: unknown): number {
  return typeof value === "number" && Number.isFinite(value) ? value : 0;
}

function listOf<Item>(value: readonly Item[]): readonly Item[] {
  return Array.isArray(value) ? value : [];
}

/** Reads back what a sink stored as JSON; `undefined` for what is no JSON of a batch, or of something else that has its `nodes`. */
export function parseCounted(text: string): (Readonly<Record<string, unknown>> & { readonly nodes: readonly NodeDelta[] }) | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  return hasNodes(value) ? value : undefined;
}

function hasNodes(value: unknown): value is Readonly<Record<string, unknown>> & { readonly nodes: readonly NodeDelta[] } {
  if (typeof value !== "object" || value === null || !("format" in value) || value.format !== 1 || !("nodes" in value)) return false;
  return Array.isArray(value.nodes) && value.nodes.every((delta) => typeof delta === "object" && delta !== null && "node" in delta);
}
