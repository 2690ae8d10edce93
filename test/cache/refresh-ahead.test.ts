/** Lives that are not the tier's ttl: renewed early by chance (XFetch), spread by jitter, decided from the value by `ttlFor`. */

import { afterEach, describe, expect, test, vi } from "vitest";
import { local } from "../../src/local/local.ts";
import type { Duration } from "../../src/duration.ts";
import { createRandom } from "../../testing/random.ts";
import type { Counted } from "../support/rig.ts";
import { fakeClock } from "../support/fake-clock.ts";
import { counted, REQUESTS, rig, SHARED } from "../support/rig.ts";
import { puppet } from "../support/storages.ts";

const TTL = 60_000;
const LOCAL = [{ storage: "local", ttl: TTL }] as const;
const FAR = [{ storage: "far", ttl: TTL }] as const;
const BOTH = [...LOCAL, ...FAR] as const;

afterEach(() => {
  vi.restoreAllMocks();
});

/** Chance that depends on the seed alone. */
function seeded(seed: number): void {
  vi.spyOn(Math, "random").mockImplementation(createRandom(seed));
}

/** Chance that always says the same; `u = 1 - said` is what XFetch takes the logarithm of. */
function always(said: number): void {
  vi.spyOn(Math, "random").mockReturnValue(said);
}

function setUp(runtime = SHARED) {
  const clock = fakeClock();
  const far = puppet({ clock });
  const isolate = () => rig({ runtime, clock, storages: { local: local(), far } });
  const later = <Value>(ms: number, value: Value) => new Promise<Value>((resolve) => void clock.setTimeout(() => resolve(value), ms));
  return { ...isolate(), isolate, far, later };
}

