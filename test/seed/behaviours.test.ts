/**
 * The behaviours that the tests of the Python library whose model this one implements assert, by their number and in their
 * order: those of the core. Storages and serializers (17 to 22) follow in `storages.test.ts`.
 */

import { describe, expect, test } from "vitest";
import { local } from "../../src/local/local.ts";
import { defineNode, dynamicNode, nodes } from "../../src/node.ts";
import { fakeClock } from "../support/fake-clock.ts";
import { counted, freshName, rig } from "../support/rig.ts";
import { puppet } from "../support/storages.ts";

const LOCAL = [{ storage: "local", ttl: null }] as const;

/** Node, cache and memoized function as most of these tests want them. */
function memoized() {
  const { cache, inFlight } = rig();
  const Item = counted();
  const runs: string[] = [];
  const run = cache.memoize(Item, async (key: string) => {
    await Promise.resolve();
    return `${key}${runs.push(key)}`;
  });
  return { cache, inFlight, Item, run, runs };
}

describe("the behaviours of the core", () => {
  test("1. memoize: the first call runs the function, a second one of the same key does not, and the results are equal", async () => {
    const { run, runs } = memoized();
    const first = await run("a");
    expect(runs).toEqual(["a"]);
    expect(await run("a")).toBe(first);
    expect(runs).toEqual(["a"]);
  });

  test("2. memoize on a method works with its object, and an argument that is not in the key does not cause a load", async () => {
    const { cache } = rig();
    const Item = dynamicNode<string>({ name: freshName(), caches: LOCAL });
    class Shelf {
      readonly label = "shelf";
      loads = 0;
      readonly find = cache.memoize(
        (id: number, _note: string) => Item(`item:${id}`),
        async (id: number, note: string) => {
          this.loads++;
          return `${this.label} ${id} ${note}`;
        },
      );
    }
    const shelf = new Shelf();
    expect(await shelf.find(1, "first")).toBe("shelf 1 first");
    expect(await shelf.find(1, "second")).toBe("shelf 1 first");
    expect(shelf.loads).toBe(1);
  });

  test("3. get loads once, then the value is cached", async () => {
    const { cache } = rig();
    const Item = counted();
    expect([await cache.get(Item("a")), await cache.get(Item("a"))]).toEqual(["a#1", "a#1"]);
    expect(Item.loads.length).toBe(1);
  });

  test("4. get with a load of its own calls that once and the node's never; a second call is cached", async () => {
    const { cache } = rig();
    const Item = counted();
    let overrides = 0;
    const load = async () => `override ${++overrides}`;
    expect(await cache.get(Item("a"), { load })).toBe("override 1");
    expect(await cache.get(Item("a"), { load })).toBe("override 1");
    expect(await cache.get(Item("a"))).toBe("override 1");
    expect(Item.loads).toEqual([]);
  });

  test("5. getAll answers in the order of its input, loads each once, and later only what is new", async () => {
    const { cache } = rig();
    const Item = counted<string>({ load: async (key) => key });
    const ask = () => cache.getAll(["c", "a", "b"].map(Item));
    expect(await ask()).toEqual(["c", "a", "b"]);
    expect(Item.loads.toSorted()).toEqual(["a", "b", "c"]);
    expect(await ask()).toEqual(["c", "a", "b"]);
    expect(Item.loads.length).toBe(3);
    expect(await cache.getAll(["c", "new", "b"].map(Item))).toEqual(["c", "new", "b"]);
    expect(Item.loads.slice(3)).toEqual(["new"]);
  });

  test("6. 50 memoized calls of one key at once: one run, equal results, nothing in flight afterwards", async () => {
    const { run, runs, inFlight } = memoized();
    const results = await Promise.all(Array.from({ length: 50 }, () => run("a")));
    expect(runs).toEqual(["a"]);
    expect(new Set(results).size).toBe(1);
    expect(inFlight()).toBe(0);
  });

  test("7. 200 gets of one key at once: one load, nothing in flight afterwards", async () => {
    const { cache, inFlight } = rig();
    const Item = counted<string>({ load: async (key) => key });
    await Promise.all(Array.from({ length: 200 }, () => cache.get(Item("a"))));
    expect(Item.loads).toEqual(["a"]);
    expect(inFlight()).toBe(0);
  });

  test("8. 200 getAlls of the same three keys at once: three loads, each result in order, nothing in flight afterwards", async () => {
    const { cache, inFlight } = rig();
    const Item = counted<string>({ load: async (key) => key });
    const results = await Promise.all(Array.from({ length: 200 }, () => cache.getAll(["b", "a", "c"].map(Item))));
    for (const result of results) expect(result).toEqual(["b", "a", "c"]);
    expect(Item.loads.toSorted()).toEqual(["a", "b", "c"]);
    expect(inFlight()).toBe(0);
  });

  test("9. stats count a, b, c, a, d as 5 requests, 1 hit, 4 misses and 4 loads, and then a, b, f as 3 more", async () => {
    const { cache } = rig();
    const Item = counted();
    for (const key of ["a", "b", "c", "a", "d"]) await cache.get(Item(key));
    expect(cache.stats(Item.node)).toMatchObject({
      requestCount: 5,
      hitCount: 1,
      missCount: 4,
      loadCount: 4,
      loadSuccessCount: 4,
      loadFailureCount: 0,
      hitRate: 0.2,
      missRate: 0.8,
    });
    await cache.getAll(["a", "b", "f"].map(Item));
    expect(cache.stats(Item.node)).toMatchObject({ requestCount: 8, hitCount: 3, loadCount: 5 });
  });

  test("10. invalidate loads nothing by itself; the next get loads again", async () => {
    const { cache } = rig();
    const Item = counted();
    await cache.get(Item("a"));
    await cache.invalidate(Item("a"));
    expect(Item.loads.length).toBe(1);
    expect(await cache.get(Item("a"))).toBe("a#2");
  });

  test("11. refresh loads exactly once more, and the next get is cached", async () => {
    const { cache } = rig();
    const Item = counted();
    await cache.get(Item("a"));
    expect(await cache.refresh(Item("a"))).toBe("a#2");
    expect(await cache.get(Item("a"))).toBe("a#2");
    expect(Item.loads.length).toBe(2);
  });

  test("12. of two tiers get fills both and invalidate empties both; what is gone from the first alone is read from the second, and refilled", async () => {
    const clock = fakeClock();
    const [near, far] = [local({ clock }), puppet({ clock })];
    const { cache } = rig({ clock, storages: { near, far } });
    const Item = counted({
      caches: [
        { storage: "near", ttl: "10s" },
        { storage: "far", ttl: null },
      ],
    });
    await cache.get(Item("a"));
    await cache.flush();
    expect(cache.peek(Item("a"))).toBe("a#1");
    expect(far.slots.size).toBe(1);
    near.clear();
    expect(await cache.get(Item("a"))).toBe("a#1");
    expect(Item.loads.length).toBe(1);
    expect(cache.peek(Item("a"))).toBe("a#1");
    await cache.invalidate(Item("a"));
    expect(cache.peek(Item("a"))).toBe(undefined);
    expect(await rig({ clock, storages: { near: local(), far } }).cache.get(Item("a"))).toBe("a#2");
  });

  test("13. nodes() is not empty, and holds real nodes alone", () => {
    const Item = counted();
    expect(nodes()).toContain(Item.node);
    for (const node of nodes()) {
      expect(node.name).not.toBe("");
      expect(Reflect.apply(node as never, undefined, ["a"])).toMatchObject({ node });
    }
  });

  test("14. setPrefix changes full keys to the form youcache:test:v1", () => {
    const { cache } = rig();
    const Item = counted({ version: "v1" });
    expect(cache.keyOf(Item("test"))).toBe("cacheme:test:v1");
    cache.setPrefix("youcache");
    expect(cache.keyOf(Item("test"))).toBe("youcache:test:v1");
  });

  test("15. a dynamic node: ten keys twice are ten loads, 20 requests and 10 hits; it is listed; the same name gives the same node", async () => {
    const { cache } = rig();
    const definition = { name: freshName(), version: "v1", caches: LOCAL };
    const Bar = dynamicNode<string>(definition);
    let loads = 0;
    for (const key of [...Array(10).keys(), ...Array(10).keys()]) {
      expect(await cache.get(Bar(`bar:${key}`), { load: async () => `value ${key} ${++loads > 0}` })).toBe(`value ${key} true`);
    }
    expect(loads).toBe(10);
    expect(nodes()).toContain(Bar);
    expect(cache.nodes()).toEqual([Bar]);
    expect(cache.stats(Bar)).toMatchObject({ requestCount: 20, hitCount: 10 });
    expect(dynamicNode(definition)).toBe(Bar);
  });

  test("16. a dynamic node with memoize: one load for each distinct key", async () => {
    const { cache } = rig();
    const definition = { name: freshName(), caches: LOCAL };
    let loads = 0;
    const read = cache.memoize(
      (id: number) => dynamicNode<string>(definition)(`bar:${id}`),
      async (id: number) => `${id} ${++loads}`,
    );
    for (const id of [1, 2, 1, 3, 2, 1]) await read(id);
    expect(loads).toBe(3);
  });

  test("a node needs no version, and its name is no part of the key", () => {
    const Item = defineNode({ name: freshName(), key: (id: number) => `user:${id}`, load: (id) => id, caches: LOCAL });
    expect(rig().cache.keyOf(Item(1))).toBe("cacheme:user:1:");
  });
});
