/** `get`: what a reader is answered, and what stays behind, when all goes well and when the source does not. */

import { describe, expect, test } from "vitest";
import { isCacheError } from "../src/errors.ts";
import { local } from "../src/local/local.ts";
import { defineNode } from "../src/node.ts";
import type { LoadContext } from "../src/types.ts";
import { fakeClock } from "./support/fake-clock.ts";
import { counted, failure, freshName, isSettled, rig } from "./support/rig.ts";
import { puppet } from "./support/storages.ts";

const FAR = [{ storage: "far", ttl: "1m" }] as const;
const NEAR_AND_FAR = [{ storage: "local", ttl: "30s" }, ...FAR] as const;

describe("get", () => {
  test("loads once, then answers from the local tier", async () => {
    const { cache, clock, inFlight } = rig();
    const Item = counted();
    expect(await cache.get(Item("a"))).toBe("a#1");
    expect(await cache.get(Item("a"))).toBe("a#1");
    expect(Item.loads).toEqual(["a"]);
    expect(inFlight()).toBe(0);
    expect(clock.pending).toBe(0);
  });

  test("answers a fresh local hit without a timer or a flight", async () => {
    const { cache, clock, inFlight } = rig({ storages: { local: local(), far: puppet() } });
    const Item = counted({ caches: NEAR_AND_FAR });
    await cache.get(Item("a"));
    await clock.settle();
    const hit = cache.get(Item("a"));
    expect(inFlight()).toBe(0);
    expect(clock.pending).toBe(0);
    expect(await hit).toBe("a#1");
  });

  test("reads the remote tier of an isolate that has nothing, and keeps a local copy", async () => {
    const clock = fakeClock();
    const far = puppet({ clock });
    const Item = counted({ caches: NEAR_AND_FAR });
    const first = rig({ clock, storages: { local: local(), far } });
    await first.cache.get(Item("a"));
    await first.cache.flush();
    const second = rig({ clock, storages: { local: local(), far } });
    expect(await second.cache.get(Item("a"))).toBe("a#1");
    expect(second.cache.peek(Item("a"))).toBe("a#1");
    expect(Item.loads).toEqual(["a"]);
  });

  test("asks the tiers from left to right and back-fills those that missed", async () => {
    const clock = fakeClock();
    const [middle, far] = [puppet({ clock }), puppet({ clock })];
    const caches = [{ storage: "middle", ttl: "1m" }, ...FAR] as const;
    const { cache } = rig({ clock, storages: { middle, far } });
    const Item = counted({ caches });
    await cache.get(Item("a"));
    await cache.flush();
    expect([middle.slots.size, far.slots.size]).toEqual([1, 1]);
    middle.slots.clear();
    expect(await cache.get(Item("a"))).toBe("a#1");
    await cache.flush();
    expect(middle.slots.size).toBe(1);
    expect(Item.loads).toEqual(["a"]);
    const reads = far.calls.read;
    expect(await cache.get(Item("a"))).toBe("a#1");
    expect(far.calls.read).toBe(reads);
  });

  test("takes null and undefined for values, in local and in remote tiers", async () => {
    for (const value of [null, undefined]) {
      for (const caches of [[{ storage: "local", ttl: "30s" }], FAR] as const) {
        const { cache, clock } = rig({ storages: { local: local(), far: puppet() } });
        const Item = counted<null | undefined>({ caches, load: () => value });
        expect(await cache.get(Item("a"))).toBe(value);
        await clock.settle();
        expect(await cache.get(Item("a"))).toBe(value);
        expect(Item.loads).toEqual(["a"]);
      }
    }
  });

  test("loads once for everybody who asks at the same time, and counts each of them once", async () => {
    const { cache, inFlight } = rig({ storages: { local: local(), far: puppet() } });
    const Item = counted({ caches: NEAR_AND_FAR });
    const values = await Promise.all(Array.from({ length: 200 }, () => cache.get(Item("a"))));
    expect(new Set(values)).toEqual(new Set(["a#1"]));
    expect(cache.stats(Item.node)).toMatchObject({ requestCount: 200, missCount: 200, collapsedCount: 199, loadCount: 1 });
    await cache.flush();
    expect(inFlight()).toBe(0);
  });

  test("joins a flight that has answered but whose write has not landed", async () => {
    const far = puppet();
    const { cache, clock, inFlight } = rig({ storages: { far } });
    const Item = counted({ caches: FAR });
    const release = far.hold("write");
    expect(await cache.get(Item("a"))).toBe("a#1");
    expect(inFlight()).toBe(1);
    expect(await cache.get(Item("a"))).toBe("a#1");
    expect(Item.loads).toEqual(["a"]);
    release();
    await clock.settle();
    expect(inFlight()).toBe(0);
  });

  test("does not join a flight whose write has been out for longer than its budget", async () => {
    const far = puppet();
    const { cache, clock } = rig({ storages: { far }, guard: { timeout: "1s" } });
    const Item = counted({ caches: FAR });
    await cache.get(Item("a"));
    await clock.settle();
    far.slots.clear();
    far.fault("write", "hang");
    expect(await cache.get(Item("a"))).toBe("a#2");
    await clock.advance(1_001);
    expect(await cache.get(Item("a"))).toBe("a#3");
  });

  test("keeps two nodes with equal keys apart, also where their full keys coincide", async () => {
    const far = puppet();
    const { cache, clock, seen } = rig({ storages: { local: local(), far } });
    const One = counted({ caches: NEAR_AND_FAR, load: () => "one" });
    const Two = counted({ caches: NEAR_AND_FAR, load: () => "two" });
    expect(cache.keyOf(One("k"))).toBe(cache.keyOf(Two("k")));
    expect(await cache.get(One("k"))).toBe("one");
    await clock.settle();
    expect(await cache.get(Two("k"))).toBe("two");
    await clock.settle();
    expect(await cache.get(One("k"))).toBe("one");
    expect(seen("identity-mismatch")).toMatchObject([{ node: Two.node.name, other: One.node.name, storage: "far" }]);
  });

  test("takes an entry of another version for a miss", async () => {
    const far = puppet();
    const name = freshName();
    const define = (version: string) => counted({ name, version, allowRedefine: true, caches: FAR });
    const first = rig({ storages: { far } });
    await first.cache.get(define("v1")("a"));
    await first.cache.flush();
    const Second = define("v2");
    expect(await rig({ storages: { far } }).cache.get(Second("a"))).toBe("a#1");
    expect(Second.loads).toEqual(["a"]);
  });
});

