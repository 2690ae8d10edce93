/**
 * Old values as answers: the windows of RFC 5861 over chains of every kind, what may be served while a load goes on or when it
 * fails, and what forbids it.
 */

import { describe, expect, test } from "vitest";
import { bloomFilter } from "../../src/doorkeeper.ts";
import { isCacheError } from "../../src/errors.ts";
import { local } from "../../src/local/local.ts";
import type { StandardSchema } from "../../src/node-types.ts";
import type { Runtime } from "../../src/runtime.ts";
import type { Cache } from "../../src/types.ts";
import { fakeClock } from "../support/fake-clock.ts";
import type { Counted } from "../support/rig.ts";
import { counted, failure, isSettled, REQUESTS, rig, SHARED } from "../support/rig.ts";
import { puppet, weakPuppet } from "../support/storages.ts";

const TTL = 10_000;
const WINDOW = 5_000;
const [LOCAL, NEAR, FAR] = [
  { storage: "local", ttl: TTL },
  { storage: "near", ttl: TTL },
  { storage: "far", ttl: TTL },
] as const;
const CHAINS = [["local"], ["far"], ["weak"], ["local", "far"], ["near", "far"]].map((names) => ({
  name: names.join(" and "),
  first: names[0] ?? "",
  caches: names.map((storage) => ({ storage, ttl: TTL })),
}));
const DOWN = new Error("the source is down");
const NO_WAIT: Runtime = { ...REQUESTS, waitUntil: undefined };

function setUp(runtime = SHARED) {
  const clock = fakeClock();
  const remote = { near: puppet({ clock }), far: puppet({ clock }), weak: weakPuppet({ clock }) };
  const isolate = () => rig({ runtime, clock, storages: { local: local(), ...remote } });
  const later = <Value>(ms: number, value: Value) => new Promise<Value>((resolve) => void clock.setTimeout(() => resolve(value), ms));
  return { ...isolate(), isolate, ...remote, later };
}

/** A value that is as old as said, in all tiers, and whatever had to land for it has landed. */
async function aged({ cache, clock }: Pick<ReturnType<typeof setUp>, "cache" | "clock">, Item: Counted<unknown>, ms: number): Promise<void> {
  await cache.get(Item("a"));
  await clock.settle();
  await clock.advance(ms);
}

describe.each(CHAINS)("staleWhileRevalidate over $name", ({ first, caches }) => {
  test("answers with the old value until the window ends, labelled, while one load goes on in the background", async () => {
    const own = setUp();
    const { cache, clock } = own;
    const Item = counted({ caches, staleWhileRevalidate: WINDOW });
    await aged(own, Item, TTL - 1);
    expect(await cache.lookup(Item("a"))).toMatchObject({ value: "a#1", state: "fresh", source: first, ageMs: TTL - 1, ttlMs: 1 });
    await clock.advance(1);
    expect(await cache.lookup(Item("a"))).toMatchObject({ value: "a#1", state: "stale", source: first, ageMs: TTL, ttlMs: 0 });
    await clock.settle();
    expect(Item.loads.length).toBe(2);
    expect(await cache.lookup(Item("a"))).toMatchObject({ value: "a#2", state: "fresh", source: first, ttlMs: TTL });
    expect(cache.stats(Item.node)).toMatchObject({ requestCount: 4, hitCount: 3, missCount: 1, staleCount: 1, loadCount: 2, loadSuccessCount: 2 });
  });

  test.each([
    [WINDOW - 1, "stale"],
    [WINDOW, "fresh"],
    [10 * WINDOW, "fresh"],
  ] as const)("%s ms after its life the answer is %s", async (past, state) => {
    const own = setUp();
    const Item = counted({ caches, staleWhileRevalidate: WINDOW });
    await aged(own, Item, TTL + past);
    const stale = state === "stale";
    expect(await own.cache.lookup(Item("a"))).toMatchObject({ value: stale ? "a#1" : "a#2", state, source: stale ? first : "load" });
  });

  test("runs one load for a key, however many ask while it goes on, and all of them get the old value at once", async () => {
    const own = setUp();
    const { cache, clock, later, inFlight } = own;
    const Item = counted<string>({ caches, staleWhileRevalidate: WINDOW, load: (_key, nth) => (nth === 1 ? "old" : later(100, "new")) });
    await aged(own, Item, TTL);
    expect(await Promise.all([cache.get(Item("a")), cache.get(Item("a")), cache.getAll([Item("a"), Item("a")])])).toEqual(["old", "old", ["old", "old"]]);
    await clock.advance(99);
    expect(await cache.lookup(Item("a"))).toMatchObject({ value: "old", state: "stale" });
    await clock.advance(1);
    await clock.settle();
    expect(await cache.get(Item("a"))).toBe("new");
    expect(Item.loads.length).toBe(2);
    const { requestCount, hitCount, missCount, staleCount } = cache.stats(Item.node);
    expect({ requestCount, hitCount, missCount, staleCount }).toEqual({ requestCount: 7, hitCount: 6, missCount: 1, staleCount: 5 });
    expect(inFlight()).toBe(0);
    expect(clock.pending).toBe(0);
  });

  test("whoever asks after the window while that load still goes on waits for it, and starts no other", async () => {
    const own = setUp();
    const { cache, clock, later } = own;
    const Item = counted<string>({ caches, staleWhileRevalidate: WINDOW, load: (_key, nth) => (nth === 1 ? "old" : later(10_000, "new")) });
    await aged(own, Item, TTL);
    expect(await cache.get(Item("a"))).toBe("old");
    await clock.advance(WINDOW);
    const waiting = cache.lookup(Item("a"));
    expect(await isSettled(waiting)).toBe(false);
    await clock.advance(5_000);
    expect(await waiting).toMatchObject({ value: "new", state: "fresh", source: "load", collapsed: true });
    expect(Item.loads.length).toBe(2);
  });

  test("a load that fails in the background harms nobody, is reported, and is tried again by the next caller", async () => {
    const own = setUp();
    const { cache, clock, seen, inFlight } = own;
    const load = (_key: string, nth: number): string => {
      if (nth > 1) throw DOWN;
      return "old";
    };
    const Item = counted<string>({ caches, staleWhileRevalidate: WINDOW, load });
    await aged(own, Item, TTL);
    expect(await cache.get(Item("a"))).toBe("old");
    await clock.settle();
    expect(seen("refresh-failed")).toMatchObject([{ node: Item.node.name, key: expect.stringMatching(/^[0-9a-f]{8}$/) }]);
    expect(await cache.get(Item("a"))).toBe("old");
    await clock.advance(WINDOW);
    expect(await failure(cache.get(Item("a")))).toBe(DOWN);
    expect(Item.loads.length).toBe(4);
    expect(cache.stats(Item.node)).toMatchObject({ requestCount: 4, hitCount: 2, missCount: 2, loadSuccessCount: 1, loadFailureCount: 3 });
    expect(inFlight()).toBe(0);
  });
});

