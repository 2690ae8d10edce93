/**
 * Statistics in Workers Analytics Engine: one data point for each node and each of its tiers in every flush. It relies on the
 * binding alone. The local runtime checks none of the platform's limits, so they are kept here.
 *
 * Invariant: the columns of a layout never change their meaning; a change is a new version in `blob1`.
 *
 * @module
 */
import { checkMethods, optionsOf } from "./options.ts";
import type { NodeDelta, StatsBatch, StatsSink, TierDelta } from "../src/stats-batch.ts";

/** The part of an `AnalyticsEngineDataset` that is used. */
export interface AnalyticsEngineBinding {
  writeDataPoint(point: { indexes?: string[]; blobs?: string[]; doubles?: number[] }): void;
}

/** Options of {@link analyticsEngineStats}. */
export interface AnalyticsEngineStatsOptions {
  /** Points written in one flush at most, 1 to 250: less if the Worker writes points of its own. Default: 250. */
  readonly maxPoints?: number | undefined;
  /** What `blob5` holds, such as a colo or a deployment; at most 1,024 bytes are kept. Default: empty. */
  readonly label?: string | undefined;
}

/** The platform's limit of one invocation. */
const MAX_POINTS = 250;
const MAX_INDEX_BYTES = 96;
/** All blobs of a point may have 16 KB; a node's name gets half of it. */
const MAX_NODE_BYTES = 8_192;
const MAX_TIER_BYTES = 1_024;
const MAX_LABEL_BYTES = 1_024;
const LAYOUT = "1";

/** The first buckets of load times that are no longer below 8, 64 and 512 ms: four buckets for each doubling. */
const LOAD_TIME_EDGES = [13, 25, 37] as const;

/** `double1` to `double20`, in order. `maxLoadMs` is a maximum, all others are added up. */
const COLUMNS = [
  "hitCount",
  "missCount",
  "errorCount",
  "loadSuccessCount",
  "loadFailureCount",
  "totalLoadTimeMs",
  "staleCount",
  "collapsedCount",
  "fencedCount",
  "doorkeeperRejectCount",
  "timeoutCount",
  "readTimeMs",
  "writeCount",
  "writeTimeMs",
  "refusedCount",
  "windowMs",
  "loadsBelow8Ms",
  "loadsBelow64Ms",
  "loadsBelow512Ms",
  "maxLoadMs",
] as const;

type Columns = Partial<Record<(typeof COLUMNS)[number], number>>;

interface Point {
  readonly node: string;
  readonly tier: string;
  readonly isolate: string;
  readonly doubles: number[];
}

/**
 * A sink that writes data points: for each node one with an empty tier (its requests and loads), and one for each of its tiers.
 *
 * Layout 1: `index1` the node, cut to 96 bytes; `blob1` the layout's version, `blob2` the node, `blob3` the tier or `""`, `blob4` the
 * isolate, `blob5` the label; `double1` to `double20` hits, misses, errors, loads that succeeded, loads that failed, load time in
 * ms, stale, collapsed, fenced, rejected by the doorkeeper, timeouts, read time, writes, write time, refused writes, length of the
 * window in ms, loads below 8, 64 and 512 ms, longest load of the isolate in ms. Longer names are cut between two characters.
 *
 * Points above `maxPoints` go with the next flush, added up with what the same node and tier counted meanwhile. A point is written
 * once, also if another one throws. The platform samples: multiply by `_sample_interval`.
 *
 * @param binding an Analytics Engine binding.
 * @throws TypeError if it is none, and for wrong options.
 * @example
 * ```ts
 * import { createCache, local } from "cacheme";
 * import { analyticsEngineStats, type AnalyticsEngineBinding } from "cacheme/stats-analytics-engine";
 *
 * declare const env: { STATS: AnalyticsEngineBinding }; // import { env } from "cloudflare:workers"
 * export const cache = createCache({ storages: { local: local() }, stats: analyticsEngineStats(env.STATS) });
 * ```
 * @see https://developers.cloudflare.com/analytics/analytics-engine/limits/
 */
export function analyticsEngineStats(binding: AnalyticsEngineBinding, options: AnalyticsEngineStatsOptions = {}): StatsSink {
  checkMethods(binding, ["writeDataPoint"], "analyticsEngineStats: binding", "an Analytics Engine binding");
  const { maxPoints = MAX_POINTS, label = "" } = optionsOf(options, ["maxPoints", "label"], "analyticsEngineStats");
  if (!(Number.isInteger(maxPoints) && maxPoints >= 1 && maxPoints <= MAX_POINTS))
    throw new TypeError(`analyticsEngineStats: maxPoints must be a whole number from 1 to ${MAX_POINTS}, got ${maxPoints}`);
  if (typeof label !== "string") throw new TypeError(`analyticsEngineStats: label must be a string, got ${typeof label}`);
  const shortLabel = cut(label, MAX_LABEL_BYTES);
  // Its size is bounded by the nodes and tiers that there are. A point that waits keeps its place.
  const waiting = new Map<string, Point>();
  let lastTaken = "";
  return {
    name: "stats-analytics-engine",
    write(batch) {
      const name = `${batch.isolate}:${batch.sequence}`;
      // A batch that comes again was taken in whole; only the writing of its points was interrupted.
      if (name !== lastTaken) for (const point of pointsOf(batch)) take(waiting, point);
      lastTaken = name;
      let written = 0;
      for (const [key, { node, tier, isolate, doubles }] of waiting) {
        if (written === maxPoints) break;
        const blobs = [LAYOUT, cut(node, MAX_NODE_BYTES), cut(tier, MAX_TIER_BYTES), isolate, shortLabel];
        binding.writeDataPoint({ indexes: [cut(node, MAX_INDEX_BYTES)], blobs, doubles });
        waiting.delete(key);
        written++;
      }
    },
  };
}

function take(waiting: Map<string, Point>, point: Point): void {
  const key = JSON.stringify([point.node, point.tier]);
  const before = waiting.get(key);
  if (!before) return void waiting.set(key, point);
  for (const [index, column] of COLUMNS.entries()) {
    const [one = 0, other = 0] = [before.doubles[index], point.doubles[index]];
    before.doubles[index] = column === "maxLoadMs" ? Math.max(one, other) : one + other;
  }
}

function pointsOf({ isolate, from, to, nodes }: StatsBatch): Point[] {
  const windowMs = to - from;
  return nodes.flatMap((node) => [
    { node: node.node, tier: "", isolate, doubles: doublesOf(nodeColumns(node, windowMs)) },
    ...node.tiers.map((tier) => ({ node: node.node, tier: tier.tier, isolate, doubles: doublesOf(tierColumns(tier, windowMs)) })),
  ]);
}

function nodeColumns(node: NodeDelta, windowMs: number): Columns {
  const [below8, below64, below512] = LOAD_TIME_EDGES.map((edge) => node.loadTimes.reduce((sum, [bucket, count]) => (bucket < edge ? sum + count : sum), 0));
  return { ...node, windowMs, loadsBelow8Ms: below8 ?? 0, loadsBelow64Ms: below64 ?? 0, loadsBelow512Ms: below512 ?? 0 };
}

function tierColumns(tier: TierDelta, windowMs: number): Columns {
  return { ...tier, windowMs };
}

function doublesOf(columns: Columns): number[] {
  return COLUMNS.map((column) => columns[column] ?? 0);
}

/** The longest beginning that has so many bytes of UTF-8 at most. */
function cut(text: string, bytes: number): string {
  const { read } = new TextEncoder().encodeInto(text, new Uint8Array(bytes));
  return text.slice(0, read);
}
