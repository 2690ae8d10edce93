/**
 * The smaller defects of the library whose model this one implements, by the part of it they were found in: API, flights,
 * doorkeeper, local tier, stats. Those of its Redis storage are in `storages.test.ts`; those of SQL come with its adapters.
 */

import { describe, expect, test } from "vitest";
import { bloomFilter } from "../../src/doorkeeper.ts";
import { isCacheError } from "../../src/errors.ts";
import { local } from "../../src/local/local.ts";
import { defineNode, dynamicNode, nodes } from "../../src/node.ts";
import { json } from "../../src/serializer/json.ts";
import { structured } from "../../src/serializer/structured.ts";
import { fakeClock } from "../support/fake-clock.ts";
import { counted, failure, freshName, isSettled, rig } from "../support/rig.ts";
import { puppet } from "../support/storages.ts";

const NEAR = [{ storage: "local", ttl: "1m" }] as const;
const FAR = [{ storage: "far", ttl: "1m" }] as const;
const CHAIN = [...NEAR, ...FAR] as const;

describe("nodes and keys", () => {
  test("loads of one getAll run side by side, not one after the other", async () => {
    const clock = fakeClock();
    const { cache } = rig({ clock });
    const Item = counted<string>({ load: (key) => new Promise((resolve) => clock.setTimeout(() => resolve(key), 10)) });
    const all = cache.getAll(Array.from({ length: 6 }, (_, index) => Item(`k${index}`)));
    await clock.advance(10);
    expect(await isSettled(all)).toBe(true);
  });

  test("nodes() gives a list of its own each time, which nobody can spoil for others", () => {
    const Item = counted();
    const list = nodes();
    Reflect.apply(Array.prototype.splice, list, [0]);
    expect(nodes()).toContain(Item.node);
  });

  test("a node may have tiers of its own although it was made from another's definition", async () => {
    const base = { key: (id: number) => `${id}`, load: (id: number) => id };
    const One = defineNode({ ...base, name: freshName(), caches: NEAR });
    const Two = defineNode({ ...base, name: freshName(), caches: NEAR });
    const { cache } = rig();
    await cache.get(One(1));
    expect([cache.stats(One).requestCount, cache.stats(Two).requestCount]).toEqual([1, 0]);
  });

  test("a dynamic node of a name that is taken with other options is refused, not silently the first", () => {
    const name = freshName();
    dynamicNode({ name, caches: NEAR });
    for (const other of [{ version: "v2" }, { caches: FAR }, { serializer: structured() }]) {
      expect(() => dynamicNode({ name, caches: NEAR, ...other })).toThrow(name);
    }
  });

  test("a local tier right of a remote one is refused, not silently asked first", async () => {
    const { cache } = rig({ storages: { local: local(), far: puppet() } });
    expect(await failure(cache.get(counted({ caches: [...FAR, ...NEAR] })("a")))).toBeInstanceOf(TypeError);
  });

  test("a storage that is replaced reaches the nodes that used the old one", async () => {
    const { cache } = rig({ storages: { far: puppet() } });
    const Item = counted({ caches: FAR });
    await cache.get(Item("a"));
    const late = puppet();
    cache.registerStorage("far", late);
    await cache.get(Item("b"));
    await cache.flush();
    expect(late.slots.size).toBe(1);
  });

  test("a node without a serializer of its own has one", async () => {
    const clock = fakeClock();
    const far = puppet({ clock });
    const Item = counted<unknown>({ caches: FAR, load: () => ({ a: [1, null] }) });
    const first = rig({ clock, storages: { far } });
    await first.cache.get(Item("a"));
    await first.cache.flush();
    expect(await rig({ clock, storages: { far } }).cache.get(Item("a"))).toEqual({ a: [1, null] });
    expect(Item.loads.length).toBe(1);
  });

  test("a change of serializer makes misses, not errors", async () => {
    const clock = fakeClock();
    const far = puppet({ clock });
    const name = freshName();
    const first = rig({ clock, storages: { far } });
    await first.cache.get(counted({ name, caches: FAR, serializer: structured() })("a"));
    await first.cache.flush();
    const second = rig({ clock, storages: { far } });
    expect(await second.cache.get(counted({ name, allowRedefine: true, caches: FAR, serializer: json() })("a"))).toBe("a#1");
    expect(second.seen("entry-rejected").length).toBe(1);
  });
});