describe("refreshAhead", () => {
  const LOAD_MS = 1_000;
  const KEYS = 2_000;

  /** The share of keys that are renewed by one read, with `leftMs` to live after a load of 1 s. */
  async function shareRenewed(caches: typeof LOCAL | typeof FAR | typeof BOTH, beta: number, leftMs: number): Promise<number> {
    const { cache, clock, later } = setUp();
    const Item = counted<string>({ caches, refreshAhead: { beta }, loadConcurrency: KEYS, load: (key, nth) => later(LOAD_MS, `${key}#${nth}`) });
    const keys = Array.from({ length: KEYS }, (_, index) => Item(`${index}`));
    const first = cache.getAll(keys);
    await clock.advance(LOAD_MS);
    await first;
    await clock.settle();
    // A local life counts from before the load, a remote one from when the slot was written.
    const [{ storage }] = caches;
    await clock.advance(TTL - leftMs - (storage === "local" ? LOAD_MS : 0));
    seeded(1);
    const found = await cache.lookupAll(keys);
    expect(new Set(found.map((one) => ("error" in one ? "error" : `${one.state} in ${one.source}`)))).toEqual(new Set([`fresh in ${storage}`]));
    await clock.settle();
    return (Item.loads.length - KEYS) / KEYS;
  }

  test.each([
    [LOCAL, 1, 500],
    [LOCAL, 1, 1_000],
    [LOCAL, 1, 3_000],
    [LOCAL, 3, 3_000],
    [LOCAL, 0.5, 500],
    [FAR, 1, 1_000],
    [FAR, 2, 1_000],
    [FAR, 1, 4_000],
  ] as const)("of %j with beta %s renews what has %s ms left as often as exp(-left / (beta * load time)) says", async (caches, beta, leftMs) => {
    const expected = Math.exp(-leftMs / (beta * LOAD_MS));
    // Four standard deviations of a binomial share; the seed is fixed, so it either holds or does not.
    const bound = 4 * Math.sqrt((expected * (1 - expected)) / KEYS);
    expect(Math.abs((await shareRenewed(caches, beta, leftMs)) - expected)).toBeLessThan(bound);
  });

  test("over a local and a remote tier of one ttl renews as often as over one: one throw of the dice counts for both", async () => {
    // The remote copy was written a load time later and has that much more to live, and the draw has to reach it.
    const expected = Math.exp(-(500 + LOAD_MS) / LOAD_MS);
    const bound = 4 * Math.sqrt((expected * (1 - expected)) / KEYS);
    expect(Math.abs((await shareRenewed(BOTH, 1, 500)) - expected)).toBeLessThan(bound);
  });

  test("renews nothing of which the load took no time, nor what was set", async () => {
    const { cache, clock } = setUp();
    const Item = counted({ caches: BOTH, refreshAhead: { beta: 1_000 } });
    await cache.get(Item("a"));
    await cache.set(Item("b"), "set");
    await clock.advance(TTL - 1);
    always(1 - 2 ** -53);
    expect(await cache.getAll([Item("a"), Item("b")])).toEqual(["a#1", "set"]);
    await clock.settle();
    expect(Item.loads).toEqual(["a"]);
  });

  test("answers with the value that is still fresh, says so, and renews it once in the background for all who ask meanwhile", async () => {
    const { cache, clock, later, seen } = setUp();
    const Item = counted<string>({ caches: BOTH, refreshAhead: { beta: 1 }, load: (key, nth) => later(100, `${key}#${nth}`) });
    const first = cache.get(Item("a"));
    await clock.advance(100);
    await first;
    await clock.advance(TTL - 1_000);
    always(1 - 2 ** -53);
    expect(await cache.lookup(Item("a"))).toMatchObject({ value: "a#1", state: "fresh", source: "local", ttlMs: 900 });
    expect(await cache.getAll([Item("a"), Item("a")])).toEqual(["a#1", "a#1"]);
    await clock.advance(100);
    await clock.settle();
    always(0);
    expect(await cache.lookup(Item("a"))).toMatchObject({ value: "a#2", state: "fresh", ageMs: 100, ttlMs: TTL - 100 });
    expect(cache.stats(Item.node)).toMatchObject({ requestCount: 5, hitCount: 4, missCount: 1, staleCount: 0, loadCount: 2 });
    expect([Item.loads.length, seen("refresh-failed").length]).toEqual([2, 0]);
  });

  test("by the cost that is written beside a remote entry, also in an isolate that never loaded it", async () => {
    const { cache, clock, later, isolate } = setUp();
    const Item = counted<string>({ caches: FAR, refreshAhead: { beta: 1 }, load: (key, nth) => later(nth === 1 ? 2_000 : 1, `${key}#${nth}`) });
    const first = cache.get(Item("a"));
    await clock.advance(2_000);
    await first;
    await clock.settle();
    const draw = 1 - Math.exp(-1.5);
    await clock.advance(TTL - 3_001);
    always(draw);
    const other = isolate();
    expect(await other.cache.lookup(Item("a"))).toMatchObject({ value: "a#1", source: "far", state: "fresh", ttlMs: 3_001 });
    await clock.advance(2);
    expect(Item.loads.length).toBe(1);
    expect(await other.cache.lookup(Item("a"))).toMatchObject({ value: "a#1", source: "far", state: "fresh", ttlMs: 2_999 });
    await clock.advance(1);
    await clock.settle();
    expect(await other.cache.lookup(Item("a"))).toMatchObject({ value: "a#2", source: "far", state: "fresh" });
    expect(other.cache.stats(Item.node)).toMatchObject({
      requestCount: 3,
      hitCount: 3,
      missCount: 0,
      loadCount: 1,
      tiers: { far: { hitCount: 3, missCount: 0 } },
    });
  });

  test("a renewal that fails leaves the value to its end, and is reported", async () => {
    for (const caches of [LOCAL, FAR, BOTH]) {
      const { cache, clock, later, seen } = setUp();
      const Item = counted<string>({
        caches,
        refreshAhead: { beta: 1 },
        load: (_key, nth) => later(1_000, "value").then((value) => (nth === 1 ? value : Promise.reject(new Error("down")))),
      });
      const first = cache.get(Item("a"));
      await clock.advance(1_000);
      await first;
      await clock.settle();
      await clock.advance(TTL - 2_500);
      always(1 - 2 ** -53);
      expect(await cache.get(Item("a"))).toBe("value");
      await clock.advance(1_000);
      expect(seen("refresh-failed").length).toBe(1);
      expect(await cache.lookup(Item("a"))).toMatchObject({ value: "value", state: "fresh" });
      vi.restoreAllMocks();
    }
  });

  test("a copy that is stale in the local tier and due in the remote one is answered as the fresh one it is there", async () => {
    const { cache, clock, later } = setUp();
    const Item = counted<string>({
      caches: [{ storage: "local", ttl: 10_000 }, ...FAR],
      refreshAhead: { beta: 1 },
      staleIfError: TTL,
      load: (key, nth) => later(1_000, `${key}#${nth}`),
    });
    const first = cache.get(Item("a"));
    await clock.advance(1_000);
    await first;
    await clock.settle();
    await clock.advance(TTL - 2_000);
    always(1 - 2 ** -53);
    expect(await cache.lookup(Item("a"))).toMatchObject({ value: "a#1", source: "far", state: "fresh", ttlMs: 2_000 });
    await clock.advance(1_000);
    await clock.settle();
    expect(Item.loads.length).toBe(2);
  });

  test("renews nothing early where nothing outlives the answer", async () => {
    for (const caches of [LOCAL, FAR]) {
      const { cache, clock, later } = setUp({ ...REQUESTS, waitUntil: undefined });
      const Item = counted<string>({ caches, refreshAhead: { beta: 1 }, load: (key, nth) => later(1_000, `${key}#${nth}`) });
      const first = cache.get(Item("a"));
      await clock.advance(1_000);
      await first;
      await clock.advance(TTL - 1_001);
      always(1 - 2 ** -53);
      expect(await cache.lookup(Item("a"))).toMatchObject({ value: "a#1", state: "fresh" });
      await clock.settle();
      expect(Item.loads.length).toBe(1);
      vi.restoreAllMocks();
    }
  });

  test("does not renew a value without end", async () => {
    const { cache, clock, later } = setUp();
    const caches = [
      { storage: "local", ttl: null },
      { storage: "far", ttl: null },
    ] as const;
    const Item = counted<string>({ caches, refreshAhead: { beta: 1 }, load: (key, nth) => later(1_000, `${key}#${nth}`) });
    const first = cache.get(Item("a"));
    await clock.advance(1_000);
    await first;
    always(1 - 2 ** -53);
    await clock.advance(10 * 365 * 86_400_000);
    expect(await cache.lookup(Item("a"))).toMatchObject({ value: "a#1", state: "fresh", ttlMs: null });
    await clock.settle();
    expect(Item.loads.length).toBe(1);
  });
});