describe.each(CHAINS)("staleIfError over $name", ({ caches }) => {
  test("waits for the load, and serves the old value only if it fails", async () => {
    const own = setUp();
    const { cache, clock, later, seen } = own;
    const answers = [() => "old", () => later(50, "new"), () => later(50, undefined).then(() => Promise.reject(DOWN))];
    const Item = counted<unknown>({ caches, staleIfError: WINDOW, load: (_key, nth) => answers[nth - 1]?.() });
    await cache.get(Item("a"));
    await clock.advance(TTL);
    const renewed = cache.lookup(Item("a"));
    await clock.advance(50);
    expect(await renewed).toMatchObject({ value: "new", state: "fresh", source: "load" });
    await clock.advance(TTL);
    const failed = cache.lookup(Item("a"));
    expect(await isSettled(failed)).toBe(false);
    await clock.advance(50);
    expect(await failed).toMatchObject({ value: "new", state: "stale", ttlMs: 0 });
    expect(caches.map(({ storage }) => storage)).toContain((await failed).source);
    expect(seen("refresh-failed").length).toBe(1);
    expect(cache.stats(Item.node)).toMatchObject({ requestCount: 3, hitCount: 1, missCount: 2, staleCount: 1, loadSuccessCount: 2, loadFailureCount: 1 });
  });

  test.each([
    [WINDOW - 1, 0, true],
    [WINDOW, 0, false],
    [WINDOW - 50, 49, true],
    [WINDOW - 50, 50, false],
  ])("asked %s ms after its life, with a load that fails %s ms later, it counts when the load has failed (%s)", async (past, takes, served) => {
    const own = setUp();
    const { cache, clock, later } = own;
    const Item = counted<string>({
      caches,
      staleIfError: WINDOW,
      load: (_key, nth) => (nth === 1 ? "old" : later(takes, "").then(() => Promise.reject(DOWN))),
    });
    await aged(own, Item, TTL + past);
    const answer = cache.get(Item("a")).catch((error: unknown) => error);
    await clock.advance(takes);
    expect(await answer).toBe(served ? "old" : DOWN);
  });

  test("a load that runs into the hard timeout has failed as well", async () => {
    const own = setUp();
    const Item = counted<string>({ caches, staleIfError: WINDOW, hardTimeout: "1s", load: (_key, nth) => (nth === 1 ? "old" : own.later(60_000, "late")) });
    await aged(own, Item, TTL);
    const answer = own.cache.lookup(Item("a"));
    await own.clock.advance(1_000);
    expect(await answer).toMatchObject({ value: "old", state: "stale" });
    await own.clock.advance(WINDOW - 1_000);
    const last = failure(own.cache.get(Item("a")));
    await own.clock.advance(1_000);
    expect(isCacheError(await last, "ERR_LOAD_TIMEOUT")).toBe(true);
  });
});

