/**
 * `local()` as users see it: stand-alone use, options and their errors, time, weights, spaces. Time is a number that the
 * tests set.
 *
 * @module
 */
import { describe, expect, test } from "vitest";
import { runtime } from "#runtime";
import { adaptive } from "../../src/local/adaptive.ts";
import { local, type LocalOptions } from "../../src/local/local.ts";
import type { LocalSpace } from "../../src/local/local-tier.ts";
import { lru } from "../../src/local/lru.ts";
import type { EvictionPolicy } from "../../src/local/policy.ts";
import { Slots } from "../../src/local/slots.ts";

const policies = ["w-tinylfu", "lru", adaptive()] as const;

function fakeTime(start = 1000): { at: number; monotonic(): number } {
  return {
    at: start,
    monotonic() {
      return this.at;
    },
  };
}

describe.each(policies)("local() with %s, alone", (policy) => {
  test("gives back what was set, by reference, and undefined for what was not", () => {
    const store = local({ policy });
    const user = { name: "Ada" };
    expect(store.get("user")).toBeUndefined();
    expect(store.set("user", user)).toBe(true);
    expect(store.get("user")).toBe(user);
    expect(store.has("user")).toBe(true);
    expect(store.size).toBe(1);
    expect(store.bytes).toBe(0);
  });

  test("holds null, undefined, 0 and the empty string as values", () => {
    const store = local({ policy });
    for (const value of [null, undefined, 0, ""]) {
      store.set("k", value);
      expect(store.get("k")).toBe(value);
      expect(store.has("k")).toBe(true);
    }
    expect(store.size).toBe(1);
  });

  test("takes any string as a key, each for itself", () => {
    const store = local({ policy });
    const keys = ["", "\0", "a", "a\0", "A", "a ", "__proto__", "constructor", "\ud800", "é", "e\u0301", "k".repeat(100_000)];
    for (const key of keys) store.set(key, `value of ${key.slice(0, 20)}`);
    expect(store.size).toBe(keys.length);
    for (const key of keys) expect(store.get(key)).toBe(`value of ${key.slice(0, 20)}`);
  });

  test("holds keys of a megabyte, evicts them and tells them apart by their last unit", () => {
    const long = "k".repeat(1_000_000);
    const store = local<number>({ policy, maxEntries: 4, maxBytes: 5_000_000, weigh: (_, key) => key.length });
    for (let number = 0; number < 10; number++) expect(store.set(`${long}${number}`, number)).toBe(true);
    expect([store.size, store.bytes]).toEqual([4, 4_000_004]);
    expect(store.get(`${long}9`)).toBe(9);
    expect(store.set(long.repeat(6), 1)).toBe(false);
    expect(store.bytes).toBe(4_000_004);
  });

  test("delete tells whether the key was there, and clear empties all", () => {
    const store = local({ policy });
    store.set("a", 1);
    store.set("b", 2);
    expect(store.delete("a")).toBe(true);
    expect(store.delete("a")).toBe(false);
    expect(store.has("a")).toBe(false);
    store.clear();
    expect(store.size).toBe(0);
    expect(store.get("b")).toBeUndefined();
    store.set("b", 3);
    expect(store.get("b")).toBe(3);
    store.clear();
    store.clear();
    expect(store.size).toBe(0);
  });

  test("an entry ends exactly at its ttl, and reading it then removes it", () => {
    const clock = fakeTime();
    const store = local({ policy, clock });
    store.set("k", 1, "30s");
    clock.at += 29_999;
    expect(store.get("k")).toBe(1);
    clock.at += 1;
    expect(store.has("k")).toBe(false);
    expect(store.size).toBe(1);
    expect(store.get("k")).toBeUndefined();
    expect(store.size).toBe(0);
    expect(store.delete("k")).toBe(false);
  });

  test.each([null, undefined, Infinity, Number.MAX_VALUE])("a ttl of %s has no end", (ttl) => {
    const clock = fakeTime();
    const store = local({ policy, clock });
    store.set("timed", 1, 1);
    store.set("k", 1, ttl);
    clock.at = Number.MAX_SAFE_INTEGER;
    expect(store.get("timed")).toBeUndefined();
    expect(store.get("k")).toBe(1);
  });

  test("a ttl of 0 stores nothing and drops the old value; a fraction lasts a whole millisecond", () => {
    const clock = fakeTime();
    const store = local({ policy, clock });
    store.set("k", "old");
    expect(store.set("k", "new", 0)).toBe(false);
    expect(store.get("k")).toBeUndefined();
    expect(store.size).toBe(0);
    expect(store.set("k", "new", 0.2)).toBe(true);
    expect(store.get("k")).toBe("new");
    clock.at += 1;
    expect(store.get("k")).toBeUndefined();
  });

  test("setting again replaces value and ttl, in both directions", () => {
    const clock = fakeTime();
    const store = local({ policy, clock });
    store.set("k", 1, 10);
    store.set("k", 2, 100);
    clock.at += 50;
    expect(store.get("k")).toBe(2);
    store.set("k", 3);
    clock.at += 1e9;
    expect(store.get("k")).toBe(3);
    store.set("k", 4, 5);
    clock.at += 5;
    expect(store.get("k")).toBeUndefined();
    store.set("k", 5);
    expect(store.get("k")).toBe(5);
  });

  test("never holds more than maxEntries, with 10,000 written at once", () => {
    const store = local<number>({ policy, maxEntries: 100 });
    for (let number = 0; number < 10_000; number++) {
      expect(store.set(`k${number}`, number)).toBe(true);
      expect(store.get(`k${number}`)).toBe(number);
    }
    expect(store.size).toBe(100);
  });

  test("a tier of one entry works", () => {
    const store = local({ policy, maxEntries: 1 });
    store.set("a", 1);
    store.get("a");
    store.set("b", 2);
    expect(store.has("a")).toBe(false);
    expect(store.get("b")).toBe(2);
    expect(store.size).toBe(1);
  });

  test("its methods need no this", () => {
    const { get, set, has, delete: remove } = local({ policy });
    set("k", 1);
    expect(get("k")).toBe(1);
    expect(has("k")).toBe(true);
    expect(remove("k")).toBe(true);
  });
});

