/** Statistics as data points: the columns, and the platform's limits, which no local runtime checks, kept by us. */

import { describe, expect, test } from "vitest";
import { analyticsEngineStats } from "../../adapters/stats-analytics-engine.ts";
import type { AnalyticsEngineBinding, AnalyticsEngineStatsOptions } from "../../adapters/stats-analytics-engine.ts";
import type { StatsBatch, StatsSink } from "../../src/stats-batch.ts";
import { counted, rig } from "../support/rig.ts";

interface Point {
  readonly indexes: string[];
  readonly blobs: string[];
  readonly doubles: number[];
}

/** A data set as the platform checks it, which miniflare does not: every point that breaks a limit throws. */
function dataset(): AnalyticsEngineBinding & { readonly points: Point[]; calls: number; breakAt: number } {
  const bytes = (texts: readonly string[]): number => texts.reduce((sum, text) => sum + Buffer.byteLength(text), 0);
  return {
    points: [],
    calls: 0,
    breakAt: Infinity,
    writeDataPoint({ indexes = [], blobs = [], doubles = [] }) {
      if (++this.calls >= this.breakAt) throw new Error("not now");
      if (indexes.length > 1 || bytes(indexes) > 96 || blobs.length > 20 || bytes(blobs) > 16_000 || doubles.length > 20) throw new Error("beyond the limits");
      if (doubles.some((double) => !Number.isFinite(double)) || [...indexes, ...blobs].some((text) => !text.isWellFormed()))
        throw new Error("no number or no text");
      this.points.push(structuredClone({ indexes, blobs, doubles }));
    },
  };
}

const NODE = { missCount: 0, loadSuccessCount: 0, loadFailureCount: 0, totalLoadTimeMs: 0, staleCount: 0, collapsedCount: 0, fencedCount: 0, errorCount: 0 };

function batch(sequence: number, names: readonly string[], hitCount = 1): StatsBatch {
  const nodes = names.map((node) => ({ node, ...NODE, hitCount, doorkeeperRejectCount: 0, maxLoadMs: hitCount, loadTimes: [], tiers: [] }));
  return { format: 1, isolate: "00112233aabbccdd", sequence, from: 1_000, to: 11_000, failedWrites: 0, nodes };
}

const names = (count: number): string[] => Array.from({ length: count }, (_, index) => `Node${index}`);
const hitsOf = ({ points }: { readonly points: readonly Point[] }): number => points.reduce((sum, { doubles }) => sum + (doubles[0] ?? 0), 0);

async function write(sink: StatsSink, one: StatsBatch): Promise<void> {
  await sink.write(one);
}

test("a node has one point, and one for each tier, in columns that never move", async () => {
  const set = dataset();
  const { cache, clock } = rig({ stats: analyticsEngineStats(set, { label: "FRA" }) });
  const Item = counted({ load: (key) => new Promise<string>((resolve) => clock.setTimeout(() => resolve(key), 100)) });
  const loaded = cache.get(Item("a"));
  await clock.advance(100);
  await loaded;
  await cache.getAll([Item("a"), Item("a"), Item("a")]);
  await clock.advance(10_000);
  const name = Item.node.name;
  const [whole, tier, ...more] = set.points;
  expect(more).toEqual([]);
  expect([whole?.indexes, whole?.blobs.toSpliced(3, 1)]).toEqual([[name], ["1", name, "", "FRA"]]);
  expect(whole?.blobs[3]).toMatch(/^[0-9a-f]{16}$/);
  //                               hit miss err ok fail ms  stale coll fenced door | tier's columns |  window  <8 <64 <512 max
  expect(whole?.doubles).toEqual([3, 1, 0, 1, 0, 100, 0, 0, 0, 0, 0, 0, 0, 0, 0, 10_000, 0, 0, 1, 100]);
  expect(tier?.blobs.toSpliced(3, 1)).toEqual(["1", name, "local", "FRA"]);
  expect(tier?.doubles).toEqual([3, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 10_000, 0, 0, 0, 0]);
});

