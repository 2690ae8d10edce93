/**
 * The policy `"w-tinylfu"`: what it is for (frequency and scans), that its counts age, and its corner cases. Hit ratios are
 * measured on seeded traffic with a fixed salt, so the figures repeat exactly.
 *
 * @module
 */
import { describe, expect, test } from "vitest";
import { lru } from "../../src/local/lru.ts";
import type { EvictionPolicy } from "../../src/local/policy.ts";
import { Slots } from "../../src/local/slots.ts";
import type { Space } from "../../src/local/space.ts";
import { TinyLfu } from "../../src/local/tinylfu.ts";
import { seededRandom, zipf } from "./traffic.ts";

const PROTECTED = 2;

function seeded(random: () => number = seededRandom(1)): EvictionPolicy {
  return { name: "w-tinylfu", create: (room) => new TinyLfu(room, random, 12345) };
}

function storeOf(maxEntries: number, policy: EvictionPolicy): { slots: Slots; space: Space<string> } {
  const slots = new Slots({ maxEntries, maxBytes: Infinity, weigh: undefined }, policy);
  return { slots, space: slots.space<string>() };
}

function tinyLfuOf(slots: Slots): TinyLfu {
  if (slots.policy instanceof TinyLfu) return slots.policy;
  throw new Error("not a W-TinyLFU store");
}

/** Reads a key and stores it if absent; whether it was a hit. */
function ask(space: Space<string>, key: string): boolean {
  if (space.get(key, 0) !== undefined) return true;
  space.set(key, key, Infinity, 0);
  return false;
}

function hitRatio(space: Space<string>, keys: readonly string[]): number {
  let hits = 0;
  for (const key of keys) if (ask(space, key)) hits++;
  return hits / keys.length;
}

function frequencyOf(slots: Slots, space: Space<string>, key: string): number {
  return tinyLfuOf(slots).frequency(space.index.get(key) ?? -1);
}

