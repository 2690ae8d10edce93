/** How long values live: ttl of every kind, what a back-fill keeps, `storeWithin`, and clocks that lie. */

import { describe, expect, test } from "vitest";
import { local } from "../../src/local/local.ts";
import type { Duration } from "../../src/duration.ts";
import { fakeClock } from "../support/fake-clock.ts";
import { counted, rig } from "../support/rig.ts";
import { puppet, weakPuppet } from "../support/storages.ts";

function setUp(ttl: Duration | null, storage: "local" | "far" | "weak") {
  const clock = fakeClock();
  const storages = { local: local(), far: puppet({ clock }), weak: weakPuppet({ clock, traits: { minTtlMs: 60_000 } }) };
  return { storages, ...rig({ clock, storages }), Item: counted({ caches: [{ storage, ttl }] }) };
}

describe.each(["local", "far", "weak"] as const)("ttl in a %s tier", (storage) => {
  test.each([
    ["30s", 30_000],
    [250, 250],
    ["0.5ms", 1],
  ] as const)("%s answers until its end and not at it", async (ttl, endsAtMs) => {
    const { cache, clock, Item } = setUp(ttl, storage);
    await cache.get(Item("a"));
    await clock.settle();
    await clock.advance(endsAtMs - 1);
    expect(await cache.get(Item("a"))).toBe("a#1");
    await clock.advance(1);
    expect(await cache.get(Item("a"))).toBe("a#2");
  });

  test.each([null, Number.POSITIVE_INFINITY])("%s never ends", async (ttl) => {
    const { cache, clock, Item } = setUp(ttl, storage);
    await cache.get(Item("a"));
    await clock.advance(10 * 365 * 86_400_000);
    expect(await cache.get(Item("a"))).toBe("a#1");
    expect((await cache.lookup(Item("a"))).ttlMs).toBe(null);
  });

  test("0 stores nothing there and does not ask it either", async () => {
    const { cache, clock, Item, storages } = setUp(0, storage);
    expect(await cache.get(Item("a"))).toBe("a#1");
    await clock.settle();
    expect(await cache.get(Item("a"))).toBe("a#2");
    expect([storages.local.size, storages.far.log.length, storages.weak.log.length]).toEqual([0, 0, 0]);
  });
});

describe("a back-fill", () => {
  test("keeps a value for what was left of it, never for a life of its own", async () => {
    const clock = fakeClock();
    const storages = { local: local(), middle: puppet({ clock }), far: puppet({ clock }) };
    const caches = [
      { storage: "local", ttl: "1h" },
      { storage: "middle", ttl: "1h" },
      { storage: "far", ttl: "10s" },
    ] as const;
    const Item = counted({ caches });
    const { cache } = rig({ clock, storages });
    await cache.get(Item("a"));
    await cache.flush();
    storages.middle.slots.clear();
    await clock.advance(9_000);
    const later = rig({ clock, storages: { ...storages, local: local() } });
    expect(await later.cache.lookup(Item("a"))).toMatchObject({ source: "far", ttlMs: 1_000, ageMs: 9_000 });
    await later.cache.flush();
    expect(await later.cache.lookup(Item("a"))).toMatchObject({ source: "local", ttlMs: 1_000 });
    expect(await rig({ clock, storages: { ...storages, local: local() } }).cache.lookup(Item("a"))).toMatchObject({ source: "middle", ttlMs: 1_000 });
    await clock.advance(1_000);
    expect(await later.cache.get(Item("a"))).toBe("a#2");
  });

  test("keeps it for the smaller ttl of the tier that is filled", async () => {
    const clock = fakeClock();
    const far = puppet({ clock });
    const caches = [
      { storage: "local", ttl: "2s" },
      { storage: "far", ttl: "1m" },
    ] as const;
    const Item = counted({ caches });
    const first = rig({ clock, storages: { local: local(), far } });
    await first.cache.get(Item("a"));
    await first.cache.flush();
    const second = rig({ clock, storages: { local: local(), far } });
    await second.cache.get(Item("a"));
    await clock.advance(1_999);
    expect(second.cache.peek(Item("a"))).toBe("a#1");
    await clock.advance(1);
    expect(second.cache.peek(Item("a"))).toBe(undefined);
  });
});

