/** What breaking the first core on purpose brought to light, one test each. */

import { describe, expect, test } from "vitest";
import { createOwner, decodeSlot, encodeEntry } from "../../src/envelope.ts";
import { isCacheError } from "../../src/errors.ts";
import { local } from "../../src/local/local.ts";
import { defineNode } from "../../src/node.ts";
import { createCacheOn } from "../../src/cache.ts";
import { wrap } from "../../src/storage-guard.ts";
import { fakeClock } from "../support/fake-clock.ts";
import { counted, failure, freshName, isSettled, REQUESTS, rig, SHARED } from "../support/rig.ts";
import { puppet, stub } from "../support/storages.ts";

const NEAR = [{ storage: "local", ttl: "1m" }] as const;
const FAR = [{ storage: "far", ttl: "1m" }] as const;
const CHAIN = [...NEAR, ...FAR] as const;

describe("takeover of a dead leader", () => {
  test("runs the function or loader that the follower brought along", async () => {
    const { cache, clock } = rig({ runtime: REQUESTS });
    const Bare = defineNode<string, string>({ name: freshName(), key: (key) => key, caches: NEAR });
    let runs = 0;
    const run = (key: string): string | Promise<string> => (++runs % 2 === 1 ? new Promise<string>(() => undefined) : `${key}!`);
    const memoized = cache.memoize(Bare, run);
    void clock.killed(() => memoized("a"));
    const follower = memoized("a").catch((error: unknown) => error);
    await clock.advance(2_000);
    expect(await follower).toBe("a!");
    void clock.killed(() => memoized.all([["b"]]));
    const batch = memoized.all([["b"]]).catch((error: unknown) => error);
    await clock.advance(2_000);
    expect(await batch).toEqual(["b!"]);
    void clock.killed(() => cache.get(Bare("c"), { load: () => run("c") }));
    const single = cache.get(Bare("c"), { load: () => run("c") });
    await clock.advance(2_000);
    expect(await single).toBe("c!");
  });

  test("loads once, also where the new load is over before the other followers notice", async () => {
    const { cache, clock } = rig({ runtime: REQUESTS });
    const Item = counted<string>({ load: (key, nth) => (nth === 1 ? new Promise<string>(() => undefined) : key) });
    void clock.killed(() => cache.get(Item("a")));
    const followers = Array.from({ length: 5 }, () => cache.get(Item("a")));
    await clock.advance(2_000);
    expect(new Set(await Promise.all(followers))).toEqual(new Set(["a"]));
    expect(Item.loads.length).toBe(2);
  });
});

describe("loads", () => {
  test("of 10,000 keys, some asynchronous and some not, all end", async () => {
    const { cache, inFlight } = rig();
    const Item = counted<string>({ load: (key) => (Number(key) < 6 ? Promise.resolve(key) : key) });
    const keys = Array.from({ length: 10_000 }, (_, index) => `${index}`);
    const all = cache.getAll(keys.map(Item));
    expect(await isSettled(all)).toBe(true);
    expect(await all).toEqual(keys);
    expect(inFlight()).toBe(0);
  });

  test("by loadAll that give promises, streams or Responses fail those keys, and share nothing", async () => {
    const { cache } = rig();
    const answers: Record<string, unknown> = { promise: Promise.resolve("x"), response: new Response("x"), stream: new ReadableStream(), good: "x" };
    const Item = defineNode<string, unknown>({
      name: freshName(),
      key: (key) => key,
      loadAll: (keys) => keys.map((key) => answers[key]),
      caches: NEAR,
    });
    const results = await cache.lookupAll(Object.keys(answers).map((key) => Item(key)));
    for (const result of results.slice(0, 3)) expect(isCacheError("error" in result ? result.error : undefined, "ERR_SERIALIZE")).toBe(true);
    expect(results[3]).toMatchObject({ value: "x" });
    for (const key of ["promise", "response", "stream"]) expect(cache.peek(Item(key))).toBe(undefined);
  });

  test("by loadAll that fail with a list are failures, and not results", async () => {
    const { cache } = rig();
    const list = ["x", "y"];
    const Item = defineNode<string, string>({ name: freshName(), key: (key) => key, loadAll: () => Promise.reject(list), caches: NEAR });
    expect(await failure(cache.getAll([Item("a"), Item("b")]))).toBe(list);
    expect(cache.peek(Item("a"))).toBe(undefined);
  });

  test("whose result cannot even be looked at fail, and free their key", async () => {
    const { cache, inFlight } = rig();
    class Evil {
      get [Symbol.toStringTag](): never {
        throw new Error("getter");
      }
    }
    // oxlint-disable-next-line unicorn/no-thenable -- that is the point
    const thenable = Object.defineProperty({}, "then", {
      get: () => {
        throw new Error("getter");
      },
    });
    for (const value of [new Evil(), thenable]) {
      expect(await failure(cache.get(counted<unknown>({ load: () => value })("a")))).toEqual(new Error("getter"));
      expect(inFlight()).toBe(0);
    }
  });
});

