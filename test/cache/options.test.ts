/** The options of `get`, and the rules of a node that change how its values are answered and stored. */

import { describe, expect, test } from "vitest";
import { isCacheError } from "../../src/errors.ts";
import { local } from "../../src/local/local.ts";
import { defineNode } from "../../src/node.ts";
import { fakeClock } from "../support/fake-clock.ts";
import { counted, failure, freshName, isSettled, rig } from "../support/rig.ts";
import { puppet } from "../support/storages.ts";

const FAR = [{ storage: "far", ttl: "1m" }] as const;
const NEAR_AND_FAR = [{ storage: "local", ttl: "30s" }, ...FAR] as const;

describe("signal", () => {
  test("that is aborted already rejects with its reason and asks nothing", async () => {
    const far = puppet();
    const { cache, inFlight } = rig({ storages: { far } });
    const Item = counted({ caches: FAR });
    const reason = { why: "gone" };
    expect(await failure(cache.get(Item("a"), { signal: AbortSignal.abort(reason) }))).toBe(reason);
    expect([Item.loads.length, far.log.length, inFlight()]).toEqual([0, 0, 0]);
  });

  test("of a leader ends its wait alone: the load is stored all the same", async () => {
    const { cache, clock, inFlight } = rig();
    const source = Promise.withResolvers<string>();
    const Item = counted<string>({ load: () => source.promise });
    const controller = new AbortController();
    const gone = failure(cache.get(Item("a"), { signal: controller.signal }));
    controller.abort();
    expect(await gone).toMatchObject({ name: "AbortError" });
    source.resolve("value");
    await clock.settle();
    expect(cache.peek(Item("a"))).toBe("value");
    expect(inFlight()).toBe(0);
  });

  test("that aborts after the answer changes nothing", async () => {
    const { cache } = rig();
    const controller = new AbortController();
    const Item = counted();
    const value = await cache.get(Item("a"), { signal: controller.signal });
    controller.abort();
    expect(value).toBe("a#1");
    expect(await cache.get(Item("a"))).toBe("a#1");
  });
});

describe("bypass", () => {
  test("skips every tier, loads, and replaces what every tier holds", async () => {
    const clock = fakeClock();
    const far = puppet({ clock });
    const { cache } = rig({ clock, storages: { local: local(), far } });
    const Item = counted({ caches: NEAR_AND_FAR });
    await cache.get(Item("a"));
    await cache.flush();
    expect(await cache.get(Item("a"), { bypass: true })).toBe("a#2");
    expect(await cache.get(Item("a"))).toBe("a#2");
    const other = rig({ clock, storages: { local: local(), far } });
    expect(await other.cache.get(Item("a"))).toBe("a#2");
    expect(cache.stats(Item.node)).toMatchObject({ requestCount: 3, missCount: 2, hitCount: 1 });
  });

  test("of many keys runs at most loadConcurrency loads at a time, and loads a repeated key once", async () => {
    const { cache } = rig();
    let [open, most] = [0, 0];
    const Item = counted<string>({
      loadConcurrency: 3,
      load: async (key, nth) => {
        most = Math.max(most, ++open);
        await new Promise((resolve) => setImmediate(resolve));
        open--;
        return `${key}#${nth}`;
      },
    });
    const keys = Array.from({ length: 20 }, (_, index) => `k${index}`);
    const values = await cache.getAll([...keys, "k0"].map(Item), { bypass: true });
    expect(most).toBe(3);
    expect(Item.loads).toEqual(keys);
    expect(values.at(-1)).toBe(values[0]);
    expect(cache.stats(Item.node)).toMatchObject({ requestCount: 21, missCount: 21, collapsedCount: 1, loadCount: 20 });
    expect(cache.peek(Item("k7"))).toBe("k7#8");
  });

  test("of many keys asks loadAll once, and replaces what every tier holds", async () => {
    const clock = fakeClock();
    const far = puppet({ clock });
    const { cache } = rig({ clock, storages: { local: local(), far } });
    const asked: (readonly string[])[] = [];
    const Item = defineNode({
      name: freshName(),
      key: (key: string) => key,
      caches: NEAR_AND_FAR,
      loadAll: (keys: readonly string[]) => {
        asked.push(keys);
        return keys.map((key) => (key === "bad" ? new Error("bad") : `${key}#${asked.length}`));
      },
    });
    await cache.getAll([Item("a"), Item("b")]);
    expect(await cache.getAll([Item("a"), Item("b"), Item("a")], { bypass: true })).toEqual(["a#2", "b#2", "a#2"]);
    expect(await failure(cache.getAll([Item("a"), Item("bad")], { bypass: true }))).toEqual(new Error("bad"));
    expect(asked).toEqual([
      ["a", "b"],
      ["a", "b"],
      ["a", "bad"],
    ]);
    expect(await rig({ clock, storages: { local: local(), far } }).cache.getAll([Item("a"), Item("b")])).toEqual(["a#3", "b#2"]);
  });

  test("does not join a load that began before it", async () => {
    const { cache } = rig();
    const slow = Promise.withResolvers<string>();
    const Item = counted<string>({ load: (_key, nth) => (nth === 1 ? slow.promise : "new") });
    const old = cache.get(Item("a"));
    expect(await cache.get(Item("a"), { bypass: true })).toBe("new");
    slow.resolve("old");
    expect(await old).toBe("old");
    expect(await cache.get(Item("a"))).toBe("new");
  });
});

