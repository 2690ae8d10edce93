/** Tokens of invalidations, and the views that come after them. */

import { describe, expect, test } from "vitest";
import { local } from "../../src/local/local.ts";
import type { Cache } from "../../src/types.ts";
import { fakeClock } from "../support/fake-clock.ts";
import { counted, isSettled, REQUESTS, rig, SHARED } from "../support/rig.ts";
import type { Counted } from "../support/rig.ts";
import { puppet } from "../support/storages.ts";

const LOCAL = [{ storage: "local", ttl: "1h" }] as const;
const BOTH = [...LOCAL, { storage: "far", ttl: "1h" }] as const;
const byId = (key: string): string[] => [`id:${key}`, "all"];

function setUp(runtime = SHARED) {
  const clock = fakeClock();
  const far = puppet({ clock });
  const isolate = () => rig({ runtime, clock, storages: { local: local(), far } });
  const later = <Value>(ms: number, value: Value) => new Promise<Value>((resolve) => void clock.setTimeout(() => resolve(value), ms));
  return { ...isolate(), isolate, far, later };
}

describe.each([
  ["invalidate", (cache: Cache, Item: Counted<string>) => cache.invalidate(Item("a"))],
  ["invalidate of a list", (cache: Cache, Item: Counted<string>) => cache.invalidate([Item("z"), Item("a")])],
  ["invalidateNode", (cache: Cache, Item: Counted<string>) => cache.invalidateNode(Item.node)],
  ["invalidateTags", (cache: Cache) => cache.invalidateTags("other", "id:a")],
  ["memoized.invalidate", (cache: Cache, Item: Counted<string>) => cache.memoize(Item, () => "").invalidate("a")],
] as const)("a view after %s in another isolate", (_name, invalidate) => {
  test("skips the local copy, in every call, and stores what it found for others", async () => {
    const { cache, clock, isolate } = setUp();
    const Item = counted({ caches: BOTH, tags: byId });
    await cache.get(Item("a"));
    await clock.settle();
    const view = cache.with({ after: await invalidate(isolate().cache, Item) });
    expect(cache.peek(Item("a"))).toBe("a#1");
    expect(view.peek(Item("a"))).toBe(undefined);
    expect(await view.get(Item("a"))).toBe("a#2");
    await clock.settle();
    expect(cache.peek(Item("a"))).toBe("a#2");
    expect(await view.getAll([Item("a"), Item("a")])).toEqual(["a#2", "a#2"]);
    expect(await view.lookup(Item("a"))).toMatchObject({ value: "a#2", source: "far" });
    expect(await view.lookupAll([Item("a")])).toMatchObject([{ source: "far" }]);
    expect(await view.get(Item("a"), { maxAge: "1h" })).toBe("a#2");
    expect(await view.memoize(Item, () => "memoized")("a")).toBe("a#2");
    expect(Item.loads.length).toBe(2);
  });

  test("keeps local copies for keys that the token does not name", async () => {
    const { cache, isolate } = setUp();
    const [Item, Other] = [counted({ caches: LOCAL, tags: byId }), counted({ caches: LOCAL, tags: () => ["id:b"] })];
    await cache.getAll([Item("a"), Other("b")]);
    const view = cache.with({ after: await invalidate(isolate().cache, Item) });
    expect(await view.lookup(Other("b"))).toMatchObject({ value: "b#1", source: "local" });
    expect(view.peek(Other("b"))).toBe("b#1");
  });

  test("joins no flight that began before it was made, and a flight that began after it", async () => {
    for (const runtime of [SHARED, REQUESTS]) {
      const { cache, clock, later, isolate } = setUp(runtime);
      const Item = counted<string>({ caches: BOTH, tags: byId, load: (_key, nth) => later(100, `v${nth}`) });
      const before = cache.get(Item("a"));
      await clock.advance(50);
      const view = cache.with({ after: await invalidate(isolate().cache, Item) });
      const after = view.get(Item("a"));
      const joins = view.lookup(Item("a"));
      await clock.advance(50);
      expect(await before).toBe("v1");
      expect(await isSettled(after)).toBe(false);
      await clock.advance(50);
      expect(await after).toBe("v2");
      expect(await joins).toMatchObject({ value: "v2", collapsed: true });
      await clock.settle();
      expect(await cache.get(Item("a"))).toBe("v2");
      expect(Item.loads.length).toBe(2);
    }
  });

  test("travels as a cookie's value: short, printable ASCII, and without a word of the key", async () => {
    const { isolate, cache } = setUp();
    const Item = counted({ caches: BOTH, tags: byId });
    const token = await invalidate(isolate().cache, Item);
    expect(token).toMatch(/^[!#-+\--:<-[\]-~]{3,100}$/);
    expect(token).not.toContain("id:");
    const cookie = new Map([["after", token]]);
    expect(cache.with({ after: cookie.get("after") })).toBeDefined();
  });
});

describe("a token", () => {
  const known = { caches: LOCAL, tags: byId } as const;

  test.each([
    ["a forged one", "1.0123456789abcdef"],
    ["an empty list", "1."],
    ["one of many", `1.${"0123456789abcdef".repeat(64)}`],
  ])("that names nothing of this cache (%s) changes nothing", async (_what, after) => {
    const { cache, events } = setUp();
    const Item = counted(known);
    await cache.get(Item("a"));
    expect(await cache.with({ after }).lookup(Item("a"))).toMatchObject({ source: "local" });
    expect(events).toEqual([]);
  });

  test.each([
    "",
    "1",
    "2.0123456789abcdef",
    "1.0123456789ABCDEF",
    "1.0123456789abcde",
    "1.**",
    "1.*\n",
    "\n1.*",
    "1.0123456789abcdef ",
    `1.${"0123456789abcdef".repeat(65)}`,
    "1.".padEnd(10_000_000, "0"),
    "__proto__",
    5,
    null,
    {},
    [],
    Symbol("1.*"),
    { toString: () => "1.*" },
  ])("that is none of ours (%#) is ignored with an event, and costs nothing", async (after) => {
    const { cache, events } = setUp();
    const Item = counted(known);
    await cache.get(Item("a"));
    const view: Cache = Reflect.apply(cache.with, cache, [{ after }]);
    expect(await view.lookup(Item("a"))).toMatchObject({ value: "a#1", source: "local" });
    expect(events).toEqual([{ type: "token-ignored" }]);
  });

  test("that is left out, or undefined, is no event", () => {
    const { cache, events } = setUp();
    cache.with({});
    cache.with({ after: undefined });
    expect(events).toEqual([]);
  });

  test("of more than 64 keys stands for all keys; of 64 it does not", async () => {
    const { cache, isolate } = setUp();
    const Item = counted(known);
    const Other = counted({ caches: LOCAL });
    await cache.getAll([Item("a"), Other("other")]);
    const keys = Array.from({ length: 65 }, (_, index) => Item(`${index}`));
    const some = await isolate().cache.invalidate(keys.slice(1));
    const all = await isolate().cache.invalidate(keys);
    expect(some.length).toBeLessThan(1_100);
    expect(all.length).toBeLessThan(10);
    expect(await cache.with({ after: some }).lookup(Other("other"))).toMatchObject({ source: "local" });
    expect(await cache.with({ after: all }).lookup(Other("other"))).toMatchObject({ source: "load" });
    expect(await cache.with({ after: all }).lookup(Item("a"))).toMatchObject({ source: "load" });
  });

  test("of repeated keys counts each once", async () => {
    const { cache } = setUp();
    const Item = counted(known);
    const token = await cache.invalidate(Array.from({ length: 100 }, () => Item("a")));
    expect(token).toBe(await cache.invalidate(Item("a")));
  });

  test("of one prefix says nothing of another, and neither does one of another version", async () => {
    const { cache } = setUp();
    const Item = counted({ ...known, name: "Versioned", allowRedefine: true, version: "1" });
    await cache.get(Item("a"));
    const other = await cache.with({ prefix: "tenant" }).invalidate(Item("a"));
    expect(await cache.with({ after: other }).lookup(Item("a"))).toMatchObject({ source: "local" });
    const token = await cache.invalidate(Item("a"));
    const Next = counted({ ...known, name: "Versioned", allowRedefine: true, version: "2" });
    await cache.get(Next("a"));
    expect(await cache.with({ after: token }).lookup(Next("a"))).toMatchObject({ source: "local" });
  });

  test("that was given stays with the views of a view, also beside another", async () => {
    const { cache, isolate } = setUp();
    const Item = counted(known);
    await cache.getAll([Item("a"), Item("b"), Item("c")]);
    const [one, two] = [await isolate().cache.invalidate(Item("a")), await isolate().cache.invalidate(Item("b"))];
    const view = cache.with({ after: one }).with({ env: { some: "env" } });
    expect(view.peek(Item("a"))).toBe(undefined);
    expect(view.peek(Item("b"))).toBe("b#2");
    const next = view.with({ after: two });
    expect([next.peek(Item("a")), next.peek(Item("b"))]).toEqual([undefined, undefined]);
    expect(view.peek(Item("b"))).toBe("b#2");
    const all = next.with({ after: "1.*" });
    expect(all.peek(Item("c"))).toBe(undefined);
    expect(next.with({ after: "no token" }).peek(Item("a"))).toBe(undefined);
  });

  test("of a key whose tags cannot be told still names the key", async () => {
    const { cache, isolate } = setUp();
    let broken = false;
    const Item = counted({ caches: LOCAL, tags: () => (broken ? JSON.parse("{") : ["all"]) });
    await cache.get(Item("a"));
    const token = await isolate().cache.invalidate(Item("a"));
    const tagged = await isolate().cache.invalidateTags("all");
    broken = true;
    expect(await cache.with({ after: token }).get(Item("a"))).toBe("a#2");
    expect(await cache.with({ after: tagged }).lookup(Item("a"))).toMatchObject({ source: "local" });
  });
});

describe("without a view", () => {
  test("local copies of other isolates live to their end", async () => {
    const { cache, isolate } = setUp();
    const Item = counted({ caches: BOTH });
    await cache.get(Item("a"));
    await isolate().cache.invalidate(Item("a"));
    expect(await cache.get(Item("a"))).toBe("a#1");
  });
});
