/** Conditional loads: the old value that a loader is offered, and the answer that it still holds. */

import { describe, expect, test } from "vitest";
import { local } from "../../src/local/local.ts";
import { defineNode } from "../../src/node.ts";
import type { LoadAllContext, LoadContext } from "../../src/node-types.ts";
import type { Cache } from "../../src/types.ts";
import { fakeClock } from "../support/fake-clock.ts";
import type { Counted } from "../support/rig.ts";
import { counted, failure, freshName, REQUESTS, rig, SHARED } from "../support/rig.ts";
import { puppet } from "../support/storages.ts";

const TTL = 10_000;
const LOCAL = [{ storage: "local", ttl: TTL }] as const;
const FAR = [{ storage: "far", ttl: TTL }] as const;
const BOTH = [...LOCAL, ...FAR] as const;
const CHAINS = [
  ["local", LOCAL],
  ["far", FAR],
  ["local and far", BOTH],
] as const;

interface User {
  readonly name: string;
}

function setUp(runtime = SHARED) {
  const clock = fakeClock();
  const far = puppet({ clock });
  const isolate = () => rig({ runtime, clock, storages: { local: local(), far } });
  const later = <Value>(ms: number, value: Value) => new Promise<Value>((resolve) => void clock.setTimeout(() => resolve(value), ms));
  return { ...isolate(), isolate, far, later };
}

/** A source that knows whether its value has changed, as one with ETags does. */
function source() {
  const offers: LoadContext["stale"][] = [];
  const own = { current: "v1", offers, load };
  function load(_key: string, _nth: number, { stale, unchanged }: LoadContext): User {
    offers.push(stale);
    const old: unknown = stale?.value;
    const name: unknown = typeof old === "object" && old !== null && "name" in old ? old.name : undefined;
    return name === own.current ? unchanged() : { name: own.current };
  }
  return own;
}

describe.each(CHAINS)("over %s", (_name, caches) => {
  test("a loader is offered the old value with its age, and may say that it still holds: it is kept with new life in all tiers", async () => {
    const { cache, clock, isolate } = setUp();
    const { load, offers } = source();
    const Item = counted<User>({ caches, staleIfError: "1m", load });
    await cache.get(Item("a"));
    await clock.settle();
    await clock.advance(TTL + 5_000);
    expect(await cache.lookup(Item("a"))).toMatchObject({ value: { name: "v1" }, source: "load", state: "fresh", ageMs: 0 });
    await clock.settle();
    expect(offers).toEqual([undefined, { value: { name: "v1" }, ageMs: TTL + 5_000 }]);
    for (const reader of [cache, ...(caches === LOCAL ? [] : [isolate().cache])]) {
      expect(await reader.lookup(Item("a"))).toMatchObject({ value: { name: "v1" }, state: "fresh", ageMs: 0, ttlMs: TTL });
    }
    await clock.advance(TTL - 1);
    expect(await cache.lookup(Item("a"))).toMatchObject({ state: "fresh", ttlMs: 1 });
    expect(cache.stats(Item.node)).toMatchObject({ loadSuccessCount: 2, loadFailureCount: 0, missCount: 2 });
  });

  test("a loader is offered nothing where there is no old value, after an invalidation, and past the windows", async () => {
    const { cache, clock } = setUp();
    const { load, offers } = source();
    const Item = counted<User>({ caches, staleIfError: "1m", load });
    await cache.get(Item("a"));
    await clock.settle();
    await cache.invalidate(Item("a"));
    await cache.get(Item("a"));
    await clock.settle();
    await clock.advance(TTL);
    await cache.invalidateNode(Item.node);
    await cache.get(Item("a"));
    await clock.settle();
    await clock.advance(TTL + 60_000);
    await cache.get(Item("a"));
    expect(offers).toEqual([undefined, undefined, undefined, undefined]);
  });

  test("in the background as well, and after loads that failed", async () => {
    const { cache, clock, seen } = setUp();
    const { load } = source();
    let nth = 0;
    const Item = counted<User>({
      caches,
      staleWhileRevalidate: "1m",
      load: (key, calls, context) => {
        if (++nth === 2) throw new Error("down");
        return load(key, calls, context);
      },
    });
    await cache.get(Item("a"));
    await clock.settle();
    await clock.advance(TTL);
    await cache.get(Item("a"));
    await clock.settle();
    expect(seen("refresh-failed").length).toBe(1);
    expect(await cache.lookup(Item("a"))).toMatchObject({ state: "stale" });
    await clock.settle();
    expect(await cache.lookup(Item("a"))).toMatchObject({ value: { name: "v1" }, state: "fresh", ageMs: 0 });
    expect(cache.stats(Item.node)).toMatchObject({ loadSuccessCount: 2, loadFailureCount: 1 });
  });

  test("loadAll is offered the old values in line with its parameters, and answers for each", async () => {
    const { cache, clock } = setUp();
    const seen: LoadAllContext["stale"][] = [];
    let down = false;
    const Item = counted<User>({
      caches,
      staleIfError: "1m",
      load: () => ({ name: "unused" }),
      loadAll: async (keys, { stale, unchanged }) => {
        seen.push(stale);
        return keys.map((key, index) => (down ? new Error("down") : stale[index] && key !== "b" ? unchanged() : { name: `${key} of ${seen.length}` }));
      },
    });
    await cache.getAll([Item("a"), Item("b")]);
    await clock.settle();
    await clock.advance(TTL);
    down = true;
    expect(await cache.getAll([Item("a"), Item("b")])).toEqual([{ name: "a of 1" }, { name: "b of 1" }]);
    down = false;
    expect(await cache.getAll(["c", "a", "b"].map(Item))).toEqual([{ name: "c of 3" }, { name: "a of 1" }, { name: "b of 3" }]);
    expect(seen[2]).toEqual([undefined, { value: { name: "a of 1" }, ageMs: TTL }, { value: { name: "b of 1" }, ageMs: TTL }]);
    await clock.settle();
    expect(await cache.lookupAll([Item("a")])).toMatchObject([{ state: "fresh", ageMs: 0 }]);
  });

  test("an invalidation while such a load runs: who waited gets what it said, and nothing is stored", async () => {
    const { cache, clock, later, isolate } = setUp();
    const offers: unknown[] = [];
    const Item = counted<string>({
      caches,
      staleIfError: "1m",
      load: async (_key, nth, { stale, unchanged }) => {
        offers.push(stale?.value);
        if (nth !== 2) return `v${nth}`;
        await later(100, undefined);
        return unchanged();
      },
    });
    await cache.get(Item("a"));
    await clock.settle();
    await clock.advance(TTL);
    const waiting = cache.get(Item("a"));
    await clock.settle();
    await cache.invalidate(Item("a"));
    await clock.advance(100);
    expect(await waiting).toBe("v1");
    expect(cache.peek(Item("a"))).toBe(undefined);
    expect(await isolate().cache.get(Item("a"))).toBe("v3");
    expect(offers).toEqual([undefined, "v1", undefined]);
  });
});

