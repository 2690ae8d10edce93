/**
 * Bad input: each a clear error that names the option or the node, at the earliest moment it can be known, and nothing lost by
 * it: no key left in flight, no other key of the batch harmed.
 */

import { describe, expect, test } from "vitest";
import { createCache } from "../src/cache.ts";
import { local } from "../src/local/local.ts";
import { defineNode } from "../src/node.ts";
import { guarded } from "../src/storage-guard.ts";
import { counted, failure, freshName, REQUESTS, rig } from "./support/rig.ts";
import { puppet, stub } from "./support/storages.ts";

/** Calls something as plain JavaScript may, past all types. */
function call(run: (...args: never[]) => unknown, ...args: unknown[]): unknown {
  return Reflect.apply(run, undefined, args);
}

/** The message of the TypeError that `run` throws. */
function complaint(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    expect(error).toBeInstanceOf(TypeError);
    return String(error);
  }
  throw new Error("it did not complain");
}

/** The message of the TypeError that a call rejects with, which it must not throw. */
async function rejection(run: () => unknown): Promise<string> {
  const promise = run();
  expect(promise).toBeInstanceOf(Promise);
  const error = await failure(Promise.resolve(promise));
  expect(error).toBeInstanceOf(TypeError);
  return String(error);
}

const LOCAL = [{ storage: "local", ttl: "1m" }] as const;

describe("createCache", () => {
  const storages = { local: local() };

  test.each([
    ["no options at all", undefined, "options"],
    ["options that are text", "redis", "options"],
    ["no storages", {}, "storages"],
    ["storages that are null", { storages: null }, "storages"],
    ["a storage that is none", { storages: { far: 5 } }, 'storages["far"]'],
    ["a storage that is missing", { storages: { far: undefined } }, 'storages["far"]'],
    ["a storage that lacks a method", { storages: { far: { ...puppet(), write: undefined } } }, 'storages["far"]'],
    ["a storage named as the source is", { storages: { load: local() } }, '"load"'],
    ["a prefix that is no text", { storages, prefix: 5 }, "prefix"],
    ["a prefix with a control character", { storages, prefix: "a\u0001" }, "prefix"],
    ["a prefix with NUL", { storages, prefix: "a\0b" }, "prefix"],
    ["a prefix with half a character", { storages, prefix: "\uD800" }, "prefix"],
    ["an observer that is no function", { storages, onEvent: "log" }, "onEvent"],
    ["a waitUntil that is no function", { storages, waitUntil: {} }, "waitUntil"],
    ["a waitUntil that is null", { storages, waitUntil: null }, "waitUntil"],
    ["a prefix that is null", { storages, prefix: null }, "prefix"],
    ["a clock that is a number", { storages, clock: 5 }, "clock must be an object, got 5"],
    ["a clock that is null", { storages, clock: null }, "clock must be an object, got null"],
    ["a list of storages", { storages: [local()] }, "storages must be an object, got an array"],
    ["a storage without a name", { storages: { "": local() } }, "name"],
    ["a list of no sinks", { storages, stats: [] }, "stats"],
    ["a largest value that is text", { storages: { far: puppet({ traits: { maxValueBytes: "1mb" as never } }) } }, 'maxValueBytes must be a number, got "1mb"'],
    ["a shortest ttl that is no number", { storages: { far: puppet({ traits: { minTtlMs: Number.NaN } }) } }, "minTtlMs must be a number, got NaN"],
    ["a longest key that is text", { storages: { far: puppet({ traits: { maxKeyBytes: "900" as never } }) } }, 'maxKeyBytes must be at least 60, got "900"'],
    ["a malformed guard timeout", { storages: { far: puppet() }, guard: { timeout: "1 s" } }, "timeout"],
    ["a guard timeout of 0", { storages: { far: puppet() }, guard: { timeout: 0 } }, "timeout"],
    ["a guard timeout without an end", { storages: { far: puppet() }, guard: { timeout: null } }, "timeout"],
  ])("refuses %s, naming it", (_what, options, named) => {
    expect(complaint(() => call(createCache, options))).toContain(named);
  });

  test("refuses a timeout in guarded() at once", () => {
    expect(complaint(() => guarded(puppet(), { timeout: -1 }))).toContain("timeout");
  });
});

