/** Stats: what each call counts as, and that the books balance whatever fails. */

import { array, assert, asyncProperty, boolean, constantFrom, double, integer, oneof, property, record } from "fast-check";
import { describe, expect, test } from "vitest";
import { local } from "../src/local/local.ts";
import { defineNode } from "../src/node.ts";
import { countLoad, createCounters, snapshot } from "../src/stats.ts";
import { fakeClock } from "./support/fake-clock.ts";
import { counted, failure, freshName, REQUESTS, rig, SHARED } from "./support/rig.ts";
import { puppet } from "./support/storages.ts";
import type { Fault } from "./support/storages.ts";

const NEAR_AND_FAR = [
  { storage: "local", ttl: "30s" },
  { storage: "far", ttl: "1m" },
] as const;

describe("a snapshot", () => {
  test("of nothing is all zero, rates included", () => {
    const { cache } = rig();
    const stats = cache.stats(counted().node);
    expect(stats).toMatchObject({ requestCount: 0, hitRate: 0, missRate: 0, loadFailureRate: 0, averageLoadTimeMs: 0, tiers: {} });
    expect(stats.loadLatency).toEqual({ p50: 0, p90: 0, p99: 0, max: 0 });
    expect(cache.stats()).toEqual({});
  });

  test("does not change afterwards, and changing it changes nothing", async () => {
    const { cache } = rig();
    const Item = counted();
    await cache.get(Item("a"));
    const before = cache.stats(Item.node);
    Object.assign(before, { hitCount: 99 });
    Object.assign(before.tiers["local"] ?? {}, { hitCount: 99 });
    await cache.get(Item("a"));
    expect(before.requestCount).toBe(1);
    expect(cache.stats(Item.node)).toMatchObject({ hitCount: 1, tiers: { local: { hitCount: 1 } } });
  });

  test("is there for each node served, by name", async () => {
    const { cache } = rig();
    const [One, Two] = [counted(), counted()];
    await cache.getAll([One("a"), Two("a")]);
    expect(Object.keys(cache.stats()).toSorted()).toEqual([One.node.name, Two.node.name].toSorted());
  });

  test("keeps a tier whose name is that of a property of every object", async () => {
    const { cache } = rig({ storages: Object.fromEntries([["__proto__", local()]]) });
    const Item = counted({ caches: [{ storage: "__proto__", ttl: "1m" }] });
    await cache.get(Item("a"));
    expect(Object.keys(cache.stats(Item.node).tiers)).toEqual(["__proto__"]);
  });
});

describe("a request", () => {
  test("is a hit if any tier had the value, else a miss; refresh, peek, set and invalidate are none", async () => {
    const clock = fakeClock();
    const far = puppet({ clock });
    const Item = counted({ caches: NEAR_AND_FAR });
    const first = rig({ clock, storages: { local: local(), far } });
    await first.cache.get(Item("a"));
    await first.cache.get(Item("a"));
    await first.cache.flush();
    expect(first.cache.stats(Item.node)).toMatchObject({ requestCount: 2, hitCount: 1, missCount: 1, hitRate: 0.5, missRate: 0.5, loadCount: 1 });
    const second = rig({ clock, storages: { local: local(), far } });
    await second.cache.get(Item("a"));
    expect(second.cache.stats(Item.node)).toMatchObject({ requestCount: 1, hitCount: 1, loadCount: 0 });
    expect(second.cache.stats(Item.node).tiers).toMatchObject({ local: { missCount: 1, hitCount: 0 }, far: { hitCount: 1, missCount: 0 } });
    await second.cache.refresh(Item("a"));
    second.cache.peek(Item("a"));
    await second.cache.set(Item("a"), "x");
    await second.cache.invalidate(Item("a"));
    expect(second.cache.stats(Item.node)).toMatchObject({ requestCount: 1, loadCount: 1 });
  });

  test("that follows counts as what its leader found, and as collapsed", async () => {
    const clock = fakeClock();
    const far = puppet({ clock });
    const Item = counted({ caches: [{ storage: "far", ttl: "1m" }] });
    const first = rig({ clock, storages: { far } });
    await Promise.all([first.cache.get(Item("a")), first.cache.get(Item("a")), first.cache.getAll([Item("a"), Item("a")])]);
    expect(first.cache.stats(Item.node)).toMatchObject({ requestCount: 4, missCount: 4, collapsedCount: 3, loadCount: 1 });
    await first.cache.flush();
    const second = rig({ clock, storages: { far } });
    await Promise.all([second.cache.get(Item("a")), second.cache.get(Item("a"))]);
    expect(second.cache.stats(Item.node)).toMatchObject({ requestCount: 2, hitCount: 2, collapsedCount: 1, loadCount: 0 });
  });

  test("of an all-local getAll counts as much as single gets do", async () => {
    const { cache } = rig();
    const Item = counted();
    await cache.getAll([Item("a"), Item("b")]);
    await cache.getAll([Item("a"), Item("b"), Item("a")]);
    expect(cache.stats(Item.node)).toMatchObject({ requestCount: 5, hitCount: 3, missCount: 2 });
  });

  test("whose load fails is a miss and a load failure", async () => {
    const { cache } = rig();
    const Item = counted<string>({ load: () => Promise.reject(new Error("no")) });
    await failure(cache.get(Item("a")));
    expect(cache.stats(Item.node)).toMatchObject({ requestCount: 1, missCount: 1, loadCount: 1, loadFailureCount: 1, loadFailureRate: 1, loadSuccessCount: 0 });
  });
});