describe("get and getAll", () => {
  test("an answer does not wait for the writes to remote tiers", async () => {
    const far = puppet();
    const { cache } = rig({ storages: { far } });
    far.fault("write", "hang");
    expect(await cache.get(counted({ caches: FAR })("a"))).toBe("a#1");
  });

  test("a failing write neither fails its caller nor stays in flight", async () => {
    const far = puppet();
    const { cache, clock, inFlight } = rig({ storages: { far } });
    const Item = counted({ caches: FAR });
    far.fault("write", "reject");
    expect(await cache.get(Item("a"))).toBe("a#1");
    await clock.settle();
    expect(inFlight()).toBe(0);
    expect(await cache.get(Item("a"))).toBe("a#2");
  });

  test("a failing read falls through to the next tier", async () => {
    const clock = fakeClock();
    const storages = { first: puppet({ clock }), far: puppet({ clock }) };
    const { cache } = rig({ clock, storages });
    const Item = counted({ caches: [{ storage: "first", ttl: "1m" }, ...FAR] });
    await cache.get(Item("a"));
    await cache.flush();
    storages.first.fault("read", "throw");
    expect(await cache.lookup(Item("a"))).toMatchObject({ value: "a#1", source: "far" });
  });

  test("a chain does not serve a value for the sum of its tiers' lives", async () => {
    const clock = fakeClock();
    const far = puppet({ clock });
    const Item = counted({ caches: CHAIN });
    const first = rig({ clock, storages: { local: local(), far } });
    await first.cache.get(Item("a"));
    await first.cache.flush();
    await clock.advance(59_999);
    const second = rig({ clock, storages: { local: local(), far } });
    expect(await second.cache.get(Item("a"))).toBe("a#1");
    await clock.advance(1);
    expect(await second.cache.get(Item("a"))).toBe("a#2");
  });

  test("duplicates keep their places, and nodes may be mixed", async () => {
    const { cache } = rig();
    const [One, Two] = [counted<string>({ load: (key) => key }), counted<string>({ load: (key) => `${key}!` })];
    expect(await cache.getAll([One("a"), One("a"), Two("a")])).toEqual(["a", "a", "a!"]);
  });

  test("a batch above what a storage takes at once is cut into chunks", async () => {
    const far = puppet({ traits: { maxBatch: 10 } });
    const { cache, clock } = rig({ storages: { far } });
    const Item = counted({ caches: FAR });
    await cache.getAll(Array.from({ length: 95 }, (_, index) => Item(`k${index}`)));
    await clock.settle();
    expect(far.slots.size).toBe(95);
  });

  test("a loadAll that leaves a key out fails its keys by name, and they can be loaded again", async () => {
    const { cache, inFlight } = rig();
    let short = true;
    const Item = defineNode({ name: freshName(), key: (key: string) => key, loadAll: (keys: readonly string[]) => keys.slice(short ? 1 : 0), caches: NEAR });
    expect(String(await failure(cache.getAll([Item("a"), Item("b")])))).toContain(Item.name);
    expect(inFlight()).toBe(0);
    short = false;
    expect(await cache.getAll([Item("a"), Item("b")])).toEqual(["a", "b"]);
  });

  test("getAll and get join each other's flights", async () => {
    const { cache } = rig();
    const Item = counted<string>({ load: async (key) => key });
    await Promise.all([cache.get(Item("a")), cache.getAll([Item("b"), Item("a")]), cache.get(Item("b"))]);
    expect(Item.loads.toSorted()).toEqual(["a", "b"]);
  });
});

describe("refresh and memoize", () => {
  test("a refresh whose load fails does not delete what was there", async () => {
    const { cache } = rig();
    const Item = counted<string>({ load: (_key, nth) => (nth === 1 ? "old" : Promise.reject(new Error("no"))) });
    await cache.get(Item("a"));
    await failure(cache.refresh(Item("a")));
    expect(await cache.get(Item("a"))).toBe("old");
  });

  test("a memoized function is the function, at once, with invalidate, refresh and a batch form", async () => {
    const memoized = rig().cache.memoize(counted(), (key: string) => key);
    expect(typeof memoized).toBe("function");
    expect(await memoized("a")).toBe("a");
    expect(await memoized.all([["a"], ["b"]])).toEqual(["a", "b"]);
    expect(await memoized.refresh("a")).toBe("a");
    expect(await memoized.invalidate("a")).toEqual(expect.any(String));
  });
});

