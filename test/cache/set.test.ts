/** `set` and `setAll`: what tiers and readers see of them, in order, refused, failing, and beside loads under way. */

import { describe, expect, test } from "vitest";
import { MAX_PAYLOAD_BYTES } from "../../src/envelope.ts";
import { isCacheError } from "../../src/errors.ts";
import { local } from "../../src/local/local.ts";
import type { Serializer } from "../../src/serializer/serializer.ts";
import { fakeClock } from "../support/fake-clock.ts";
import { counted, failure, rig } from "../support/rig.ts";
import { puppet, weakPuppet } from "../support/storages.ts";

const FAR = [{ storage: "far", ttl: "1m" }] as const;
const NEAR_AND_FAR = [{ storage: "local", ttl: "30s" }, ...FAR] as const;

function chained() {
  const clock = fakeClock();
  const storages = { local: local(), far: puppet({ clock }) };
  return { ...rig({ clock, storages }), far: storages.far, elsewhere: rig({ clock, storages: { local: local(), far: storages.far } }).cache };
}

describe("set", () => {
  test("stores in every tier, so that here and elsewhere nothing is loaded", async () => {
    const { cache, elsewhere } = chained();
    const Item = counted({ caches: NEAR_AND_FAR });
    await cache.set(Item("a"), "given");
    expect(cache.peek(Item("a"))).toBe("given");
    expect(await elsewhere.get(Item("a"))).toBe("given");
    expect(Item.loads).toEqual([]);
  });

  test("costs two round trips a tier, and one more for a new node, once", async () => {
    const { cache, far } = chained();
    const Item = counted({ caches: NEAR_AND_FAR });
    await cache.set(Item("a"), "1");
    expect(far.log.map(({ method }) => method)).toEqual(["read", "ensure", "write"]);
    await cache.set(Item("a"), "2");
    expect(far.log.slice(3).map(({ method }) => method)).toEqual(["read", "write"]);
  });

  test("takes null and undefined for values", async () => {
    const { cache, elsewhere } = chained();
    const Item = counted<unknown>({ caches: NEAR_AND_FAR, load: () => "loaded" });
    await cache.setAll([
      [Item("null"), null],
      [Item("undefined"), undefined],
    ]);
    for (const each of [cache, elsewhere]) expect(await each.getAll([Item("null"), Item("undefined")])).toEqual([null, undefined]);
  });

  test("has a ttl of its own, never above the tier's; 0 stores nowhere and removes what was there", async () => {
    const { cache, clock, elsewhere } = chained();
    const Item = counted({ caches: NEAR_AND_FAR });
    await cache.set(Item("short"), "given", { ttl: "2s" });
    await cache.set(Item("long"), "given", { ttl: null });
    await clock.advance(1_999);
    expect(await elsewhere.lookup(Item("short"))).toMatchObject({ value: "given", ttlMs: 1 });
    await clock.advance(1);
    expect(await elsewhere.get(Item("short"))).toBe("short#1");
    await clock.advance(28_000);
    expect(cache.peek(Item("long"))).toBe(undefined);
    expect(await cache.get(Item("long"))).toBe("given");
    await cache.set(Item("long"), "gone", { ttl: 0 });
    expect(await cache.get(Item("long"))).toBe("long#2");
  });

  test("runs in call order, the last one stays, and nothing is left in flight", async () => {
    const { cache, elsewhere, inFlight } = chained();
    const Item = counted({ caches: NEAR_AND_FAR });
    await Promise.all(["1", "2", "3", "4"].map((value) => cache.set(Item("a"), value)));
    expect(cache.peek(Item("a"))).toBe("4");
    expect(await elsewhere.get(Item("a"))).toBe("4");
    expect(inFlight()).toBe(0);
  });

  test("cuts off a load that began before it: its callers get its value, the tiers do not", async () => {
    const { cache, elsewhere, clock } = chained();
    const source = Promise.withResolvers<string>();
    const Item = counted<string>({ caches: NEAR_AND_FAR, load: () => source.promise });
    const old = cache.get(Item("a"));
    await clock.settle();
    await cache.set(Item("a"), "new");
    source.resolve("old");
    expect(await old).toBe("old");
    await clock.settle();
    expect(await cache.get(Item("a"))).toBe("new");
    expect(await elsewhere.get(Item("a"))).toBe("new");
  });

  test("refused because another isolate came between leaves a tombstone and no local copy", async () => {
    const { cache, elsewhere, far, clock } = chained();
    const Item = counted({ caches: NEAR_AND_FAR });
    const release = far.hold("write");
    const mine = cache.set(Item("a"), "mine");
    await clock.settle();
    far.hold("write")();
    await elsewhere.set(Item("a"), "theirs");
    release();
    await mine;
    expect(cache.peek(Item("a"))).toBe(undefined);
    expect(cache.stats(Item.node).fencedCount).toBe(1);
    expect(await cache.get(Item("a"))).toBe("a#1");
  });

  test("that fails in a tier rejects naming it, has tried the others, and keeps no local copy", async () => {
    const clock = fakeClock();
    const storages = { local: local(), good: puppet({ clock }), far: puppet({ clock }) };
    const { cache, inFlight } = rig({ clock, storages });
    const caches = [{ storage: "local", ttl: "30s" }, { storage: "good", ttl: "1m" }, ...FAR] as const;
    const Item = counted({ caches });
    await cache.set(Item("a"), "old");
    storages.far.fault("write", "reject");
    const error = await failure(cache.set(Item("a"), "new"));
    expect(isCacheError(error, "ERR_STORAGE_WRITE")).toBe(true);
    expect(String(error)).toContain('"far"');
    expect(String(error)).not.toContain('"good"');
    expect(cache.peek(Item("a"))).toBe(undefined);
    expect(await cache.get(Item("a"))).toBe("new");
    expect(inFlight()).toBe(0);
  });

  test("of what the serializer cannot carry is ERR_SERIALIZE, and what was stored stays", async () => {
    const { cache, inFlight, elsewhere } = chained();
    const Item = counted<unknown>({ caches: NEAR_AND_FAR, load: () => "loaded" });
    await cache.set(Item("a"), "old");
    expect(isCacheError(await failure(cache.set(Item("a"), 1n)), "ERR_SERIALIZE")).toBe(true);
    expect(cache.peek(Item("a"))).toBe("old");
    expect(await elsewhere.get(Item("a"))).toBe("old");
    expect(inFlight()).toBe(0);
  });

  test("of what cannot be shared is ERR_SERIALIZE, in a chain without a remote tier as well", async () => {
    const { cache, inFlight } = rig();
    const Item = counted<unknown>({ load: () => "loaded" });
    const forgotten = Promise.reject(new Error("not awaited"));
    forgotten.catch(() => undefined);
    for (const value of [forgotten, new Response("read once"), new ReadableStream()]) {
      const error = await failure(cache.set(Item("a"), value));
      expect(isCacheError(error, "ERR_SERIALIZE")).toBe(true);
      expect(String(error)).toContain("set was given a ");
    }
    expect(await cache.get(Item("a"))).toBe("loaded");
    expect(inFlight()).toBe(0);
  });

  test("that could not read a tier counts nothing as fenced, for nothing came between", async () => {
    const { cache, far } = chained();
    const Item = counted({ caches: NEAR_AND_FAR });
    far.fault("read", "reject");
    expect(isCacheError(await failure(cache.set(Item("a"), "1")), "ERR_STORAGE_WRITE")).toBe(true);
    expect(cache.stats(Item.node)).toMatchObject({ fencedCount: 0 });
  });

  test("too large for a tier empties that tier and is kept in the others", async () => {
    const clock = fakeClock();
    const far = puppet({ clock, traits: { maxValueBytes: 200 } });
    const { cache, seen } = rig({ clock, storages: { local: local(), far } });
    const Item = counted({ caches: NEAR_AND_FAR });
    await cache.set(Item("a"), "small");
    await cache.set(Item("a"), "x".repeat(500));
    expect(cache.peek(Item("a"))).toBe("x".repeat(500));
    expect(await rig({ clock, storages: { local: local(), far } }).cache.get(Item("a"))).toBe("a#1");
    expect(seen("not-stored")).toMatchObject([{ reason: "size", storage: "far" }]);
  });

  test("larger than any reader accepts is written nowhere, by set, get or refresh", async () => {
    const clock = fakeClock();
    const far = puppet({ clock });
    const { cache, seen } = rig({ clock, storages: { local: local(), far } });
    const bytes: Serializer = { name: "bytes", encode: (value) => value as Uint8Array, decode: (stored) => stored };
    const large = new Uint8Array(MAX_PAYLOAD_BYTES + 1);
    const Item = counted<unknown>({ caches: NEAR_AND_FAR, serializer: bytes, load: () => large });
    const reasons: string[] = [];
    for (const store of [() => cache.set(Item("a"), large), () => cache.get(Item("b")), () => cache.refresh(Item("c"))]) {
      await store();
      await cache.flush();
      reasons.push(...seen("not-stored").map(({ reason, storage }) => `${reason} ${storage}`));
    }
    expect(reasons.length).toBe(6);
    expect(new Set(reasons)).toEqual(new Set(["size far"]));
    for (const key of ["a", "b", "c"]) expect(cache.peek(Item(key))).toBe(large);
    expect([...far.slots.values()].filter(({ bytes: { length } }) => length > 1_000)).toEqual([]);
    // One byte less is what a reader accepts.
    const fits = large.subarray(1);
    await cache.set(Item("a"), fits);
    expect(await rig({ clock, storages: { local: local(), far } }).cache.lookup(Item("a"))).toMatchObject({ source: "far" });
  });

  test("in a storage without conditional writes simply overwrites", async () => {
    const weak = weakPuppet();
    const { cache } = rig({ storages: { weak } });
    const Item = counted({ caches: [{ storage: "weak", ttl: "1m" }] });
    await cache.set(Item("a"), "1");
    await cache.set(Item("a"), "2");
    expect(await cache.get(Item("a"))).toBe("2");
    expect(weak.calls.ensure).toBe(0);
  });
});