describe("the two windows", () => {
  test("are of their own: past the shorter one a caller waits, and gets the old value if the load fails", async () => {
    const own = setUp();
    const { cache, clock } = own;
    const load = (_key: string, nth: number): string => {
      if (nth > 1) throw DOWN;
      return "old";
    };
    const Item = counted<string>({ staleWhileRevalidate: 1_000, staleIfError: WINDOW, load, caches: [LOCAL, FAR] });
    await aged(own, Item, TTL + 1_000);
    expect(await cache.lookup(Item("a"))).toMatchObject({ value: "old", state: "stale" });
    await clock.advance(WINDOW - 1_001);
    expect(await cache.get(Item("a"))).toBe("old");
    await clock.advance(1);
    expect(await failure(cache.get(Item("a")))).toBe(DOWN);
  });

  test("of 0 change nothing: the old value is gone with its life, and so is its memory", async () => {
    const storage = local();
    const clock = fakeClock();
    const { cache, events } = rig({ clock, storages: { local: storage } });
    const Item = counted({ staleWhileRevalidate: 0, staleIfError: 0 });
    await cache.get(Item("a"));
    await clock.advance(30_000);
    expect(await cache.lookup(Item("a"))).toMatchObject({ value: "a#2", state: "fresh", source: "load" });
    expect(cache.stats(Item.node)).toMatchObject({ staleCount: 0, hitCount: 0, missCount: 2 });
    expect([storage.size, events]).toEqual([1, []]);
  });

  test("keep a local copy no longer than the longer one", async () => {
    const storage = local();
    const clock = fakeClock();
    const { cache } = rig({ clock, storages: { local: storage } });
    const Item = counted({ staleWhileRevalidate: 1_000, staleIfError: 5_000, load: (_key, nth, { stale }) => `${nth} after ${stale ? "old" : "none"}` });
    await cache.get(Item("a"));
    await cache.get(Item("b"));
    await clock.advance(34_999);
    expect(await cache.get(Item("a"))).toBe("3 after old");
    await clock.advance(1);
    expect(await cache.get(Item("b"))).toBe("4 after none");
  });

  test("do not prolong a tier without end, nor one that stores nothing", async () => {
    const { cache, clock } = setUp();
    const Endless = counted({ caches: [{ storage: "local", ttl: null }], staleWhileRevalidate: WINDOW });
    const Never = counted({ caches: [{ storage: "local", ttl: 0 }], staleWhileRevalidate: WINDOW });
    await cache.getAll([Endless("a"), Never("a")]);
    await clock.advance(86_400_000);
    expect(await cache.lookup(Endless("a"))).toMatchObject({ value: "a#1", state: "fresh", ttlMs: null });
    expect(await cache.lookup(Never("a"))).toMatchObject({ value: "a#2", state: "fresh", source: "load" });
  });
});

describe("calls for many keys", () => {
  test("answer with what each key has: fresh, stale or loaded, duplicates included", async () => {
    const own = setUp();
    const { cache, clock } = own;
    const Item = counted({ caches: [LOCAL, FAR], staleWhileRevalidate: WINDOW });
    await aged(own, Item, TTL);
    await cache.get(Item("b"));
    const found = await cache.lookupAll(["a", "b", "c", "a"].map(Item));
    expect(found).toMatchObject([
      { value: "a#1", state: "stale", source: "local" },
      { value: "b#2", state: "fresh", source: "local" },
      { state: "fresh", source: "load" },
      { value: "a#1", state: "stale", source: "local" },
    ]);
    await clock.settle();
    expect(Item.loads.toSorted()).toEqual(["a", "a", "b", "c"]);
    expect(await cache.getAll(["a", "b", "c"].map(Item))).not.toContain("a#1");
    const { requestCount, hitCount, missCount, staleCount } = cache.stats(Item.node);
    expect({ requestCount, hitCount, missCount, staleCount }).toEqual({ requestCount: 9, hitCount: 6, missCount: 3, staleCount: 2 });
  });

  test("a memoized function serves its old results, and renews them by itself, not by the node's load", async () => {
    const { cache, clock } = setUp();
    const Item = counted({ caches: [LOCAL], staleWhileRevalidate: WINDOW });
    let calls = 0;
    const memoized = cache.memoize(Item, (key) => `${key} by call ${++calls}`);
    await memoized.all([["a"], ["b"]]);
    await clock.advance(TTL);
    expect(await memoized.all([["a"], ["b"]])).toEqual(["a by call 1", "b by call 2"]);
    await clock.settle();
    expect(await memoized("a")).toBe("a by call 3");
    expect([calls, Item.loads]).toEqual([4, []]);
  });

  test.each([
    ["local", [LOCAL]],
    ["far", [FAR]],
  ] as const)("renew old values of a %s tier at most loadConcurrency at a time", async (_name, caches) => {
    const { cache, clock, later } = setUp();
    let open = 0;
    let most = 0;
    const load = async (): Promise<string> => {
      most = Math.max(most, ++open);
      await later(10, undefined);
      open--;
      return "value";
    };
    const Item = counted<string>({ caches, staleWhileRevalidate: "1h", loadConcurrency: 3, load });
    const keys = Array.from({ length: 20 }, (_, index) => Item(`${index}`));
    const first = cache.getAll(keys);
    await clock.advance(100);
    await first;
    await clock.advance(TTL);
    expect(await cache.lookupAll(keys)).toEqual(Array.from(keys, () => expect.objectContaining({ state: "stale" })));
    await clock.advance(100);
    expect([Item.loads.length, most]).toEqual([40, 3]);
  });

  test("renew old values with one loadAll", async () => {
    const { cache, clock } = setUp();
    const lists: (readonly string[])[] = [];
    const Item = counted<string>({
      caches: [LOCAL],
      staleWhileRevalidate: WINDOW,
      load: () => "unused",
      loadAll: (keys) => {
        lists.push(keys);
        return keys.map((key) => `${key} of ${lists.length}`);
      },
    });
    await cache.getAll(["a", "b"].map(Item));
    await clock.advance(TTL);
    expect(await cache.getAll(["a", "b"].map(Item))).toEqual(["a of 1", "b of 1"]);
    await clock.settle();
    expect(lists).toEqual([
      ["a", "b"],
      ["a", "b"],
    ]);
  });
});

