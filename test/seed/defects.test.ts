/**
 * The gravest defects of the library whose model this one implements, one test each, so that they are never inherited: the ten
 * findings of its study, and the nine of the comparison of reliable caches (R1 to R9). Smaller ones are in `details.test.ts`.
 */

import { describe, expect, test } from "vitest";
import { coreOf } from "../../src/cache.ts";
import { bloomFilter } from "../../src/doorkeeper.ts";
import { isCacheError } from "../../src/errors.ts";
import * as root from "../../src/index.ts";
import { local } from "../../src/local/local.ts";
import { defineNode, dynamicNode, nodes } from "../../src/node.ts";
import { fakeClock } from "../support/fake-clock.ts";
import { counted, failure, freshName, REQUESTS, rig } from "../support/rig.ts";
import { puppet } from "../support/storages.ts";

const NEAR = [{ storage: "local", ttl: null }] as const;
const FAR = [{ storage: "far", ttl: null }] as const;
const CHAIN = [...NEAR, ...FAR] as const;

/** A cache over both kinds of tier, and a node whose first load is in the test's hands. */
function setUp() {
  const clock = fakeClock();
  const far = puppet({ clock });
  const source = Promise.withResolvers<string>();
  const Item = counted<string>({ caches: CHAIN, load: (_key, nth) => (nth === 1 ? source.promise : `new ${nth}`) });
  return { ...rig({ clock, storages: { local: local(), far } }), far, source, Item };
}

