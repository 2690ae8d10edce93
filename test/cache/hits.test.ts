/**
 * Fresh local hits, which leave `get` and `getAll` by a way of their own, on a host that knows the time of its turn and on one that
 * does not: they are counted like all others, and end with all that ends an entry.
 */
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { createCacheOn } from "../../src/cache.ts";
import { local } from "../../src/local/local.ts";
import type { Runtime, Turn } from "../../src/runtime.ts";
import type { Cache, CreateCacheOptions } from "../../src/types.ts";
import { counted, failure, SHARED } from "../support/rig.ts";
import { puppet } from "../support/storages.ts";

const performanceNow = performance.now.bind(performance);
let skippedMs = 0;
const turn: Turn = {
  horizon: Number.POSITIVE_INFINITY,
  read: () => {
    turn.horizon = Math.floor(performance.now());
    return turn.horizon;
  },
};

function pass(ms: number): void {
  skippedMs += ms;
  turn.horizon = Number.POSITIVE_INFINITY;
}

/** A cache by the system's clock. */
function made(knowsTurn: boolean, storages: CreateCacheOptions<string, undefined>["storages"] = { local: local() }): Cache {
  const runtime: Runtime = knowsTurn ? { ...SHARED, turn, turnTime: turn.read } : SHARED;
  return createCacheOn<string, undefined>(runtime, { storages }) as Cache;
}

beforeEach(() => {
  vi.spyOn(performance, "now").mockImplementation(() => performanceNow() + skippedMs);
});

afterEach(() => {
  vi.restoreAllMocks();
  pass(-skippedMs);
});

describe.each([
  ["that knows its turn", true],
  ["that does not", false],
])("on a host %s", (_, knowsTurn) => {
  test("a hit is counted once for its node and once for its tier, by get and by getAll", async () => {
    const cache = made(knowsTurn);
    const Item = counted();
    await cache.getAll(["a", "b", "c"].map(Item));
    for (let time = 0; time < 3; time++) expect(await cache.get(Item("a"))).toBe("a#1");
    expect(await cache.getAll(["a", "b", "c", "a"].map(Item))).toEqual(["a#1", "b#2", "c#3", "a#1"]);
    const { requestCount, hitCount, missCount, tiers } = cache.stats(Item.node);
    expect([requestCount, hitCount, missCount]).toEqual([10, 7, 3]);
    expect(tiers["local"]).toMatchObject({ hitCount: 7, missCount: 3 });
  });

  test("getAll gives hits, what was loaded and hits again in the order that was asked for", async () => {
    const cache = made(knowsTurn);
    const Item = counted();
    const Other = counted();
    await cache.getAll([Item("a"), Other("b")]);
    expect(await cache.getAll([Item("a"), Other("b"), Item("new"), Item("a"), Item("new")])).toEqual(["a#1", "b#1", "new#2", "a#1", "new#2"]);
    expect(cache.stats(Item.node)).toMatchObject({ requestCount: 5, hitCount: 2, missCount: 3, collapsedCount: 1 });
    expect(cache.stats(Item.node).tiers["local"]).toMatchObject({ hitCount: 2, missCount: 3 });
    expect(cache.stats(Other.node)).toMatchObject({ requestCount: 2, hitCount: 1, missCount: 1 });
  });

  test("is over when its life is", async () => {
    const cache = made(knowsTurn);
    const Item = counted({ caches: [{ storage: "local", ttl: "30s" }] });
    expect([await cache.get(Item("a")), await cache.get(Item("a"))]).toEqual(["a#1", "a#1"]);
    pass(29_000);
    expect([await cache.get(Item("a")), ...(await cache.getAll([Item("a")]))]).toEqual(["a#1", "a#1"]);
    pass(1_001);
    expect(await cache.getAll([Item("a"), Item("a")])).toEqual(["a#2", "a#2"]);
    pass(30_001);
    expect(await cache.get(Item("a"))).toBe("a#3");
  });

  test("is over with an invalidation of its key, its tag and its node", async () => {
    const cache = made(knowsTurn, { local: local(), far: puppet() });
    const Item = counted({
      caches: [
        { storage: "local", ttl: "30s" },
        { storage: "far", ttl: "1m" },
      ],
      tags: () => ["list"],
    });
    const both = async () => [await cache.get(Item("a")), ...(await cache.getAll([Item("a")]))];
    expect(await both()).toEqual(["a#1", "a#1"]);
    await cache.invalidate(Item("a"));
    expect(await both()).toEqual(["a#2", "a#2"]);
    await cache.invalidateTags("list");
    expect(await both()).toEqual(["a#3", "a#3"]);
    await cache.invalidateNode(Item.node);
    expect(await both()).toEqual(["a#4", "a#4"]);
  });

  test("waits for nothing, but is refused by a cache that is closed", async () => {
    const cache = made(knowsTurn);
    const Item = counted();
    await cache.get(Item("a"));
    await cache.close();
    for (const call of [cache.get(Item("a")), cache.getAll([Item("a")])]) expect(await failure(call)).toMatchObject({ code: "ERR_CLOSED" });
  });

  test("a copy past its calm time answers and is renewed", async () => {
    const cache = made(knowsTurn);
    const Item = counted({ caches: [{ storage: "local", ttl: "30s" }], staleWhileRevalidate: "1h" });
    expect([await cache.get(Item("a")), await cache.get(Item("a"))]).toEqual(["a#1", "a#1"]);
    pass(31_000);
    expect(await cache.get(Item("a"))).toBe("a#1");
    await vi.waitFor(() => expect(Item.loads).toHaveLength(2));
    await vi.waitFor(async () => expect(await cache.getAll([Item("a")])).toEqual(["a#2"]));
    expect(cache.stats(Item.node)).toMatchObject({ staleCount: 1 });
  });

  test("a value that cannot be cloned rejects, as it does for everybody", async () => {
    const cache = made(knowsTurn);
    const Item = counted<unknown>({ clone: "structured", load: (key) => (key === "bad" ? { run: () => key } : { key }) });
    expect(await failure(cache.get(Item("bad")))).toMatchObject({ name: "CacheError" });
    const first = await cache.get(Item("good"));
    expect(await cache.get(Item("good"))).toEqual(first);
    expect(await cache.get(Item("good"))).not.toBe(first);
    expect((await cache.getAll([Item("good")]))[0]).not.toBe(first);
  });

  test("what is no reference is refused, also after a hit, and nothing is read", async () => {
    const cache = made(knowsTurn);
    const Item = counted();
    await cache.get(Item("a"));
    for (const wrong of [undefined, null, 5, "a", {}] as never[]) {
      expect(await failure(cache.get(wrong))).toBeInstanceOf(TypeError);
      expect(await failure(cache.getAll([Item("a"), wrong, Item("new")]))).toBeInstanceOf(TypeError);
    }
    expect(await failure(cache.getAll("a" as never))).toBeInstanceOf(TypeError);
    const holed = [Item("a")];
    holed[2] = Item("new");
    expect(await failure(cache.getAll(holed))).toBeInstanceOf(TypeError);
    expect(cache.stats(Item.node)).toMatchObject({ requestCount: 1 });
    expect(Item.loads).toEqual(["a"]);
  });
});
