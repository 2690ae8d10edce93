/** A cache as a whole: prefixes and keys, views, storages by name and when they are made, `flush`, `close`, `nodes`. */

import { describe, expect, test } from "vitest";
import { createCache } from "../../src/cache.ts";
import { isCacheError } from "../../src/errors.ts";
import { local } from "../../src/local/local.ts";
import type { Storage } from "../../src/storage.ts";
import { counted, failure, isSettled, rig } from "../support/rig.ts";
import { puppet } from "../support/storages.ts";

const FAR = [{ storage: "far", ttl: "1m" }] as const;

describe("keys", () => {
  test("are prefix, key and version, joined by colons, with the last colon kept for an empty version", () => {
    const { cache } = rig();
    expect(cache.keyOf(counted({ version: "v1" })("test"))).toBe("cacheme:test:v1");
    expect(cache.keyOf(counted()("test"))).toBe("cacheme:test:");
    expect(rig({ prefix: "shop" }).cache.keyOf(counted({ version: "v1" })("a"))).toBe("shop:a:v1");
    expect(rig({ prefix: "" }).cache.keyOf(counted()("a"))).toBe(":a:");
  });

  test("change with setPrefix, before the first read or write only", async () => {
    const far = puppet();
    const { cache } = rig({ storages: { far } });
    const Item = counted({ version: "v1", caches: FAR });
    cache.setPrefix("youcache");
    expect(cache.keyOf(Item("test"))).toBe("youcache:test:v1");
    await cache.get(Item("test"));
    await cache.flush();
    expect([...far.slots.keys()]).toEqual(["youcache:test:v1"]);
    expect(() => cache.setPrefix("late")).toThrow(/cache\.with/);
    expect(cache.keyOf(Item("test"))).toBe("youcache:test:v1");
  });

  test("reach the storage whole, whatever characters they hold", async () => {
    const far = puppet();
    const { cache } = rig({ storages: { far } });
    const Item = counted<string>({ caches: FAR, load: (key) => key });
    const keys = ["", "a\0b", "a\0", "%_:", "ä", "A", "a ", "😀", "\u0001", "\uFEFFx", "x".repeat(3_000)];
    expect(await cache.getAll(keys.map(Item))).toEqual(keys);
    await cache.flush();
    expect(new Set(far.slots.keys())).toEqual(new Set(keys.map((key) => `cacheme:${key}:`)));
    expect(await rig({ storages: { far } }).cache.getAll(keys.map(Item))).toEqual(keys);
    expect(Item.loads.length).toBe(keys.length);
  });

  test("too long for a storage are shortened there, and told apart", async () => {
    const far = puppet({ traits: { maxKeyBytes: 60 } });
    const Item = counted<string>({ caches: FAR, load: (key) => key });
    const keys = [`${"x".repeat(500)}1`, `${"x".repeat(500)}2`, "short", "ä".repeat(100)];
    const first = rig({ storages: { far } });
    expect(await first.cache.getAll(keys.map(Item))).toEqual(keys);
    await first.cache.flush();
    expect([...far.slots.keys()].every((key) => Buffer.byteLength(key) <= 60)).toBe(true);
    const second = rig({ storages: { far } });
    expect(await second.cache.getAll(keys.map(Item))).toEqual(keys);
    expect(Item.loads.length).toBe(keys.length);
    await second.cache.invalidate(keys.map(Item));
    await rig({ storages: { far } }).cache.getAll(keys.map(Item));
    expect(Item.loads.length).toBe(2 * keys.length);
  });
});

describe("a view", () => {
  test("under another prefix shares neither entries nor keys, and the same prefix shares both", async () => {
    const { cache } = rig();
    const Item = counted();
    await cache.get(Item("a"));
    expect(cache.with({}).peek(Item("a"))).toBe("a#1");
    const other = cache.with({ prefix: "tenant" });
    expect(other.keyOf(Item("a"))).toBe("tenant:a:");
    expect(await other.get(Item("a"))).toBe("a#2");
    expect(await cache.with({ prefix: "tenant" }).get(Item("a"))).toBe("a#2");
    await other.invalidate(Item("a"));
    expect(cache.peek(Item("a"))).toBe("a#1");
  });

  test("flushes its own background writes, not those of others", async () => {
    const far = puppet();
    const { cache } = rig({ storages: { far } });
    const Item = counted({ caches: FAR });
    const view = cache.with({});
    const release = far.hold("write");
    await view.get(Item("a"));
    expect(await isSettled(cache.flush())).toBe(true);
    const flushed = view.flush();
    expect(await isSettled(flushed)).toBe(false);
    release();
    await flushed;
    expect(far.slots.size).toBe(1);
  });
});