describe("findings", () => {
  test("1, R1: a failing leader fails its followers with the same error, and nobody waits for ever", async () => {
    const { cache, source, Item, inFlight } = setUp();
    const waiting = Array.from({ length: 10 }, () => failure(cache.get(Item("a"))));
    const error = new Error("source is down");
    source.reject(error);
    for (const each of await Promise.all(waiting)) expect(each).toBe(error);
    expect(inFlight()).toBe(0);
  });

  test("2, R2: a leader that is cancelled does not poison its key", async () => {
    const { cache, source, Item, inFlight } = setUp();
    const controller = new AbortController();
    const leader = failure(cache.get(Item("a"), { signal: controller.signal }));
    controller.abort();
    await leader;
    source.resolve("value");
    expect(await cache.get(Item("a"))).toBe("value");
    await cache.flush();
    expect(inFlight()).toBe(0);
  });

  test("2: nor does one whose request is killed, on a host where requests own their I/O", async () => {
    const { cache, clock, inFlight } = rig({ runtime: REQUESTS });
    const Item = counted<string>({ load: (key, nth) => (nth === 1 ? new Promise<string>(() => undefined) : key) });
    void clock.killed(() => cache.get(Item("a")));
    const next = cache.get(Item("a"));
    await clock.advance(2_000);
    expect(await next).toBe("a");
    expect(inFlight()).toBe(0);
  });

  test("3: a follower that is cancelled cancels neither the leader nor the other followers", async () => {
    const { cache, source, Item } = setUp();
    const controller = new AbortController();
    const leader = cache.get(Item("a"));
    const cancelled = failure(cache.get(Item("a"), { signal: controller.signal }));
    const other = cache.getAll([Item("a")]);
    controller.abort();
    expect(await cancelled).toMatchObject({ name: "AbortError" });
    source.resolve("value");
    expect(await leader).toBe("value");
    expect(await other).toEqual(["value"]);
  });

  test("4, R3: a failing getAll poisons none of its keys", async () => {
    const { cache, inFlight } = rig();
    let fails = true;
    const Item = counted<string>({ load: (key) => (fails ? Promise.reject(new Error(key)) : key) });
    const keys = ["a", "b", "c"];
    expect(await failure(cache.getAll(keys.map(Item)))).toEqual(new Error("a"));
    expect(inFlight()).toBe(0);
    fails = false;
    expect(await cache.getAll(keys.map(Item))).toEqual(keys);
    expect(await cache.get(Item("b"))).toBe("b");
  });

  test("5: getAll keeps nothing in flight of what it found remotely, so ttl, invalidate and changes elsewhere are seen", async () => {
    const clock = fakeClock();
    const far = puppet({ clock });
    const Item = counted({ caches: [{ storage: "far", ttl: "10s" }] });
    const elsewhere = rig({ clock, storages: { far } }).cache;
    await elsewhere.set(Item("a"), "first");
    const { cache } = rig({ clock, storages: { far } });
    expect(await cache.getAll([Item("a")])).toEqual(["first"]);
    expect(coreOf(cache).inFlight()).toBe(0);
    await elsewhere.set(Item("a"), "second");
    expect(await cache.getAll([Item("a")])).toEqual(["second"]);
    await cache.invalidate(Item("a"));
    expect(await cache.getAll([Item("a")])).toEqual(["a#1"]);
    await clock.advance(10_000);
    expect(await cache.getAll([Item("a")])).toEqual(["a#2"]);
    await clock.settle();
    expect(coreOf(cache).inFlight()).toBe(0);
  });

  test("6: the doorkeeper is asked, by get and by getAll, and a refused first load leaves nothing in flight", async () => {
    const { cache, inFlight } = rig();
    const Item = counted({ doorkeeper: bloomFilter({ capacity: 1_000, falsePositiveRate: 0.000_001 }) });
    await cache.get(Item("a"));
    await cache.getAll([Item("b")]);
    expect(inFlight()).toBe(0);
    expect([cache.peek(Item("a")), cache.peek(Item("b"))]).toEqual([undefined, undefined]);
    expect(await cache.get(Item("a"))).toBe("a#3");
    expect(await cache.getAll([Item("b")])).toEqual(["b#4"]);
    expect([cache.peek(Item("a")), cache.peek(Item("b"))]).toEqual(["a#3", "b#4"]);
  });

  test("7, R4: a load under way writes nothing back after an invalidate", async () => {
    const { cache, clock, far, source, Item } = setUp();
    const old = cache.get(Item("a"));
    await clock.settle();
    await cache.invalidate(Item("a"));
    source.resolve("old");
    expect(await old).toBe("old");
    await clock.settle();
    expect(cache.peek(Item("a"))).toBe(undefined);
    expect(await rig({ clock, storages: { local: local(), far } }).cache.get(Item("a"))).toBe("new 2");
  });

  test("7, R4: refresh neither returns nor leaves behind what an older load brings", async () => {
    const { cache, clock, source, Item } = setUp();
    const old = cache.get(Item("a"));
    await clock.settle();
    const refreshed = cache.refresh(Item("a"));
    await clock.settle();
    source.resolve("old");
    expect(await refreshed).toBe("new 2");
    expect(await old).toBe("old");
    await clock.settle();
    expect(await cache.get(Item("a"))).toBe("new 2");
  });

  test("8: between the end of a load and the end of its write there is no hole in which a second load begins", async () => {
    const clock = fakeClock();
    const far = puppet({ clock });
    const { cache } = rig({ clock, storages: { far } });
    const Item = counted({ caches: FAR });
    const release = far.hold("write");
    for (let caller = 0; caller < 20; caller++) expect(await cache.get(Item("a"))).toBe("a#1");
    release();
    await clock.settle();
    expect(await cache.get(Item("a"))).toBe("a#1");
    expect(Item.loads).toEqual(["a"]);
  });

  test("9: a remote hit is a hit and no load, an all-local getAll is counted, and rates of nothing are 0", async () => {
    const clock = fakeClock();
    const far = puppet({ clock });
    const Item = counted({ caches: CHAIN });
    const first = rig({ clock, storages: { local: local(), far } });
    await first.cache.get(Item("a"));
    await first.cache.flush();
    const { cache } = rig({ clock, storages: { local: local(), far } });
    expect(cache.stats(Item.node)).toMatchObject({ hitRate: 0, missRate: 0, loadFailureRate: 0, averageLoadTimeMs: 0 });
    await cache.get(Item("a"));
    expect(cache.stats(Item.node)).toMatchObject({ hitCount: 1, missCount: 0, loadCount: 0 });
    await cache.getAll([Item("a"), Item("a")]);
    expect(cache.stats(Item.node)).toMatchObject({ requestCount: 3, hitCount: 3 });
  });

  test("10: dynamic nodes share nothing: version, storages, serializer and stats are each its own", async () => {
    const { cache } = rig({ storages: { local: local(), far: puppet() } });
    const One = dynamicNode<string>({ name: freshName(), version: "v1", caches: NEAR });
    const Two = dynamicNode<string>({ name: freshName(), version: "v2", caches: FAR });
    await cache.get(One("k"), { load: () => "one" });
    await cache.get(Two("k"), { load: () => "two" });
    await cache.flush();
    expect([cache.keyOf(One("k")), cache.keyOf(Two("k"))]).toEqual(["cacheme:k:v1", "cacheme:k:v2"]);
    expect([await cache.lookup(One("k")), await cache.lookup(Two("k"))]).toMatchObject([
      { value: "one", source: "local" },
      { value: "two", source: "far" },
    ]);
    expect([cache.stats(One).requestCount, cache.stats(Two).requestCount]).toEqual([2, 2]);
    for (const node of [One, Two]) expect(nodes()).toContain(node);
  });
});

