/** What the tiers remember beside values: a node's generation, guards, and local tiers that stand side by side. */

import { describe, expect, test } from "vitest";
import { local } from "../../src/local/local.ts";
import { fakeClock } from "../support/fake-clock.ts";
import { counted, REQUESTS, rig, SHARED } from "../support/rig.ts";
import { puppet, weakPuppet } from "../support/storages.ts";

const FAR = [{ storage: "far", ttl: "1h" }] as const;
const CHAIN = [{ storage: "local", ttl: "1h" }, ...FAR] as const;
const signal = new AbortController().signal;

function setUp() {
  const clock = fakeClock();
  const far = puppet({ clock });
  const isolate = () => rig({ clock, storages: { local: local(), far } });
  return { ...isolate(), isolate, far };
}

describe("a node's generation", () => {
  test("is made once, with the node's first read, and read beside every slot from then on", async () => {
    const { cache, far, isolate } = setUp();
    const Item = counted({ caches: FAR });
    await cache.get(Item("a"));
    await cache.get(Item("b"));
    await isolate().cache.get(Item("c"));
    expect(far.calls.ensure).toBe(1);
    expect(far.generations.size).toBe(1);
  });

  test.each([
    ["once for all reads that meanwhile find none, where they may wait for each other", SHARED, 1],
    ["by each request for itself, where promises belong to requests", REQUESTS, 3],
  ] as const)("is made %s", async (_what, runtime, made) => {
    const clock = fakeClock();
    const far = puppet({ clock });
    const { cache } = rig({ clock, runtime, storages: { far } });
    const Item = counted({ caches: FAR });
    const release = [far.hold("read"), far.hold("ensure")];
    const asked: Promise<unknown>[] = [];
    for (const key of ["a", "b", "c"]) {
      asked.push(cache.with({ waitUntil: () => undefined }).get(Item(key)));
      await clock.settle();
    }
    for (const go of release) {
      go();
      await clock.settle();
    }
    expect(await Promise.all(asked)).toEqual(["a#1", "b#2", "c#3"]);
    expect(far.calls.ensure).toBe(made);
    await cache.flush();
    expect(far.slots.size).toBe(3);
  });

  test("that cannot be made for many reads fails each of them once, and is asked for anew by the next", async () => {
    const { cache, far, clock, seen } = setUp();
    const Item = counted({ caches: FAR });
    far.fault("ensure", "reject");
    const release = far.hold("read");
    const asked: Promise<unknown>[] = [];
    for (const key of ["a", "b"]) {
      asked.push(cache.get(Item(key)));
      await clock.settle();
    }
    release();
    expect(await Promise.all(asked)).toEqual(["a#1", "b#2"]);
    expect([far.slots.size, seen("storage-failed").length]).toEqual([0, 1]);
    far.fault("ensure", undefined);
    await cache.get(Item("c"));
    await cache.flush();
    expect(far.slots.size).toBe(1);
  });

  test("that was raised makes every entry of the node absent, and none of another", async () => {
    const { cache, far, isolate } = setUp();
    const [Item, Other] = [counted({ caches: FAR }), counted({ caches: FAR })];
    await cache.getAll([Item("a"), Other("b")]);
    await cache.flush();
    const [generation] = [...far.generations.keys()].filter((name) => name.includes(Item.node.name));
    await far.raise(generation === undefined ? [] : [generation], signal);
    expect(await isolate().cache.getAll([Item("a"), Other("b")])).toEqual(["a#2", "b#1"]);
  });

  test("that is gone from the store makes every entry absent, so that a flushed store brings nothing back", async () => {
    const { cache, far, isolate } = setUp();
    const Item = counted({ caches: FAR });
    await cache.get(Item("a"));
    await cache.flush();
    far.generations.clear();
    expect(await isolate().cache.get(Item("a"))).toBe("a#2");
  });

  test("that this isolate has learned to be another makes its local entries absent at once", async () => {
    const { cache, far } = setUp();
    const Item = counted({ caches: CHAIN });
    await cache.get(Item("a"));
    await cache.flush();
    await far.raise([...far.generations.keys()], signal);
    expect(cache.peek(Item("a"))).toBe("a#1");
    await cache.get(Item("b"));
    expect(cache.peek(Item("a"))).toBe(undefined);
    expect(await cache.get(Item("a"))).toBe("a#3");
  });

  test("is captured before the load, so a value loaded before it was raised is not taken for a newer one", async () => {
    const { cache, far, clock, isolate } = setUp();
    const source = Promise.withResolvers<string>();
    const Item = counted<string>({ caches: CHAIN, load: (_key, nth) => (nth === 1 ? source.promise : "new") });
    const old = cache.get(Item("a"));
    await clock.settle();
    await far.raise([...far.generations.keys()], signal);
    source.resolve("old");
    expect(await old).toBe("old");
    await cache.flush();
    expect(await isolate().cache.get(Item("a"))).toBe("new");
  });
});