describe("a slot of a guarded tier", () => {
  test("outlives its value, so that it goes on shielding, but never answers past its ttl", async () => {
    const { cache, clock, Item, storages } = setUp("1s", "far");
    await cache.get(Item("a"));
    await clock.settle();
    const [slot] = storages.far.slots.values();
    expect(slot?.expiresAt).toBe(clock.now() + 60_000 + 60_000);
    await clock.advance(1_000);
    expect(await cache.get(Item("a"))).toBe("a#2");
  });
});

describe("storeWithin", () => {
  test("lets an older flight answer but not write", async () => {
    const clock = fakeClock();
    const far = puppet({ clock });
    const { cache, seen } = rig({ clock, storages: { far }, guard: { timeout: "5s" } });
    const source = Promise.withResolvers<string>();
    const Item = counted<string>({ caches: [{ storage: "far", ttl: "1m" }], hardTimeout: "20s", storeWithin: "20s", load: () => source.promise });
    const release = far.hold("read");
    const answer = cache.get(Item("a"));
    await clock.advance(2_000);
    release();
    await clock.advance(19_000);
    source.resolve("old");
    expect(await answer).toBe("old");
    await clock.settle();
    expect(far.slots.size).toBe(0);
    expect(seen("not-stored")).toMatchObject([{ reason: "too-late", node: Item.node.name }]);
  });

  test("turns an older set into a tombstone and says nothing was kept locally", async () => {
    const clock = fakeClock();
    const far = puppet({ clock });
    const { cache } = rig({ clock, storages: { local: local(), far }, guard: { timeout: "30s" } });
    const caches = [
      { storage: "local", ttl: "1m" },
      { storage: "far", ttl: "1m" },
    ] as const;
    const Item = counted({ caches, hardTimeout: "1s", storeWithin: "1s" });
    const release = far.hold("read");
    const setting = cache.set(Item("a"), "set");
    await clock.advance(1_001);
    release();
    await setting;
    expect(cache.peek(Item("a"))).toBe(undefined);
    expect(await cache.get(Item("a"))).toBe("a#1");
  });
});

describe("guarantee 11: a clock that lies", () => {
  test.each([-600_000, 600_000])("by %s ms neither prolongs nor ends a local life", async (skewMs) => {
    const { cache, clock, Item } = setUp("30s", "local");
    await cache.get(Item("a"));
    clock.step(skewMs);
    await clock.advance(29_999);
    expect(await cache.get(Item("a"))).toBe("a#1");
    await clock.advance(1);
    expect(await cache.get(Item("a"))).toBe("a#2");
  });

  test.each([-600_000, 600_000])("by %s ms in a reader does not matter where the storage says what is left", async (skewMs) => {
    const clock = fakeClock();
    const far = puppet({ clock });
    const Item = counted({ caches: [{ storage: "far", ttl: "30s" }] });
    const writer = rig({ clock, storages: { far } });
    await writer.cache.get(Item("a"));
    await writer.cache.flush();
    const skewed = { ...clock, now: () => clock.now() + skewMs };
    const reader = rig({ clock: skewed, storages: { far } });
    await clock.advance(29_999);
    expect(await reader.cache.get(Item("a"))).toBe("a#1");
    await clock.advance(1);
    expect(await reader.cache.get(Item("a"))).toBe("a#2");
  });

  test("never lets an entry of a storage that tells no time outlive the ttl after it was read", async () => {
    const clock = fakeClock();
    const weak = weakPuppet({ clock });
    const Item = counted({
      caches: [
        { storage: "local", ttl: "1h" },
        { storage: "weak", ttl: "30s" },
      ],
    });
    const future = { ...clock, now: () => clock.now() + 3_600_000 };
    const writer = rig({ clock: future, storages: { local: local(), weak } });
    await writer.cache.get(Item("a"));
    await writer.cache.flush();
    const blind = {
      ...weak,
      read: async (...args: Parameters<typeof weak.read>) => {
        const result = await weak.read(...args);
        return { ...result, slots: result.slots.map((slot) => slot && { bytes: slot.bytes }) };
      },
    };
    const reader = rig({ clock, storages: { local: local(), weak: blind } });
    expect(await reader.cache.lookup(Item("a"))).toMatchObject({ value: "a#1", ttlMs: 30_000, ageMs: 0 });
  });
});