describe("refresh", () => {
  test("offers the local value, also a fresh one, and takes unchanged for an answer", async () => {
    const { cache, clock, isolate, far } = setUp();
    const { load, offers } = source();
    const Item = counted<User>({ caches: BOTH, load });
    const old = await cache.get(Item("a"));
    await clock.settle();
    await clock.advance(5_000);
    expect(await cache.refresh(Item("a"))).toBe(old);
    expect(offers[1]).toEqual({ value: { name: "v1" }, ageMs: 5_000 });
    expect(await cache.lookup(Item("a"))).toMatchObject({ value: { name: "v1" }, ttlMs: TTL, ageMs: 0 });
    expect(await isolate().cache.lookup(Item("a"))).toMatchObject({ value: { name: "v1" }, source: "far", ttlMs: TTL, ageMs: 0 });
    expect(far.calls.write).toBe(2);
  });

  test("with loadAll alone offers it in a list", async () => {
    const { cache } = setUp();
    const Item = defineNode({
      name: freshName(),
      key: (key: string) => key,
      caches: BOTH,
      loadAll: (keys, { stale, unchanged, signal }) => keys.map((key, index) => (stale[index] && !signal.aborted ? unchanged() : key)),
    });
    await cache.get(Item("a"));
    expect(await cache.refresh(Item("a"))).toBe("a");
  });

  test("shared by a flight that found nothing gives the value, never the sign for it", async () => {
    const { cache, clock, later } = setUp();
    const Item = counted<string>({
      caches: LOCAL,
      staleIfError: "1m",
      load: async (_key, nth, { stale, unchanged }) => {
        await later(100, undefined);
        return nth > 1 && stale ? unchanged() : `v${nth}`;
      },
    });
    const first = cache.get(Item("a"));
    await clock.advance(100);
    await first;
    await clock.advance(TTL);
    const refreshing = cache.refresh(Item("a"));
    await clock.settle();
    const sharing = cache.get(Item("a"));
    await clock.advance(100);
    expect([await refreshing, await sharing, Item.loads.length]).toEqual(["v1", "v1", 2]);
  });
});

describe("a load that waits for its turn", () => {
  test.each([
    ["invalidate", (cache: Cache, Item: Counted<string>) => cache.invalidate(Item("b"))],
    ["invalidateNode", (cache: Cache, Item: Counted<string>) => cache.invalidateNode(Item.node)],
    ["set", (cache: Cache, Item: Counted<string>) => cache.set(Item("b"), "set")],
  ] as const)("is offered no value that %s has replaced meanwhile", async (_way, change) => {
    const { cache, clock, later } = setUp();
    const offers: unknown[] = [];
    const Item = counted<string>({
      caches: LOCAL,
      staleIfError: "1m",
      loadConcurrency: 1,
      load: (key, nth, { stale }) => {
        offers.push(stale?.value);
        return nth === 3 ? later(100, "slow") : `${key}#${nth}`;
      },
    });
    await cache.getAll([Item("a"), Item("b")]);
    await clock.advance(TTL);
    const both = cache.getAll([Item("a"), Item("b")]);
    await change(cache, Item);
    await clock.advance(100);
    expect(await both).toEqual(["slow", "b#4"]);
    expect(offers).toEqual([undefined, undefined, "a#1", undefined]);
  });
});

