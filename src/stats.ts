/**
 * What a node did, as plain increments on the hot path and a computed snapshot on demand. A call is counted in one step
 * when it completes, so hits and misses always add up to requests, whatever fails or dies in between.
 *
 * @module
 */

import type { NodeStats, TierStats } from "./types.ts";

/** The counters behind a {@link TierStats}. */
export interface TierCounters {
  hitCount: number;
  missCount: number;
  errorCount: number;
  timeoutCount: number;
  readTimeMs: number;
  writeCount: number;
  writeTimeMs: number;
  refusedCount: number;
}

// Four buckets for each doubling, from 1 ms to about 9 hours; the first holds what took less than 1 ms.
const BUCKETS = 101;
const PER_DOUBLING = 4;

/** The counters behind a {@link NodeStats}. */
export interface NodeCounters {
  hitCount: number;
  missCount: number;
  loadSuccessCount: number;
  loadFailureCount: number;
  totalLoadTimeMs: number;
  staleCount: number;
  collapsedCount: number;
  fencedCount: number;
  errorCount: number;
  doorkeeperRejectCount: number;
  maxLoadMs: number;
  readonly loadTimes: Uint32Array;
  readonly tiers: Map<string, TierCounters>;
}

/** All zero. */
export function createCounters(): NodeCounters {
  return {
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
    maxLoadMs: 0,
    loadTimes: new Uint32Array(BUCKETS),
    tiers: new Map(),
  };
}

/** The counters of one tier, made at first use. */
export function tierCounters(counters: NodeCounters, storage: string): TierCounters {
  let tier = counters.tiers.get(storage);
  if (!tier) {
    tier = { hitCount: 0, missCount: 0, errorCount: 0, timeoutCount: 0, readTimeMs: 0, writeCount: 0, writeTimeMs: 0, refusedCount: 0 };
    counters.tiers.set(storage, tier);
  }
  return tier;
}

/** Counts a finished load of one key; `share` is the key's part of the time, where several were loaded at once. */
export function countLoad(counters: NodeCounters, ms: number, succeeded: boolean, share = 1): void {
  if (succeeded) counters.loadSuccessCount++;
  else counters.loadFailureCount++;
  counters.totalLoadTimeMs += ms * share;
  if (ms > counters.maxLoadMs) counters.maxLoadMs = ms;
  const bucket = ms < 1 ? 0 : Math.min(BUCKETS - 1, 1 + Math.floor(Math.log2(ms) * PER_DOUBLING));
  counters.loadTimes[bucket] = (counters.loadTimes[bucket] ?? 0) + 1;
}

function percentile(counters: NodeCounters, total: number, share: number): number {
  let seen = 0;
  for (let bucket = 0; bucket < BUCKETS; bucket++) {
    seen += counters.loadTimes[bucket] ?? 0;
    // The upper edge of the bucket, and never above what was really seen.
    if (seen > 0 && seen >= total * share) return Math.min(counters.maxLoadMs, 2 ** (bucket / PER_DOUBLING));
  }
  return 0;
}

const rate = (part: number, whole: number): number => (whole === 0 ? 0 : part / whole);

/** The snapshot of one node, all zero if nothing was counted; or those of all, by name. */
export function snapshots(counters: ReadonlyMap<string, NodeCounters>, name: string | undefined): NodeStats | { readonly [node: string]: NodeStats } {
  if (name !== undefined) return snapshot(counters.get(name) ?? createCounters());
  return Object.fromEntries(Array.from(counters, ([node, own]) => [node, snapshot(own)]));
}

/** A snapshot; changes to it change nothing. */
export function snapshot(counters: NodeCounters): NodeStats {
  const { hitCount, missCount, loadSuccessCount, loadFailureCount, totalLoadTimeMs } = counters;
  const requestCount = hitCount + missCount;
  const loadCount = loadSuccessCount + loadFailureCount;
  const tiers: Record<string, TierStats> = {};
  for (const [name, tier] of counters.tiers) Object.defineProperty(tiers, name, { value: { ...tier }, enumerable: true, configurable: true, writable: true });
  return {
    requestCount,
    hitCount,
    hitRate: rate(hitCount, requestCount),
    missCount,
    missRate: rate(missCount, requestCount),
    loadCount,
    loadSuccessCount,
    loadFailureCount,
    loadFailureRate: rate(loadFailureCount, loadCount),
    totalLoadTimeMs,
    averageLoadTimeMs: rate(totalLoadTimeMs, loadCount),
    staleCount: counters.staleCount,
    collapsedCount: counters.collapsedCount,
    fencedCount: counters.fencedCount,
    errorCount: counters.errorCount,
    doorkeeperRejectCount: counters.doorkeeperRejectCount,
    tiers,
    loadLatency: {
      p50: percentile(counters, loadCount, 0.5),
      p90: percentile(counters, loadCount, 0.9),
      p99: percentile(counters, loadCount, 0.99),
      max: counters.maxLoadMs,
    },
  };
}
