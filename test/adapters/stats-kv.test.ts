/** Statistics in KV, on miniflare's: written under names of their own, added up, compacted, interrupted. */

import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { compactKvStats, compactOnSchedule, kvStats, readKvStats } from "../../adapters/stats-kv.ts";
import type { CompactKvStatsOptions, StatsKvNamespace } from "../../adapters/stats-kv.ts";
import type { StatsBatch } from "../../src/stats-batch.ts";
import { startKv, type KvServer } from "../servers/kv.ts";
import { counted, rig } from "../support/rig.ts";

const HOUR_MS = 3_600_000;
const SETTLE_MS = 600_000;
/** 2027-01-15, 08:00 UTC. */
const NOON = 1_800_000_000_000;
const ISOLATE = "00112233aabbccdd";
const ZERO = { loadSuccessCount: 0, loadFailureCount: 0, totalLoadTimeMs: 0, staleCount: 0, collapsedCount: 0, fencedCount: 0, errorCount: 0 };

function batch(sequence: number, hits = 1, to = NOON, isolate = ISOLATE): StatsBatch {
  const tier = { tier: "local", hitCount: hits, missCount: 0, errorCount: 0, timeoutCount: 0, readTimeMs: 0, writeCount: 0, writeTimeMs: 0, refusedCount: 0 };
  const node = {
    node: "Item",
    ...ZERO,
    hitCount: hits,
    missCount: 1,
    doorkeeperRejectCount: 0,
    maxLoadMs: sequence,
    loadTimes: [[3, 1]] as const,
    tiers: [tier],
  };
  return { format: 1, isolate, sequence, from: to - 10_000, to, failedWrites: 1, nodes: [node] };
}

test.each([
  ["nothing", undefined],
  ["null", null],
  ["the name of a binding", "STATS"],
  ["a binding of another kind", { get() {}, put() {}, delete() {} }],
])("%s is refused for a binding", async (_, binding) => {
  const wrong = binding as unknown as StatsKvNamespace;
  expect(() => kvStats(wrong)).toThrow(/^kvStats: binding must be a KV binding, got/);
  await expect(readKvStats(wrong)).rejects.toThrow(/^readKvStats: binding must be a KV binding, got/);
  await expect(compactKvStats(wrong)).rejects.toThrow(TypeError);
});

