/** `getAll`, `lookup`, `lookupAll` and `peek`: alignment, one call a tier, and what one key's failure does to the others. */

import { describe, expect, test } from "vitest";
import { local } from "../../src/local/local.ts";
import { defineNode } from "../../src/node.ts";
import type { Storage, WriteEntry } from "../../src/storage.ts";
import { fakeClock } from "../support/fake-clock.ts";
import { counted, failure, freshName, isSettled, REQUESTS, rig, SHARED } from "../support/rig.ts";
import { puppet, weakPuppet } from "../support/storages.ts";

const FAR = [{ storage: "far", ttl: "1m" }] as const;
const NEAR_AND_FAR = [{ storage: "local", ttl: "30s" }, ...FAR] as const;

describe("getAll", () => {
  test("of nothing is an empty list, and asks nothing", async () => {
    const far = puppet();
    const { cache } = rig({ storages: { far } });
    expect(await cache.getAll([])).toEqual([]);
    expect(far.log).toEqual([]);
  });

  test("is aligned with its references, duplicates and several nodes included", async () => {
    const { cache } = rig({ storages: { local: local(), far: puppet() } });
    const [One, Two] = [counted({ caches: NEAR_AND_FAR }), counted({ load: (key) => `two:${key}` })];
    const values = await cache.getAll([One("c"), Two("a"), One("a"), One("c"), One("c")]);
    expect(values).toEqual(["c#1", "two:a", "a#2", "c#1", "c#1"]);
    expect(cache.stats(One.node)).toMatchObject({ requestCount: 4, missCount: 4, collapsedCount: 2, loadCount: 2 });
  });

  test("mixes keys found locally, remotely, in flight and nowhere, and loads the last alone", async () => {
    const clock = fakeClock();
    const far = puppet({ clock });
    const seeded = rig({ clock, storages: { local: local(), far } });
    const Item = counted<string>({ caches: NEAR_AND_FAR, load: async (key) => `${key}!` });
    await seeded.cache.getAll([Item("remote")]);
    await seeded.cache.flush();
    const { cache } = rig({ clock, storages: { local: local(), far } });
    await cache.get(Item("local"));
    Item.loads.length = 0;
    const flying = cache.get(Item("flying"));
    expect(await cache.getAll([Item("new"), Item("local"), Item("flying"), Item("remote")])).toEqual(["new!", "local!", "flying!", "remote!"]);
    await flying;
    expect(Item.loads.toSorted()).toEqual(["flying", "new"]);
  });

  test("reads each tier once, whatever the number of keys, and writes it once", async () => {
    const far = puppet();
    const { cache, clock } = rig({ storages: { far } });
    const Item = counted({ caches: FAR });
    await cache.getAll(Array.from({ length: 50 }, (_, index) => Item(`k${index}`)));
    await clock.settle();
    expect(far.log.map(({ method, keys }) => [method, keys.length])).toEqual([
      ["read", 50],
      ["ensure", 1],
      ["write", 50],
    ]);
  });

  test("writes slots that lie side by side in memory, each with its own bytes; one alone has its memory to itself", async () => {
    const clock = fakeClock();
    const inner = puppet({ clock });
    const calls: (readonly WriteEntry[])[] = [];
    const far: Storage = { ...inner, write: (entries, signal) => inner.write(calls[calls.push(entries) - 1] ?? [], signal) };
    const { cache } = rig({ clock, storages: { far } });
    const Item = counted<string>({ caches: FAR, load: (key) => key.repeat(500) });
    const references = Array.from({ length: 50 }, (_, index) => Item(`k${index}`));
    const values = await cache.getAll(references);
    await cache.flush();
    await cache.get(Item("alone"));
    await cache.flush();
    const [many = [], one = []] = calls.map((entries) => entries.map(({ bytes }) => bytes));
    expect([many.length, one.length]).toEqual([50, 1]);
    const buffers = new Set(many.map(({ buffer }) => buffer));
    expect(buffers.size).toBeLessThan(20);
    expect(Math.max(...[...buffers].map(({ byteLength }) => byteLength))).toBeLessThanOrEqual(16 * 1024);
    expect(one[0]?.buffer.byteLength).toBe(one[0]?.length);
    expect(await rig({ clock, storages: { far } }).cache.getAll(references)).toEqual(values);
    expect(Item.loads.length).toBe(51);
  });

  test("over maxBatch goes in chunks that lose no key and repeat none", async () => {
    const far = puppet({ traits: { maxBatch: 7 } });
    const { cache, clock } = rig({ storages: { far } });
    const Item = counted({ caches: FAR });
    const keys = Array.from({ length: 50 }, (_, index) => `k${index}`);
    await cache.getAll(keys.map(Item));
    await clock.settle();
    const reads = far.log.filter(({ method }) => method === "read");
    expect(reads.map((call) => call.keys.length)).toEqual([7, 7, 7, 7, 7, 7, 7, 1]);
    expect(new Set(reads.flatMap((call) => call.keys)).size).toBe(50);
    expect(far.slots.size).toBe(50);
  });

  test("of 10,000 keys answers all of them", async () => {
    const far = puppet();
    const { cache, clock, inFlight } = rig({ storages: { local: local(), far } });
    const Item = counted({ caches: NEAR_AND_FAR, load: (key) => key });
    const keys = Array.from({ length: 10_000 }, (_, index) => `k${index}`);
    expect(await cache.getAll(keys.map(Item))).toEqual(keys);
    await clock.settle();
    expect(far.slots.size).toBe(10_000);
    expect(inFlight()).toBe(0);
  });

  test("rejects with the first failing reference in argument order, after all have settled, and keeps the others", async () => {
    const { cache, inFlight } = rig();
    const slow = Promise.withResolvers<string>();
    const Item = counted<string>({
      load: async (key) => {
        if (key === "slow") return slow.promise;
        if (key.startsWith("bad")) throw new Error(key);
        return key;
      },
    });
    const all = cache.getAll([Item("good"), Item("slow"), Item("bad1"), Item("bad2"), Item("fine")]);
    expect(await isSettled(all)).toBe(false);
    slow.reject(new Error("slow"));
    expect(await failure(all)).toEqual(new Error("slow"));
    expect([cache.peek(Item("good")), cache.peek(Item("fine"))]).toEqual(["good", "fine"]);
    expect(inFlight()).toBe(0);
    expect(cache.stats(Item.node)).toMatchObject({ requestCount: 5, missCount: 5, loadSuccessCount: 2, loadFailureCount: 3 });
  });

  test("runs at most loadConcurrency loads at a time, and all of them", async () => {
    const { cache } = rig();
    let [open, most] = [0, 0];
    const Item = counted<string>({
      loadConcurrency: 3,
      load: async (key) => {
        most = Math.max(most, ++open);
        await new Promise((resolve) => setImmediate(resolve));
        open--;
        if (key === "k4") throw new Error("k4");
        return key;
      },
    });
    await failure(cache.getAll(Array.from({ length: 20 }, (_, index) => Item(`k${index}`))));
    expect(most).toBe(3);
    expect(Item.loads.length).toBe(20);
  });

  test.each([
    ["where promises may be awaited from anywhere", SHARED],
    ["where requests own their I/O", REQUESTS],
  ] as const)("that follows another one waits for loads whose turn has not come, and repeats none, %s", async (_where, runtime) => {
    const { cache, clock } = rig({ runtime, waitUntil: () => undefined });
    const Item = counted<string>({
      loadConcurrency: 1,
      hardTimeout: "300ms",
      load: (key) => new Promise((resolve) => void clock.setTimeout(() => resolve(key), 100)),
    });
    const keys = Array.from({ length: 20 }, (_, index) => `k${index}`);
    const first = cache.getAll(keys.map(Item));
    await clock.advance(500);
    const second = cache.getAll(keys.map(Item));
    for (let step = 0; step < 30; step++) await clock.advance(100);
    expect(await Promise.all([first, second])).toEqual([keys, keys]);
    expect(Item.loads).toEqual(keys);
  });
});