describe("load time", () => {
  test("is the source's alone: a slow tier adds nothing to it", async () => {
    const clock = fakeClock();
    const far = puppet({ clock });
    const { cache } = rig({ clock, storages: { far } });
    const Item = counted<string>({ caches: [{ storage: "far", ttl: "1m" }], load: () => new Promise((resolve) => clock.setTimeout(() => resolve("x"), 40)) });
    const release = far.hold("read");
    const answer = cache.get(Item("a"));
    await clock.advance(500);
    release();
    await clock.advance(40);
    await answer;
    const stats = cache.stats(Item.node);
    expect(stats).toMatchObject({ totalLoadTimeMs: 40, averageLoadTimeMs: 40, loadLatency: { p50: 40, max: 40 } });
    expect(stats.tiers["far"]?.readTimeMs).toBe(500);
  });

  test("of one loadAll counts once, shared by its keys", async () => {
    const clock = fakeClock();
    const { cache } = rig({ clock });
    const Item = defineNode({
      name: freshName(),
      key: (key: string) => key,
      loadAll: (keys: readonly string[]) => new Promise<string[]>((resolve) => clock.setTimeout(() => resolve([...keys]), 40)),
      caches: [{ storage: "local", ttl: "1m" }],
    });
    const answer = cache.getAll([Item("a"), Item("b"), Item("c"), Item("d")]);
    await clock.advance(40);
    await answer;
    expect(cache.stats(Item)).toMatchObject({ loadCount: 4, totalLoadTimeMs: 40, averageLoadTimeMs: 10 });
  });

  test("has percentiles that never lie below the share they stand for, nor above the maximum", () => {
    assert(
      property(array(double({ min: 0, max: 60_000, noNaN: true }), { minLength: 1, maxLength: 200 }), (times) => {
        const counters = createCounters();
        for (const ms of times) countLoad(counters, ms, true);
        const { p50, p90, p99, max } = snapshot(counters).loadLatency;
        const sorted = times.toSorted((a, b) => a - b);
        for (const [share, told] of [
          [0.5, p50],
          [0.9, p90],
          [0.99, p99],
        ] as const) {
          const real = sorted[Math.ceil(share * times.length) - 1] ?? 0;
          expect(told).toBeGreaterThanOrEqual(real);
          expect(told).toBeLessThanOrEqual(max);
          // A quarter of a doubling, or a millisecond.
          expect(told).toBeLessThanOrEqual(Math.max(1, real * 2 ** 0.25 * 1.000_001));
        }
        expect(max).toBe(sorted.at(-1));
      }),
    );
  });
});