describe("maxAge", () => {
  test("refuses a local entry that is older, and a remote one, and takes younger ones", async () => {
    for (const caches of [[{ storage: "local", ttl: "1m" }], FAR] as const) {
      const clock = fakeClock();
      const { cache } = rig({ clock, storages: { local: local(), far: puppet({ clock }) } });
      const Item = counted({ caches });
      await cache.get(Item("a"));
      await clock.advance(10_000);
      expect(await cache.get(Item("a"), { maxAge: "10s" })).toBe("a#1");
      expect(await cache.get(Item("a"), { maxAge: 9_999 })).toBe("a#2");
      await clock.settle();
      expect(await cache.get(Item("a"))).toBe("a#2");
    }
  });

  test("loads a repeated key once, however long that takes", async () => {
    const { cache, clock } = rig();
    const Item = counted<string>({ load: (key, nth) => new Promise((resolve) => void clock.setTimeout(() => resolve(`${key}#${nth}`), 100)) });
    const answer = cache.getAll([Item("a"), Item("a"), Item("a")], { maxAge: 1 });
    await clock.advance(100);
    await clock.settle();
    expect(await answer).toEqual(["a#1", "a#1", "a#1"]);
    expect(Item.loads.length).toBe(1);
  });

  test("does not take the older copy that a flight of somebody else found", async () => {
    const clock = fakeClock();
    const far = puppet({ clock });
    const { cache } = rig({ clock, storages: { far } });
    const Item = counted({ caches: FAR });
    await cache.get(Item("a"));
    await clock.advance(10_000);
    const release = far.hold("read");
    const any = cache.get(Item("a"));
    await clock.advance(1);
    const young = cache.get(Item("a"), { maxAge: "1s" });
    release();
    expect(await any).toBe("a#1");
    expect(await young).toBe("a#2");
  });

  test.each([0, 1])("does not take the load of a refresh that began too long ago, nor by way of others (%i)", async (others) => {
    const clock = fakeClock();
    const { cache } = rig({ clock });
    const slow = Promise.withResolvers<string>();
    const Item = counted<string>({ load: (_key, nth) => (nth === 1 ? slow.promise : "new") });
    const refreshed = cache.refresh(Item("a"));
    await clock.advance(10_000);
    const any = Array.from({ length: others }, () => cache.get(Item("a")));
    const young = cache.get(Item("a"), { maxAge: "1s" });
    slow.resolve("old");
    expect([await refreshed, ...(await Promise.all(any))]).toEqual(["old", ...any.map(() => "old")]);
    expect(await young).toBe("new");
    expect(Item.loads).toHaveLength(2);
  });
});

describe("load", () => {
  test("runs instead of the node's own, and its value is cached for everybody", async () => {
    const { cache } = rig();
    const Item = counted();
    expect(await cache.get(Item("a"), { load: () => "mine" })).toBe("mine");
    expect(await cache.get(Item("a"), { load: () => "again" })).toBe("mine");
    expect(await cache.get(Item("a"))).toBe("mine");
    expect(Item.loads).toEqual([]);
  });

  test("is not run by a follower: a flight runs the loader of the caller that leads it", async () => {
    const { cache } = rig();
    const Item = counted();
    const both = Promise.all([cache.get(Item("a"), { load: async () => "leader" }), cache.get(Item("a"), { load: () => "follower" })]);
    expect(await both).toEqual(["leader", "leader"]);
  });

  test("combined with bypass replaces what is cached", async () => {
    const { cache } = rig();
    const Item = counted();
    await cache.get(Item("a"));
    expect(await cache.get(Item("a"), { bypass: true, load: () => "mine" })).toBe("mine");
    expect(cache.peek(Item("a"))).toBe("mine");
  });
});

