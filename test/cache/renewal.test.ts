/** Renewing what is old or about to be: in whose request that happens, how long what comes of it lives, and what is remembered of it. */

import { afterEach, describe, expect, test, vi } from "vitest";
import { Epochs } from "../../src/generations.ts";
import { local } from "../../src/local/local.ts";
import { drainByMicrotasks } from "../../src/runtime.ts";
import { fakeClock } from "../support/fake-clock.ts";
import { counted, isSettled, REQUESTS, rig } from "../support/rig.ts";
import { puppet } from "../support/storages.ts";

afterEach(() => {
  vi.restoreAllMocks();
});

const CHAIN = [
  { storage: "local", ttl: "10s" },
  { storage: "far", ttl: "20s" },
] as const;

const CHAIN_OF_ONE = [{ storage: "local", ttl: "10s" }] as const;

/** A cache for requests that own their I/O, and how many of them are kept alive at present. */
function requests(waits = true) {
  const clock = fakeClock();
  let alive = 0;
  const waitUntil = (promise: Promise<unknown>): void => {
    alive++;
    void promise.then(() => alive--);
  };
  const runtime = { ...REQUESTS, waitUntil: waits ? waitUntil : undefined, scheduleDrain: drainByMicrotasks };
  return { ...rig({ runtime, clock, storages: { local: local(), far: puppet({ clock }) } }), alive: () => alive };
}

/** A node whose loads, after the first, end when they are told to. */
function slow(caches: typeof CHAIN | typeof CHAIN_OF_ONE = CHAIN) {
  let release: (() => void) | undefined;
  const node = counted<string>({
    staleWhileRevalidate: "5s",
    caches,
    load: (key, nth) => (nth === 1 ? `${key}#1` : new Promise((resolve) => void (release = () => resolve(`${key}#${nth}`)))),
  });
  return { node, release: () => release?.() };
}

describe("a stale copy that answers while it is renewed", () => {
  test("keeps its request alive until the new value has landed", async () => {
    const { cache, clock, alive, inFlight } = requests();
    const { node: Item, release } = slow();
    await cache.get(Item("a"));
    await clock.advance(10_000);
    expect(alive()).toBe(0);
    expect(await cache.get(Item("a"))).toBe("a#1");
    await clock.advance(10_000);
    expect(await cache.get(Item("a"))).toBe("a#1");
    await clock.settle();
    expect(Item.loads).toEqual(["a", "a"]);
    expect(alive()).toBe(1);
    release();
    await clock.settle();
    expect([alive(), inFlight()]).toEqual([0, 0]);
    expect(await cache.get(Item("a"))).toBe("a#2");
  });

  test.each([
    ["a local tier", CHAIN_OF_ONE, 10_000],
    ["a remote tier", CHAIN, 20_000],
  ] as const)("in %s is no answer where nothing outlives the request", async (_, caches, ms) => {
    const { cache, clock } = requests(false);
    const { node: Item, release } = slow(caches);
    await cache.get(Item("a"));
    await clock.advance(ms);
    const asked = cache.get(Item("a"));
    expect(await isSettled(asked)).toBe(false);
    release();
    expect(await asked).toBe("a#2");
  });

  test("leaves no timer behind when the load ends before it is slow", async () => {
    const { cache, clock } = rig();
    const Item = counted({ caches: [{ storage: "local", ttl: "10s" }], staleIfError: "5s", softTimeout: "1s" });
    await cache.get(Item("a"));
    await clock.advance(10_000);
    expect(await cache.get(Item("a"))).toBe("a#2");
    expect(clock.pending).toBe(0);
  });
});

describe("a renewal ahead of the end", () => {
  test("begins when chance says so, in the background, and not before", async () => {
    const chance = vi.spyOn(Math, "random").mockReturnValue(0);
    const { cache, clock, alive } = requests();
    const Item = counted<string>({
      caches: CHAIN,
      refreshAhead: { beta: 1 },
      load: async (key, nth) => {
        await new Promise<void>((resolve) => void clock.setTimeout(resolve, 1_000));
        return `${key}#${nth}`;
      },
    });
    const first = cache.get(Item("a"));
    await clock.advance(1_000);
    await first;
    expect(await cache.get(Item("a"))).toBe("a#1");
    await clock.settle();
    expect([Item.loads.length, alive()]).toEqual([1, 0]);
    chance.mockReturnValue(1 - Math.exp(-20));
    expect(await cache.get(Item("a"))).toBe("a#1");
    await clock.settle();
    expect([Item.loads.length, alive()]).toEqual([2, 1]);
    await clock.advance(1_000);
    chance.mockReturnValue(0);
    expect(await cache.get(Item("a"))).toBe("a#2");
    expect(alive()).toBe(0);
  });
});

describe("a life", () => {
  test("is shortened by as much of the jitter as chance says", async () => {
    vi.spyOn(Math, "random").mockReturnValue(0.5);
    const { cache, clock } = rig();
    const Item = counted({ caches: [{ storage: "local", ttl: "10s" }], jitter: 0.5 });
    await cache.get(Item("a"));
    await clock.advance(7_499);
    expect(await cache.get(Item("a"))).toBe("a#1");
    await clock.advance(1);
    expect(await cache.get(Item("a"))).toBe("a#2");
  });

  test("begins anew when the loader says that its old value still holds", async () => {
    const { cache, clock } = rig();
    const Item = counted<string>({
      caches: [{ storage: "local", ttl: "10s" }],
      staleIfError: "5s",
      load: (key, nth, { stale, unchanged }) => (stale ? unchanged() : `${key}#${nth}`),
    });
    await cache.get(Item("a"));
    await clock.advance(11_000);
    expect(await cache.get(Item("a"))).toBe("a#1");
    await clock.advance(9_000);
    expect(await cache.get(Item("a"))).toBe("a#1");
    expect(Item.loads.length).toBe(2);
  });

  test("of a value that is not to be stored is none", async () => {
    const { cache } = rig();
    const Item = counted({ ttlFor: () => "skip" });
    await cache.get(Item("a"));
    expect(await cache.get(Item("a"))).toBe("a#2");
  });
});

describe("what an isolate remembers of invalidations", () => {
  test("is forgotten oldest first, and cuts off for every name what began before that", () => {
    const epochs = new Epochs();
    epochs.most = 2;
    const before = epochs.now;
    for (const name of ["a", "b"]) epochs.raise([name]);
    expect([epochs.outlived(["c"], before), epochs.outlived(["a"], before)]).toEqual([false, true]);
    const between = epochs.now;
    epochs.raise(["c"]);
    expect([epochs.outlived(["d"], before), epochs.outlived(["d"], between), epochs.outlived(["c"], between)]).toEqual([true, false, true]);
  });
});
