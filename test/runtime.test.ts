/** What the core is told about its host, in each variant. */

import { describe, expect, test } from "vitest";
import { createCacheOn } from "../src/cache.ts";
import { drainByMicrotasks, runtime } from "../src/runtime.ts";
import { runtime as edgeLight } from "../src/runtime.edge-light.ts";
import { memoryStorage } from "../testing/memory-storage.ts";
import { counted, failure, REQUESTS, rig } from "./support/rig.ts";
import { puppet } from "./support/storages.ts";
import type { Method, Puppet } from "./support/storages.ts";

describe("the runtime of Node, Deno, Bun and browsers", () => {
  test("lets anybody await anything and needs no waitUntil", () => {
    expect(runtime.requestScoped).toBe(false);
    expect(runtime.waitUntil).toBe(undefined);
  });

  test("drains after all that settles in the same turn, and not before", async () => {
    const order: string[] = [];
    const drained = new Promise<void>((resolve) =>
      runtime.scheduleDrain(() => {
        order.push("drain");
        resolve();
      }),
    );
    for (let hop = 0; hop < 50; hop++) await Promise.resolve();
    order.push("microtasks");
    await drained;
    expect(order).toEqual(["microtasks", "drain"]);
  });
});

describe("the runtime of Vercel Edge", () => {
  test("takes I/O to belong to requests and has no waitUntil of its own", () => {
    expect(edgeLight.requestScoped).toBe(true);
    expect(edgeLight.waitUntil).toBe(undefined);
    expect(edgeLight.scheduleDrain).toBe(drainByMicrotasks);
  });
});

describe("a drain by microtasks", () => {
  test("runs before any other event, yet after callers that wait for something settled", async () => {
    const order: string[] = [];
    setImmediate(() => order.push("other request"));
    const joins = Promise.resolve().then(() => order.push("joins"));
    drainByMicrotasks(() => order.push("drain"));
    await joins;
    await new Promise((resolve) => setTimeout(resolve, 0));
    await new Promise((resolve) => setImmediate(resolve));
    expect(order).toEqual(["joins", "drain", "other request"]);
  });
});