describe("a node's tier", () => {
  test("of an unknown storage is refused at first use, naming node, storage and those there are; no key is left in flight", async () => {
    const { cache, inFlight } = rig({ storages: { near: local(), far: puppet() } });
    const Item = counted({ caches: [{ storage: "fra", ttl: "1m" }] });
    const calls = [
      () => cache.get(Item("a")),
      () => cache.getAll([Item("a")]),
      () => cache.lookup(Item("a")),
      () => cache.set(Item("a"), "x"),
      () => cache.refresh(Item("a")),
      () => cache.invalidate(Item("a")),
      () => cache.memoize(Item, (key: string) => key)("a"),
    ];
    for (const each of calls) {
      const told = await rejection(each);
      for (const named of [Item.node.name, '"fra"', '"near"', '"far"']) expect(told).toContain(named);
    }
    expect(complaint(() => cache.peek(Item("a")))).toContain('"fra"');
    expect([Item.loads.length, inFlight(), cache.nodes().length]).toEqual([0, 0, 0]);
  });

  test("that is local must stand left of remote ones, and is named", async () => {
    const { cache } = rig({ storages: { local: local(), far: puppet() } });
    const Item = counted({
      caches: [
        { storage: "far", ttl: "1m" },
        { storage: "local", ttl: "1m" },
      ],
    });
    const told = await rejection(() => cache.get(Item("a")));
    for (const named of [Item.node.name, '"local"']) expect(told).toContain(named);
  });

  test.each([-1, Number.NaN, "", "5", "5x", " 5s", "-5s", "1e3s", undefined, {}])("with a ttl of %s is refused at definition, naming node and ttl", (ttl) => {
    const name = freshName();
    const told = complaint(() => call(defineNode, { name, key: String, caches: [{ storage: "local", ttl }] }));
    for (const named of [name, "ttl"]) expect(told).toContain(named);
  });

  test("made by a function that gives no storage is refused by the storage's name", async () => {
    const made: unknown[] = [undefined, 5, { name: "x" }, Promise.resolve(puppet())];
    for (const given of made) {
      const { cache } = rig({ storages: { far: () => given as never } });
      const told = await rejection(() => cache.get(counted({ caches: [{ storage: "far", ttl: 1 }] })("a")));
      expect(told).toContain('storages["far"]');
    }
  });

  test("whose storage cannot keep even a digest is refused by name", async () => {
    const { cache } = rig({ storages: { far: () => puppet({ traits: { maxKeyBytes: 20 } }) } });
    const told = await rejection(() => cache.get(counted({ caches: [{ storage: "far", ttl: 1 }] })("a")));
    for (const named of ['"far"', "maxKeyBytes"]) expect(told).toContain(named);
  });
});

describe("a node", () => {
  test("of a name that is taken is refused, naming it and the way out", () => {
    const Item = counted();
    const told = complaint(() => defineNode({ name: Item.node.name, key: String, caches: LOCAL }));
    for (const named of [Item.node.name, "allowRedefine"]) expect(told).toContain(named);
  });

  test("whose key is no text is refused when the reference is made, naming the node and not the key", () => {
    const secret = "secret-canary";
    for (const key of [5, null, undefined, { secret }, Promise.resolve(secret), Symbol(secret), [Number.NaN], [{ secret }], `${secret}\uD800`]) {
      const Item = defineNode({ name: freshName(), key: () => key as never, caches: LOCAL });
      const told = complaint(() => Item());
      expect(told).toContain(Item.name);
      expect(told).not.toContain(secret);
    }
  });
});

