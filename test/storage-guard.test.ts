/** The guard: budgets on a fake clock, storages that never answer or answer nonsense, and what the cache makes of it. */

import { describe, expect, test } from "vitest";
import { isCacheError } from "../src/errors.ts";
import { createEmitter } from "../src/events.ts";
import { local } from "../src/local/local.ts";
import { budgetOf, callWithin, checkGuard, guarded, guardOf } from "../src/storage-guard.ts";
import type { GuardOptions } from "../src/types.ts";
import { fakeClock } from "./support/fake-clock.ts";
import { counted, failure, isSettled, rig } from "./support/rig.ts";
import { BROKEN, puppet, weakPuppet } from "./support/storages.ts";
import type { Fault } from "./support/storages.ts";

const FAR = [{ storage: "far", ttl: "1m" }] as const;
const NEAR_AND_FAR = [{ storage: "local", ttl: "1m" }, ...FAR] as const;

describe("callWithin", () => {
  const call = <T>(clock: ReturnType<typeof fakeClock>, run: (signal: AbortSignal) => Promise<T>) => callWithin(clock, 1_000, "far", "read", [], run);

  test("gives what the storage gives, and leaves no timer", async () => {
    const clock = fakeClock();
    expect(await call(clock, async () => 42)).toBe(42);
    expect(clock.pending).toBe(0);
  });

  test("ends a call that never answers exactly at its budget, and aborts its signal", async () => {
    const clock = fakeClock();
    let signal: AbortSignal | undefined;
    const error = failure(
      call(clock, (given) => {
        signal = given;
        return new Promise(() => undefined);
      }),
    );
    await clock.advance(999);
    expect(await isSettled(error)).toBe(false);
    expect(signal?.aborted).toBe(false);
    await clock.advance(1);
    expect(isCacheError(await error, "ERR_STORAGE_TIMEOUT")).toBe(true);
    expect(String(await error)).toContain('"far"');
    expect(signal?.aborted).toBe(true);
  });

  test("drops what comes after the budget, also a failure", async () => {
    const clock = fakeClock();
    for (const late of [Promise.withResolvers<number>(), Promise.withResolvers<number>()]) {
      const error = failure(call(clock, () => late.promise));
      await clock.advance(1_000);
      late.resolve(1);
      late.reject(new Error("late"));
      expect(isCacheError(await error, "ERR_STORAGE_TIMEOUT")).toBe(true);
    }
  });

  test("wraps what is thrown synchronously and what is no promise, by operation", async () => {
    const clock = fakeClock();
    const thrown = await failure(
      call(clock, () => {
        throw new Error("at once");
      }),
    );
    expect(isCacheError(thrown, "ERR_STORAGE_READ")).toBe(true);
    const nothing = (): Promise<unknown> => JSON.parse("null");
    expect(isCacheError(await failure(callWithin(clock, 1_000, "far", "write", [], nothing)), "ERR_STORAGE_WRITE")).toBe(true);
    expect(clock.pending).toBe(0);
  });
});

describe("budgets", () => {
  test("are 1 s by default, the cache's guard, or the storage's own", () => {
    expect(budgetOf(puppet(), undefined)).toBe(1_000);
    expect(budgetOf(puppet(), { timeout: "250ms" })).toBe(250);
    const own = puppet();
    expect(guarded(own, { timeout: 50 })).toBe(own);
    expect(budgetOf(own, { timeout: "250ms" })).toBe(50);
  });

  test("bound a get on a storage that never answers: budget plus load, for a thousand callers alike", async () => {
    const far = puppet();
    far.fault("all", "hang");
    const { cache, clock, inFlight } = rig({ storages: { far: guarded(far, { timeout: "200ms" }) } });
    const Item = counted<string>({ caches: FAR, load: (key) => key });
    const all = Promise.all(Array.from({ length: 1_000 }, (_, index) => cache.get(Item(`k${index}`))));
    await clock.advance(199);
    expect(Item.loads.length).toBe(0);
    await clock.advance(1);
    expect((await all).length).toBe(1_000);
    await clock.advance(200);
    expect(inFlight()).toBe(0);
  });

  test("hold for every chunk of a batch that has to wait for others, too", async () => {
    const far = puppet({ traits: { maxBatch: 10 } });
    far.fault("read", "hang");
    const { cache, clock } = rig({ storages: { local: local(), far } });
    const Item = counted<string>({ caches: NEAR_AND_FAR, load: (key) => key });
    const all = cache.getAll(Array.from({ length: 500 }, (_, index) => Item(`k${index}`)));
    await clock.advance(1_100);
    expect(await isSettled(all)).toBe(true);
  });

  test("hold for invalidate, which then rejects", async () => {
    for (const far of [puppet(), weakPuppet()]) {
      far.fault("all", "hang");
      const { cache, clock } = rig({ storages: { local: local(), far } });
      const Item = counted({ caches: NEAR_AND_FAR });
      const error = failure(cache.invalidate(Item("a")));
      await clock.advance(1_000);
      expect(isCacheError(await error, "ERR_STORAGE_WRITE")).toBe(true);
    }
  });
});