describe("w-tinylfu", () => {
  test("hits clearly more often than LRU on Zipf traffic", () => {
    const traffic = zipf(20_000, 200_000, 0.99, seededRandom(42));
    const recency = hitRatio(storeOf(500, lru).space, traffic);
    const frequency = hitRatio(storeOf(500, seeded()).space, traffic);
    expect(frequency - recency).toBeGreaterThan(0.06);
  });

  test("keeps most of the working set through a scan that flushes LRU", () => {
    const survivors = (policy: EvictionPolicy): number => {
      const { space } = storeOf(1000, policy);
      for (let round = 0; round < 5; round++) for (let number = 0; number < 900; number++) ask(space, `hot:${number}`);
      for (let number = 0; number < 20_000; number++) ask(space, `scan:${number}`);
      let left = 0;
      for (let number = 0; number < 900; number++) if (space.peek(`hot:${number}`, 0) !== undefined) left++;
      return left;
    };
    expect(survivors(lru)).toBe(0);
    expect(survivors(seeded())).toBeGreaterThan(700);
  });

  test("serves part of a loop larger than itself, where LRU serves nothing", () => {
    const loop = Array.from({ length: 40_000 }, (_, number) => `page:${number % 1011}`);
    expect(hitRatio(storeOf(512, lru).space, loop)).toBe(0);
    expect(hitRatio(storeOf(512, seeded()).space, loop)).toBeGreaterThan(0.4);
  });

  test("counts halve after 10 accesses for each entry, when an entry has to go, and clearing starts afresh", () => {
    const { slots, space } = storeOf(100, seeded());
    for (let number = 0; number < 500; number++) space.set(`k${number % 100}`, "", Infinity, 0);
    slots.clear();
    for (let number = 0; number < 100; number++) space.set(`k${number}`, "", Infinity, 0);
    for (let count = 0; count < 12; count++) space.get("k0", 0);
    expect(frequencyOf(slots, space, "k0")).toBe(13);
    // 112 accesses until now; the next newcomer is looked at before it is counted.
    for (let count = 0; count < 887; count++) space.get(`k${1 + (count % 99)}`, 0);
    space.set("early", "", Infinity, 0);
    expect(frequencyOf(slots, space, "k0")).toBe(13);
    space.set("newcomer", "", Infinity, 0);
    expect(frequencyOf(slots, space, "k0")).toBe(6);
    for (let count = 0; count < 998; count++) space.get("k1", 0);
    space.set("early again", "", Infinity, 0);
    expect(frequencyOf(slots, space, "k0")).toBe(6);
    space.set("newcomer again", "", Infinity, 0);
    expect(frequencyOf(slots, space, "k0")).toBe(3);
  });

  test("a count stops at 15", () => {
    const { slots, space } = storeOf(100, seeded());
    for (let number = 0; number < 100; number++) space.set(`k${number}`, "", Infinity, 0);
    for (let count = 0; count < 5000; count++) {
      space.get("k0", 0);
      if (count > 15) expect(frequencyOf(slots, space, "k0")).toBe(15);
    }
  });

  test("while nothing has to go, counts halve after 20 accesses for each entry, at the next newcomer", () => {
    const { slots, space } = storeOf(100, seeded());
    for (let number = 0; number < 99; number++) space.set(`k${number}`, "", Infinity, 0);
    for (let count = 0; count < 12; count++) space.get("k0", 0);
    for (let count = 0; count < 1887; count++) space.get(`k${1 + (count % 98)}`, 0);
    space.set("early", "", Infinity, 0);
    space.delete("early");
    expect(frequencyOf(slots, space, "k0")).toBe(13);
    space.set("newcomer", "", Infinity, 0);
    space.delete("newcomer");
    expect(frequencyOf(slots, space, "k0")).toBe(6);
    // Half of the period counts as spent.
    for (let count = 0; count < 998; count++) space.get(`k${1 + (count % 98)}`, 0);
    space.set("early again", "", Infinity, 0);
    space.delete("early again");
    expect(frequencyOf(slots, space, "k0")).toBe(6);
    space.set("newcomer again", "", Infinity, 0);
    expect(frequencyOf(slots, space, "k0")).toBe(3);
  });

  test("the sketch grows with the entries, by 8 bytes for each or more", () => {
    const { slots, space } = storeOf(5000, seeded());
    for (let number = 0; number < 5000; number++) space.set(`k${number}`, "", Infinity, 0);
    expect(tinyLfuOf(slots).sketch.table.byteLength).toBeGreaterThanOrEqual(8 * 5000);
    slots.clear();
    expect(tinyLfuOf(slots).sketch.table.byteLength).toBeLessThan(1000);
  });

  test("the counts of keys that have left halve as well", () => {
    const { slots, space } = storeOf(100, seeded());
    for (let number = 0; number < 100; number++) space.set(`k${number}`, "", Infinity, 0);
    for (let count = 0; count < 11; count++) space.get("k0", 0);
    space.delete("k0");
    for (let count = 0; count < 900; count++) space.get(`k${1 + (count % 99)}`, 0);
    space.set("one more", "", Infinity, 0);
    space.set("k0", "", Infinity, 0);
    // 12 accesses before it left, halved, and its return.
    expect(frequencyOf(slots, space, "k0")).toBe(7);
  });

  test("yesterday's favourites give way to today's", () => {
    const { space } = storeOf(200, seeded());
    for (let round = 0; round < 20; round++) for (let number = 0; number < 200; number++) ask(space, `old:${number}`);
    const today = Array.from({ length: 12_000 }, (_, count) => `new:${count % 150}`);
    hitRatio(space, today);
    expect(hitRatio(space, today.slice(0, 1500))).toBeGreaterThan(0.95);
  });

  test("an expired favourite does not hold its place against newcomers", () => {
    const { slots, space } = storeOf(100, seeded());
    for (let number = 0; number < 100; number++) space.set(`dead:${number}`, "", 10, 0);
    for (let round = 0; round < 14; round++) for (let number = 0; number < 99; number++) space.get(`dead:${number}`, 0);
    for (let number = 0; number < 100; number++) space.set(`live:${number}`, "", Infinity, 11);
    expect(slots.size).toBe(100);
    let live = 0;
    for (let number = 0; number < 100; number++) if (space.peek(`live:${number}`, 11) !== undefined) live++;
    expect(live).toBe(100);
  });

  test("an expired candidate goes, though it was asked for more often than the resident", () => {
    const { space } = storeOf(2, seeded());
    space.set("resident", "", Infinity, 0);
    space.set("window", "", 10, 0);
    for (let count = 0; count < 5; count++) space.get("window", 0);
    space.set("newcomer", "", Infinity, 10);
    expect(space.peek("resident", 10)).toBe("");
    expect(space.peek("newcomer", 10)).toBe("");
  });

  test("lets a warm loser in once in a while, and a cold one never", () => {
    const admitted = (visits: number, random: () => number): boolean => {
      const { space } = storeOf(2, seeded(random));
      space.set("resident", "", Infinity, 0);
      space.set("window", "", Infinity, 0);
      // Fewer accesses in all than the 20 after which two entries' counts would halve.
      for (let count = 0; count < 8; count++) space.get("resident", 0);
      for (let count = 1; count < visits; count++) space.get("window", 0);
      space.set("newcomer", "", Infinity, 0);
      return space.peek("window", 0) !== undefined;
    };
    expect(admitted(7, () => 0)).toBe(true);
    expect(admitted(7, () => 1 / 128)).toBe(false);
    expect(admitted(6, () => 0)).toBe(false);
  });

  test("a tie keeps the resident", () => {
    const { space } = storeOf(2, seeded());
    space.set("resident", "", Infinity, 0);
    space.set("window", "", Infinity, 0);
    space.set("newcomer", "", Infinity, 0);
    expect(space.peek("resident", 0)).toBe("");
    expect(space.peek("window", 0)).toBeUndefined();
  });

  test("equal keys of two spaces are counted apart", () => {
    const slots = new Slots({ maxEntries: 100, maxBytes: Infinity, weigh: undefined }, seeded());
    const one = slots.space<string>();
    const other = slots.space<string>();
    one.set("k", "", Infinity, 0);
    for (let count = 0; count < 9; count++) one.get("k", 0);
    one.delete("k");
    other.set("k", "", Infinity, 0);
    expect(frequencyOf(slots, other, "k")).toBe(1);
  });

  test.each([1, 2, 3, 9, 10, 99, 100, 101, 250])(
    "with %i entries the window begins with a tenth, and what is asked for is protected when it would go",
    (maxEntries) => {
      const { slots, space } = storeOf(maxEntries, seeded());
      for (let number = 0; number < maxEntries; number++) space.set(`k${number}`, "", Infinity, 0);
      const window = Math.max(1, Math.floor(maxEntries / 10));
      const policy = tinyLfuOf(slots);
      expect(policy.sizes).toEqual([window, maxEntries - window, 0]);
      for (let number = 0; number < maxEntries; number++) space.get(`k${number}`, 0);
      // A hit moves nothing.
      expect(policy.sizes).toEqual([window, maxEntries - window, 0]);
      space.set("newcomer", "", Infinity, 0);
      expect(policy.protectedMax).toBe(Math.floor((maxEntries - window) * 0.8));
      expect(policy.sizes[PROTECTED]).toBe(policy.protectedMax);
      expect(slots.size).toBe(maxEntries);
    },
  );

  test("the window grows where only recency counts, and shrinks on a loop", () => {
    const { slots, space } = storeOf(200, seeded());
    // Each key is asked for three times in short order and never again.
    const bursts = Array.from({ length: 200_000 }, (_, count) => `burst:${Math.floor(count / 3) + (((count % 3) * 7) % 11)}`);
    hitRatio(space, bursts);
    const wide = tinyLfuOf(slots).windowMax;
    expect(wide).toBeGreaterThan(60);
    hitRatio(
      space,
      Array.from({ length: 300_000 }, (_, count) => `loop:${count % 400}`),
    );
    expect(tinyLfuOf(slots).windowMax).toBeLessThan(20);
  });

  test("a favourite that is written again keeps its place and its count, in a tier full of bytes too", () => {
    const slots = new Slots({ maxEntries: 100, maxBytes: 100, weigh: () => 10 }, seeded());
    const space = slots.space<string>();
    for (let number = 0; number < 20; number++) {
      space.set("k", "", Infinity, 0);
      space.set(`other${number}`, "", Infinity, 0);
    }
    expect(slots.bytes).toBe(100);
    const policy = tinyLfuOf(slots);
    space.get("k", 0);
    space.set("k", "new", Infinity, 0);
    expect(policy.listOf(space.index.get("k") ?? -1)).toBe(PROTECTED);
    expect(policy.frequency(space.index.get("k") ?? -1)).toBe(15);
  });

  test("the window grows again when lighter values let more entries in", () => {
    const slots = new Slots({ maxEntries: 100_000, maxBytes: 30_000, weigh: (value) => (value === "heavy" ? 300 : 10) }, seeded());
    const space = slots.space<string>();
    for (let number = 0; number < 300; number++) space.set(`heavy${number}`, "heavy", Infinity, 0);
    expect([slots.size, tinyLfuOf(slots).sizes[0]]).toEqual([100, 10]);
    for (let number = 0; number < 200; number++) space.delete(`heavy${number}`);
    for (let round = 0; round < 2; round++) for (let number = 0; number < 5000; number++) space.set(`light${number}`, "light", Infinity, 0);
    expect(slots.size).toBe(3000);
    expect(tinyLfuOf(slots).windowMax).toBe(Math.floor(slots.size * tinyLfuOf(slots).climber.share));
    expect(tinyLfuOf(slots).sizes[0]).toBe(tinyLfuOf(slots).windowMax);
  });

  test("takes its shares of what fits when bytes run out before entries do", () => {
    const slots = new Slots({ maxEntries: 100_000, maxBytes: 2000, weigh: () => 10 }, seeded());
    const space = slots.space<string>();
    const traffic = zipf(5000, 30_000, 0.99, seededRandom(3));
    hitRatio(space, traffic);
    expect(slots.size).toBe(200);
    expect(tinyLfuOf(slots).windowMax).toBe(Math.max(1, Math.floor(200 * tinyLfuOf(slots).climber.share)));
    const byEntries = storeOf(200, seeded());
    hitRatio(byEntries.space, traffic);
    expect(hitRatio(space, traffic)).toBeCloseTo(hitRatio(byEntries.space, traffic), 1);
  });
});