describe("guarantee 16: the books", () => {
  const key = constantFrom("a", "b", "c");
  const step = oneof(
    record({ kind: constantFrom("get", "lookup", "bypass", "override", "maxAge", "abort", "memoized", "set", "refresh", "invalidate", "peek"), key }),
    record({ kind: constantFrom("getAll", "lookupAll", "all"), keys: array(key, { maxLength: 4 }) }),
    record({ kind: constantFrom("advance"), ms: integer({ min: 0, max: 2_000 }) }),
    record({ kind: constantFrom("fault"), fault: constantFrom<Fault | undefined>("reject", "throw", "hang", "short", "garbage", "lose", undefined) }),
  );

  test("balance after any run, with failing storages and loaders, down to the last request and load", async () => {
    const run = asyncProperty(
      array(step, { maxLength: 20 }),
      array(integer({ min: 0, max: 4 }), { minLength: 1, maxLength: 9 }),
      boolean(),
      async (steps, plan, scoped) => {
        const clock = fakeClock();
        const far = puppet({ clock });
        const { cache, inFlight } = rig({ runtime: scoped ? REQUESTS : SHARED, clock, storages: { local: local(), far } });
        let loads = 0;
        const source = (): unknown => {
          const way = plan[loads++ % plan.length];
          if (way === 0) throw new Error("at once");
          if (way === 1) return Promise.reject(new Error("later"));
          if (way === 2) return new Promise((resolve) => clock.setTimeout(() => resolve("slow"), 700));
          return way === 3 ? 1n : "value";
        };
        const caches = [
          { storage: "local", ttl: "1s" },
          { storage: "far", ttl: "3s" },
        ] as const;
        const Item = defineNode<string, unknown>({ name: freshName(), key: (own) => own, load: source, caches, hardTimeout: "600ms" });
        const memoized = cache.memoize(Item, source);
        let requests = 0;
        const waiting: Promise<unknown>[] = [];
        const ask = (count: number, call: Promise<unknown>): void => {
          requests += count;
          waiting.push(call.catch(() => undefined));
        };
        for (const one of steps) {
          if ("ms" in one) await clock.advance(one.ms);
          else if ("fault" in one) far.fault("all", one.fault);
          else if ("keys" in one) {
            const refs = one.keys.map((each) => Item(each));
            ask(
              refs.length,
              one.kind === "getAll" ? cache.getAll(refs) : one.kind === "lookupAll" ? cache.lookupAll(refs) : memoized.all(one.keys.map((each) => [each])),
            );
          } else if (one.kind === "get") ask(1, cache.get(Item(one.key)));
          else if (one.kind === "lookup") ask(1, cache.lookup(Item(one.key)));
          else if (one.kind === "bypass") ask(1, cache.get(Item(one.key), { bypass: true }));
          else if (one.kind === "override") ask(1, cache.get(Item(one.key), { load: source }));
          else if (one.kind === "maxAge") ask(1, cache.get(Item(one.key), { maxAge: 100 }));
          else if (one.kind === "abort") {
            const controller = new AbortController();
            ask(1, cache.get(Item(one.key), { signal: controller.signal }));
            controller.abort();
          } else if (one.kind === "memoized") ask(1, memoized(one.key));
          else if (one.kind === "set") ask(0, cache.set(Item(one.key), "set"));
          else if (one.kind === "refresh") ask(0, cache.refresh(Item(one.key)));
          else if (one.kind === "invalidate") ask(0, cache.invalidate(Item(one.key)));
          else cache.peek(Item(one.key));
        }
        await clock.advance(60_000);
        await Promise.all(waiting);
        const stats = cache.stats(Item);
        expect(stats.hitCount + stats.missCount).toBe(stats.requestCount);
        expect(stats.requestCount).toBe(requests);
        expect(stats.loadSuccessCount + stats.loadFailureCount).toBe(stats.loadCount);
        expect(stats.loadCount).toBe(loads);
        expect(stats.collapsedCount).toBeLessThanOrEqual(requests);
        expect(stats.hitRate + stats.missRate).toBeCloseTo(requests === 0 ? 0 : 1);
        for (const tier of Object.values(stats.tiers)) for (const count of Object.values(tier)) expect(count).toBeGreaterThanOrEqual(0);
        expect(inFlight()).toBe(0);
        expect(clock.pending).toBe(0);
      },
    );
    await assert(run, { numRuns: 250 });
  });
});