describe("softTimeout", () => {
  const rules = { staleIfError: WINDOW, softTimeout: "1s", hardTimeout: "10s" } as const;

  test.each(CHAINS)("serves the old value of $name once the load takes long, and the load's value lands for those who come later", async ({ caches }) => {
    const own = setUp();
    const { cache, clock, later, inFlight } = own;
    const Item = counted<string>({ ...rules, caches, load: (_key, nth) => (nth === 1 ? "old" : later(3_000, "new")) });
    await aged(own, Item, TTL);
    const [one, two] = [cache.lookup(Item("a")), cache.lookup(Item("a"))];
    await clock.advance(999);
    expect(await isSettled(one)).toBe(false);
    await clock.advance(1);
    expect(await one).toMatchObject({ value: "old", state: "stale" });
    expect(await two).toMatchObject({ value: "old", state: "stale", collapsed: true });
    await clock.advance(500);
    expect(await cache.lookup(Item("a"))).toMatchObject({ value: "old", state: "stale", collapsed: true });
    await clock.advance(1_500);
    expect(await cache.lookup(Item("a"))).toMatchObject({ value: "new", state: "fresh" });
    await clock.settle();
    expect([Item.loads.length, inFlight(), clock.pending]).toEqual([2, 0, 0]);
  });

  test("without an old value everybody waits for the load, up to the hard timeout", async () => {
    const { cache, clock, later } = setUp();
    const Item = counted<string>({ ...rules, caches: [LOCAL, FAR], load: (_key, nth) => later(nth === 1 ? 3_000 : 60_000, "new") });
    const first = cache.get(Item("a"));
    await clock.advance(2_999);
    expect(await isSettled(first)).toBe(false);
    await clock.advance(1);
    expect(await first).toBe("new");
    const second = failure(cache.get(Item("b")));
    await clock.advance(10_000);
    expect(isCacheError(await second, "ERR_LOAD_TIMEOUT")).toBe(true);
    expect(clock.pending).toBe(1);
  });

  test("a load that fails after the old value was served is reported, and those who wait for it have the old value while it may be served", async () => {
    const own = setUp();
    const { cache, clock, later, seen } = own;
    const Item = counted<string>({ ...rules, caches: [FAR], load: (_key, nth) => (nth === 1 ? "old" : later(60_000, "never")) });
    await aged(own, Item, TTL);
    const early = cache.get(Item("a"));
    await clock.advance(1_000);
    expect(await early).toBe("old");
    await clock.advance(WINDOW - 1_000);
    const late = failure(cache.get(Item("a")));
    await clock.advance(5_000);
    expect(isCacheError(await late, "ERR_LOAD_TIMEOUT")).toBe(true);
    expect(seen("refresh-failed").length).toBe(1);
  });

  test("an old value whose window ends before the soft timeout is not served by it", async () => {
    const own = setUp();
    const Item = counted<string>({ ...rules, caches: [LOCAL], load: (_key, nth) => (nth === 1 ? "old" : own.later(3_000, "new")) });
    await aged(own, Item, TTL + WINDOW - 1_000);
    const answer = own.cache.lookup(Item("a"));
    await own.clock.advance(2_999);
    expect(await isSettled(answer)).toBe(false);
    await own.clock.advance(1);
    expect(await answer).toMatchObject({ value: "new", state: "fresh" });
  });
});