describe("on miniflare's KV", () => {
  let server: KvServer;
  let real: StatsKvNamespace;
  let prefix: string;
  let unique = 0;

  beforeAll(async () => {
    server = await startKv();
    if (!isStatsKv(server.namespace)) throw new Error("miniflare gave no KV namespace with list");
    real = server.namespace;
  });
  afterAll(async () => {
    await server.stop();
  });

  function fresh(): void {
    prefix = `stats-${++unique}`;
  }
  async function write(...batches: StatsBatch[]): Promise<void> {
    const sink = kvStats(real, { prefix });
    for (const one of batches) await sink.write(one);
  }
  async function keys(): Promise<string[]> {
    return (await real.list({ prefix: `${prefix}:` })).keys.map(({ name }) => name.slice(prefix.length + 1));
  }
  async function hits(): Promise<number | undefined> {
    return (await readKvStats(real, { prefix })).nodes["Item"]?.hitCount;
  }
  const compact = (options: CompactKvStatsOptions = {}, binding = real): ReturnType<typeof compactKvStats> =>
    compactKvStats(binding, { prefix, now: NOON + 3 * HOUR_MS, ...options });
  const later = (options: CompactKvStatsOptions = {}): ReturnType<typeof compactKvStats> => compact({ now: NOON + 3 * HOUR_MS + SETTLE_MS, ...options });

  /** The binding, which breaks at the nth call of a method, before or after it was applied. */
  function breaking(method: "put" | "delete", nth: number, applied: boolean): StatsKvNamespace {
    let calls = 0;
    const guard = async (of: typeof method, apply: () => Promise<void>): Promise<void> => {
      const breaks = of === method && ++calls >= nth;
      if (!breaks || applied) await apply();
      if (breaks) throw new Error("interrupted");
    };
    return {
      get: (names, type) => real.get(names, type),
      list: (options) => real.list(options),
      put: (key, value, options) => guard("put", () => real.put(key, value, options)),
      delete: (key) => guard("delete", () => real.delete(key)),
    };
  }

  test("a batch has a key of its own, which says when, who and which, and expires", async () => {
    fresh();
    await write(batch(7));
    expect(await keys()).toEqual([`2027-01-15-08:${ISOLATE}:7`]);
    const left = ((await server.expirationOf(`${prefix}:2027-01-15-08:${ISOLATE}:7`)) ?? 0) - Date.now() / 1_000;
    expect(Math.round(left / 86_400)).toBe(90);
    await kvStats(real, { prefix, expirationTtl: null }).write(batch(7));
    expect(await server.expirationOf(`${prefix}:2027-01-15-08:${ISOLATE}:7`)).toBe(undefined);
  });

  test("a write that is repeated overwrites itself", async () => {
    fresh();
    await write(batch(1, 5), batch(1, 5), batch(2, 3));
    expect(await readKvStats(real, { prefix })).toMatchObject({
      batches: 2,
      failedWrites: 2,
      nodes: { Item: { hitCount: 8, missCount: 2, requestCount: 10, hitRate: 0.8, tiers: { local: { hitCount: 8 } }, loadLatency: { max: 2 } } },
    });
  });

  test("what a cache counted is what is read", async () => {
    fresh();
    const { cache } = rig({ stats: kvStats(real, { prefix }) });
    const Item = counted({ load: (key) => (key === "b" ? Promise.reject(new Error("no")) : key) });
    await cache.getAll([Item("a"), Item("b"), Item("a")]).catch(() => undefined);
    await cache.flush();
    await cache.get(Item("a"));
    await cache.close();
    const { nodes, batches } = await readKvStats(real, { prefix });
    expect([batches, nodes]).toEqual([2, cache.stats()]);
  });

  test("hours are picked by time, and what is no batch is passed over", async () => {
    fresh();
    await write(batch(1, 1, NOON - HOUR_MS), batch(2, 10), batch(3, 100, NOON + HOUR_MS));
    await real.put(`${prefix}:2027-01-15-08:${ISOLATE}:9`, "{");
    await real.put(`${prefix}:2027-01-15-08:${ISOLATE}:10`, '{"format":1,"nodes":[{"node":"Item","hitCount":"7","tiers":3,"loadTimes":[[-1,5],[1e9,1],7]}]}');
    await real.put(`${prefix}:2027-01-15-08:${ISOLATE}:11`, '{"format":2,"nodes":[{"node":"Item","hitCount":1000}]}');
    await real.put(`${prefix}:elsewhere`, "7");
    await real.put(`${prefix}x:2027-01-15-08:${ISOLATE}:1`, JSON.stringify(batch(1, 1_000)));
    expect(await hits()).toBe(111);
    const some = async (from?: number | Date, to?: number): Promise<number | undefined> =>
      (await readKvStats(real, { prefix, from, to })).nodes["Item"]?.hitCount;
    expect([await some(NOON), await some(undefined, NOON), await some(new Date(NOON), NOON + 1)]).toEqual([110, 11, 10]);
    await expect(some(Number.NaN)).rejects.toThrow(/from must be Unix ms or a date, got NaN/);
  });

  test("more than a page of keys and more than a read takes are added up", async () => {
    fresh();
    await Promise.all(Array.from({ length: 1_050 }, (_, index) => write(batch(index))));
    expect(await readKvStats(real, { prefix })).toMatchObject({ batches: 1_050, nodes: { Item: { hitCount: 1_050 } } });
  });

  test("the first run writes a sum, a later one removes its parts, and what is read never changes", async () => {
    fresh();
    await write(batch(1, 1), batch(2, 10), batch(3, 100));
    expect(await compact()).toEqual({ summed: 3, removed: 0, more: false });
    expect([(await keys()).length, await hits()]).toEqual([4, 111]);
    expect(await later({ now: NOON + 3 * HOUR_MS + SETTLE_MS - 1 })).toMatchObject({ summed: 0, removed: 0 });
    expect(await later()).toEqual({ summed: 0, removed: 3, more: false });
    expect((await keys()).map((key) => key.replace(/[0-9a-f]{32}/, "…"))).toEqual(["2027-01-15-08:sum:…"]);
    expect(await readKvStats(real, { prefix })).toMatchObject({ batches: 3, failedWrites: 3, nodes: { Item: { hitCount: 111, missCount: 3 } } });
    expect(await later()).toEqual({ summed: 0, removed: 0, more: false });
  });

  test("an hour is left alone until it has been over for an hour", async () => {
    fresh();
    await write(batch(1, 1, NOON));
    expect(await compact({ now: NOON + 2 * HOUR_MS - 1 })).toMatchObject({ summed: 0 });
    expect(await compact({ now: NOON + 2 * HOUR_MS })).toMatchObject({ summed: 1 });
  });

  test.each(["put", "delete"] as const)("a run that is cut off at a %s, before or after it was applied, is made up for by the next", async (method) => {
    for (const [applied, nth] of [
      [false, 1],
      [true, 1],
      [false, 2],
      [true, 2],
    ] as const) {
      fresh();
      await write(batch(1, 1), batch(2, 10), batch(3, 100), batch(4, 1_000, NOON - HOUR_MS));
      const binding = breaking(method, nth, applied);
      await compact({}, binding).catch(() => undefined);
      expect(await hits()).toBe(1_111);
      await later({}).catch(() => undefined);
      await compactKvStats(binding, { prefix, now: NOON + 4 * HOUR_MS }).catch(() => undefined);
      expect(await hits()).toBe(1_111);
      await compact({ now: NOON + 5 * HOUR_MS });
      await compact({ now: NOON + 6 * HOUR_MS });
      expect(await hits()).toBe(1_111);
      expect((await keys()).every((key) => key.includes(":sum:"))).toBe(true);
    }
  });

  test("two runs at once write the same sums", async () => {
    fresh();
    await write(...Array.from({ length: 30 }, (_, index) => batch(index, 1)));
    await Promise.all([compact(), compact({ now: NOON + 3 * HOUR_MS + 5 })]);
    expect((await keys()).filter((key) => key.includes("sum")).length).toBe(1);
    await Promise.all([later({ now: NOON + 4 * HOUR_MS }), later({ now: NOON + 4 * HOUR_MS })]);
    expect([(await keys()).length, await hits()]).toEqual([1, 30]);
  });

  test("two runs that saw different batches count none twice, and their sums become one account", async () => {
    fresh();
    await write(batch(1, 1), batch(2, 10));
    const blind: StatsKvNamespace = {
      ...breaking("put", Infinity, false),
      list: async (options) => {
        const page = await real.list(options);
        return { ...page, keys: page.keys.filter(({ name }) => !name.endsWith(":1")) };
      },
    };
    await compact();
    // It sees neither the sum nor the first batch.
    await compact(
      {},
      { ...blind, get: async (names, type) => new Map([...(await real.get(names, type))].map(([key, text]) => [key, key.includes("sum") ? null : text])) },
    );
    expect([(await keys()).length, await hits()]).toEqual([4, 11]);
    await compact({ now: NOON + 4 * HOUR_MS });
    expect([(await keys()).length, await hits()]).toEqual([1, 11]);
  });

  test("a batch that is written again after its sum, or after its removal, is not counted again", async () => {
    fresh();
    await write(batch(1, 1), batch(2, 10));
    await compact();
    await write(batch(1, 1));
    await later();
    await write(batch(2, 10), batch(3, 100));
    expect(await hits()).toBe(111);
    await compact({ now: NOON + 4 * HOUR_MS });
    await compact({ now: NOON + 5 * HOUR_MS });
    expect([(await keys()).length, await hits()]).toEqual([2, 111]);
  });

  test("a run does no more than its limit, and says that there is more", async () => {
    fresh();
    await write(...Array.from({ length: 5 }, (_, index) => batch(index, 1)), batch(9, 1, NOON - HOUR_MS));
    const runs = [];
    for (let run = 0; run < 12; run++) runs.push(await compact({ limit: 2, now: NOON + (3 + run) * HOUR_MS }));
    expect(Math.max(...runs.map(({ summed, removed }) => Math.max(summed, removed)))).toBe(2);
    expect(runs[0]).toMatchObject({ more: true });
    expect(runs.at(-1)).toEqual({ summed: 0, removed: 0, more: false });
    expect((await keys()).every((key) => key.includes(":sum:"))).toBe(true);
    expect(await hits()).toBe(6);
  });

  test("the scheduled handler compacts the binding that is picked", async () => {
    fresh();
    await write(batch(1, 5, Date.now() - 3 * HOUR_MS));
    await compactOnSchedule((env: { STATS: StatsKvNamespace }) => env.STATS, { prefix })({ cron: "0 * * * *" }, { STATS: real });
    expect([(await keys()).length, await hits()]).toEqual([2, 5]);
  });

  test.each<[string, () => unknown, RegExp]>([
    ["an empty prefix", () => kvStats(real, { prefix: "" }), /^kvStats: prefix must be 1 to 256 bytes.*got ""/],
    ["a prefix with a line break", () => kvStats(real, { prefix: "a\nb" }), /^kvStats: prefix must be/],
    ["a prefix too long", () => kvStats(real, { prefix: "ä".repeat(129) }), /^kvStats: prefix must be/],
    [
      "a life below KV's floor",
      () => kvStats(real, { expirationTtl: 59 }),
      /^kvStats: expirationTtl must be null or a whole number of seconds, at least 60, got 59/,
    ],
    ["half a second of life", () => kvStats(real, { expirationTtl: 60.5 }), /^kvStats: expirationTtl must be/],
    ["a limit of 0", () => compactKvStats(real, { limit: 0 }), /limit must be a whole number of at least 1, got 0/],
    ["a negative time to settle", () => compactKvStats(real, { settleMs: -1 }), /settleMs must be 0 or more, got -1/],
  ])("%s is refused", async (_, make, message) => {
    await expect((async () => make())()).rejects.toThrow(message);
  });
});

function isStatsKv(value: unknown): value is StatsKvNamespace {
  return typeof value === "object" && value !== null && "list" in value;
}
