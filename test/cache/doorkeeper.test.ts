/** A node's doorkeeper in the chain: what it keeps out of which tiers, in every call, and what passes it. */

import { describe, expect, test } from "vitest";
import { bloomFilter } from "../../src/doorkeeper.ts";
import type { Doorkeeper } from "../../src/doorkeeper.ts";
import { local } from "../../src/local/local.ts";
import { fakeClock } from "../support/fake-clock.ts";
import { counted, rig } from "../support/rig.ts";
import { puppet } from "../support/storages.ts";

const LOCAL = [{ storage: "local", ttl: "1m" }] as const;
const FAR = [{ storage: "far", ttl: "10m" }] as const;
const filter = (guards?: "local" | "all"): Doorkeeper => bloomFilter({ capacity: 1_000, falsePositiveRate: 0.000_001, guards });

function setUp() {
  const clock = fakeClock();
  const near = local();
  const far = puppet({ clock });
  return { ...rig({ clock, storages: { local: near, far } }), near, far };
}

describe("a doorkeeper", () => {
  test("answers a first arrival without storing it, and stores the second, in get and in getAll", async () => {
    const { cache, inFlight } = setUp();
    const Item = counted({ caches: LOCAL, doorkeeper: filter() });
    expect(await cache.get(Item("a"))).toBe("a#1");
    expect(await cache.getAll([Item("b"), Item("c")])).toEqual(["b#2", "c#3"]);
    expect(["a", "b", "c"].map((key) => cache.peek(Item(key)))).toEqual([undefined, undefined, undefined]);
    expect(cache.stats(Item.node).doorkeeperRejectCount).toBe(3);
    expect(await cache.getAll([Item("a"), Item("b")])).toEqual(["a#4", "b#5"]);
    expect(await cache.get(Item("c"))).toBe("c#6");
    expect(["a", "b", "c"].map((key) => cache.peek(Item(key)))).toEqual(["a#4", "b#5", "c#6"]);
    expect(cache.stats(Item.node).doorkeeperRejectCount).toBe(3);
    expect(inFlight()).toBe(0);
  });

  test("counts one arrival for a flight, however many callers share it", async () => {
    const { cache } = setUp();
    const Item = counted<string>({ caches: LOCAL, doorkeeper: filter(), load: async (key) => key });
    await Promise.all(Array.from({ length: 20 }, () => cache.get(Item("a"))));
    expect(cache.peek(Item("a"))).toBe(undefined);
    expect(cache.stats(Item.node).doorkeeperRejectCount).toBe(1);
  });

  test("guards the local tier of a mixed chain and lets the remote one be filled", async () => {
    const { cache, far } = setUp();
    const Item = counted({ caches: [...LOCAL, ...FAR], doorkeeper: filter() });
    await cache.get(Item("a"));
    await cache.flush();
    expect([cache.peek(Item("a")), far.slots.size]).toEqual([undefined, 1]);
    expect(await cache.lookup(Item("a"))).toMatchObject({ value: "a#1", source: "far" });
    expect(cache.peek(Item("a"))).toBe("a#1");
  });

  test("guards remote tiers as well where it says all", async () => {
    const { cache, far } = setUp();
    const Item = counted({ caches: [...LOCAL, ...FAR], doorkeeper: filter("all") });
    await cache.get(Item("a"));
    await cache.flush();
    expect(far.slots.size).toBe(0);
    await cache.get(Item("a"));
    await cache.flush();
    expect(far.slots.size).toBe(1);
  });

  test("guards a chain of remote tiers alone, although it says local", async () => {
    const { cache, far } = setUp();
    const Item = counted({ caches: FAR, doorkeeper: filter() });
    await cache.get(Item("a"));
    await cache.flush();
    expect(far.slots.size).toBe(0);
    await cache.get(Item("a"));
    await cache.flush();
    expect(far.slots.size).toBe(1);
  });

  test("lets set and refresh pass", async () => {
    const { cache } = setUp();
    const Item = counted({ caches: LOCAL, doorkeeper: filter() });
    await cache.set(Item("a"), "set");
    expect(cache.peek(Item("a"))).toBe("set");
    await cache.refresh(Item("b"));
    expect(cache.peek(Item("b"))).toBe("b#1");
  });

  test("shared by nodes takes equal keys of two nodes for different ones", async () => {
    const { cache } = setUp();
    const doorkeeper = filter();
    const [One, Two] = [counted({ caches: LOCAL, doorkeeper }), counted({ caches: LOCAL, doorkeeper })];
    await cache.get(One("a"));
    await cache.get(Two("a"));
    expect(cache.peek(Two("a"))).toBe(undefined);
  });

  test("that throws keeps the value out, and the caller never hears of it", async () => {
    const { cache, seen } = setUp();
    const doorkeeper: Doorkeeper = {
      guards: "local",
      admit: () => {
        throw new Error("broken");
      },
    };
    const Item = counted({ caches: LOCAL, doorkeeper });
    expect(await cache.get(Item("a"))).toBe("a#1");
    expect(cache.peek(Item("a"))).toBe(undefined);
    expect(seen("not-stored")).toMatchObject([{ reason: "hook", node: Item.node.name }]);
  });

  test("is not asked for a failing load", async () => {
    const { cache } = setUp();
    let asked = 0;
    const doorkeeper: Doorkeeper = { guards: "local", admit: () => ++asked > 0 };
    const Item = counted<string>({ caches: LOCAL, doorkeeper, load: () => Promise.reject(new Error("no")) });
    await cache.get(Item("a")).catch(() => undefined);
    expect(asked).toBe(0);
  });
});