describe("a stale copy", () => {
  test.each([
    ["near", [NEAR, { storage: "far", ttl: "1h" }]],
    ["local", [LOCAL, { storage: "far", ttl: "1h" }]],
  ] as const)("in the %s tier is no answer of a flight while a tier to its right is fresh", async (left, caches) => {
    const own = setUp();
    const { cache } = own;
    const Item = counted({ caches, staleIfError: WINDOW });
    await aged(own, Item, TTL);
    expect(await cache.lookup(Item("a"))).toMatchObject({ value: "a#1", source: "far", state: "fresh", ageMs: TTL });
    await cache.flush();
    expect(await cache.lookup(Item("a"))).toMatchObject({ value: "a#1", source: left, state: "fresh" });
    expect(Item.loads.length).toBe(1);
  });

  test("in a remote tier is no answer either while one to its right is fresh, though it might be served at once", async () => {
    const own = setUp();
    const Item = counted({ caches: [NEAR, { storage: "far", ttl: "1h" }], staleWhileRevalidate: WINDOW });
    await aged(own, Item, TTL);
    expect(await own.cache.lookup(Item("a"))).toMatchObject({ source: "far", state: "fresh" });
  });

  test("in a local tier is served at once, and renewed from the remote tier that is fresh, without a load", async () => {
    const own = setUp();
    const { cache, clock } = own;
    const Item = counted({ caches: [LOCAL, { storage: "far", ttl: "1h" }], staleWhileRevalidate: WINDOW });
    await aged(own, Item, TTL);
    expect(await cache.lookup(Item("a"))).toMatchObject({ source: "local", state: "stale" });
    await clock.settle();
    expect(await cache.lookup(Item("a"))).toMatchObject({ source: "local", state: "fresh", ageMs: TTL });
    expect(Item.loads.length).toBe(1);
  });

  test("is never back-filled: neither into a local tier nor into a remote one to its left", async () => {
    const own = setUp();
    const { cache, clock, near, far } = own;
    const Item = counted<string>({
      caches: [{ storage: "local", ttl: "1m" }, { storage: "near", ttl: "1m" }, FAR],
      staleWhileRevalidate: "1h",
      load: (_key, nth) => (nth === 1 ? "old" : Promise.reject(DOWN)),
    });
    await aged(own, Item, TTL);
    near.slots.clear();
    const other = own.isolate();
    for (let round = 1; round <= 3; round++) {
      expect(await other.cache.lookup(Item("a"))).toMatchObject({ value: "old", source: "far", state: "stale" });
      await clock.settle();
      expect(other.cache.peek(Item("a"))).toBe(undefined);
      expect([near.slots.size, far.log.filter(({ method }) => method === "write").length]).toEqual([0, 1]);
    }
    expect(await cache.get(Item("a"))).toBe("old");
  });

  test("that is newer wins over an older one, and its age is told", async () => {
    const { cache, clock, far, isolate } = setUp();
    const Item = counted<string>({ caches: [LOCAL, FAR], staleIfError: WINDOW, load: (_key, nth) => (nth <= 2 ? `v${nth}` : Promise.reject(DOWN)) });
    await cache.get(Item("a"));
    await clock.settle();
    far.slots.clear();
    await clock.advance(1_000);
    await isolate().cache.get(Item("a"));
    await clock.advance(TTL);
    expect(await cache.lookup(Item("a"))).toMatchObject({ value: "v2", source: "far", state: "stale", ageMs: TTL });
  });

  test("in the first of two local tiers is no answer while the second is fresh", async () => {
    const clock = fakeClock();
    const caches = [
      { storage: "local", ttl: "10s" },
      { storage: "wide", ttl: "60s" },
    ] as const;
    const Item = counted<string>({
      caches,
      staleWhileRevalidate: "1h",
      refreshAhead: { beta: 1 },
      load: (_key, nth) => new Promise((resolve) => void clock.setTimeout(() => resolve(`v${nth}`), 1_500)),
    });
    const { cache } = rig({ clock, storages: { local: local(), wide: local() } });
    const first = cache.get(Item("a"));
    await clock.advance(1_500);
    await first;
    // The second copy has begun to fade, 55 s before its end: it is no ordinary hit any more, and still fresh.
    await clock.advance(20_000);
    expect(await cache.lookup(Item("a"))).toMatchObject({ value: "v1", source: "wide", state: "fresh" });
  });

  test("of another isolate's tier is offered to the load, and counts as no strange key", async () => {
    const { cache, clock, isolate } = setUp();
    const Item = counted({
      caches: [LOCAL, FAR],
      staleWhileRevalidate: WINDOW,
      load: (_key, nth, { stale }) => `${nth} after ${stale?.value} of ${stale?.ageMs}`,
    });
    await cache.get(Item("a"));
    await clock.advance(TTL);
    const other = isolate();
    await other.cache.get(Item("a"));
    await clock.settle();
    expect(await other.cache.get(Item("a"))).toBe(`2 after 1 after undefined of undefined of ${TTL}`);
  });
});