describe.each<Fault>(["reject", "throw", "short", "long", "garbage", "lose"])("a storage whose every call meets %s", (fault) => {
  test("is a miss for get and getAll, counted and reported, and leaves nothing in flight", async () => {
    const far = puppet();
    const { cache, clock, seen, inFlight } = rig({ storages: { local: local(), far } });
    const Item = counted({ caches: NEAR_AND_FAR });
    await cache.getAll([Item("held"), Item("held2")]);
    await clock.settle();
    far.fault("all", fault);
    expect(await cache.get(Item("a"))).toBe("a#3");
    expect(await cache.getAll([Item("b"), Item("held"), Item("c")])).toEqual(["b#4", "held#1", "c#5"]);
    await clock.settle();
    expect(inFlight()).toBe(0);
    expect(clock.pending).toBe(0);
    expect(seen("storage-failed").length).toBeGreaterThan(0);
    expect(cache.stats(Item.node).tiers["far"]?.errorCount).toBeGreaterThanOrEqual(3);
  });

  test("is asked again after it has healed", async () => {
    const far = puppet();
    const { cache, clock } = rig({ storages: { far } });
    const Item = counted({ caches: FAR });
    far.fault("all", fault);
    await cache.get(Item("a"));
    await clock.settle();
    far.fault("all", undefined);
    await cache.get(Item("b"));
    await clock.settle();
    expect(await cache.lookup(Item("b"))).toMatchObject({ source: "far", value: "b#2" });
  });
});

describe("a tier whose read or ensure failed", () => {
  test.each(["read", "ensure"] as const)("(%s) is not written by that flight", async (method) => {
    const [middle, far] = [puppet(), puppet()];
    const caches = [{ storage: "middle", ttl: "1m" }, ...FAR] as const;
    const { cache, clock } = rig({ storages: { middle, far } });
    middle.fault(method, "reject");
    expect(await cache.get(counted({ caches })("a"))).toBe("a#1");
    await clock.settle();
    expect([middle.slots.size, far.slots.size]).toEqual([0, 1]);
  });
});

describe("the keys of one batch", () => {
  test("are not harmed by one whose slot is garbage", async () => {
    const far = puppet();
    const { cache, clock, seen } = rig({ storages: { far } });
    const Item = counted<string>({ caches: FAR, load: (key, nth) => `${key}#${nth}` });
    await cache.getAll(["a", "b", "c"].map(Item));
    await clock.settle();
    far.slots.set(cache.keyOf(Item("b")), { bytes: new TextEncoder().encode("junk"), expiresAt: Number.POSITIVE_INFINITY });
    expect(await cache.getAll(["a", "b", "c"].map(Item))).toEqual(["a#1", "b#4", "c#3"]);
    expect(seen("entry-rejected")).toMatchObject([{ storage: "far", node: Item.node.name, reason: "too short" }]);
    await clock.settle();
    expect(await cache.get(Item("b"))).toBe("b#4");
  });

  test("are not harmed by one that is too large, cannot be serialized, or cannot be decoded", async () => {
    const far = puppet({ traits: { maxValueBytes: 300 } });
    const { cache, clock, seen } = rig({ storages: { far } });
    const Item = counted<unknown>({ caches: FAR, load: (key) => (key === "large" ? "x".repeat(500) : key === "function" ? () => key : key) });
    const asked = ["a", "large", "function", "b"].map(Item);
    expect(await cache.getAll(asked)).toMatchObject(["a", "x".repeat(500), expect.any(Function), "b"]);
    await clock.settle();
    expect(far.slots.size).toBe(2);
    expect(seen("not-stored").map(({ reason }) => reason)).toEqual(["serializer", "size"]);
  });

  test("are not harmed by one whose entry is another node's", async () => {
    const far = puppet();
    const { cache, clock } = rig({ storages: { far } });
    const [One, Two] = [counted({ caches: FAR }), counted({ caches: FAR })];
    await cache.getAll([One("a"), Two("b")]);
    await clock.settle();
    const stolen = far.slots.get(cache.keyOf(Two("b")));
    if (stolen) far.slots.set(cache.keyOf(One("a")), stolen);
    expect(await cache.getAll([One("a"), Two("b")])).toEqual(["a#2", "b#1"]);
  });
});