describe("doorkeeper and local tier", () => {
  test("a doorkeeper counts an arrival that was found remotely as one", async () => {
    const clock = fakeClock();
    const far = puppet({ clock });
    const Item = counted({ caches: CHAIN, doorkeeper: bloomFilter({ capacity: 100, falsePositiveRate: 0.000_001 }) });
    const writer = rig({ clock, storages: { local: local(), far } });
    await writer.cache.set(Item("a"), "stored");
    const { cache } = rig({ clock, storages: { local: local(), far } });
    await cache.get(Item("a"));
    expect(cache.peek(Item("a"))).toBe(undefined);
    await cache.get(Item("a"));
    expect(cache.peek(Item("a"))).toBe("stored");
  });

  test("a ttl below a second is kept to, and not raised to one", async () => {
    const { cache, clock } = rig();
    const Item = counted({ caches: [{ storage: "local", ttl: 5 }] });
    await cache.get(Item("a"));
    await clock.advance(4);
    expect(cache.peek(Item("a"))).toBe("a#1");
    await clock.advance(1);
    expect(cache.peek(Item("a"))).toBe(undefined);
  });

  test("a local hit calls no code of the value, neither equality nor conversion", async () => {
    const { cache } = rig();
    const refuse = (): never => {
      throw new Error("was asked");
    };
    const value = { valueOf: refuse, toString: refuse, toJSON: refuse, equals: refuse, [Symbol.toPrimitive]: refuse };
    const Item = counted<unknown>({ load: () => value });
    await cache.get(Item("a"));
    expect(await cache.get(Item("a"))).toBe(value);
    expect(await cache.getAll([Item("a")])).toEqual([value]);
  });

  test("a size has a default, and weights can be bounded as well", async () => {
    const near = local({ maxBytes: 100, weigh: (value) => String(value).length });
    const { cache } = rig({ storages: { local: near } });
    const Item = counted<string>({ load: (key) => key.repeat(30) });
    await cache.getAll(["a", "b", "c", "d", "e"].map(Item));
    expect(near.bytes).toBeLessThanOrEqual(100);
    expect(near.size).toBeGreaterThan(0);
  });
});

describe("stats", () => {
  test("of a batch that fails count what failed, not the whole batch", async () => {
    const { cache } = rig();
    const Item = counted<string>({ load: (key) => (key === "bad" ? Promise.reject(new Error("bad")) : key) });
    await cache.lookupAll(["a", "bad", "b"].map(Item));
    expect(cache.stats(Item.node)).toMatchObject({ loadSuccessCount: 2, loadFailureCount: 1, missCount: 3 });
  });

  test("of load time leave out the time that tiers took", async () => {
    const clock = fakeClock();
    const far = puppet({ clock });
    const { cache } = rig({ clock, storages: { far } });
    const Item = counted({ caches: FAR });
    const release = far.hold("read");
    const answer = cache.get(Item("a"));
    await clock.advance(400);
    release();
    await answer;
    expect(cache.stats(Item.node).totalLoadTimeMs).toBe(0);
  });

  test("of duplicates count them as what the first was", async () => {
    const { cache } = rig();
    const Item = counted<string>({ load: async (key) => key });
    await cache.getAll([Item("a"), Item("a")]);
    expect(cache.stats(Item.node)).toMatchObject({ hitCount: 0, missCount: 2, collapsedCount: 1 });
  });
});

describe("lifecycle", () => {
  test("close releases what was opened, whatever the kind, and later calls say so", async () => {
    let closed = 0;
    const { cache } = rig({ storages: { far: { ...puppet(), close: async () => void closed++ } } });
    const Item = counted({ caches: FAR });
    await cache.get(Item("a"));
    await cache.close();
    expect(closed).toBe(1);
    expect(isCacheError(await failure(cache.get(Item("a"))), "ERR_CLOSED")).toBe(true);
  });
});