describe("the options of local()", () => {
  test.each<[Record<string, unknown>, RegExp]>([
    [{ maxEntries: 0 }, /^local: maxEntries.*got 0/],
    [{ maxEntries: -1 }, /^local: maxEntries.*got -1/],
    [{ maxEntries: 1.5 }, /^local: maxEntries.*got 1\.5/],
    [{ maxEntries: Number.NaN }, /^local: maxEntries.*got NaN/],
    [{ maxEntries: Infinity }, /^local: maxEntries.*got Infinity/],
    [{ maxEntries: 2 ** 23 + 1 }, /^local: maxEntries.*got 8388609/],
    [{ maxEntries: 2 ** 24 + 1 }, /^local: maxEntries.*got 16777217/],
    [{ maxEntries: "10" }, /^local: maxEntries.*got "10"/],
    [{ maxEntries: 10n }, /^local: maxEntries.*got 10n/],
    [{ maxEntries: null }, /^local: maxEntries.*got null/],
    [{ policy: "lfu" }, /^local: policy.*got "lfu"/],
    [{ policy: {} }, /^local: policy.*got an object/],
    [{ policy: null }, /^local: policy.*got null/],
    [{ maxBytes: 100 }, /^local: maxBytes needs weigh.*100/],
    [{ maxBytes: 0, weigh: () => 1 }, /^local: maxBytes.*got 0/],
    [{ maxBytes: 0.5, weigh: () => 1 }, /^local: maxBytes.*got 0\.5/],
    [{ maxBytes: Infinity, weigh: () => 1 }, /^local: maxBytes.*got Infinity/],
    [{ weigh: 3 }, /^local: weigh.*got 3/],
    [{ weigh: null }, /^local: weigh.*got null/],
    [{ maxBytes: null, weigh: () => 1 }, /^local: maxBytes.*got null/],
    [{ clock: 5 }, /^local: clock.*got 5/],
  ])("%o is refused with a TypeError that names option and value", (options, message) => {
    const make = () => local(options as LocalOptions);
    expect(make).toThrow(TypeError);
    expect(make).toThrow(message);
  });

  test("a weight that no number can hold exactly is too heavy, with and without maxBytes", () => {
    for (const maxBytes of [undefined, 1_000]) {
      const store = local<number>({ weigh: (weight) => weight, maxBytes });
      expect(store.set("b", 5)).toBe(true);
      for (const weight of [Number.POSITIVE_INFINITY, 1e308, 2 ** 53]) expect(store.set("a", weight)).toBe(false);
      expect(store.bytes).toBe(5);
      store.delete("b");
      expect(store.bytes).toBe(0);
    }
  });

  test("undefined stands for the default everywhere", () => {
    const store = local({ policy: undefined, maxEntries: undefined, maxBytes: undefined, weigh: undefined, clock: undefined });
    for (let number = 0; number < 10_001; number++) store.set(`k${number}`, number);
    expect(store.size).toBe(10_000);
  });

  test("a bad ttl or key is a TypeError that changes nothing", () => {
    const store = local();
    store.set("k", "old");
    for (const ttl of [-1, Number.NaN, "5 s", "1e3s", "soon"]) {
      expect(() => store.set("k", "new", ttl as "5s")).toThrow(/^ttl must be a duration/);
    }
    expect(() => store.set(5 as unknown as string, "new")).toThrow(/^key must be a string, got 5$/);
    expect(store.get("k")).toBe("old");
    expect(store.size).toBe(1);
  });

  test("a policy object takes the place of the built-in ones, with a state for each tier", () => {
    const made: number[] = [];
    const policy: EvictionPolicy = {
      name: "counted lru",
      create(room) {
        made.push(room.maxEntries);
        return lru.create(room);
      },
    };
    const one = local({ policy, maxEntries: 2 });
    local({ policy, maxEntries: 3 });
    expect(made).toEqual([2, 3]);
    one.set("a", 1);
    one.set("b", 1);
    one.get("a");
    one.set("c", 1);
    expect([one.has("a"), one.has("b"), one.has("c")]).toEqual([true, false, true]);
  });

  test.each(["get", "has"] as const)(
    "with the host's clock an entry ends at the next turn, and in a turn that does not end within 64 calls of %s",
    async (method) => {
      const store = local();
      const isThere = (): boolean => (method === "get" ? store.get("k") !== undefined : store.has("k"));
      store.set("forever", 1);
      store.set("k", 1, 250);
      expect(isThere()).toBe(true);
      for (const until = performance.now() + 260; performance.now() < until;);
      let calls = 0;
      while (isThere()) if (++calls > 64) throw new Error("it does not end");
      store.set("k", 1, 250);
      expect(isThere()).toBe(true);
      await new Promise((resolve) => setTimeout(resolve, 260));
      expect(isThere()).toBe(false);
      expect(store.get("forever")).toBe(1);
    },
  );

  test("time goes on in a turn that does not end also for those who share the tier with entries without end", () => {
    const tier = local();
    const space = tier.space<number>();
    tier.set("forever", 1);
    const { turn } = runtime;
    if (turn === undefined) throw new Error("this host has no turns");
    space.set("k", 1, performance.now() + 250, performance.now());
    for (const until = performance.now() + 260; performance.now() < until;);
    let calls = 0;
    // Each look at what has no end falls on the 64th use, when somebody has to look at the clock.
    for (; space.ask("k", turn) !== undefined; calls++) {
      if (calls > 1_000) throw new Error("it does not end");
      for (let other = 0; other < 63; other++) tier.get("forever");
    }
  });

  test("reads no clock at construction, nor while nothing can expire", () => {
    let reads = 0;
    const clock = { monotonic: () => ++reads };
    const store = local({ clock });
    expect(reads).toBe(0);
    store.set("k", 1);
    const before = reads;
    store.get("k");
    store.has("k");
    expect(reads).toBe(before);
  });
});