describe("unchanged()", () => {
  test("where nothing was offered is a failed load that says so, for each kind of loader", async () => {
    const { cache, inFlight } = setUp();
    const Item = counted<string>({ caches: BOTH, load: (_key, _nth, { unchanged }) => unchanged() });
    const many = { key: (key: string) => key, caches: BOTH };
    const Many = defineNode<string, string>({ ...many, name: freshName(), loadAll: (keys, { unchanged }) => keys.map(() => unchanged()) });
    const Whole = defineNode<string, string>({ ...many, name: freshName(), loadAll: (_keys, { unchanged }) => unchanged() });
    for (const [call, words] of [
      [() => cache.get(Item("a")), "unchanged()"],
      [() => cache.refresh(Item("b")), "unchanged()"],
      [() => cache.get(Many("a")), "unchanged()"],
      [() => cache.refresh(Many("b")), "unchanged()"],
      [() => cache.get(Whole("a")), "aligned"],
    ] as const) {
      const error = await failure(call());
      expect(error).toBeInstanceOf(TypeError);
      expect(error).toHaveProperty("message", expect.stringContaining(words));
    }
    expect(cache.stats(Item.node)).toMatchObject({ loadSuccessCount: 0, loadFailureCount: 2 });
    expect(cache.stats(Many)).toMatchObject({ loadSuccessCount: 0, loadFailureCount: 2 });
    expect(inFlight()).toBe(0);
  });

  test("works when it is taken out of the context, and returned late", async () => {
    const { cache, clock, later } = setUp();
    const Item = counted<string>({
      caches: LOCAL,
      staleIfError: "1m",
      load: (_key, nth, context) => {
        const { stale, unchanged } = context;
        return stale ? later(50, undefined).then(() => unchanged()) : `v${nth}`;
      },
    });
    await cache.get(Item("a"));
    await clock.advance(TTL);
    const answer = cache.get(Item("a"));
    await clock.advance(50);
    expect(await answer).toBe("v1");
  });

  test("keeps the very value: the same object where nothing is cloned, a copy of it for each where it is", async () => {
    for (const clone of ["none", "freeze", "structured"] as const) {
      const { cache, clock } = setUp();
      const Item = counted<User>({ caches: BOTH, clone, staleIfError: "1m", load: source().load });
      const old = await cache.get(Item("a"));
      await clock.advance(TTL);
      const kept = await cache.get(Item("a"));
      expect(kept).toEqual({ name: "v1" });
      expect(Object.isFrozen(kept)).toBe(clone === "freeze");
      if (clone === "structured") expect(await cache.get(Item("a"))).not.toBe(kept);
      else expect([kept === old, (await cache.get(Item("a"))) === old]).toEqual([true, true]);
    }
  });

  test("keeps null and undefined, which are values", async () => {
    for (const value of [null, undefined]) {
      const { cache, clock } = setUp();
      const Item = counted<null | undefined>({
        caches: BOTH,
        staleIfError: "1m",
        load: (_key, nth, { stale, unchanged }) => (stale ? unchanged() : nth === 1 ? value : null),
      });
      await cache.get(Item("a"));
      await clock.settle();
      await clock.advance(TTL);
      expect(await cache.lookup(Item("a"))).toMatchObject({ value, source: "load" });
      expect(await cache.lookup(Item("a"))).toMatchObject({ value, ageMs: 0 });
    }
  });

  test("is not seen by a caller's own loader, which takes nothing; nor does that loader's value depend on the old one", async () => {
    const { cache, clock } = setUp();
    const Item = counted({ caches: LOCAL, staleIfError: "1m" });
    await cache.get(Item("a"));
    await clock.advance(TTL);
    const taken: unknown[][] = [];
    const load = (...args: unknown[]): string => {
      taken.push(args);
      return "own";
    };
    expect(await cache.get(Item("a"), { load })).toBe("own");
    expect(taken).toEqual([[]]);
  });
});

describe("where requests own their I/O", () => {
  test("the next leader of a dead one is offered the old value too", async () => {
    const { cache, clock } = setUp(REQUESTS);
    const { load, offers } = source();
    const Item = counted<User>({
      caches: FAR,
      staleIfError: "1m",
      load: (key, nth, context) => (nth === 2 ? new Promise(() => undefined) : load(key, nth, context)),
    });
    await cache.get(Item("a"));
    await clock.settle();
    await clock.advance(TTL);
    void clock.killed(() => cache.get(Item("a")));
    await clock.settle();
    const follower = cache.get(Item("a"));
    await clock.advance(1_000);
    expect(await follower).toEqual({ name: "v1" });
    expect(offers).toEqual([undefined, { value: { name: "v1" }, ageMs: expect.any(Number) }]);
  });
});