describe("a reference", () => {
  const wrong = [undefined, null, 5, "user:1", {}, { key: "a" }, { node: {}, key: "a", params: 1 }, () => 1, Promise.resolve()];

  test.each(wrong)("that is %o is refused by every call, before anything is asked", async (reference) => {
    const far = puppet();
    const { cache, inFlight } = rig({ storages: { local: local(), far } });
    const Item = counted({ caches: [...LOCAL, { storage: "far", ttl: "1m" }] });
    const calls = [
      () => call(cache.get.bind(cache), reference),
      () => call(cache.get.bind(cache), reference, { bypass: true }),
      () => call(cache.getAll.bind(cache), [Item("a"), reference]),
      () => call(cache.lookup.bind(cache), reference),
      () => call(cache.lookupAll.bind(cache), [Item("a"), reference]),
      () => call(cache.set.bind(cache), reference, 1),
      () =>
        call(cache.setAll.bind(cache), [
          [Item("a"), "x"],
          [reference, 1],
        ]),
      () => call(cache.refresh.bind(cache), reference),
      () => call(cache.invalidate.bind(cache), [Item("a"), reference]),
      () =>
        cache.memoize(
          () => reference as never,
          () => 1,
        )(),
    ];
    for (const each of calls) expect(await rejection(each)).toMatch(/reference/);
    expect(complaint(() => call(cache.peek.bind(cache), reference))).toMatch(/reference/);
    expect([Item.loads.length, far.log.length, inFlight()]).toEqual([0, 0, 0]);
  });

  test("instead of a list of them, and a node instead of its reference, are told apart in words", async () => {
    const { cache } = rig();
    const Item = counted();
    for (const given of [Item("a"), undefined, "list", 5, { 0: Item("a"), length: 1 }]) {
      expect(await rejection(() => call(cache.getAll.bind(cache), given))).toContain("list of references");
      expect(await rejection(() => call(cache.lookupAll.bind(cache), given))).toContain("list of references");
    }
    expect(await rejection(() => call(cache.get.bind(cache), Item.node))).toContain("cache.get(UserInfo(1))");
    expect(await rejection(() => call(cache.getAll.bind(cache), [Item.node]))).toContain("reference");
    expect(await rejection(() => call(cache.getAll.bind(cache), [Item("a"), [Item("b")]]))).toContain("reference");
  });
});

describe("options of calls", () => {
  test("are checked by name before anything is asked", async () => {
    const { cache, inFlight } = rig();
    const Item = counted();
    const get = (options: object) => rejection(() => call(cache.get.bind(cache), Item("a"), options));
    expect(await get({ maxAge: "soon" })).toContain("maxAge");
    expect(await get({ maxAge: -1 })).toContain("maxAge");
    expect(await get({ load: "user" })).toContain("load");
    expect(await rejection(() => call(cache.set.bind(cache), Item("a"), 1, { ttl: "-1s" }))).toContain("ttl");
    expect(await get({ maxage: "5s" })).toContain('unknown option "maxage", did you mean "maxAge"?');
    expect(await get({ signal: {} })).toContain("signal must be an AbortSignal, got an object");
    for (const options of [null, 5, "5s", () => 1])
      expect(await rejection(() => call(cache.get.bind(cache), Item("a"), options))).toContain("get: options must be an object");
    expect(await rejection(() => call(cache.getAll.bind(cache), [Item("a")], { bypas: true }))).toContain('did you mean "bypass"?');
    for (const options of [null, 5_000, "5s"])
      expect(await rejection(() => call(cache.set.bind(cache), Item("a"), 1, options))).toContain("set: options must be an object");
    expect(await rejection(() => call(cache.set.bind(cache), Item("a"), 1, { tll: 5 }))).toContain('did you mean "ttl"?');
    for (const options of [undefined, null, "x"]) expect(complaint(() => call(cache.with.bind(cache), options))).toContain("with: options must be an object");
    expect(complaint(() => call(cache.with.bind(cache), { waituntil: 5 }))).toContain('did you mean "waitUntil"?');
    for (const reference of [undefined, null, "x"]) expect(complaint(() => call(cache.keyOf.bind(cache), reference))).toContain("expected a reference");
    // oxlint-disable-next-line no-sparse-arrays -- that is the case
    expect(await rejection(() => call(cache.setAll.bind(cache), [[Item("a"), 1], , [Item("b"), 1]]))).toContain("setAll: expected a list");
    expect(complaint(() => call(cache.memoize.bind(cache), Item("a"), () => 1))).toContain("toNode");
    expect(complaint(() => call(cache.memoize.bind(cache), Item, "fn"))).toContain("fn");
    expect(complaint(() => call(cache.with.bind(cache), { prefix: "a\n" }))).toContain("prefix");
    expect(complaint(() => call(cache.with.bind(cache), { waitUntil: 5 }))).toContain("waitUntil");
    expect(complaint(() => call(cache.setPrefix.bind(cache), "a\u007f"))).toContain("prefix");
    expect(complaint(() => call(cache.registerStorage.bind(cache), "far", {}))).toContain('storages["far"]');
    expect([Item.loads.length, inFlight()]).toEqual([0, 0]);
  });
});