describe("findings of the comparison", () => {
  test("R5: followers do not repeat the leader's back-fill, in no tier", async () => {
    const clock = fakeClock();
    const far = puppet({ clock });
    let weighed = 0;
    const near = local({ weigh: () => ++weighed });
    const { cache } = rig({ clock, storages: { local: near, far } });
    const Item = counted<string>({ caches: CHAIN, load: async (key) => key });
    await Promise.all(Array.from({ length: 100 }, () => cache.get(Item("a"))));
    await cache.flush();
    expect(weighed).toBe(1);
    expect(far.log.filter(({ method }) => method === "write").map(({ keys }) => keys.length)).toEqual([1]);
  });

  test("R6: keys that only look alike never meet: tuples are injective, nodes are apart in flight and in tiers", async () => {
    const { cache } = rig({ storages: { local: local(), far: puppet() } });
    const load = async (parts: string[]) => parts.join("|");
    const Pair = defineNode({ name: freshName(), key: (parts: string[]) => parts, load, caches: CHAIN });
    expect(await Promise.all([cache.get(Pair(["a:b", "c"])), cache.get(Pair(["a", "b:c"])), cache.get(Pair(["a:b:c"]))])).toEqual(["a:b|c", "a|b:c", "a:b:c"]);
    const [One, Two] = [counted<string>({ caches: CHAIN, load: async () => "one" }), counted<string>({ caches: CHAIN, load: async () => "two" })];
    expect(await Promise.all([cache.get(One("k")), cache.get(Two("k"))])).toEqual(["one", "two"]);
  });

  test("R7: what is interpolated anywhere is checked whole: a prefix or version with odd characters is refused, none slips by its first", () => {
    for (const prefix of ["\u0001ab", "a\u0001b", "ab\u0001"]) expect(() => rig({ prefix })).toThrow(TypeError);
    for (const version of ["\u0001ab", "a\u0001b", "ab\u0001"]) expect(() => counted({ version })).toThrow(TypeError);
  });

  test("R8: a value need not be shared by reference, and no serializer runs code from a store", async () => {
    const { cache } = rig();
    const Item = counted<{ list: number[] }>({ clone: "structured", load: () => ({ list: [1] }) });
    (await cache.get(Item("a"))).list.push(2);
    expect((await cache.get(Item("a"))).list).toEqual([1]);
    expect(Object.keys(root).filter((name) => /pickle|eval/i.test(name))).toEqual([]);
  });

  test("R9: faults are what the tests are made of: every fault of a storage is survived by a read", async () => {
    for (const fault of ["reject", "throw", "hang", "short", "long", "garbage", "lose"] as const) {
      const far = puppet();
      far.fault("all", fault);
      const { cache, clock, inFlight } = rig({ storages: { far } });
      const answer = cache.getAll(["a", "b"].map(counted<string>({ caches: FAR, load: (key) => key })));
      await clock.advance(2_000);
      expect(await answer).toEqual(["a", "b"]);
      expect(inFlight()).toBe(0);
    }
  });
});

describe("a storage that is down", () => {
  test("fails invalidate after all tiers were tried, instead of at the first", async () => {
    const [left, right] = [puppet(), puppet()];
    const { cache } = rig({ storages: { left, right } });
    const caches = ["left", "right"].map((storage) => ({ storage, ttl: null }));
    const Item = counted({ caches });
    for (const down of [left, right]) {
      down.fault("all", "reject");
      expect(isCacheError(await failure(cache.invalidate(Item("a"))), "ERR_STORAGE_WRITE")).toBe(true);
      down.fault("all", undefined);
    }
    expect([left, right].map(({ log }) => log.length)).toEqual([2, 2]);
  });
});