describe("writes", () => {
  test("in the background do not hold up the answer", async () => {
    const far = puppet();
    const { cache } = rig({ storages: { far } });
    const release = far.hold("write");
    const Item = counted({ caches: FAR });
    expect(await cache.get(Item("a"))).toBe("a#1");
    expect(far.slots.size).toBe(0);
    release();
    await cache.flush();
    expect(far.slots.size).toBe(1);
  });

  test("that are awaited hold up get, getAll and memoized calls until they have landed", async () => {
    const far = puppet();
    const { cache, clock } = rig({ storages: { far } });
    const Item = counted({ caches: FAR, writes: "await" });
    const memoized = cache.memoize(Item, (key: string) => key);
    const calls = [() => cache.get(Item("a")), () => cache.getAll([Item("b"), Item("c")]), () => memoized("d")];
    for (const call of calls) {
      const release = far.hold("write");
      const answer: Promise<unknown> = call();
      await clock.settle();
      expect(await isSettled(answer)).toBe(false);
      release();
      await answer;
    }
    expect(far.slots.size).toBe(4);
  });

  test("that are awaited and fail do not fail the call", async () => {
    const far = puppet();
    far.fault("write", "reject");
    const { cache, seen } = rig({ storages: { far } });
    expect(await cache.get(counted({ caches: FAR, writes: "await" })("a"))).toBe("a#1");
    expect(seen("storage-failed")).toMatchObject([{ operation: "write", storage: "far" }]);
  });
});

describe("guarantee 13: clone", () => {
  interface Tree {
    leaves: number[];
  }

  test("none hands the same object to everybody", async () => {
    const { cache } = rig();
    const Item = counted<Tree>({ load: () => ({ leaves: [1] }) });
    const [first, second] = await Promise.all([cache.get(Item("a")), cache.get(Item("a"))]);
    expect(first).toBe(second);
    expect(await cache.get(Item("a"))).toBe(first);
  });

  test("freeze freezes deeply, for leader, follower and later callers, and after a set", async () => {
    const { cache } = rig();
    const Item = counted<Tree>({ clone: "freeze", load: async () => ({ leaves: [1] }) });
    const [leader, follower] = await Promise.all([cache.get(Item("a")), cache.get(Item("a"))]);
    await cache.set(Item("b"), { leaves: [2] });
    for (const tree of [leader, follower, await cache.get(Item("a")), await cache.get(Item("b"))]) {
      expect(Object.isFrozen(tree)).toBe(true);
      expect(() => tree.leaves.push(9)).toThrow(TypeError);
    }
  });

  test("structured gives each caller a value that nobody else sees, whoever changes what", async () => {
    const { cache, clock } = rig({ storages: { local: local(), far: puppet() } });
    const own: Tree = { leaves: [1] };
    const Item = counted<Tree>({ clone: "structured", caches: NEAR_AND_FAR, load: async () => own });
    const memoized = cache.memoize(Item, async () => own);
    const trees = [...(await Promise.all([cache.get(Item("a")), cache.get(Item("a"))])), ...(await cache.getAll([Item("a"), Item("a")]))];
    trees.push((await cache.lookup(Item("a"))).value, await memoized("a"), await cache.refresh(Item("a")), own);
    for (const tree of trees) {
      expect(tree.leaves).toEqual([1]);
      tree.leaves.push(9);
    }
    await clock.settle();
    expect((await cache.get(Item("a"))).leaves).toEqual([1]);
    expect(cache.peek(Item("a"))?.leaves).toEqual([1]);
  });

  test("structured stores what set was given, not what becomes of it", async () => {
    const { cache } = rig();
    const Item = counted<Tree>({ clone: "structured", load: () => ({ leaves: [] }) });
    const given: Tree = { leaves: [1] };
    const stored = cache.set(Item("a"), given);
    given.leaves.push(9);
    await stored;
    expect((await cache.get(Item("a"))).leaves).toEqual([1]);
  });

  test("structured of a value that cannot be cloned is ERR_SERIALIZE", async () => {
    const { cache, inFlight } = rig();
    const Item = counted<unknown>({ clone: "structured", load: () => ({ run: () => 1 }) });
    expect(isCacheError(await failure(cache.get(Item("a"))), "ERR_SERIALIZE")).toBe(true);
    expect(isCacheError(await failure(cache.set(Item("a"), () => 1)), "ERR_SERIALIZE")).toBe(true);
    expect(isCacheError(await failure(cache.refresh(Item("a"))), "ERR_SERIALIZE")).toBe(true);
    expect(isCacheError(await failure(cache.get(Item("a"), { bypass: true })), "ERR_SERIALIZE")).toBe(true);
    expect(inFlight()).toBe(0);
  });

  test("a value is serialized before any caller can change it", async () => {
    const clock = fakeClock();
    const far = puppet({ clock });
    const { cache } = rig({ clock, storages: { far } });
    const Item = counted<Tree>({ caches: FAR, load: () => ({ leaves: [1] }) });
    (await cache.get(Item("a"))).leaves.push(9);
    await cache.flush();
    expect((await rig({ clock, storages: { far } }).cache.get(Item("a"))).leaves).toEqual([1]);
  });
});