describe("flush", () => {
  test("ends after one storage budget, whatever hangs", async () => {
    const far = puppet();
    far.fault("write", "hang");
    const { cache, clock } = rig({ storages: { far }, guard: { timeout: "2s" } });
    await cache.get(counted({ caches: FAR })("a"));
    const flushed = cache.flush();
    await clock.advance(1_999);
    expect(await isSettled(flushed)).toBe(false);
    await clock.advance(1);
    await flushed;
  });
});

describe("close", () => {
  test("waits for background writes, releases the storages that were made, and ends every later call", async () => {
    const closed: string[] = [];
    const far = { ...puppet(), close: async () => void closed.push("far") };
    const { cache } = rig({ storages: { far, unused: () => ({ ...puppet(), close: async () => void closed.push("unused") }), local: local() } });
    const Item = counted({ caches: FAR });
    const memoized = cache.memoize(Item, () => "x");
    await cache.get(Item("a"));
    await cache.close();
    expect(far.slots.size).toBe(1);
    expect(closed).toEqual(["far"]);
    const calls = [
      cache.get(Item("a")),
      cache.getAll([Item("a")]),
      cache.lookup(Item("a")),
      cache.lookupAll([Item("a")]),
      cache.set(Item("a"), "x"),
      cache.setAll([[Item("a"), "x"]]),
      cache.refresh(Item("a")),
      cache.invalidate(Item("a")),
      memoized("a"),
      memoized.all([["a"]]),
      cache.with({}).get(Item("a")),
    ];
    for (const call of calls) expect(isCacheError(await failure(call), "ERR_CLOSED")).toBe(true);
    expect(() => cache.peek(Item("a"))).toThrow(/closed/);
  });
});