describe("memory", () => {
  test("arrays grow with use: a large limit costs nothing while the tier is empty", () => {
    for (const policy of policies) {
      const before = process.memoryUsage().arrayBuffers;
      const stores = Array.from({ length: 20 }, () => local({ policy, maxEntries: 2 ** 23 }));
      for (const store of stores) store.set("k", 1);
      expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(1_000_000);
    }
  });

  test("a removed value is let go of, however it left", () => {
    const slots = new Slots({ maxEntries: 2, maxBytes: Infinity, weigh: undefined }, lru);
    const space = slots.space<object>();
    const values = Array.from({ length: 5 }, (_, id) => ({ id }));
    const held = () => values.filter((value) => slots.values.includes(value)).map((value) => value.id);
    for (const value of values.slice(0, 3)) space.set(`k${value.id}`, value, Infinity, 0);
    expect(held()).toEqual([1, 2]);
    space.delete("k1");
    expect(held()).toEqual([2]);
    space.set("k3", { id: -1 }, 5, 0);
    space.set("k3", values[3] ?? {}, 5, 0);
    expect(held()).toEqual([2, 3]);
    space.get("k3", 5);
    expect(held()).toEqual([2]);
    slots.clear();
    expect(held()).toEqual([]);
  });
});

describe("weights", () => {
  const weigh = (value: unknown, key: string): number => (typeof value === "number" ? value : Number.NaN) + key.length;

  test("bytes is the exact sum of what weigh says of value and key, through replace, delete and expiry", () => {
    const clock = fakeTime();
    const store = local({ maxBytes: 1000, weigh, clock });
    store.set("a", 10);
    store.set("bb", 20, 5);
    expect(store.bytes).toBe(33);
    store.set("a", 100);
    expect(store.bytes).toBe(123);
    store.set("a", 0);
    expect(store.bytes).toBe(23);
    clock.at += 5;
    store.get("bb");
    expect(store.bytes).toBe(1);
    store.delete("a");
    expect(store.bytes).toBe(0);
  });

  test("fractions round up, so that sums stay exact", () => {
    const store = local({ weigh: () => 0.1 });
    for (let number = 0; number < 10; number++) store.set(`k${number}`, 1);
    expect(store.bytes).toBe(10);
  });

  test("counts bytes without a limit too", () => {
    const store = local({ weigh: () => 2 ** 40 });
    store.set("a", 1);
    store.set("b", 1);
    expect(store.bytes).toBe(2 ** 41);
  });

  test.each(policies)("makes room for a heavy value with %s, and refuses one heavier than the tier", (policy) => {
    const store = local<number>({ policy, maxBytes: 100, weigh: (value) => value });
    for (let number = 0; number < 10; number++) store.set(`k${number}`, 10);
    expect(store.bytes).toBe(100);
    expect(store.set("heavy", 95)).toBe(true);
    expect(store.bytes).toBe(95);
    expect(store.get("heavy")).toBe(95);
    expect(store.set("whole", 100)).toBe(true);
    expect([store.size, store.bytes]).toEqual([1, 100]);
    expect(store.set("whole", 101)).toBe(false);
    expect([store.size, store.bytes]).toEqual([0, 0]);
    expect(store.set("endless", Infinity)).toBe(false);
  });

  test.each(policies)("an entry that grows is held after the write, with %s", (policy) => {
    const store = local<number>({ policy, maxBytes: 100, weigh: (value) => value });
    for (let number = 0; number < 10; number++) store.set(`k${number}`, 10);
    for (let number = 0; number < 10; number++) {
      expect(store.set(`k${number}`, 60)).toBe(true);
      expect(store.get(`k${number}`)).toBe(60);
      expect(store.bytes).toBeLessThanOrEqual(100);
    }
  });

  test.each([Number.NaN, -1, -Infinity, "12", undefined, null, 5n, {}])("a weight of %s is a TypeError, and the old value is gone", (weight) => {
    let answer: unknown = 7;
    const store = local({ maxBytes: 100, weigh: () => answer as number });
    store.set("k", "old");
    store.set("other", "stays");
    answer = weight;
    expect(() => store.set("k", "new")).toThrow(/^weigh must return a number/);
    expect(store.has("k")).toBe(false);
    expect([store.size, store.bytes]).toEqual([1, 7]);
  });

  test("what weigh throws comes out unchanged, and the old value is gone", () => {
    const failure = new Error("cannot weigh");
    let fail = false;
    const store = local({
      weigh: () => {
        if (fail) throw failure;
        return 3;
      },
    });
    store.set("k", "old");
    fail = true;
    expect(() => store.set("k", "new")).toThrow(failure);
    expect([store.size, store.bytes]).toEqual([0, 0]);
    expect(() => store.set("absent", "new")).toThrow(failure);
    fail = false;
    store.set("k", "new");
    expect([store.size, store.bytes]).toEqual([1, 3]);
  });

  test("weigh may use the tier it weighs for", () => {
    let depth = 0;
    const store = local<string>({
      maxEntries: 2,
      maxBytes: 10,
      weigh: (value, key) => {
        if (depth++ === 0) {
          store.set(key, "inner");
          store.set("b", "inner");
          store.set("c", "inner");
          store.delete(key);
        }
        depth--;
        return value.length;
      },
    });
    store.set("a", "outer");
    expect(store.get("a")).toBe("outer");
    expect(store.size).toBeLessThanOrEqual(2);
    expect(store.bytes).toBeLessThanOrEqual(10);
  });
});