describe("what forbids an old value", () => {
  const load = (_key: string, nth: number): string | Promise<string> => (nth === 1 ? "old" : Promise.reject(DOWN));
  const tags = (): string[] => ["group"];

  test.each([
    ["invalidate", (cache: Cache, Item: Counted<string>) => cache.invalidate(Item("a"))],
    ["invalidateNode", (cache: Cache, Item: Counted<string>) => cache.invalidateNode(Item.node)],
    ["invalidateTags", (cache: Cache) => cache.invalidateTags("group")],
  ] as const)("%s by another isolate, as soon as this one has read about it", async (_name, change) => {
    const own = setUp();
    const Item = counted<string>({ caches: [LOCAL, FAR], staleIfError: WINDOW, tags, load });
    await aged(own, Item, TTL);
    await change(own.isolate().cache, Item);
    expect(await failure(own.cache.get(Item("a")))).toBe(DOWN);

    const Quick = counted<string>({ caches: [LOCAL, FAR], staleWhileRevalidate: WINDOW, tags, load });
    await aged(own, Quick, TTL);
    await change(own.isolate().cache, Quick);
    // Nothing has told this isolate yet; the load that the old value's reader began in the background reads of it.
    expect(await own.cache.get(Quick("a"))).toBe("old");
    await own.clock.settle();
    expect(await failure(own.cache.get(Quick("a")))).toBe(DOWN);
  });

  test.each([
    ["invalidate", (cache: Cache, Item: Counted<string>) => cache.invalidate(Item("a"))],
    ["invalidateNode", (cache: Cache, Item: Counted<string>) => cache.invalidateNode(Item.node)],
    ["invalidateTags", (cache: Cache) => cache.invalidateTags("group")],
  ] as const)("%s by this isolate, in every tier and at once", async (_name, change) => {
    for (const { caches } of CHAINS) {
      if (caches[0]?.storage === "weak") continue;
      const own = setUp();
      const Item = counted<string>({ caches, staleWhileRevalidate: WINDOW, staleIfError: WINDOW, tags, load });
      await aged(own, Item, TTL);
      await change(own.cache, Item);
      expect(await failure(own.cache.get(Item("a")))).toBe(DOWN);
      expect(await failure(own.cache.getAll([Item("a")]))).toBe(DOWN);
    }
  });

  test.each([
    ["invalidate", (cache: Cache, Item: Counted<string>) => cache.invalidate(Item("a"))],
    ["invalidateNode", (cache: Cache, Item: Counted<string>) => cache.invalidateNode(Item.node)],
    ["invalidateTags", (cache: Cache) => cache.invalidateTags("group")],
    ["set", (cache: Cache, Item: Counted<string>) => cache.set(Item("a"), "set")],
  ] as const)("%s by this isolate while a load goes on in the background: its value lands nowhere, the old one is gone", async (name, change) => {
    const own = setUp();
    const { cache, clock, later } = own;
    const answers = [() => "old", () => later(1_000, "too old")];
    const Item = counted<string>({ caches: [LOCAL, FAR], staleWhileRevalidate: WINDOW, tags, load: (_key, nth) => answers[nth - 1]?.() ?? "new" });
    await aged(own, Item, TTL);
    expect(await cache.get(Item("a"))).toBe("old");
    await change(cache, Item);
    const after = name === "set" ? "set" : "new";
    expect(await cache.get(Item("a"))).toBe(after);
    await clock.advance(1_000);
    await clock.settle();
    expect(await cache.get(Item("a"))).toBe(after);
    expect(await own.isolate().cache.get(Item("a"))).toBe(after);
  });

  test("a refresh that replaced it; one that failed leaves it to be served", async () => {
    const own = setUp();
    const answers = ["old", undefined, "new"];
    const Item = counted<unknown>({
      caches: [LOCAL, FAR],
      staleWhileRevalidate: WINDOW,
      load: (_key, nth) => (nth === 2 ? Promise.reject(DOWN) : answers[nth - 1]),
    });
    await aged(own, Item, TTL);
    expect(await failure(own.cache.refresh(Item("a")))).toBe(DOWN);
    expect(own.cache.peek(Item("a"))).toBe(undefined);
    expect(await own.cache.refresh(Item("a"))).toBe("new");
    expect(await own.cache.lookup(Item("a"))).toMatchObject({ value: "new", state: "fresh" });
  });

  test("a tombstone in one tier forbids the copies of the others, left and right", async () => {
    for (const cleared of ["near", "far"] as const) {
      const own = setUp();
      const Item = counted<string>({ caches: [NEAR, FAR], staleIfError: WINDOW, load });
      await aged(own, Item, TTL);
      const [slot] = [...own[cleared].slots];
      const graveyard = setUp();
      await graveyard.cache.invalidate(counted({ name: Item.node.name, allowRedefine: true, caches: [FAR] })("a"));
      const [tombstone] = [...graveyard.far.slots.values()];
      if (slot && tombstone) own[cleared].slots.set(slot[0], { bytes: tombstone.bytes, expiresAt: Number.POSITIVE_INFINITY });
      expect(await failure(own.cache.get(Item("a")))).toBe(DOWN);
    }
  });

  test("maxAge: an older copy is no answer, neither at once nor for an error", async () => {
    for (const caches of [[LOCAL], [FAR], [LOCAL, FAR]]) {
      const own = setUp();
      const Item = counted<string>({ caches, staleWhileRevalidate: WINDOW, load });
      await aged(own, Item, TTL + 1);
      expect(await own.cache.get(Item("a"), { maxAge: TTL + 1 })).toBe("old");
      await own.clock.settle();
      expect(await failure(own.cache.get(Item("a"), { maxAge: TTL }))).toBe(DOWN);
    }
  });

  test("maxAge of one who joins a load in the background: it waits for that load, and starts no other", async () => {
    for (const runtime of [SHARED, REQUESTS]) {
      const own = setUp(runtime);
      const { cache, clock, later } = own;
      const Item = counted<string>({ caches: [FAR], staleWhileRevalidate: WINDOW, load: (_key, nth) => (nth === 1 ? "old" : later(50, "new")) });
      await aged(own, Item, TTL);
      const [any, young] = [cache.get(Item("a")), cache.get(Item("a"), { maxAge: "1s" })];
      expect(await any).toBe("old");
      expect(await isSettled(young)).toBe(false);
      await clock.advance(50);
      expect([await young, Item.loads.length]).toEqual(["new", 2]);
    }
  });

  test("a view that comes after an invalidation: its local copies, for what the token names and nothing else", async () => {
    const own = setUp();
    const { cache, isolate } = own;
    const Item = counted({ caches: [LOCAL], staleWhileRevalidate: WINDOW });
    await cache.getAll([Item("a"), Item("b")]);
    await own.clock.advance(TTL);
    const view = cache.with({ after: await isolate().cache.invalidate(Item("a")) });
    expect(await view.lookupAll([Item("a"), Item("b")])).toMatchObject([
      { value: "a#3", source: "load" },
      { value: "b#2", state: "stale" },
    ]);
  });

  test("a view that comes after an invalidation, also where another caller is served the old copy while a load goes on", async () => {
    for (const runtime of [SHARED, REQUESTS]) {
      for (const softTimeout of [undefined, 10]) {
        const own = setUp(runtime);
        const { cache, clock, later, isolate } = own;
        const window = softTimeout === undefined ? { staleWhileRevalidate: WINDOW } : { staleIfError: WINDOW, softTimeout };
        const Item = counted<string>({
          caches: [LOCAL, { storage: "weak", ttl: TTL }],
          ...window,
          load: (_key, nth) => (nth === 1 ? "old" : later(50, "new")),
        });
        await aged(own, Item, TTL);
        const view = cache.with({ after: await isolate().cache.invalidate(Item("a")) });
        const [any, after] = [cache.get(Item("a")), view.lookup(Item("a"))];
        await clock.advance(10);
        expect(await any).toBe("old");
        const late = view.get(Item("a"));
        await clock.advance(50);
        expect([await after, await late]).toMatchObject([{ value: "new", state: "fresh" }, "new"]);
        expect(Item.loads.length).toBe(2);
      }
    }
  });
});