describe("loadAll", () => {
  const batching = (loadAll: (keys: readonly string[]) => (string | Error)[] | Promise<(string | Error)[]>, rules: { maxLoadBatch?: number } = {}) =>
    defineNode({ ...rules, name: freshName(), key: (key: string) => key, loadAll, caches: [{ storage: "local", ttl: "1m" }] });

  test("is asked once for the missing keys of a drain, single gets included, in chunks of maxLoadBatch", async () => {
    const { cache } = rig();
    const asked: (readonly string[])[] = [];
    const Item = batching(
      async (keys) => {
        asked.push(keys);
        return keys.map((key) => `${key}!`);
      },
      { maxLoadBatch: 3 },
    );
    await cache.set(Item("held"), "held");
    const [single, many] = await Promise.all([cache.get(Item("s")), cache.getAll([Item("a"), Item("held"), Item("b"), Item("a"), Item("c")])]);
    expect(single).toBe("s!");
    expect(many).toEqual(["a!", "held", "b!", "a!", "c!"]);
    expect(asked).toEqual([["s", "a", "b"], ["c"]]);
  });

  test("fails one key alone by an Error at its position", async () => {
    const { cache } = rig();
    const error = new Error("no b");
    const Item = batching((keys) => keys.map((key) => (key === "b" ? error : key)));
    const results = await cache.lookupAll([Item("a"), Item("b"), Item("c")]);
    expect(results).toMatchObject([{ value: "a" }, { error }, { value: "c" }]);
    expect(await failure(cache.getAll([Item("a"), Item("b")]))).toBe(error);
    expect(cache.stats(Item)).toMatchObject({ loadSuccessCount: 2, loadFailureCount: 2 });
  });

  test("whose results cannot be looked at fails those keys alone, and hangs nobody", async () => {
    const { cache, inFlight } = rig();
    const { proxy, revoke } = Proxy.revocable({}, {});
    revoke();
    const Item = batching((keys) => keys.map((key) => (key === "b" ? (proxy as unknown as string) : key)));
    const answers = await cache.lookupAll([Item("a"), Item("b"), Item("c")]);
    expect(answers).toMatchObject([{ value: "a" }, { error: expect.any(TypeError) }, { value: "c" }]);
    const list = Proxy.revocable<string[]>([], {});
    list.revoke();
    expect(await failure(cache.get(batching(() => list.proxy)("a")))).toBeInstanceOf(TypeError);
    expect(inFlight()).toBe(0);
  });

  test("that throws fails all its keys with that error, and no other batch", async () => {
    const { cache, inFlight } = rig();
    const error = new Error("down");
    const Item = batching(
      (keys) => {
        if (keys.includes("b")) throw error;
        return [...keys];
      },
      { maxLoadBatch: 2 },
    );
    const results = await cache.lookupAll([Item("a"), Item("b"), Item("c"), Item("d")]);
    expect(results).toMatchObject([{ error }, { error }, { value: "c" }, { value: "d" }]);
    expect(inFlight()).toBe(0);
  });

  test("is asked once for each env, and never for keys of two", async () => {
    const { cache } = rig();
    const loadAll = (keys: readonly string[], { env }: { readonly env: unknown }) => keys.map((key) => `${key} in ${String(env)}`);
    const Item = defineNode({ name: freshName(), key: (key: string) => key, loadAll, caches: [{ storage: "local", ttl: "1m" }] });
    const [one, two] = [cache.with({ env: "one" }), cache.with({ env: "two" })];
    expect(await Promise.all([one.get(Item("a")), two.get(Item("b")), one.get(Item("c"))])).toEqual(["a in one", "b in two", "c in one"]);
  });

  test("serves refresh and a bypass, for their one key", async () => {
    const { cache } = rig();
    const asked: (readonly string[])[] = [];
    const Item = batching((keys) => {
      asked.push(keys);
      return keys.map((key) => (key === "bad" ? new Error("bad") : `${key}#${asked.length}`));
    });
    expect(await cache.refresh(Item("a"))).toBe("a#1");
    expect(await cache.get(Item("a"), { bypass: true })).toBe("a#2");
    expect(await failure(cache.refresh(Item("bad")))).toEqual(new Error("bad"));
    expect(asked).toEqual([["a"], ["a"], ["bad"]]);
  });
});