describe("on a host whose requests own their I/O", () => {
  test("a call keeps its request alive until its writes have landed, and no longer", async () => {
    const far = puppet();
    const alive: Promise<unknown>[] = [];
    const { cache, clock } = rig({ runtime: REQUESTS, storages: { far }, waitUntil: (promise) => void alive.push(promise) });
    const release = far.hold("write");
    await cache.get(counted({ caches: [{ storage: "far", ttl: "1m" }] })("a"));
    expect(alive.length).toBe(1);
    const [kept] = alive;
    let ended = false;
    void kept?.then(() => {
      ended = true;
    });
    await clock.settle();
    expect(ended).toBe(false);
    release();
    await clock.settle();
    expect(ended).toBe(true);
    expect(clock.pending).toBe(0);
  });

  test("a local hit asks nobody to wait", async () => {
    let asked = 0;
    const { cache } = rig({ runtime: REQUESTS, waitUntil: () => void asked++ });
    const Item = counted();
    await cache.get(Item("a"));
    const before = asked;
    await cache.get(Item("a"));
    await cache.getAll([Item("a")]);
    expect(asked).toBe(before);
  });

  test("without waitUntil a call waits for its own writes, and says once what would help", async () => {
    const far = puppet();
    const { cache, events } = rig({ runtime: { ...REQUESTS, waitUntil: undefined }, storages: { far } });
    const Item = counted({ caches: [{ storage: "far", ttl: "1m" }] });
    await cache.get(Item("a"));
    expect(far.slots.size).toBe(1);
    await cache.getAll([Item("b"), Item("c")]);
    expect(far.slots.size).toBe(3);
    expect(events.map(({ type }) => type)).toEqual(["no-wait-until"]);
  });

  test("a waitUntil that throws, as outside of a request, harms nobody", async () => {
    const { cache } = rig({
      runtime: {
        ...REQUESTS,
        waitUntil: () => {
          throw new Error("no request");
        },
      },
    });
    expect(await cache.get(counted()("a"))).toBe("a#1");
  });

  test("a follower whose leader's request was killed takes over within two leases, and the key is free afterwards", async () => {
    const { cache, clock, inFlight, seen } = rig({ runtime: REQUESTS });
    const later = (key: string) => new Promise<string>((resolve) => clock.setTimeout(() => resolve(key), 200));
    const Item = counted<string>({ load: (key, nth) => (nth === 1 ? new Promise<string>(() => undefined) : later(key)) });
    void clock.killed(() => cache.get(Item("a")));
    const followers = [cache.get(Item("a")), cache.get(Item("a")), cache.getAll([Item("a")]), cache.lookup(Item("a"))];
    await clock.advance(1_000);
    expect(await Promise.all(followers)).toMatchObject(["a", "a", ["a"], { value: "a" }]);
    expect(Item.loads.length).toBe(2);
    expect(inFlight()).toBe(0);
    expect(clock.pending).toBe(0);
    expect(seen("leader-lost").length).toBeGreaterThan(0);
  });

  test("a newcomer does not wait for a leader that has been silent for long", async () => {
    const { cache, clock } = rig({ runtime: REQUESTS });
    const Item = counted<string>({ load: (key, nth) => (nth === 1 ? new Promise<string>(() => undefined) : key) });
    void clock.killed(() => cache.get(Item("a")));
    await clock.advance(5_000);
    expect(await cache.get(Item("a"))).toBe("a");
  });

  test("a follower waits as long as the leader lives, however slow the load", async () => {
    const { cache, clock, seen } = rig({ runtime: REQUESTS });
    const source = Promise.withResolvers<string>();
    const Item = counted<string>({ load: () => source.promise });
    const both = Promise.all([cache.get(Item("a")), cache.get(Item("a"))]);
    await clock.advance(15_000);
    source.resolve("slow");
    expect(await both).toEqual(["slow", "slow"]);
    expect(Item.loads.length).toBe(1);
    expect(seen("leader-lost")).toEqual([]);
  });

  test("refresh and set do not wait for a dead one of their kind", async () => {
    const { cache, clock, inFlight } = rig({ runtime: REQUESTS, storages: { far: puppet() } });
    const Item = counted<string>({ caches: [{ storage: "far", ttl: "1m" }], load: (key, nth) => (nth === 1 ? new Promise<string>(() => undefined) : key) });
    void clock.killed(() => cache.refresh(Item("a")));
    await clock.settle();
    const refreshed = cache.refresh(Item("a"));
    await clock.advance(3_000);
    expect(await refreshed).toBe("a");
    await cache.set(Item("a"), "set");
    expect(await cache.get(Item("a"))).toBe("set");
    expect(inFlight()).toBe(0);
  });

  describe("a storage that holds sockets", () => {
    const FAR = [{ storage: "far", ttl: "1m" }] as const;

    /** Instances on one store, each of which counts its own calls. */
    function sockets() {
      const store = memoryStorage();
      const made: Puppet[] = [];
      const far = () => {
        const one = puppet({ traits: { scope: "request" } });
        made.push(one);
        return Object.assign(one, {
          read: counting(one, "read", store.read),
          write: counting(one, "write", store.write),
          raise: counting(one, "raise", store.raise),
          ensure: counting(one, "ensure", store.ensure),
        });
      };
      return { far, made };
    }

    function counting<Args extends readonly unknown[], Result>(own: Puppet, method: Method, call: (...args: Args) => Promise<Result>) {
      return async (...args: Args): Promise<Result> => {
        own.log.push({ method, keys: [] });
        return call(...args);
      };
    }

    const methods = ({ log }: Puppet): string => log.map(({ method }) => method).join(" ");

    test("is one for each view, made at its first use; what all views know is shared", async () => {
      const { far, made } = sockets();
      const { cache, clock } = rig({ runtime: REQUESTS, storages: { far } });
      const Item = counted({ caches: FAR });
      const [one, two] = [cache.with({}), cache.with({})];
      cache.with({});
      expect(await one.get(Item("a"))).toBe("a#1");
      await clock.settle();
      expect(await two.get(Item("a"))).toBe("a#1");
      await two.invalidate(Item("a"));
      await two.invalidateNode(Item.node);
      expect(made.map(methods)).toEqual(["read ensure write", "read write raise"]);
    });

    test("is not asked through the bare cache, nor taken as one object for all requests", async () => {
      const { far } = sockets();
      const { cache } = rig({ runtime: REQUESTS, storages: { far } });
      const Item = counted({ caches: FAR });
      for (const call of [cache.get(Item("a")), cache.set(Item("a"), "x"), cache.invalidateNode(Item.node), cache.invalidateTags("t"), cache.prune(1)]) {
        const error = await failure(call);
        expect(error).toBeInstanceOf(TypeError);
        expect(String(error)).toMatch(/"far" holds sockets.*cache\.with/);
      }
      const shared = rig({ runtime: REQUESTS, storages: { far: puppet({ traits: { scope: "request" } }) } });
      expect(String(await failure(shared.cache.with({}).get(Item("a"))))).toMatch(/"far" holds sockets.*as a function/);
    });

    test("shares its breaker with those of the same name, so that no request learns anew that the store is down", async () => {
      const made: Puppet[] = [];
      const far = (): Puppet => {
        const one = puppet({ traits: { scope: "request" } });
        one.fault("all", "reject");
        made.push(one);
        return one;
      };
      const { cache, seen } = rig({ runtime: REQUESTS, storages: { far }, guard: { breaker: { failures: 2 } } });
      const Item = counted({ caches: FAR });
      expect(await cache.with({}).get(Item("a"))).toBe("a#1");
      expect(await cache.with({}).get(Item("b"))).toBe("b#2");
      expect(await cache.with({}).get(Item("c"))).toBe("c#3");
      expect(seen("breaker-opened").length).toBe(1);
      expect(made.slice(2).flatMap(({ log }) => log)).toEqual([]);
    });

    test("is that of the request that takes over, when a leader dies", async () => {
      const { far, made } = sockets();
      const { cache, clock } = rig({ runtime: REQUESTS, storages: { far } });
      const Item = counted<string>({ caches: FAR, load: (key, nth) => (nth === 1 ? new Promise<string>(() => undefined) : `${key}#${nth}`) });
      const [dead, alive] = [cache.with({}), cache.with({})];
      void clock.killed(() => dead.get(Item("a")));
      const followed = alive.get(Item("a"));
      await clock.advance(3_000);
      expect(await followed).toBe("a#2");
      expect(made.map(methods)).toEqual(["read ensure", "read write"]);
    });

    test("is one for all where I/O belongs to the process", async () => {
      const far = puppet({ traits: { scope: "request" } });
      const Item = counted({ caches: FAR });
      await expect(createCacheOn(runtime, { storages: { far } }).get(Item("a"))).resolves.toBe("a#1");
    });
  });
});