describe("where requests own their I/O", () => {
  test.each([
    ["local", [LOCAL]],
    ["far", [FAR]],
  ] as const)("the load that renews an old value of a %s tier is handed to waitUntil", async (_name, caches) => {
    const own = setUp(REQUESTS);
    const { cache, clock, later } = own;
    const Item = counted<string>({ caches, staleWhileRevalidate: WINDOW, load: (_key, nth) => (nth === 1 ? "old" : later(500, "new")) });
    await aged(own, Item, TTL);
    const kept: Promise<unknown>[] = [];
    const view = cache.with({ waitUntil: (promise) => void kept.push(promise) });
    expect(await view.get(Item("a"))).toBe("old");
    expect(await isSettled(Promise.all(kept))).toBe(false);
    expect(kept.length).toBe(1);
    await clock.advance(500);
    await Promise.all(kept);
    expect(await cache.lookup(Item("a"))).toMatchObject({ value: "new", state: "fresh" });
    expect(clock.pending).toBe(0);
  });

  test.each(CHAINS)("without waitUntil an old value of $name is renewed while the caller waits, and served if that fails", async ({ caches }) => {
    const own = setUp(NO_WAIT);
    const { cache, clock, later, seen } = own;
    const Item = counted<string>({
      caches,
      staleWhileRevalidate: WINDOW,
      softTimeout: 100,
      load: (_key, nth) => (nth === 1 ? "old" : nth === 2 ? later(300, "new") : Promise.reject(DOWN)),
    });
    await aged(own, Item, TTL);
    const answer = cache.lookup(Item("a"));
    await clock.advance(299);
    expect(await isSettled(answer)).toBe(false);
    await clock.advance(1);
    expect(await answer).toMatchObject({ value: "new", state: "fresh", source: "load" });
    expect(seen("no-wait-until").length).toBe(1);
    await clock.advance(TTL);
    expect(await cache.lookup(Item("a"))).toMatchObject({ value: "new", state: "stale" });
    await clock.settle();
    expect(clock.pending).toBe(0);
  });

  test("a request that dies while it loads in the background is taken over, and until then the old value goes on to be served", async () => {
    for (const caches of [[LOCAL], [FAR]]) {
      const own = setUp(REQUESTS);
      const { cache, clock, inFlight } = own;
      const Item = counted<string>({
        caches,
        staleWhileRevalidate: WINDOW,
        load: (_key, nth) => (nth === 1 ? "old" : nth === 2 ? new Promise<string>(() => undefined) : "new"),
      });
      await aged(own, Item, TTL);
      const dying = clock.killed(() => cache.with({}).get(Item("a")));
      expect(await dying).toBe("old");
      await clock.advance(1_000);
      expect(await cache.lookup(Item("a"))).toMatchObject({ value: "old", state: "stale" });
      expect(Item.loads.length).toBe(2);
      await clock.advance(400);
      expect(await cache.get(Item("a"))).toBe("old");
      await clock.advance(100);
      expect(await cache.get(Item("a"))).toBe("new");
      expect([Item.loads.length, inFlight()]).toEqual([3, 0]);
    }
  });

  test("who waits for such a dead load, past the window, takes over within a lease", async () => {
    const own = setUp(REQUESTS);
    const { cache, clock } = own;
    const Item = counted<string>({
      caches: [FAR],
      staleWhileRevalidate: 500,
      load: (_key, nth) => (nth === 1 ? "old" : nth === 2 ? new Promise<string>(() => undefined) : "new"),
    });
    await aged(own, Item, TTL);
    expect(await clock.killed(() => cache.get(Item("a")))).toBe("old");
    await clock.advance(500);
    const waiting = cache.get(Item("a"));
    await clock.advance(500);
    expect(await waiting).toBe("new");
  });
});

