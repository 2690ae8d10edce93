/** Invalidating by node and by tag: what goes, in which order, at what cost, and what is refused. */

import { describe, expect, test } from "vitest";
import { coreOf } from "../../src/cache.ts";
import { isCacheError } from "../../src/errors.ts";
import { local } from "../../src/local/local.ts";
import { defineNode } from "../../src/node.ts";
import type { Cache } from "../../src/types.ts";
import { fakeClock } from "../support/fake-clock.ts";
import { counted, failure, freshName, REQUESTS, rig, SHARED } from "../support/rig.ts";
import type { Counted } from "../support/rig.ts";
import { puppet, weakPuppet } from "../support/storages.ts";
import type { Puppet } from "../support/storages.ts";

const LOCAL = { storage: "local", ttl: "1h" } as const;
const NEAR = { storage: "near", ttl: "1h" } as const;
const FAR = { storage: "far", ttl: "1h" } as const;
const WEAK = { storage: "weak", ttl: "1h" } as const;
const ALL = [LOCAL, NEAR, FAR] as const;

function setUp(runtime = SHARED) {
  const clock = fakeClock();
  const remote = { near: puppet({ clock }), far: puppet({ clock }) };
  const isolate = (storages: Record<string, Puppet> = remote) => rig({ runtime, clock, storages: { local: local(), ...storages } });
  const later = <Value>(ms: number, value: Value) => new Promise<Value>((resolve) => void clock.setTimeout(() => resolve(value), ms));
  return { ...isolate(), isolate, ...remote, later };
}

/** The calls of some storages, in one list, as they were made from now on. */
function calls(storages: Readonly<Record<string, Puppet>>): string[] {
  const list: string[] = [];
  for (const [name, storage] of Object.entries(storages)) {
    const push = storage.log.push.bind(storage.log);
    storage.log.push = (...logged) => {
      for (const { method } of logged) list.push(`${method} ${name}`);
      return push(...logged);
    };
  }
  return list;
}

const byId = (key: string): string[] => [`id:${key}`, "all"];