describe("storages", () => {
  test("given as functions are made at first use, once", async () => {
    let made = 0;
    const lazy = (): Storage => {
      made++;
      return puppet();
    };
    const { cache } = rig({ storages: { far: lazy, local: local() } });
    await cache.get(counted()("a"));
    expect(made).toBe(0);
    const [One, Two] = [counted({ caches: FAR }), counted({ caches: FAR })];
    await cache.getAll([One("a"), Two("a"), One("b")]);
    expect(made).toBe(1);
  });

  test("that cannot be made fail the call that needs them, and are tried again at the next", async () => {
    let works = false;
    const { cache } = rig({
      storages: {
        far: () => {
          if (!works) throw new Error("no binding");
          return puppet();
        },
      },
    });
    const Item = counted({ caches: FAR });
    expect(await failure(cache.get(Item("a")))).toEqual(new TypeError('storage "far" could not be made: Error: no binding'));
    works = true;
    expect(await cache.get(Item("a"))).toBe("a#1");
  });

  test("that cannot be made tell no address and no token, and do not keep local copies from being invalidated", async () => {
    const { cache } = rig({
      storages: {
        local: local(),
        far: () => {
          throw new RangeError("cannot connect to redis://user:hunter2@host, token=A1b2C3d4E5f6G7h8I9");
        },
        odd: () => {
          throw new TypeError('odd: unknown option "tokn", did you mean "token"?');
        },
      },
    });
    const Item = counted({ tags: () => ["group"] });
    await cache.get(Item("a"));
    for (const call of [cache.get(counted({ caches: FAR })("a")), cache.invalidateTags("group")]) {
      const error = await failure(call);
      expect(error).toBeInstanceOf(TypeError);
      expect(String(error)).toContain('storage "far" could not be made: RangeError: cannot connect to redis://…');
      expect(String(error)).not.toMatch(/hunter2|A1b2/);
    }
    expect(cache.peek(Item("a"))).toBe(undefined);
    expect(String(await failure(cache.get(counted({ caches: [{ storage: "odd", ttl: 5 }] })("a"))))).toContain('unknown option "tokn", did you mean "token"?');
  });

  test("that do not fit a chain in use are not registered at all", async () => {
    const far = puppet();
    const { cache } = rig({ storages: { local: local(), far } });
    const [Plain, Chained] = [counted({ caches: FAR }), counted({ caches: [{ storage: "local", ttl: "1m" }, ...FAR, { storage: "other", ttl: "1m" }] })];
    cache.registerStorage("other", puppet());
    await cache.getAll([Plain("a"), Chained("a")]);
    await cache.flush();
    // A local tier cannot stand between remote ones.
    expect(() => cache.registerStorage("other", local())).toThrow(/local tier "other" must stand left/);
    expect(() => cache.registerStorage("new", {} as never)).toThrow(TypeError);
    const before = far.calls.read;
    expect(await cache.with({ prefix: "fresh" }).get(Chained("b"))).toBe("b#2");
    await cache.get(Plain("c"));
    expect(far.calls.read).toBe(before + 2);
  });

  test("may be registered later, or replaced, for nodes that were used already", async () => {
    const [old, late] = [puppet(), puppet()];
    const { cache } = rig({ storages: { local: local(), far: old } });
    const Item = counted({ caches: [{ storage: "local", ttl: "1m" }, ...FAR] });
    await cache.get(Item("a"));
    await cache.flush();
    expect(cache.registerStorage("far", late).registerStorage("other", local())).toBe(cache);
    expect(cache.peek(Item("a"))).toBe("a#1");
    await cache.get(Item("b"));
    await cache.flush();
    expect([old.slots.size, late.slots.size]).toEqual([1, 1]);
    expect(await cache.get(counted({ caches: [{ storage: "other", ttl: 1_000 }] })("a"))).toBe("a#1");
  });

  test("that are replaced keep the flights that began with them", async () => {
    const [old, late] = [puppet(), puppet()];
    const { cache, clock } = rig({ storages: { far: old } });
    const source = Promise.withResolvers<string>();
    const Item = counted<string>({ caches: FAR, load: () => source.promise });
    const answer = cache.get(Item("a"));
    await clock.settle();
    cache.registerStorage("far", late);
    source.resolve("value");
    await answer;
    await clock.settle();
    expect([old.slots.size, late.slots.size]).toEqual([1, 0]);
  });

  test("may be shared by two caches; a local one keeps them apart", async () => {
    const [near, far] = [local(), puppet()];
    const Item = counted({ caches: [{ storage: "near", ttl: "1m" }, ...FAR] });
    const [one, two] = [rig({ storages: { near, far } }), rig({ storages: { near, far } })];
    await one.cache.get(Item("a"));
    await one.cache.flush();
    expect(two.cache.peek(Item("a"))).toBe(undefined);
    expect(await two.cache.lookup(Item("a"))).toMatchObject({ value: "a#1", source: "far" });
  });

  test("without guard left of a guarded one for more than five minutes are reported once for each node", async () => {
    const weak = puppet({ traits: { conditional: false, consistency: "eventual" } });
    const { cache, seen } = rig({ storages: { weak, far: puppet() } });
    const chain = (ttl: "5m" | "6m") => counted({ caches: [{ storage: "weak", ttl }, ...FAR] });
    const [Short, Long] = [chain("5m"), chain("6m")];
    await cache.getAll([Short("a"), Long("a"), Long("b")]);
    await cache.with({ prefix: "other" }).get(Long("a"));
    cache.registerStorage("more", local());
    expect(seen("weak-tier-first")).toEqual([{ type: "weak-tier-first", node: Long.node.name, storage: "weak" }]);
  });
});

describe("close", () => {
  test("releases storages once, however often it is called", async () => {
    let closed = 0;
    const far = { ...puppet(), close: async () => void closed++ };
    const { cache } = rig({ storages: { far } });
    await cache.get(counted({ caches: FAR })("a"));
    await Promise.all([cache.close(), cache.with({}).close()]);
    await cache.close();
    expect(closed).toBe(1);
  });
});

describe("nodes", () => {
  test("lists the nodes served, each once, under whatever prefix", async () => {
    const { cache } = rig();
    const [One, Two] = [counted(), counted()];
    expect(cache.nodes()).toEqual([]);
    await cache.get(One("a"));
    await cache.with({ prefix: "other" }).getAll([One("a"), Two("a")]);
    expect(new Set(cache.nodes())).toEqual(new Set([One.node, Two.node]));
    expect(cache.nodes().length).toBe(2);
  });
});

describe("createCache", () => {
  test("works on the host it finds itself on, with its own clock", async () => {
    const far = puppet();
    const cache = createCache({ storages: { local: local(), far } });
    const Item = counted({ caches: [{ storage: "local", ttl: "1m" }, ...FAR] });
    expect(await cache.getAll([Item("a"), Item("b"), Item("a")])).toEqual(["a#1", "b#2", "a#1"]);
    await cache.flush();
    expect(far.log.map(({ method, keys }) => [method, keys.length])).toEqual([
      ["read", 2],
      ["ensure", 1],
      ["write", 2],
    ]);
  });
});