test.each([
  ["ASCII", "n".repeat(500)],
  ["two bytes a letter", "ü".repeat(9_000)],
  ["four bytes a letter, odd at the limit", `x${"😀".repeat(9_000)}`],
])("a long name of %s is cut by bytes, between two characters", async (_, name) => {
  const set = dataset();
  await write(analyticsEngineStats(set, { label: name }), { ...batch(1, []), nodes: [{ ...batch(1, [name]).nodes[0], tiers: [] } as never] });
  const [point] = set.points;
  expect(name.startsWith(point?.indexes[0] ?? "?")).toBe(true);
  expect(Buffer.byteLength(point?.indexes[0] ?? "")).toBeGreaterThan(92);
});

test("a name that is cut is still its own node beyond the index", async () => {
  const set = dataset();
  await write(analyticsEngineStats(set), batch(1, [`${"n".repeat(200)}1`, `${"n".repeat(200)}2`]));
  expect(set.points.map(({ blobs }) => blobs[1]?.at(-1))).toEqual(["1", "2"]);
});

describe("above 250 points", () => {
  test("the rest goes with the next flush, and is added to what was counted meanwhile", async () => {
    const set = dataset();
    const sink = analyticsEngineStats(set);
    await write(sink, batch(1, names(400)));
    expect([set.points.length, hitsOf(set)]).toEqual([250, 250]);
    await write(sink, batch(2, names(400), 10));
    expect([set.points.length, hitsOf(set)]).toEqual([500, 250 + 150 * 11 + 100 * 10]);
    await write(sink, batch(3, ["Last"], 0));
    await write(sink, batch(4, ["Last"], 0));
    expect(hitsOf(set)).toBe(400 * 11);
    // The longest load is no sum.
    expect(Math.max(...set.points.map(({ doubles }) => doubles[19] ?? 0))).toBe(10);
  });

  test("a node that is cut off every time is still written", async () => {
    const set = dataset();
    const sink = analyticsEngineStats(set, { maxPoints: 3 });
    for (let sequence = 1; sequence <= 12; sequence++) await write(sink, batch(sequence, names(7)));
    expect(new Set(set.points.map(({ blobs }) => blobs[1])).size).toBe(7);
    expect(set.points.length).toBe(36);
  });
});

test("a point that throws is written with the next flush, and the others once", async () => {
  const set = dataset();
  const { cache, clock, seen } = rig({ stats: analyticsEngineStats(set) });
  const Item = counted();
  await cache.getAll([Item("a"), Item("b")]);
  set.breakAt = 2;
  await clock.advance(10_000);
  expect([set.points.length, seen("stats-failed").length]).toEqual([1, 1]);
  set.breakAt = Infinity;
  await cache.get(Item("a"));
  await clock.advance(10_000);
  const of = (tier: string): number =>
    set.points.filter(({ blobs }) => blobs[2] === tier).reduce((sum, { doubles }) => sum + (doubles[0] ?? 0) + (doubles[1] ?? 0), 0);
  expect([of(""), of("local")]).toEqual([3, 3]);
});

test.each<[string, unknown, AnalyticsEngineStatsOptions, RegExp]>([
  ["no binding", undefined, {}, /^analyticsEngineStats: binding must be an Analytics Engine binding, got undefined without writeDataPoint\(\)/],
  ["null", null, {}, /^analyticsEngineStats: binding must be an Analytics Engine binding, got null/],
  ["a KV", { get() {} }, {}, /got object without writeDataPoint\(\)/],
  ["more points than the platform takes", dataset(), { maxPoints: 251 }, /maxPoints must be a whole number from 1 to 250, got 251/],
  ["no points", dataset(), { maxPoints: 0 }, /maxPoints must be .*, got 0/],
  ["a label that is no text", dataset(), { label: 7 as unknown as string }, /label must be a string, got number/],
])("%s is refused", (_, binding, options, message) => {
  const make = (): StatsSink => analyticsEngineStats(binding as AnalyticsEngineBinding, options);
  expect(make).toThrow(TypeError);
  expect(make).toThrow(message);
});