describe("a load that fails", () => {
  test("reaches every waiter as the very same error, is not cached, and frees the key at once", async () => {
    const { cache, inFlight, clock } = rig({ storages: { local: local(), far: puppet() } });
    const error = new Error("no such user");
    let fails = true;
    const Item = counted<string>({ caches: NEAR_AND_FAR, load: async () => (fails ? Promise.reject(error) : "back") });
    const errors = await Promise.all(Array.from({ length: 20 }, () => failure(cache.get(Item("a")))));
    for (const each of errors) expect(each).toBe(error);
    expect(inFlight()).toBe(0);
    expect(clock.pending).toBe(0);
    expect(Item.loads).toEqual(["a"]);
    fails = false;
    expect(await cache.get(Item("a"))).toBe("back");
  });

  test("may throw synchronously; the caller gets a rejection all the same", async () => {
    const { cache, inFlight } = rig();
    const Item = counted<string>({
      load: () => {
        throw new RangeError("at once");
      },
    });
    const promise = cache.get(Item("a"));
    expect(await failure(promise)).toEqual(new RangeError("at once"));
    expect(inFlight()).toBe(0);
  });

  test("is stopped at the hard timeout, tells the loader, and what comes later is stored nowhere", async () => {
    const far = puppet();
    const { cache, clock, inFlight } = rig({ storages: { local: local(), far } });
    const late = Promise.withResolvers<string>();
    let context: LoadContext<unknown> | undefined;
    const Slow = defineNode({
      name: freshName(),
      key: (key: string) => key,
      load: (_key, given: LoadContext<unknown>) => {
        context = given;
        return late.promise;
      },
      caches: NEAR_AND_FAR,
      hardTimeout: "2s",
    });
    const error = failure(cache.get(Slow("a")));
    await clock.advance(1_999);
    expect(inFlight()).toBe(1);
    expect(context?.signal.aborted).toBe(false);
    await clock.advance(1);
    const failed = await error;
    expect(isCacheError(failed, "ERR_LOAD_TIMEOUT")).toBe(true);
    expect(String(failed)).toContain(Slow.name);
    expect(context?.signal.aborted).toBe(true);
    expect(inFlight()).toBe(0);
    late.resolve("too late");
    await clock.settle();
    expect(cache.peek(Slow("a"))).toBe(undefined);
    expect(far.slots.size).toBe(0);
    expect(clock.pending).toBe(0);
  });

  test("that gives a Response or a stream is ERR_SERIALIZE at once, and nothing is stored", async () => {
    const { cache } = rig();
    for (const value of [new Response("body"), new Request("http://localhost/"), new ReadableStream()]) {
      const Item = counted<unknown>({ load: () => value });
      const error = await failure(cache.get(Item("a")));
      expect(isCacheError(error, "ERR_SERIALIZE")).toBe(true);
      expect(String(error)).toContain(Item.node.name);
      expect(cache.peek(Item("a"))).toBe(undefined);
    }
  });

  test("on a node without a loader is ERR_NO_LOADER naming the node", async () => {
    const { cache, inFlight } = rig();
    const Bare = defineNode<string, string>({ name: freshName(), key: (key) => key, caches: [{ storage: "local", ttl: 1 }] });
    const error = await failure(cache.get(Bare("a")));
    expect(isCacheError(error, "ERR_NO_LOADER")).toBe(true);
    expect(String(error)).toContain(Bare.name);
    expect(inFlight()).toBe(0);
  });
});

