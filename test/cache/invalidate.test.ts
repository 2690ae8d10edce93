/** `invalidate` and `refresh`: every tier, the right order, loads under way, and tiers that fail. */

import { describe, expect, test } from "vitest";
import { isCacheError } from "../../src/errors.ts";
import { local } from "../../src/local/local.ts";
import { defineNode } from "../../src/node.ts";
import type { Storage } from "../../src/storage.ts";
import { fakeClock } from "../support/fake-clock.ts";
import { counted, failure, freshName, isSettled, rig } from "../support/rig.ts";
import { BROKEN, puppet, weakPuppet } from "../support/storages.ts";

const CHAIN = [
  { storage: "local", ttl: "30s" },
  { storage: "middle", ttl: "1m" },
  { storage: "far", ttl: "10m" },
] as const;

function chained() {
  const clock = fakeClock();
  const shared = { middle: puppet({ clock }), far: puppet({ clock }) };
  const isolate = () => rig({ clock, storages: { local: local(), ...shared } });
  return { ...isolate(), ...shared, isolate };
}

describe("invalidate", () => {
  test("clears every tier and loads nothing; the next get loads", async () => {
    const { cache, isolate } = chained();
    const Item = counted({ caches: CHAIN });
    await cache.get(Item("a"));
    await cache.flush();
    await cache.invalidate(Item("a"));
    expect(Item.loads.length).toBe(1);
    expect(cache.peek(Item("a"))).toBe(undefined);
    expect(await isolate().cache.get(Item("a"))).toBe("a#2");
  });

  test("takes lists, of several nodes, empty ones and repeated references", async () => {
    const { cache } = chained();
    const [One, Two] = [counted({ caches: CHAIN }), counted({ caches: CHAIN })];
    await cache.getAll([One("a"), Two("b"), One("kept")]);
    await cache.flush();
    await cache.invalidate([]);
    await cache.invalidate([One("a"), Two("b"), One("a")]);
    expect([cache.peek(One("a")), cache.peek(Two("b")), cache.peek(One("kept"))]).toEqual([undefined, undefined, "kept#2"]);
  });

  test("of a repeated reference writes its key once", async () => {
    const far = puppet();
    const { cache } = rig({ storages: { far } });
    const Item = counted({ caches: [{ storage: "far", ttl: "1m" }] });
    await cache.invalidate([Item("a"), Item("b"), Item("a"), Item("a")]);
    expect(far.log.filter(({ method }) => method === "remove" || method === "write").map(({ keys }) => keys.length)).toEqual([2]);
  });

  test("clears from right to left, each tier awaited before the next", async () => {
    const { cache, middle, far, clock } = chained();
    const Item = counted({ caches: CHAIN });
    const release = far.hold("write");
    const cleared = cache.invalidate(Item("a"));
    await clock.settle();
    expect([far.log.length, middle.log.length]).toEqual([1, 0]);
    release();
    await cleared;
    expect([far.calls.write, middle.calls.write]).toEqual([1, 1]);
  });

  test("costs one round trip a tier, whatever the number of references", async () => {
    const { cache, middle, far } = chained();
    const Item = counted({ caches: CHAIN });
    await cache.invalidate(["a", "b", "c"].map(Item));
    for (const { log } of [middle, far]) expect(log.map(({ method, keys }) => [method, keys.length])).toEqual([["write", 3]]);
  });

  test("drops what a reader copied from a tier that was not cleared yet", async () => {
    const { cache, middle, far, clock } = chained();
    const Item = counted({ caches: CHAIN });
    await cache.get(Item("a"));
    await cache.flush();
    const release = far.hold("write");
    const cleared = cache.invalidate(Item("a"));
    await clock.settle();
    expect(await cache.get(Item("a"))).toBe("a#1");
    expect(middle.slots.size).toBe(1);
    release();
    await cleared;
    expect(cache.peek(Item("a"))).toBe(undefined);
    expect(await cache.get(Item("a"))).toBe("a#2");
  });

  test("cuts off a load that began before it, in this isolate and in others", async () => {
    for (const same of [true, false]) {
      const { cache, isolate, clock } = chained();
      const source = Promise.withResolvers<string>();
      const Item = counted<string>({ caches: CHAIN, load: (_key, nth) => (nth === 1 ? source.promise : "new") });
      const loading = same ? cache : isolate().cache;
      const old = loading.get(Item("a"));
      await clock.settle();
      await cache.invalidate(Item("a"));
      const later = same ? cache.get(Item("a")) : undefined;
      source.resolve("old");
      expect(await old).toBe("old");
      await loading.flush();
      if (later) expect(await later).toBe("new");
      expect(await isolate().cache.get(Item("a"))).toBe("new");
      expect(await cache.get(Item("a"))).toBe("new");
    }
  });

  test("takes with it what a second local tier gave back to the first of a load whose write is refused", async () => {
    const clock = fakeClock();
    const far = puppet({ clock });
    const near = local({ maxEntries: 1, policy: "lru" });
    const caches = [
      { storage: "near", ttl: "10s" },
      { storage: "wide", ttl: "1m" },
      { storage: "far", ttl: "1h" },
    ] as const;
    const gate = Promise.withResolvers<void>();
    const slow: Storage = { ...far, write: (...entries) => gate.promise.then(() => far.write(...entries)) };
    const { cache } = rig({ clock, storages: { near, wide: local(), far: slow } });
    const Item = counted({ caches });
    await cache.get(Item("a"));
    await cache.get(Item("b"));
    // From the second tier to the first, while the write is out.
    expect(await cache.lookup(Item("a"))).toMatchObject({ source: "wide" });
    await rig({ clock, storages: { near: local(), wide: local(), far } }).cache.invalidate(Item("a"));
    gate.resolve();
    await cache.flush();
    expect(await cache.lookup(Item("a"))).toMatchObject({ source: "load" });
  });

  test("takes with it the local copy of a load whose write is refused", async () => {
    const { cache, isolate, clock } = chained();
    const Item = counted({ caches: CHAIN });
    const far = isolate();
    const source = Promise.withResolvers<string>();
    const Slow = counted<string>({ caches: CHAIN, load: (_key, nth) => (nth === 1 ? source.promise : "new") });
    const old = cache.get(Slow("a"));
    await clock.settle();
    await far.cache.invalidate([Slow("a"), Item("b")]);
    source.resolve("old");
    await old;
    await cache.flush();
    expect(cache.peek(Slow("a"))).toBe(undefined);
    expect(cache.stats(Slow.node).fencedCount).toBeGreaterThan(0);
  });

  test("tries all tiers and rejects naming those that failed; calling again is safe", async () => {
    const { cache, middle, far, isolate } = chained();
    const Item = counted({ caches: CHAIN });
    await cache.get(Item("a"));
    await cache.flush();
    far.fault("write", "reject");
    const error = await failure(cache.invalidate(Item("a")));
    expect(isCacheError(error, "ERR_STORAGE_WRITE")).toBe(true);
    expect(String(error)).toContain('"far"');
    expect(String(error)).not.toContain('"middle"');
    expect(error).toMatchObject({ cause: { code: "ERR_STORAGE_WRITE", message: expect.stringContaining(BROKEN) } });
    expect(middle.calls.write).toBe(2);
    expect(cache.peek(Item("a"))).toBe(undefined);
    far.fault("write", undefined);
    await cache.invalidate(Item("a"));
    expect(await isolate().cache.get(Item("a"))).toBe("a#2");
  });

  test("removes from storages without conditional writes, and names them when they fail", async () => {
    const weak = weakPuppet();
    const { cache } = rig({ storages: { weak } });
    const Item = counted({ caches: [{ storage: "weak", ttl: "1m" }] });
    await cache.get(Item("a"));
    await cache.flush();
    await cache.invalidate(Item("a"));
    expect(weak.slots.size).toBe(0);
    weak.fault("remove", "throw");
    expect(String(await failure(cache.invalidate(Item("a"))))).toContain('"weak"');
  });

  test("of keys nobody knows leaves nothing behind once the tombstones have gone", async () => {
    const { cache, far, middle, clock, inFlight } = chained();
    const Item = counted({ caches: CHAIN });
    await cache.invalidate(Array.from({ length: 500 }, (_, index) => Item(`k${index}`)));
    expect(far.slots.size).toBe(500);
    await clock.advance(120_001);
    const signal = AbortSignal.timeout(1_000);
    expect(await far.prune(1_000, signal)).toBe(500);
    expect(await middle.prune(1_000, signal)).toBe(500);
    expect(inFlight()).toBe(0);
  });

  test("resolves with a token of printable ASCII that shows no key", async () => {
    const { cache } = chained();
    const Item = counted({ caches: CHAIN });
    const token = await cache.invalidate([Item("secret-key"), Item("other")]);
    expect(token).toMatch(/^[\u0021-\u007e]+$/);
    expect(token).not.toContain("secret");
    expect(await cache.invalidate([Item("secret-key"), Item("other")])).toBe(token);
    expect((await cache.invalidate(Array.from({ length: 1_000 }, (_, index) => Item(`k${index}`)))).length).toBeLessThan(3_500);
  });
});