describe("the error of a broken storage", () => {
  test("is told in an event with the storage and the operation, by name and code, without the driver's error", async () => {
    const far = puppet();
    far.fault("read", "reject");
    const { cache, seen } = rig({ storages: { far } });
    await cache.get(counted({ caches: FAR })("a"));
    const [event] = seen("storage-failed");
    expect(event).toMatchObject({ storage: "far", operation: "read", error: { code: "ERR_STORAGE_READ", name: "CacheError" } });
    expect(event?.error.message).toContain(BROKEN);
    expect(event?.error.cause).toBe(undefined);
  });

  test("and whoever observes it may throw without harm", async () => {
    const far = puppet();
    far.fault("all", "reject");
    const clock = fakeClock();
    const { cache } = rig({
      clock,
      storages: { far },
      onEvent: () => {
        throw new Error("observer");
      },
    });
    expect(await cache.get(counted({ caches: FAR })("a"))).toBe("a#1");
  });

  test("and whoever observes it may reject without harm", async () => {
    const unhandled: unknown[] = [];
    const note = (reason: unknown): void => void unhandled.push(reason);
    process.on("unhandledRejection", note);
    try {
      const emitter = createEmitter(async () => {
        throw new Error("observer");
      });
      emitter.emit({ type: "token-ignored" });
      await new Promise((resolve) => setTimeout(resolve, 5));
      expect([emitter.failures(), unhandled]).toEqual([1, []]);
    } finally {
      process.off("unhandledRejection", note);
    }
  });
});

describe("the options of a guard", () => {
  test.for([
    ["no object", 5, "guard must be an object, got 5"],
    ["null", null, "guard must be an object, got null"],
    ["an unknown field", { retries: 1 }, "guard"],
    ["a timeout of 0", { timeout: 0 }, "guard: timeout must be from 1 to 2147483647 ms, got 0"],
    ["a breaker that is no object", { breaker: 5 }, "guard: breaker must be an object or false, got 5"],
    ["a breaker of true", { breaker: true }, "guard: breaker must be an object or false, got true"],
    ["an unknown field of the breaker", { breaker: { tries: 1 } }, "guard: breaker"],
    ["no failures", { breaker: { failures: 0 } }, "guard: breaker.failures must be a whole number of at least 1, got 0"],
    ["half a failure", { breaker: { failures: 1.5 } }, "guard: breaker.failures must be a whole number of at least 1, got 1.5"],
    ["no cool-down", { breaker: { coolDown: 0 } }, "guard: breaker.coolDown must be above 0, got 0"],
  ] as const)("are refused at once, in guarded() and for a cache: %s", ([, options, says]) => {
    const given: GuardOptions = JSON.parse(JSON.stringify(options));
    for (const make of [() => guarded(puppet(), given), () => checkGuard(given)]) {
      expect(make).toThrow(TypeError);
      expect(make).toThrow(says);
    }
  });

  test("that are refused are not kept", () => {
    const own = puppet();
    expect(() => guarded(own, { timeout: 0 })).toThrow(TypeError);
    expect(budgetOf(own, { timeout: 70 })).toBe(70);
  });

  test("left out are a second, 5 failures and 5 seconds", () => {
    const rules = { timeoutMs: 1_000, breaker: { failures: 5, coolDownMs: 5_000 } };
    for (const options of [undefined, {}, { timeout: undefined, breaker: undefined }, { breaker: {} }]) expect(guardOf(puppet(), options)).toEqual(rules);
    expect(guardOf(puppet(), { breaker: false })).toEqual({ timeoutMs: 1_000, breaker: undefined });
  });
});

test("a call is tried again if it failed within the time for that, to the millisecond, and once", async () => {
  for (const [ms, calls] of [
    [500, 2],
    [501, 1],
  ] as const) {
    const clock = fakeClock();
    let made = 0;
    const run = async (): Promise<never> => {
      made++;
      if (made === 1) await new Promise<void>((resolve) => void clock.setTimeout(resolve, ms));
      throw new Error(BROKEN);
    };
    const error = failure(callWithin(clock, 1_000, "far", "read", [], run, 500));
    await clock.advance(600);
    expect(isCacheError(await error, "ERR_STORAGE_READ")).toBe(true);
    expect(made).toBe(calls);
  }
});