describe("get", () => {
  test("with bypass gives the loaded value although a storage is down", async () => {
    const far = puppet();
    far.fault("all", "reject");
    const { cache } = rig({ storages: { local: local(), far } });
    expect(await cache.get(counted({ caches: CHAIN })("a"), { bypass: true })).toBe("a#1");
  });

  test("with maxAge does not take an older copy from a flight begun in the same instant", async () => {
    const clock = fakeClock();
    const { cache } = rig({ clock, storages: { far: puppet({ clock }) } });
    const Item = counted({ caches: FAR });
    await cache.get(Item("a"));
    await clock.advance(10_000);
    expect(await Promise.all([cache.get(Item("a")), cache.get(Item("a"), { maxAge: "1s" })])).toEqual(["a#1", "a#2"]);
  });

  test("by a flight older than storeWithin keeps no local copy either", async () => {
    const clock = fakeClock();
    const far = puppet({ clock });
    const { cache } = rig({ clock, storages: { local: local(), far }, guard: { timeout: "5s" } });
    const source = Promise.withResolvers<string>();
    const Item = counted<string>({ caches: CHAIN, hardTimeout: "20s", storeWithin: "20s", load: () => source.promise });
    const release = far.hold("read");
    const answer = cache.get(Item("a"));
    await clock.advance(2_000);
    release();
    await clock.advance(19_000);
    source.resolve("old");
    await answer;
    expect(cache.peek(Item("a"))).toBe(undefined);
  });
});

describe("set", () => {
  test("waits for an earlier one although one between them could not be serialized", async () => {
    const far = puppet();
    const { cache, clock } = rig({ storages: { local: local(), far } });
    const Item = counted<unknown>({ caches: CHAIN, load: () => "loaded" });
    const release = far.hold("write");
    const first = cache.set(Item("a"), "first");
    const wrong = failure(cache.set(Item("a"), 1n));
    const last = cache.set(Item("a"), "last");
    await clock.settle();
    release();
    expect(isCacheError(await wrong, "ERR_SERIALIZE")).toBe(true);
    await Promise.all([first, last]);
    expect(await cache.get(Item("a"))).toBe("last");
  });
});

describe("a serializer whose encode gives no bytes", () => {
  test.each([["text"], [undefined], [null], [5], [new ArrayBuffer(8)], [{}], [Promise.resolve("text")]])(
    "but %o is reported; nothing is stored, nothing hangs",
    async (given) => {
      const far = puppet();
      const { cache, clock, inFlight, seen } = rig({ storages: { far } });
      const Item = counted({ caches: FAR, serializer: { name: "broken", encode: () => given as never, decode: (bytes) => bytes } });
      expect(await cache.get(Item("a"))).toBe("a#1");
      await clock.settle();
      expect(far.slots.size).toBe(0);
      expect(inFlight()).toBe(0);
      expect(seen("not-stored")).toMatchObject([{ reason: "serializer", node: Item.node.name }]);
      expect(isCacheError(await failure(cache.set(Item("a"), "x")), "ERR_SERIALIZE")).toBe(true);
    },
  );
});

describe("a driver's message", () => {
  const told = (message: string): string => wrap(new Error(message), "far", "read", ["cacheme:user:canary:"]).message;

  test.each([
    ["a quoted value with quotes in it", `bad value "{\\"password\\":\\"canary\\"}"`],
    ["a quoted value too long to have its end", `bad value "canary ${"word ".repeat(2_000)}"`],
    ["a user and a password before a host", "getaddrinfo ENOTFOUND admin:canary@db.example.com"],
    ["a key that is percent-encoded", "GET /v1/keys/cacheme%3Auser%3Acanary%3A failed"],
  ])("does not tell %s", (_what, message) => {
    expect(told(message)).not.toContain("canary");
  });
});