describe("jitter", () => {
  const KEYS = 1_000;

  test.each([
    ["local", LOCAL],
    ["far", FAR],
  ] as const)("spreads the ends of lives in a %s tier evenly over its share, and never beyond the ttl", async (_name, caches) => {
    const { cache, clock } = setUp();
    const Item = counted({ caches, jitter: 0.25 });
    const keys = Array.from({ length: KEYS }, (_, index) => Item(`${index}`));
    seeded(2);
    await cache.getAll(keys);
    await clock.settle();
    const lives = (await cache.lookupAll(keys)).map((found) => ("error" in found ? undefined : found.ttlMs) ?? 0);
    expect(Math.min(...lives)).toBeGreaterThan(0.75 * TTL);
    expect(Math.max(...lives)).toBeLessThanOrEqual(TTL);
    for (let part = 0; part < 5; part++) {
      const [from, to] = [0.75 + part * 0.05, 0.8 + part * 0.05].map((share) => share * TTL);
      const share = lives.filter((life) => life > (from ?? 0) && life <= (to ?? 0)).length / KEYS;
      // Four standard deviations around a fifth.
      expect(Math.abs(share - 0.2)).toBeLessThan(4 * Math.sqrt((0.2 * 0.8) / KEYS));
    }
  });

  test("ends a life when it says so, in set and refresh as in a load", async () => {
    for (const caches of [LOCAL, FAR]) {
      const { cache, clock } = setUp();
      const Item = counted({ caches, jitter: 0.5 });
      always(0.5);
      await cache.get(Item("got"));
      await cache.set(Item("set"), "set");
      await cache.refresh(Item("refreshed"));
      await clock.settle();
      const keys = ["got", "set", "refreshed"].map(Item);
      expect(await cache.lookupAll(keys)).toEqual(Array.from(keys, () => expect.objectContaining({ state: "fresh", ttlMs: 0.75 * TTL })));
      await clock.advance(0.75 * TTL - 1);
      await cache.getAll(keys);
      expect(Item.loads.length).toBe(2);
      await clock.advance(1);
      await cache.getAll(keys);
      expect(Item.loads.length).toBe(5);
      vi.restoreAllMocks();
    }
  });

  test.each([0, 1 - 2 ** -53])("of 1 takes anything from nothing to nearly all of a life (chance %s)", async (said) => {
    const { cache, clock } = setUp();
    const Item = counted({ caches: BOTH, jitter: 1 });
    always(said);
    expect(await cache.get(Item("a"))).toBe("a#1");
    await clock.settle();
    // Less than a millisecond is nothing.
    expect(await cache.get(Item("a"))).toBe(said === 0 ? "a#1" : "a#2");
    await clock.advance(1);
    expect(await cache.get(Item("a"))).toBe(said === 0 ? "a#1" : "a#3");
  });

  test("leaves a life without end alone", async () => {
    const { cache } = setUp();
    const Item = counted({ caches: [{ storage: "local", ttl: null }], jitter: 1 });
    await cache.get(Item("a"));
    expect(await cache.lookup(Item("a"))).toMatchObject({ source: "local", ttlMs: null });
  });
});