describe("lookup", () => {
  test("tells where a value came from, its age, and what is left of it", async () => {
    const clock = fakeClock();
    const far = puppet({ clock });
    const Item = counted({ caches: NEAR_AND_FAR });
    const { cache } = rig({ clock, storages: { local: local(), far } });
    expect(await cache.lookup(Item("a"))).toEqual({ value: "a#1", source: "load", state: "fresh", ageMs: 0, ttlMs: 30_000, collapsed: false, guarded: true });
    await cache.flush();
    await clock.advance(1_000);
    expect(await cache.lookup(Item("a"))).toMatchObject({ source: "local", ageMs: 1_000, ttlMs: 29_000, collapsed: false, guarded: true });
    const other = rig({ clock, storages: { local: local(), far } });
    expect(await other.cache.lookup(Item("a"))).toMatchObject({ source: "far", ageMs: 1_000, ttlMs: 59_000, guarded: true });
  });

  test("says collapsed for the follower and not for the leader", async () => {
    const { cache } = rig();
    const Item = counted<string>({ load: async (key) => key });
    const [leader, follower] = await cache.lookupAll([Item("a"), Item("a")]);
    expect([leader, follower]).toMatchObject([{ collapsed: false }, { collapsed: true }]);
  });

  test("says unguarded when a weak tier answered, also of the local copy made from it", async () => {
    const clock = fakeClock();
    const weak = weakPuppet({ clock });
    const caches = [
      { storage: "local", ttl: "30s" },
      { storage: "weak", ttl: "1m" },
    ] as const;
    const Item = counted({ caches });
    const first = rig({ clock, storages: { local: local(), weak } });
    expect(await first.cache.lookup(Item("a"))).toMatchObject({ source: "load", guarded: true });
    await first.cache.flush();
    const second = rig({ clock, storages: { local: local(), weak } });
    expect(await second.cache.lookup(Item("a"))).toMatchObject({ source: "weak", guarded: false });
    expect(await second.cache.lookup(Item("a"))).toMatchObject({ source: "local", guarded: false });
  });

  test("rejects as get does, and lookupAll gives the error in its place", async () => {
    const { cache } = rig();
    const error = new Error("no");
    const Item = counted<string>({ load: (key) => (key === "bad" ? Promise.reject(error) : key) });
    expect(await failure(cache.lookup(Item("bad")))).toBe(error);
    expect(await cache.lookupAll([Item("a"), Item("bad")])).toMatchObject([{ value: "a" }, { error }]);
    expect(await cache.lookupAll([])).toEqual([]);
  });
});

describe("peek", () => {
  test("gives the fresh local value, loads nothing and counts nothing", async () => {
    const clock = fakeClock();
    const far = puppet({ clock });
    const { cache } = rig({ clock, storages: { local: local(), far } });
    const Item = counted({ caches: NEAR_AND_FAR });
    expect(cache.peek(Item("a"))).toBe(undefined);
    expect([Item.loads.length, far.log.length]).toEqual([0, 0]);
    await cache.get(Item("a"));
    const before = cache.stats(Item.node);
    expect(cache.peek(Item("a"))).toBe("a#1");
    expect(cache.stats(Item.node)).toEqual(before);
    await clock.advance(30_000);
    expect(cache.peek(Item("a"))).toBe(undefined);
  });

  test("is no access: what was only looked at is evicted as if it had not been", async () => {
    const { cache } = rig({ storages: { local: local({ policy: "lru", maxEntries: 2 }) } });
    const Item = counted();
    await cache.getAll([Item("a"), Item("b")]);
    cache.peek(Item("a"));
    await cache.get(Item("c"));
    expect([cache.peek(Item("a")), cache.peek(Item("b"))]).toEqual([undefined, "b#2"]);
  });
});