describe("flush", () => {
  test("waits for the loads that this view runs in the background", async () => {
    const own = setUp();
    const { cache, clock, later, far } = own;
    const Item = counted<string>({ caches: [LOCAL, FAR], staleWhileRevalidate: WINDOW, load: (_key, nth) => (nth === 1 ? "old" : later(500, "new")) });
    await aged(own, Item, TTL);
    const view = cache.with({});
    expect(await view.get(Item("a"))).toBe("old");
    expect(await isSettled(cache.flush())).toBe(true);
    const flushed = view.flush();
    await clock.advance(499);
    expect(await isSettled(flushed)).toBe(false);
    await clock.advance(1);
    await flushed;
    expect([cache.peek(Item("a")), far.calls.write]).toEqual(["new", 2]);
  });
});

describe("a doorkeeper", () => {
  test.each([
    ["local", [LOCAL]],
    ["far", [FAR]],
  ] as const)("lets the renewal of an old value of a %s tier pass", async (_name, caches) => {
    const own = setUp();
    const { cache, clock } = own;
    let strange = false;
    const doorkeeper = { guards: "all", admit: () => !strange } as const;
    const Item = counted({ caches, staleWhileRevalidate: WINDOW, staleIfError: 2 * WINDOW, doorkeeper });
    await aged(own, Item, TTL);
    strange = true;
    expect(await cache.get(Item("a"))).toBe("a#1");
    await clock.settle();
    expect(await cache.lookup(Item("a"))).toMatchObject({ value: "a#2", state: "fresh" });
    await clock.advance(TTL + WINDOW);
    expect(await cache.lookup(Item("a"))).toMatchObject({ value: "a#3", source: "load" });
    await clock.settle();
    expect(await cache.lookup(Item("a"))).toMatchObject({ value: "a#3", source: caches[0].storage });
  });

  test("has nothing to do with a value that no tier has: the first arrival is not stored", async () => {
    const { cache } = setUp();
    const Item = counted({ caches: [LOCAL], staleWhileRevalidate: WINDOW, doorkeeper: bloomFilter({ capacity: 100, falsePositiveRate: 0.01 }) });
    await cache.get(Item("a"));
    expect(cache.peek(Item("a"))).toBe(undefined);
  });
});

describe("clone", () => {
  interface Tree {
    readonly leaves: number[];
  }
  const load = (_key: string, nth: number): Tree => ({ leaves: [nth] });

  test.each(CHAINS)("freeze protects the old value of $name from those who share it", async ({ caches }) => {
    const own = setUp();
    const Item = counted<Tree>({ caches, clone: "freeze", staleWhileRevalidate: WINDOW, load });
    await own.cache.get(Item("a"));
    await own.clock.advance(TTL);
    const shared = await Promise.all([own.cache.get(Item("a")), own.cache.get(Item("a"))]);
    for (const tree of shared) expect(() => tree.leaves.push(9)).toThrow(TypeError);
  });

  test.each(CHAINS)("structured gives each caller and the loader a copy of the old value of $name", async ({ caches }) => {
    const own = setUp();
    const { cache, clock } = own;
    const Item = counted<Tree>({
      caches,
      clone: "structured",
      staleWhileRevalidate: WINDOW,
      load: (_key, nth, { stale }) => {
        const old: unknown = stale?.value;
        if (typeof old === "object" && old !== null) Reflect.set(old, "leaves", "broken");
        return nth === 1 ? { leaves: [1] } : Promise.reject(DOWN);
      },
    });
    await cache.get(Item("a"));
    await clock.advance(TTL);
    const trees = await Promise.all([cache.get(Item("a")), cache.get(Item("a"))]);
    for (const tree of trees) {
      expect(tree.leaves).toEqual([1]);
      tree.leaves.push(9);
    }
    await clock.settle();
    expect((await cache.get(Item("a"))).leaves).toEqual([1]);
  });

  test.each(["staleWhileRevalidate", "staleIfError"] as const)(
    "structured of an old value that cannot be cloned (%s) passes over it, and hangs nobody",
    async (window) => {
      const { cache, clock, inFlight } = setUp();
      const validate: StandardSchema = { "~standard": { version: 1, vendor: "test", validate: () => ({ value: { run: () => 1 } }) } };
      const Item = counted<Tree>({ caches: [FAR], clone: "structured", [window]: WINDOW, validate, load });
      await cache.get(Item("a"));
      await clock.advance(TTL);
      const answer = cache.get(Item("a"));
      expect(await isSettled(answer)).toBe(true);
      expect(await answer).toEqual({ leaves: [2] });
      expect(inFlight()).toBe(0);
    },
  );
});