describe("ttlFor", () => {
  type Life = Duration | null | "skip";
  const lives: Readonly<Record<string, Life>> = { short: "5s", ms: 250, fraction: 0.4, endless: null, infinite: Infinity, long: "1h", skip: "skip", zero: 0 };

  /** How a value comes into the cache. */
  const ways = {
    load: (own: ReturnType<typeof setUp>, Item: Counted<string>, key: string) => own.cache.get(Item(key)),
    loadAll: (own: ReturnType<typeof setUp>, Item: Counted<string>, key: string) => own.cache.getAll([Item(key)]),
    refresh: (own: ReturnType<typeof setUp>, Item: Counted<string>, key: string) => own.cache.refresh(Item(key)),
    set: (own: ReturnType<typeof setUp>, Item: Counted<string>, key: string) => own.cache.set(Item(key), key),
  };

  describe.each(Object.keys(ways) as (keyof typeof ways)[])("of what came by %s", (way) => {
    test.each([
      ["short", 5_000],
      ["ms", 250],
      ["fraction", 1],
      ["endless", TTL],
      ["infinite", TTL],
      ["long", TTL],
    ] as const)("(%s) caps the life in every tier, and lengthens none", async (key, lifeMs) => {
      for (const caches of [LOCAL, FAR]) {
        const own = setUp();
        const { cache, clock } = own;
        const loadAll = way === "loadAll" ? (keys: readonly string[]) => [...keys] : undefined;
        const Item = counted<string>({ caches, loadAll, load: (one) => one, ttlFor: (value) => lives[value] as Life });
        await ways[way](own, Item, key);
        await clock.settle();
        expect(await cache.lookup(Item(key))).toMatchObject({ value: key, source: caches[0].storage, ttlMs: lifeMs });
        await clock.advance(lifeMs - 1);
        expect(await cache.lookup(Item(key))).toMatchObject({ source: caches[0].storage });
        await clock.advance(1);
        expect(await cache.lookup(Item(key))).toMatchObject({ source: "load" });
      }
    });

    test.each(["skip", "zero"])("(%s) stores nothing, and takes away what was there where it replaces", async (key) => {
      const own = setUp();
      const { cache, clock, far, events } = own;
      let stores = true;
      const loadAll = way === "loadAll" ? (keys: readonly string[]) => [...keys] : undefined;
      const Item = counted<string>({ caches: BOTH, loadAll, load: (one) => one, ttlFor: (value) => (stores ? null : (lives[value] as Life)) });
      if (way === "set" || way === "refresh") await cache.set(Item(key), "before");
      stores = false;
      await ways[way](own, Item, key);
      await clock.settle();
      expect(cache.peek(Item(key))).toBe(undefined);
      expect(await own.isolate().cache.lookup(Item(key))).toMatchObject({ value: key, source: "load" });
      expect([events, far.calls.write > 0]).toEqual([[], way === "set" || way === "refresh"]);
    });

    test.each([
      ["throws", () => JSON.parse("{")],
      ["says undefined", () => undefined],
      ["says a negative number", () => -1],
      ["says NaN", () => Number.NaN],
      ["says a word", () => "soon"],
      ["says an object", () => ({})],
      ["says a promise", () => Promise.resolve(5)],
    ])("that %s leaves the value unstored, with an event, and the caller gets it", async (_what, ttlFor) => {
      const own = setUp();
      const { cache, clock, seen } = own;
      const loadAll = way === "loadAll" ? (keys: readonly string[]) => [...keys] : undefined;
      const Item = counted<string>({ caches: BOTH, loadAll, load: (one) => one, ttlFor: ttlFor as () => Life });
      const answer = await ways[way](own, Item, "a");
      expect(answer).toEqual({ load: "a", loadAll: ["a"], refresh: "a", set: undefined }[way]);
      await clock.settle();
      expect(seen("not-stored")).toMatchObject([{ node: Item.node.name, reason: "hook" }]);
      expect(cache.peek(Item("a"))).toBe(undefined);
      expect(await own.isolate().cache.lookup(Item("a"))).toMatchObject({ source: "load" });
    });
  });

  test("gets the value and the parameters, and also values that are nothing", async () => {
    const { cache } = setUp();
    const asked: unknown[] = [];
    const Item = counted<string | null | undefined>({
      caches: LOCAL,
      load: (key) => (key === "null" ? null : key === "undefined" ? undefined : key),
      ttlFor: (value, key) => {
        asked.push([value, key]);
        return value === null || value === undefined ? "1s" : null;
      },
    });
    await cache.getAll(["null", "undefined", "a"].map(Item));
    expect(asked).toEqual([
      [null, "null"],
      [undefined, "undefined"],
      ["a", "a"],
    ]);
    const found = await cache.lookupAll(["null", "undefined", "a"].map(Item));
    expect(found).toMatchObject([{ ttlMs: 1_000 }, { ttlMs: 1_000 }, { ttlMs: TTL }]);
  });

  test("is not asked again by a hit, and a back-fill keeps what is left", async () => {
    const { cache, clock, isolate } = setUp();
    let asked = 0;
    const ttlFor = (): Duration => {
      asked++;
      return "5s";
    };
    const Item = counted<string>({ caches: BOTH, load: (key) => key, ttlFor });
    await cache.get(Item("a"));
    await clock.settle();
    await clock.advance(4_000);
    const other = isolate();
    expect(await other.cache.lookup(Item("a"))).toMatchObject({ source: "far", ttlMs: 1_000 });
    expect(await other.cache.lookup(Item("a"))).toMatchObject({ source: "local", ttlMs: 1_000 });
    expect(asked).toBe(1);
  });

  test("is overruled by the ttl of a set", async () => {
    const { cache } = setUp();
    const Item = counted<string>({ caches: LOCAL, load: (key) => key, ttlFor: () => "skip" });
    await cache.set(Item("a"), "value", { ttl: "2s" });
    expect(await cache.lookup(Item("a"))).toMatchObject({ value: "value", source: "local", ttlMs: 2_000 });
  });

  test("of what a loader says is unchanged decides anew", async () => {
    const { cache, clock } = setUp();
    const Item = counted<string>({
      caches: LOCAL,
      staleWhileRevalidate: "1m",
      load: (key, _nth, { stale, unchanged }) => (stale ? unchanged() : key),
      ttlFor: () => "5s",
    });
    await cache.get(Item("a"));
    await clock.advance(5_000);
    await cache.get(Item("a"));
    await clock.settle();
    expect(await cache.lookup(Item("a"))).toMatchObject({ state: "fresh", ttlMs: 5_000 });
  });
});