describe("setAll", () => {
  test("stores all its entries with one read and one write a tier", async () => {
    const { cache, elsewhere, far } = chained();
    const [One, Two] = [counted({ caches: NEAR_AND_FAR }), counted({ caches: NEAR_AND_FAR })];
    await cache.setAll([
      [One("a"), "1"],
      [Two("b"), "2"],
      [One("c"), "3"],
    ]);
    expect(far.log.map(({ method, keys }) => [method, keys.length])).toEqual([
      ["read", 3],
      ["ensure", 2],
      ["write", 3],
    ]);
    expect(await elsewhere.getAll([One("a"), Two("b"), One("c")])).toEqual(["1", "2", "3"]);
  });

  test("of nothing does nothing; of one key twice keeps the last", async () => {
    const { cache, far } = chained();
    const Item = counted({ caches: NEAR_AND_FAR });
    await cache.setAll([]);
    expect(far.log).toEqual([]);
    await cache.setAll([
      [Item("a"), "first"],
      [Item("a"), "last"],
    ]);
    expect(await cache.get(Item("a"))).toBe("last");
  });

  test("stores the good ones although one of them fails", async () => {
    const { cache } = chained();
    const Item = counted<unknown>({ caches: NEAR_AND_FAR, load: () => "loaded" });
    const error = await failure(
      cache.setAll([
        [Item("a"), "1"],
        [Item("b"), () => 1],
        [Item("c"), "3"],
      ]),
    );
    expect(isCacheError(error, "ERR_SERIALIZE")).toBe(true);
    expect(await cache.getAll([Item("a"), Item("c")])).toEqual(["1", "3"]);
  });
});