describe("a loader that breaks its word", () => {
  const breaches: [string, unknown][] = [
    ["too few results", []],
    ["too many results", ["x", "y", "z"]],
    ["no list", "xy"],
    ["nothing", undefined],
    ["a map", new Map()],
  ];

  test.each(breaches)("by %s from loadAll fails all its keys with a TypeError naming the node, and no key of another", async (_what, answer) => {
    const { cache, inFlight } = rig();
    const Broken = defineNode<string, string>({ name: freshName(), key: (key) => key, loadAll: async () => answer as never, caches: LOCAL });
    const Item = counted();
    await cache.set(Broken("held"), "held");
    const results = await cache.lookupAll([Broken("a"), Item("a"), Broken("held"), Broken("b")]);
    expect(results).toMatchObject([{ error: expect.any(TypeError) }, { value: "a#1" }, { value: "held" }, { error: expect.any(TypeError) }]);
    expect(String(results.flatMap((result) => ("error" in result ? [result.error] : []))[0])).toContain(Broken.name);
    expect(await failure(cache.refresh(Broken("a")))).toBeInstanceOf(TypeError);
    expect(inFlight()).toBe(0);
  });

  test("by throwing at once harms no other key, in load and in loadAll, on every kind of host", async () => {
    for (const runtime of [undefined, REQUESTS]) {
      const { cache, inFlight } = rig(runtime ? { runtime } : {});
      const error = new Error("at once");
      const throws = (): never => {
        throw error;
      };
      const Bad = counted<string>({ load: throws });
      const BadAll = defineNode<string, string>({ name: freshName(), key: (key) => key, loadAll: throws, caches: LOCAL });
      const Item = counted();
      const results = await cache.lookupAll([Bad("a"), Item("a"), BadAll("a"), BadAll("b"), Item("b")]);
      expect(results).toMatchObject([{ error }, { value: "a#1" }, { error }, { error }, { value: "b#2" }]);
      expect(inFlight()).toBe(0);
    }
  });
});

describe("a storage that is down", () => {
  test.each(["reject", "throw", "hang"] as const)("(%s) never fails a read of any kind", async (fault) => {
    const far = puppet();
    far.fault("all", fault);
    const { cache, clock, inFlight } = rig({ storages: { local: local(), far } });
    const Item = counted<string>({ caches: [...LOCAL, { storage: "far", ttl: "1m" }], load: (key) => key });
    const memoized = cache.memoize(Item, (key: string) => key);
    const reads: Promise<unknown>[] = [
      cache.get(Item("a")),
      cache.get(Item("b"), { maxAge: "1s" }),
      cache.get(Item("c"), { load: () => "c" }),
      cache.getAll([Item("d"), Item("e")]),
      cache.lookup(Item("f")),
      cache.lookupAll([Item("g")]),
      memoized("h"),
      memoized.all([["i"]]),
    ];
    await clock.advance(3_000);
    const results = await Promise.allSettled(reads);
    expect(results.map(({ status }) => status)).toEqual(reads.map(() => "fulfilled"));
    expect(inFlight()).toBe(0);
    expect(clock.pending).toBe(0);
  });

  test("fails writes by name, for the caller has to know", async () => {
    const { cache } = rig({ storages: { far: stub({ read: () => Promise.reject(new Error("down")), write: () => Promise.reject(new Error("down")) }) } });
    const Item = counted({ caches: [{ storage: "far", ttl: "1m" }] });
    for (const write of [cache.set(Item("a"), "x"), cache.setAll([[Item("a"), "x"]]), cache.invalidate(Item("a"))]) {
      expect(String(await failure(write))).toContain('"far"');
    }
  });
});