describe("storages and options", () => {
  test.each([0, -1, 1.5, Number.NaN])("a maxBatch of %s is refused by the storage's name, where it would never get anywhere", async (maxBatch) => {
    let calls = 0;
    // Answers a while, then never, so that a core that loops stops.
    const read = () => (++calls > 50 ? new Promise<never>(() => undefined) : Promise.resolve({ slots: [], generations: [] }));
    const { cache, clock } = rig({ storages: { far: () => stub({ traits: { maxBatch }, read }) } });
    const error = failure(cache.get(counted({ caches: FAR })("a")));
    await clock.settle();
    expect(calls).toBe(0);
    expect(String(await error)).toMatch(/"far".*maxBatch/);
  });

  test("that are conditional but cannot ensure generations are refused by name", () => {
    const storage = { ...puppet(), ensure: undefined as never };
    expect(() => rig({ storages: { far: storage } })).toThrow(/"far".*ensure/);
  });

  test.each([
    ["a guard that is no object", { guard: "1s" }, "guard"],
    ["a malformed guard timeout, where all storages are made later", { guard: { timeout: -1 } }, "timeout"],
    ["a clock that lacks a function", { clock: { now: 5 } }, "clock"],
    ["an option that does not exist", { prefx: "shop" }, "prefx"],
  ])("of createCache: %s is refused at construction", (_what, options, named) => {
    const given = { storages: { far: () => puppet() }, ...options };
    expect(() => Reflect.apply(createCacheOn, undefined, [SHARED, given])).toThrow(named);
  });

  test("a storage made by a function that gives another function is refused by name", async () => {
    const { cache } = rig({ storages: { far: () => (() => puppet()) as never } });
    expect(String(await failure(cache.get(counted({ caches: FAR })("a"))))).toContain('"far"');
  });

  test("setAll of what is no list of pairs says so", async () => {
    const { cache } = rig();
    for (const given of [5, undefined, [5], [undefined]]) {
      const error = await failure(Reflect.apply(cache.setAll.bind(cache), undefined, [given]));
      expect(String(error)).toMatch(/setAll|reference/);
      expect(error).toBeInstanceOf(TypeError);
    }
  });
});

describe("close", () => {
  test("releases every storage although one of them fails, and says which, without the driver's words", async () => {
    let closed = 0;
    const bad = { ...puppet(), close: () => Promise.reject(new Error("redis://user:canary@host")) };
    const { cache } = rig({ storages: { bad, good: { ...puppet(), close: async () => void closed++ } } });
    await cache.get(
      counted({
        caches: [
          { storage: "bad", ttl: "1m" },
          { storage: "good", ttl: "1m" },
        ],
      })("a"),
    );
    const error = await cache.close().catch((reason: unknown) => reason);
    expect(closed).toBe(1);
    expect(String(error)).not.toContain("canary");
  });

  test("waits for the background writes of views, too", async () => {
    const far = puppet();
    let slotsAtClose = -1;
    const { cache, clock } = rig({ storages: { far: { ...far, close: async () => void (slotsAtClose = far.slots.size) } } });
    const release = far.hold("write");
    await cache.with({}).get(counted({ caches: FAR })("a"));
    const closed = cache.close();
    await clock.settle();
    release();
    await closed;
    expect(slotsAtClose).toBe(1);
  });
});

describe("an entry", () => {
  test("whose key is no UTF-8 belongs to nobody, also not to a key of replacement characters", () => {
    const owner = createOwner("N", "", "p");
    const bytes = encodeEntry(owner, "p:\uFFFD:", { createdAt: 1, freshUntil: 2, expiresAt: 3, costMs: 0, generations: [], payload: null });
    const at = bytes.indexOf(0xef);
    const forged = new Uint8Array(bytes.length - 2);
    forged.set(bytes.subarray(0, at));
    forged[at] = 0xff;
    forged.set(bytes.subarray(at + 3), at + 1);
    new DataView(forged.buffer).setUint32(44, 4);
    expect(decodeSlot(forged, owner, "p:\uFFFD:").kind).not.toBe("entry");
  });
});