describe("spaces", () => {
  test("equal keys of two spaces and of the stand-alone calls never meet", () => {
    const tier = local<string>({ policy: "lru" });
    const spaces: LocalSpace<string>[] = [tier.space(), tier.space()];
    tier.set("k", "alone");
    for (const [index, space] of spaces.entries()) space.set("k", `space ${index}`, Infinity, 0);
    expect(tier.size).toBe(3);
    expect(tier.get("k")).toBe("alone");
    expect(spaces.map((space) => space.get("k", 0))).toEqual(["space 0", "space 1"]);
    spaces[0]?.delete("k");
    expect(spaces.map((space) => space.get("k", 0))).toEqual([undefined, "space 1"]);
    tier.clear();
    expect(spaces.map((space) => space.get("k", 0))).toEqual([undefined, undefined]);
    expect(tier.get("k")).toBeUndefined();
  });

  test("they share the bounds, and weigh is given what unwrap makes of a value", () => {
    const tier = local<string>({ maxBytes: 10, weigh: (text) => text.length });
    const space = tier.space((entry: { text: string }) => entry.text);
    const entry = { text: "12345678" };
    expect(space.set("k", entry, Infinity, 0)).toBe(true);
    expect(tier.bytes).toBe(8);
    expect(space.get("k", 0)).toBe(entry);
    tier.set("k", "123");
    expect(tier.bytes).toBe(3);
    expect(space.get("k", 0)).toBeUndefined();
  });

  test("times are the caller's: absent from the deadline on, and a deadline that has passed stores nothing", () => {
    const space = local().space<string>();
    expect(space.set("k", "v", 50, 40)).toBe(true);
    expect(space.peek("k", 49)).toBe("v");
    expect(space.get("k", 49.9)).toBe("v");
    expect(space.peek("k", 50)).toBeUndefined();
    expect(space.peek("k", 49)).toBe("v");
    expect(space.get("k", 50)).toBeUndefined();
    expect(space.peek("k", 49)).toBeUndefined();
    for (const deadline of [40, 39, Number.NaN, -Infinity]) {
      space.set("k", "old", Infinity, 40);
      expect(space.set("k", "v", deadline, 40)).toBe(false);
      expect(space.peek("k", 40)).toBeUndefined();
    }
  });

  test("peek and has do not count as access", () => {
    const tier = local({ policy: "lru", maxEntries: 2 });
    tier.set("a", 1);
    tier.set("b", 1);
    tier.has("a");
    tier.set("c", 1);
    expect(tier.has("a")).toBe(false);
    const peeked = local({ policy: "lru", maxEntries: 2 }).space<number>();
    peeked.set("a", 1, Infinity, 0);
    peeked.set("b", 1, Infinity, 0);
    peeked.peek("a", 0);
    peeked.set("c", 1, Infinity, 0);
    expect(peeked.peek("a", 0)).toBeUndefined();
  });
});