describe.each([
  ["invalidateNode", (cache: Cache, Item: Counted<string>) => cache.invalidateNode(Item.node)],
  ["invalidateTags", (cache: Cache) => cache.invalidateTags("all")],
] as const)("%s", (operation, invalidate) => {
  test.each([[[LOCAL]], [[FAR]], [[LOCAL, FAR]], [[NEAR, FAR]], [ALL]])("makes every entry absent, here and for others, in %j", async (caches) => {
    const { cache, isolate, clock } = setUp();
    const [Item, Other] = [counted({ caches, tags: byId }), counted({ caches, tags: () => ["other"] })];
    await cache.getAll([Item("a"), Item("b"), Other("o")]);
    await clock.settle();
    await invalidate(cache, Item);
    expect(cache.peek(Item("a"))).toBe(undefined);
    expect(await cache.getAll([Item("a"), Item("b"), Other("o")])).toEqual(["a#3", "b#4", "o#1"]);
    await clock.settle();
    const remote = caches.some(({ storage }) => storage !== "local");
    expect(await isolate().cache.getAll([Item("a"), Other("o")])).toEqual(remote ? ["a#3", "o#1"] : ["a#5", "o#2"]);
  });

  test("costs one call for each tier, from right to left, each awaited, and a read none more", async () => {
    const { cache, clock, near, far } = setUp();
    const Item = counted({ caches: ALL, tags: byId });
    await cache.get(Item("a"));
    await clock.settle();
    const list = calls({ near, far });
    const release = far.hold("raise");
    const raising = invalidate(cache, Item);
    await clock.settle();
    expect(list).toEqual(["raise far"]);
    release();
    await raising;
    expect(list.splice(0)).toEqual(["raise far", "raise near"]);
    await cache.get(Item("a"));
    await clock.settle();
    expect(list.toSorted()).toEqual(["read far", "read near", "write far", "write near"]);
  });

  test("cuts this isolate's copies off at once, before the first storage has answered, and again after the last", async () => {
    const { cache, clock, far } = setUp();
    const Item = counted({ caches: [LOCAL, FAR], tags: byId });
    await cache.get(Item("a"));
    await clock.settle();
    const release = far.hold("raise");
    const raising = invalidate(cache, Item);
    expect(cache.peek(Item("a"))).toBe(undefined);
    // The remote tier still has the old value, and a reader copies it.
    expect(await cache.get(Item("a"))).toBe("a#1");
    expect(cache.peek(Item("a"))).toBe("a#1");
    release();
    await raising;
    expect(cache.peek(Item("a"))).toBe(undefined);
    expect(await cache.get(Item("a"))).toBe("a#2");
  });

  test("cuts off flights: their callers get their value, nobody else joins them, and they store nothing", async () => {
    for (const runtime of [SHARED, REQUESTS]) {
      const { cache, clock, later, isolate } = setUp(runtime);
      const Item = counted<string>({ caches: ALL, tags: byId, load: (_key, nth) => (nth === 1 ? later(100, "old") : "new") });
      const old = cache.get(Item("a"));
      await clock.settle();
      await invalidate(cache, Item);
      expect(await cache.get(Item("a"))).toBe("new");
      await clock.advance(100);
      expect(await old).toBe("old");
      await clock.settle();
      expect(await cache.get(Item("a"))).toBe("new");
      expect(await isolate().cache.get(Item("a"))).toBe("new");
      expect(Item.loads.length).toBe(2);
    }
  });

  test.each(["set", "refresh"] as const)("cuts off a %s that began before: it keeps no local copy, and what it wrote is absent", async (way) => {
    const { cache, clock, near, isolate } = setUp();
    const Item = counted({ caches: ALL, tags: byId });
    await cache.get(Item("a"));
    await clock.settle();
    const release = near.hold("write");
    const changing = way === "set" ? cache.set(Item("a"), "set") : cache.refresh(Item("a"));
    await clock.settle();
    await invalidate(cache, Item);
    release();
    await changing;
    expect(cache.peek(Item("a"))).toBe(undefined);
    expect(await cache.get(Item("a"))).toBe(way === "set" ? "a#2" : "a#3");
    expect(await isolate().cache.get(Item("a"))).toBe(way === "set" ? "a#2" : "a#3");
  });

  test("rejects if a tier failed, naming it, all having been tried; here it holds all the same, and calling again is safe", async () => {
    const { cache, clock, near, far, isolate, seen } = setUp();
    const Item = counted({ caches: ALL, tags: byId });
    await cache.get(Item("a"));
    await clock.settle();
    far.fault("raise", "reject");
    const error = await failure(invalidate(cache, Item));
    expect(isCacheError(error, "ERR_STORAGE_WRITE")).toBe(true);
    expect(error).toHaveProperty("message", expect.stringMatching(new RegExp(`^${operation}: storage "far" failed`)));
    expect([far.calls.raise, near.calls.raise]).toEqual([0, 1]);
    expect(seen("storage-failed")).toMatchObject([{ storage: "far", operation: "raise" }]);
    expect(cache.peek(Item("a"))).toBe(undefined);
    near.fault("raise", "reject");
    expect(await failure(invalidate(cache, Item))).toHaveProperty("message", expect.stringContaining('storage "far" and storage "near" failed'));
    near.fault("raise", undefined);
    far.fault("raise", undefined);
    await invalidate(cache, Item);
    expect(await cache.get(Item("a"))).toBe("a#2");
    await clock.settle();
    expect(await isolate().cache.get(Item("a"))).toBe("a#2");
  });

  test("that the storage applied though its answer was lost does no harm, nor does a second one", async () => {
    const { cache, clock, far, isolate } = setUp();
    const Item = counted({ caches: [LOCAL, FAR], tags: byId });
    await cache.get(Item("a"));
    await clock.settle();
    far.fault("raise", "lose");
    await failure(invalidate(cache, Item));
    far.fault("raise", undefined);
    await invalidate(cache, Item);
    await invalidate(cache, Item);
    expect(await cache.get(Item("a"))).toBe("a#2");
    await clock.settle();
    expect(await isolate().cache.get(Item("a"))).toBe("a#2");
  });

  test("leaves what a tier without generations holds, says so once, and still cuts off local copies", async () => {
    const clock = fakeClock();
    const storages = { local: local(), weak: weakPuppet({ clock }), far: puppet({ clock }) };
    const { cache, seen } = rig({ clock, storages });
    const Item = counted({ caches: [LOCAL, WEAK], tags: byId });
    await cache.get(Item("a"));
    await clock.settle();
    await invalidate(cache, Item);
    await invalidate(cache, Item);
    expect(seen("weak-tier-kept")).toEqual([{ type: "weak-tier-kept", storage: "weak" }]);
    expect(storages.weak.calls.raise).toBe(0);
    expect(await cache.lookup(Item("a"))).toMatchObject({ value: "a#1", source: "weak", guarded: false });
  });

  test("under another prefix reaches nothing of this one", async () => {
    const { cache, clock } = setUp();
    const Item = counted({ caches: ALL, tags: byId });
    const tenant = cache.with({ prefix: "tenant" });
    await Promise.all([cache.get(Item("a")), tenant.get(Item("a"))]);
    await clock.settle();
    await invalidate(tenant, Item);
    expect(cache.peek(Item("a"))).toMatch(/^a#/);
    expect(tenant.peek(Item("a"))).toBe(undefined);
  });

  test("after close rejects with ERR_CLOSED", async () => {
    const { cache } = setUp();
    await cache.close();
    expect(isCacheError(await failure(invalidate(cache, counted({ caches: ALL, tags: byId }))), "ERR_CLOSED")).toBe(true);
  });

  test("is kept alive by waitUntil where requests own their I/O", async () => {
    const { cache, far, clock } = setUp(REQUESTS);
    const Item = counted({ caches: [LOCAL, FAR], tags: byId });
    const kept: Promise<unknown>[] = [];
    const release = far.hold("raise");
    const raising = invalidate(cache.with({ waitUntil: (promise) => void kept.push(promise) }), Item);
    await clock.settle();
    expect(kept.length).toBe(1);
    release();
    await raising;
    await Promise.all(kept);
    expect(clock.pending).toBe(0);
  });
});

describe("invalidateTags", () => {
  test("reaches the keys that have one of the tags, of any node, and no others", async () => {
    const { cache, clock } = setUp();
    const [Item, Other, Plain] = [counted({ caches: ALL, tags: byId }), counted({ caches: ALL, tags: byId }), counted({ caches: ALL })];
    const references = [Item("a"), Item("b"), Other("o"), Plain("p")];
    await cache.getAll(references);
    await clock.settle();
    await cache.invalidateTags("id:a", "id:o", "nobody has it");
    expect(references.map((reference) => cache.peek(reference))).toEqual([undefined, "b#2", undefined, "p#1"]);
    expect(await cache.getAll(references)).toEqual(["a#3", "b#2", "o#2", "p#1"]);
  });

  test("raises all tags of a call at once, each once", async () => {
    const { cache, far, near } = setUp();
    await cache.invalidateTags("one", "two", "one");
    expect([far, near].map(({ log }) => log.map(({ keys }) => keys))).toEqual(
      Array.from({ length: 2 }, () => [[expect.stringContaining("one"), expect.stringContaining("two")]]),
    );
  });

  test("reaches entries that another isolate wrote, in storages that this one never used, given as functions or not", async () => {
    const clock = fakeClock();
    const [near, far] = [puppet({ clock }), puppet({ clock })];
    const isolate = () => rig({ clock, storages: { local: local(), near: () => near, far } });
    const Item = counted({ caches: ALL, tags: byId });
    await isolate().cache.get(Item("a"));
    await clock.settle();
    await isolate().cache.invalidateTags("all");
    expect(await isolate().cache.get(Item("a"))).toBe("a#2");
  });

  test("raises every storage so that each chain is cleared from right to left, also where chains run against each other", async () => {
    const { cache, clock, near, far } = setUp();
    const [Item, Against] = [counted({ caches: [NEAR, FAR], tags: byId }), counted({ caches: [FAR, NEAR], tags: byId })];
    await cache.get(Item("a"));
    await clock.settle();
    const list = calls({ near, far });
    await cache.invalidateTags("all");
    expect(list.splice(0)).toEqual(["raise far", "raise near"]);
    await cache.get(Against("a"));
    await clock.settle();
    list.splice(0);
    await cache.invalidateTags("all");
    expect(list.splice(0)).toEqual(["raise far", "raise near", "raise near", "raise far"]);
  });

  test.each([[], [""], [5], [null], [undefined], [["list"]], ["ok", "\uD800"], [{}]])(
    "of %j is a TypeError before anything is asked",
    async (...tags: unknown[]) => {
      const { cache, far } = setUp();
      const error = await failure(Promise.resolve(Reflect.apply(cache.invalidateTags, cache, tags)));
      expect(error).toBeInstanceOf(TypeError);
      expect(error).toHaveProperty("message", expect.stringContaining("invalidateTags"));
      expect(far.log).toEqual([]);
    },
  );
});

describe("invalidateNode", () => {
  test.each([undefined, null, 5, "Node", {}, (): string => "key"])("of what is no node (%#) is a TypeError", async (node) => {
    const { cache } = setUp();
    expect(await failure(Promise.resolve(Reflect.apply(cache.invalidateNode, cache, [node])))).toBeInstanceOf(TypeError);
  });

  test("of a reference is a TypeError that shows what was meant", async () => {
    const { cache } = setUp();
    const Item = counted({ caches: ALL });
    expect(await failure(Promise.resolve(Reflect.apply(cache.invalidateNode, cache, [Item("a")])))).toHaveProperty(
      "message",
      expect.stringContaining("UserInfo"),
    );
  });

  test("works for a node that this cache has not served yet", async () => {
    const { cache, isolate, clock } = setUp();
    const Item = defineNode({ name: freshName(), key: (key: string) => key, load: () => Math.random(), caches: ALL });
    const first = await cache.get(Item("a"));
    await clock.settle();
    await isolate().cache.invalidateNode(Item);
    expect(await isolate().cache.get(Item("a"))).not.toBe(first);
  });
});

describe("tags", () => {
  test("that are new cost one ensure, once, for all that a call asks for", async () => {
    const { cache, far, isolate, clock } = setUp();
    const Item = counted({ caches: [FAR], tags: byId });
    await cache.getAll([Item("a"), Item("b"), Item("a")]);
    await clock.settle();
    expect(far.log.map(({ method }) => method)).toEqual(["read", "ensure", "write"]);
    expect(far.generations.size).toBe(4);
    far.log.length = 0;
    await isolate().cache.getAll([Item("a"), Item("b")]);
    await cache.get(Item("a"));
    expect(far.log.map(({ method }) => method)).toEqual(["read", "read"]);
    await isolate().cache.get(Item("c"));
    await clock.settle();
    expect(far.log.map(({ method }) => method)).toEqual(["read", "read", "read", "ensure", "write"]);
  });

  test("that are not known, as ensure failed, leave the tier unwritten and the caller with the value", async () => {
    const { cache, far, clock } = setUp();
    const Item = counted({ caches: [LOCAL, FAR], tags: byId });
    far.fault("ensure", "reject");
    expect(await cache.get(Item("a"))).toBe("a#1");
    await clock.settle();
    expect([far.calls.write, cache.peek(Item("a"))]).toEqual([0, "a#1"]);
  });

  test("may repeat: a tag named twice counts once, and eight are taken", async () => {
    const { cache, far } = setUp();
    const Item = counted({ caches: [FAR], tags: () => ["1", "2", "3", "4", "5", "6", "7", "7"] });
    await cache.get(Item("a"));
    expect(far.generations.size).toBe(8);
  });

  test("may be none", async () => {
    const { cache, far } = setUp();
    const Item = counted({ caches: [FAR], tags: () => [] });
    await cache.get(Item("a"));
    expect(far.generations.size).toBe(1);
  });

  test("are asked for with the parameters, and not for an ordinary local hit", async () => {
    const { cache } = setUp();
    const asked: unknown[] = [];
    const Item = defineNode({
      name: freshName(),
      key: (user: { readonly id: number }) => `${user.id}`,
      load: ({ id }) => id,
      caches: ALL,
      tags: ({ id }) => {
        asked.push(id);
        return [`${id}`];
      },
    });
    await cache.get(Item({ id: 7 }));
    await cache.get(Item({ id: 7 }));
    expect(asked).toEqual([7]);
  });

  test("of the same words as a node, or as a key, are something else", async () => {
    const { cache, clock } = setUp();
    const Item = counted({ caches: ALL, tags: () => ["shared"] });
    const Shared = counted({ caches: ALL, name: "shared", allowRedefine: true });
    await cache.getAll([Item("a"), Shared("shared")]);
    await clock.settle();
    await cache.invalidateTags("shared");
    expect([cache.peek(Item("a")), cache.peek(Shared("shared"))]).toEqual([undefined, "shared#1"]);
    await cache.get(Item("a"));
    await cache.invalidateNode(Shared.node);
    expect([cache.peek(Item("a")), cache.peek(Shared("shared"))]).toEqual(["a#2", undefined]);
  });

  test.each([
    [() => "all", "a list of strings"],
    [() => undefined, "a list of strings"],
    [() => null, "a list of strings"],
    [() => new Set(["all"]), "a list of strings"],
    [async () => ["all"], "a list of strings"],
    [() => [5], "a non-empty string"],
    [() => [null], "a non-empty string"],
    [() => ["ok", ""], "a non-empty string"],
    [() => ["\uDC00"], "well-formed Unicode"],
    [() => Array.from({ length: 9 }, (_, index) => `${index}`), "at most 8 tags, got 9"],
  ])("that cannot be (%#) are a TypeError of every call that would store, naming the node", async (tags, words) => {
    const { cache, far, inFlight } = setUp();
    const Item = counted({ caches: [LOCAL, FAR], tags: tags as () => string[] });
    const all = () => [cache.get(Item("a")), cache.getAll([Item("a")]), cache.lookup(Item("a")), cache.set(Item("a"), "x"), cache.refresh(Item("a"))];
    for (const error of await Promise.all(all().map(failure))) {
      expect(error).toBeInstanceOf(TypeError);
      expect(error).toHaveProperty("message", expect.stringMatching(new RegExp(`"${Item.node.name}": tags.*${words}`)));
    }
    expect(await cache.lookupAll([Item("a")])).toMatchObject([{ error: expect.any(TypeError) }]);
    expect([far.log, Item.loads, inFlight()]).toEqual([[], [], 0]);
  });

  test("whose function throws: the value is answered and not stored, with an event", async () => {
    const { cache, clock, seen, far, inFlight, isolate } = setUp();
    const Item = counted({ caches: [LOCAL, FAR], tags: () => JSON.parse("{") });
    expect(await cache.get(Item("a"))).toBe("a#1");
    expect(await cache.getAll([Item("a")])).toEqual(["a#2"]);
    expect(await cache.refresh(Item("a"))).toBe("a#3");
    await cache.set(Item("a"), "set");
    await clock.settle();
    expect(seen("not-stored")).toEqual(Array.from({ length: 4 }, () => expect.objectContaining({ node: Item.node.name, reason: "hook" })));
    expect(cache.peek(Item("a"))).toBe(undefined);
    expect(await isolate().cache.lookup(Item("a"))).toMatchObject({ value: "a#4", source: "load" });
    expect([inFlight(), [...far.slots.values()].length]).toEqual([0, 1]);
  });

  test("that change with the code: entries of other tags are absent, and nothing is read wrong", async () => {
    const { cache, clock, isolate } = setUp();
    let tags = ["one"];
    const Item = counted({ caches: [FAR], tags: () => tags });
    await cache.get(Item("a"));
    await clock.settle();
    tags = ["one", "two"];
    expect(await isolate().cache.get(Item("a"))).toBe("a#2");
    await clock.settle();
    tags = [];
    expect(await isolate().cache.get(Item("a"))).toBe("a#3");
    await clock.settle();
    expect(await isolate().cache.get(Item("a"))).toBe("a#3");
  });
});

describe("epochs", () => {
  test("are remembered for 10,000 names; what is forgotten is a floor for all, which costs misses and serves nothing old", async () => {
    const { cache } = setUp();
    const Item = counted({ caches: [LOCAL], tags: byId });
    await cache.getAll(["a", "b"].map(Item));
    await cache.invalidateTags("id:a");
    const { epochs } = coreOf(cache);
    for (let index = 1; index < 10_000; index++) epochs.raise([`other ${index}`]);
    expect(epochs.outlived(["id:b"], 0)).toBe(false);
    await cache.invalidateTags("one more");
    expect(epochs.outlived(["id:b"], 0)).toBe(true);
    expect([cache.peek(Item("a")), cache.peek(Item("b"))]).toEqual([undefined, undefined]);
    expect(await cache.getAll(["a", "b"].map(Item))).toEqual(["a#3", "b#4"]);
    expect([cache.peek(Item("a")), cache.peek(Item("b"))]).toEqual(["a#3", "b#4"]);
  });

  test("hold for a key whose tag was forgotten, and for the flights that began before", async () => {
    const { cache, clock, later } = setUp();
    const Item = counted<string>({ caches: [LOCAL], tags: byId, load: (key, nth) => (nth === 1 ? later(100, "old") : `${key}#${nth}`) });
    const old = cache.get(Item("a"));
    await cache.invalidateTags("id:a");
    await Promise.all(Array.from({ length: 40 }, (_, index) => cache.invalidateTags(...Array.from({ length: 256 }, (__, nth) => `other ${index} ${nth}`))));
    await clock.advance(100);
    expect(await old).toBe("old");
    expect(cache.peek(Item("a"))).toBe(undefined);
    expect(await cache.get(Item("a"))).toBe("a#2");
  });

  test("do not touch what was made after them", async () => {
    const { cache } = setUp();
    const Item = counted({ caches: [LOCAL], tags: byId });
    await cache.invalidateTags("all");
    await cache.invalidateNode(Item.node);
    await cache.get(Item("a"));
    await cache.invalidateTags("other");
    await cache.invalidateNode(counted({ caches: [LOCAL] }).node);
    expect(cache.peek(Item("a"))).toBe("a#1");
    expect(await cache.get(Item("a"))).toBe("a#1");
  });
});