describe("refresh", () => {
  test("loads exactly once more, replaces every tier, and gives the value", async () => {
    const { cache, isolate } = chained();
    const Item = counted({ caches: CHAIN });
    await cache.get(Item("a"));
    await cache.flush();
    expect(await cache.refresh(Item("a"))).toBe("a#2");
    expect(await cache.get(Item("a"))).toBe("a#2");
    expect(await isolate().cache.get(Item("a"))).toBe("a#2");
    expect(cache.stats(Item.node)).toMatchObject({ requestCount: 2, loadCount: 2 });
  });

  test("never joins a load that began before it, nor lets that be stored", async () => {
    const { cache, isolate, clock } = chained();
    const source = Promise.withResolvers<string>();
    const Item = counted<string>({ caches: CHAIN, load: (_key, nth) => (nth === 1 ? source.promise : "new") });
    const old = cache.get(Item("a"));
    await clock.settle();
    expect(await cache.refresh(Item("a"))).toBe("new");
    source.resolve("old");
    expect(await old).toBe("old");
    await cache.flush();
    expect(await cache.get(Item("a"))).toBe("new");
    expect(await isolate().cache.get(Item("a"))).toBe("new");
  });

  test("that fails leaves the old entry in every tier, and readers keep it", async () => {
    const { cache, isolate, inFlight } = chained();
    const error = new Error("down");
    const Item = counted<string>({ caches: CHAIN, load: (_key, nth) => (nth === 1 ? "old" : Promise.reject(error)) });
    await cache.get(Item("a"));
    await cache.flush();
    expect(await failure(cache.refresh(Item("a")))).toBe(error);
    expect(cache.peek(Item("a"))).toBe("old");
    expect(await isolate().cache.get(Item("a"))).toBe("old");
    expect(inFlight()).toBe(0);
  });

  test("keeps answering readers with the old entry while it runs", async () => {
    const { cache } = chained();
    const source = Promise.withResolvers<string>();
    const Item = counted<string>({ caches: CHAIN, load: (_key, nth) => (nth === 1 ? "old" : source.promise) });
    await cache.get(Item("a"));
    const refreshing = cache.refresh(Item("a"));
    expect(await cache.get(Item("a"))).toBe("old");
    source.resolve("new");
    expect(await refreshing).toBe("new");
    expect(cache.peek(Item("a"))).toBe("new");
  });

  test("runs once and waits once, however often it is called", async () => {
    const { cache, inFlight } = chained();
    const Item = counted<string>({ caches: CHAIN, load: async (key, nth) => `${key}#${nth}` });
    const values = await Promise.all(Array.from({ length: 20 }, () => cache.refresh(Item("a"))));
    expect(values.toSorted()).toEqual(["a#1", ...Array.from({ length: 19 }, () => "a#2")]);
    expect(cache.peek(Item("a"))).toBe("a#2");
    expect(inFlight()).toBe(0);
  });

  test("shares its load with a reader that finds the key in no tier", async () => {
    const { cache, clock } = chained();
    const source = Promise.withResolvers<string>();
    const Item = counted<string>({ caches: CHAIN, load: () => source.promise });
    const refreshing = cache.refresh(Item("a"));
    await clock.settle();
    const reading = cache.get(Item("a"));
    await clock.settle();
    expect(await isSettled(reading)).toBe(false);
    source.resolve("one load");
    expect(await Promise.all([refreshing, reading])).toEqual(["one load", "one load"]);
    expect(Item.loads).toEqual(["a"]);
  });

  test("of what cannot be serialized gives the value, stores it nowhere, drops the old one, and reports", async () => {
    const { cache, seen, isolate } = chained();
    const Item = counted<unknown>({ caches: CHAIN, load: (_key, nth) => (nth === 2 ? 1n : `#${nth}`) });
    await cache.get(Item("a"));
    await cache.flush();
    expect(await cache.refresh(Item("a"))).toBe(1n);
    expect(seen("not-stored")).toMatchObject([{ reason: "serializer", node: Item.node.name }]);
    expect(await isolate().cache.get(Item("a"))).toBe("#3");
  });

  test("without a loader rejects with ERR_NO_LOADER", async () => {
    const { cache, inFlight } = rig();
    const Bare = defineNode<string, string>({ name: freshName(), key: (key) => key, caches: [{ storage: "local", ttl: 1 }] });
    expect(isCacheError(await failure(cache.refresh(Bare("a"))), "ERR_NO_LOADER")).toBe(true);
    expect(inFlight()).toBe(0);
  });
});