describe("a local copy that was made while the remote tier could not be read", () => {
  const load = (_key: string, nth: number): string => `v${nth}`;
  const knowing = [
    ["knows the generation already", true],
    ["has not read the generation yet", false],
  ] as const;

  function broken(reading: "read" | "ensure") {
    const own = setUp();
    const Item = counted<string>({ caches: CHAIN, staleIfError: "1h", tags: () => ["group"], load });
    const make = async (key: string): Promise<void> => {
      own.far.fault(reading, "reject");
      await own.cache.get(Item(key));
      own.far.fault(reading, undefined);
      await own.clock.settle();
    };
    return { ...own, Item, make };
  }

  test.each(knowing)("ends with an invalidation by another isolate that this one reads about, if it %s", async (_what, known) => {
    for (const change of ["invalidateNode", "invalidateTags"] as const) {
      const { cache, isolate, Item, make } = broken("read");
      if (known) await cache.get(Item("other"));
      await make("a");
      const before = await cache.get(Item("a"));
      await (change === "invalidateNode" ? isolate().cache.invalidateNode(Item.node) : isolate().cache.invalidateTags("group"));
      expect(await cache.get(Item("a"))).toBe(before);
      await cache.get(Item("third"));
      expect(await cache.lookup(Item("a"))).toMatchObject({ source: "load", state: "fresh" });
    }
  });

  test("and whose generation could not be made ends with it as well", async () => {
    const { cache, isolate, Item, make } = broken("ensure");
    await make("a");
    await isolate().cache.get(Item("b"));
    await isolate().cache.invalidateNode(Item.node);
    await cache.get(Item("third"));
    expect(await cache.lookup(Item("a"))).toMatchObject({ source: "load" });
  });

  test("answers as long as nothing is read that speaks against it", async () => {
    const { cache, Item, make } = broken("read");
    await cache.get(Item("other"));
    await make("a");
    await cache.get(Item("third"));
    expect(await cache.lookup(Item("a"))).toMatchObject({ source: "local" });
  });
});

describe("a tombstone", () => {
  test("is no value and no failure", async () => {
    const { cache, events, isolate } = setUp();
    const Item = counted({ caches: FAR });
    await cache.invalidate(Item("a"));
    expect(await cache.get(Item("a"))).toBe("a#1");
    await cache.flush();
    expect(cache.stats(Item.node)).toMatchObject({ errorCount: 0, tiers: { far: { errorCount: 0, missCount: 1 } } });
    expect(events).toEqual([]);
    expect(await isolate().cache.get(Item("a"))).toBe("a#1");
  });
});

describe("a hit in a tier without guard", () => {
  test("is not back-filled into a guarded tier, where it could bring an old value back; into another weak one it is", async () => {
    const clock = fakeClock();
    const storages = { strong: puppet({ clock }), left: weakPuppet({ clock }), right: weakPuppet({ clock }) };
    const caches = ["strong", "left", "right"].map((storage) => ({ storage, ttl: "1m" as const }));
    const Item = counted({ caches });
    const { cache } = rig({ clock, storages });
    await cache.get(Item("a"));
    await cache.flush();
    expect([storages.strong.slots.size, storages.left.slots.size, storages.right.slots.size]).toEqual([1, 1, 1]);
    storages.strong.slots.clear();
    storages.left.slots.clear();
    expect(await cache.lookup(Item("a"))).toMatchObject({ source: "right", value: "a#1" });
    await cache.flush();
    expect([storages.strong.slots.size, storages.left.slots.size]).toEqual([0, 1]);
  });
});

describe("a read whose reply has another length than was asked for", () => {
  test.each(["short", "long"] as const)("(%s) is a failure of all its keys, since nobody knows which is which", async (fault) => {
    const { cache, far, seen, isolate } = setUp();
    const Item = counted({ caches: FAR });
    await isolate().cache.getAll(["a", "b"].map(Item));
    const { clock } = isolate();
    await clock.settle();
    far.fault("read", fault);
    expect(await cache.getAll(["a", "b"].map(Item))).toEqual(["a#3", "b#4"]);
    expect(seen("storage-failed")).toMatchObject([{ operation: "read", error: { code: "ERR_STORAGE_READ" } }]);
    expect(cache.stats(Item.node).tiers["far"]).toMatchObject({ errorCount: 2, hitCount: 0, missCount: 2 });
  });
});

describe("two local tiers", () => {
  test("are asked from left to right, and a hit in the second is copied to the first for its own ttl at most", async () => {
    const clock = fakeClock();
    const [near, wide] = [local({ clock }), local({ clock })];
    const caches = [
      { storage: "near", ttl: "5s" },
      { storage: "wide", ttl: "1m" },
    ] as const;
    const Item = counted({ caches });
    const { cache } = rig({ clock, storages: { near, wide } });
    await cache.get(Item("a"));
    expect(await cache.lookup(Item("a"))).toMatchObject({ source: "near", ttlMs: 5_000 });
    await clock.advance(58_000);
    expect(await cache.lookup(Item("a"))).toMatchObject({ source: "wide", ttlMs: 2_000 });
    expect(await cache.lookup(Item("a"))).toMatchObject({ source: "near", ttlMs: 2_000 });
    expect(cache.stats(Item.node).tiers).toMatchObject({ near: { hitCount: 2, missCount: 2 }, wide: { hitCount: 1, missCount: 1 } });
    await clock.advance(2_000);
    expect(await cache.get(Item("a"))).toBe("a#2");
  });

  test("of which the first cannot weigh a value: the second answers, and each failure to keep it is reported", async () => {
    const near = local({
      maxBytes: 1_000,
      weigh: () => {
        throw new Error("no weight");
      },
    });
    const caches = [
      { storage: "near", ttl: "5s" },
      { storage: "wide", ttl: "1m" },
    ] as const;
    const Item = counted({ caches });
    const { cache, seen } = rig({ storages: { near, wide: local() } });
    expect(await cache.get(Item("a"))).toBe("a#1");
    expect(await cache.get(Item("a"))).toBe("a#1");
    expect(await cache.getAll([Item("a")])).toEqual(["a#1"]);
    expect(await cache.lookup(Item("a"))).toMatchObject({ value: "a#1", source: "wide" });
    expect(seen("not-stored")).toMatchObject([1, 2, 3, 4].map((nth) => ({ reason: "hook", ...(nth === 1 ? {} : { storage: "near" }) })));
  });
});