describe("a loader", () => {
  test("may answer with a value, a promise or a bare thenable", async () => {
    const { cache } = rig();
    // oxlint-disable-next-line unicorn/no-thenable -- query builders are such
    const thenable: PromiseLike<string> = { then: (...args) => Promise.resolve("thenable").then(...args) };
    const Item = counted<string>({
      load: (key) => (key === "plain" ? "plain" : key === "promise" ? Promise.resolve("promise") : (thenable as Promise<string>)),
    });
    expect(await cache.getAll([Item("plain"), Item("promise"), Item("thenable")])).toEqual(["plain", "promise", "thenable"]);
    expect(cache.peek(Item("thenable"))).toBe("thenable");
  });

  test("gets the env of the view that leads", async () => {
    const { cache } = rig({ env: { name: "outer" } });
    const seen: unknown[] = [];
    const Item = defineNode({
      name: freshName(),
      key: (key: string) => key,
      load: (key, { env }) => {
        seen.push(env);
        return key;
      },
      caches: [{ storage: "local", ttl: "1m" }],
    });
    await cache.get(Item("a"));
    const inner = cache.with({ env: { name: "inner" } });
    await inner.get(Item("b"));
    await inner.refresh(Item("b"));
    expect(seen).toEqual([{ name: "outer" }, { name: "inner" }, { name: "inner" }]);
  });

  test("runs on although its first caller has gone, so the others get its value", async () => {
    const { cache } = rig();
    const source = Promise.withResolvers<string>();
    let context: LoadContext<unknown> | undefined;
    const Item = defineNode({
      name: freshName(),
      key: (key: string) => key,
      load: (_key, given: LoadContext<unknown>) => {
        context = given;
        return source.promise;
      },
      caches: [{ storage: "local", ttl: "1m" }],
    });
    const leaving = new AbortController();
    const left = failure(cache.get(Item("a"), { signal: leaving.signal }));
    const stays = cache.get(Item("a"));
    leaving.abort(new Error("client went away"));
    expect(await left).toEqual(new Error("client went away"));
    expect(context?.signal.aborted).toBe(false);
    expect(await isSettled(stays)).toBe(false);
    source.resolve("value");
    expect(await stays).toBe("value");
    expect(cache.peek(Item("a"))).toBe("value");
  });
});
