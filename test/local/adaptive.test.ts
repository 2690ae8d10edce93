/**
 * The policy `adaptive()`: what it hits beside LRU and W-TinyLFU on traffic of every kind, that it changes its order when the
 * traffic changes, and its corner cases. Traffic is seeded and the salt fixed, so the figures repeat exactly.
 *
 * @module
 */
import { build } from "esbuild";
import { describe, expect, test } from "vitest";
import { Adaptive } from "../../src/local/adaptive-eviction.ts";
import { adaptive } from "../../src/local/adaptive.ts";
import { local } from "../../src/local/local.ts";
import { lru } from "../../src/local/lru.ts";
import { LAST_TICK } from "../../src/local/policy.ts";
import type { EvictionPolicy } from "../../src/local/policy.ts";
import { Slots } from "../../src/local/slots.ts";
import type { Space } from "../../src/local/space.ts";
import { TinyLfu } from "../../src/local/tinylfu.ts";
import { checkSlots } from "./check-slots.ts";
import { seededRandom, zipf } from "./traffic.ts";

const SALT = 12_345;
const seeded: EvictionPolicy = { name: "adaptive", create: (room) => new Adaptive(room, SALT) };
const tinyLfu: EvictionPolicy = { name: "w-tinylfu", create: (room) => new TinyLfu(room, seededRandom(1), SALT) };

function storeOf(maxEntries: number, policy: EvictionPolicy = seeded): { slots: Slots; space: Space<string> } {
  const slots = new Slots({ maxEntries, maxBytes: Infinity, weigh: undefined }, policy);
  return { slots, space: slots.space<string>() };
}

function adaptiveOf(slots: Slots): Adaptive {
  if (slots.policy instanceof Adaptive) return slots.policy;
  throw new Error("not an adaptive store");
}

function hitRatio(space: Space<string>, keys: readonly string[]): number {
  let hits = 0;
  for (const key of keys) {
    if (space.get(key, 0) !== undefined) hits++;
    else space.set(key, key, Infinity, 0);
  }
  return hits / keys.length;
}

function ratios(maxEntries: number, keys: readonly string[]): { recency: number; frequency: number; own: number } {
  const of = (policy: EvictionPolicy): number => hitRatio(storeOf(maxEntries, policy).space, keys);
  return { recency: of(lru), frequency: of(tinyLfu), own: of(seeded) };
}

/** Keys that come three times within a short while and then never again: nothing but recency helps. */
function bursts(count: number): string[] {
  return Array.from({ length: count }, (_, at) => `burst:${Math.floor(at / 3) + (((at % 3) * 7) % 11)}`);
}

describe("adaptive()", () => {
  test("hits more often than LRU and W-TinyLFU on Zipf traffic", () => {
    const { recency, frequency, own } = ratios(500, zipf(20_000, 100_000, 0.99, seededRandom(42)));
    expect(own - recency).toBeGreaterThan(0.08);
    expect(own).toBeGreaterThan(frequency);
  });

  test("serves most of what can be served of a loop larger than itself, where LRU serves nothing", () => {
    const loop = Array.from({ length: 60_000 }, (_, at) => `page:${at % 1011}`);
    const { recency, own } = ratios(512, loop);
    expect(recency).toBe(0);
    // At best 511 of 1,010 hit, save in the first round.
    expect(own).toBeGreaterThan(0.45);
  });

  test("loses little to LRU where only recency counts", () => {
    const { recency, own } = ratios(200, bursts(60_000));
    expect(own).toBeGreaterThan(recency - 0.03);
  });

  test("keeps the working set through scans", () => {
    const draw = zipf(5000, 50_000, 0.99, seededRandom(7));
    const mixed = draw.flatMap((key, at) => (at % 1000 === 0 ? [key, ...Array.from({ length: 600 }, (_, scanned) => `scan:${at}:${scanned}`)] : [key]));
    const { recency, own } = ratios(500, mixed);
    expect(own - recency).toBeGreaterThan(0.05);
  });

  test("does well on each part of traffic that changes its nature twice", () => {
    const { space } = storeOf(300);
    const loop = (name: string): string[] => Array.from({ length: 60_000 }, (_, at) => `${name}:${at % 600}`);
    expect(hitRatio(space, loop("first"))).toBeGreaterThan(0.4);
    expect(hitRatio(space, bursts(60_000))).toBeGreaterThan(0.6);
    expect(hitRatio(space, loop("second"))).toBeGreaterThan(0.4);
  });

  test("chooses another order when another one hits more", () => {
    const { slots, space } = storeOf(300);
    hitRatio(
      space,
      Array.from({ length: 30_000 }, (_, at) => `loop:${at % 600}`),
    );
    const policy = adaptiveOf(slots);
    const { mind } = policy;
    if (mind === undefined) throw new Error("nothing was evicted");
    const chosen = new Set<number>();
    for (const order of mind.orders.keys()) {
      mind.miniature.scores[order] = 1e9 * (order + 1);
      for (let at = 0; at < 1000; at++) space.set(`new:${order}:${at}`, "", Infinity, 0);
      expect(policy.current).toBe(order);
      chosen.add(policy.current);
    }
    expect(chosen.size).toBe(5);
    checkSlots(slots, [space]);
  });

  test("yesterday's favourites give way to today's", () => {
    const { space } = storeOf(200);
    for (let round = 0; round < 40; round++)
      hitRatio(
        space,
        Array.from({ length: 200 }, (_, number) => `old:${number}`),
      );
    const today = Array.from({ length: 30_000 }, (_, count) => `new:${count % 150}`);
    hitRatio(space, today);
    expect(hitRatio(space, today.slice(0, 1500))).toBeGreaterThan(0.95);
  });

  test("needs nothing but the arrays of the slots before the first eviction, and gives all back when cleared", () => {
    const { slots, space } = storeOf(1000);
    for (let number = 0; number < 1000; number++) space.set(`k${number}`, "", Infinity, 0);
    const policy = adaptiveOf(slots);
    expect(policy.mind).toBeUndefined();
    expect(policy.ghost.notes.length).toBe(0);
    space.set("one more", "", Infinity, 0);
    expect(policy.mind?.capacity).toBe(1000);
    expect(policy.ghost.notes.length).toBeGreaterThanOrEqual(12_000);
    slots.clear();
    expect(policy.mind).toBeUndefined();
    expect([policy.ghost.notes.length, policy.stamps.length, policy.uses.length, policy.hashes.length]).toEqual([0, 0, 0, 0]);
    expect(hitRatio(space, ["a", "a", "b"])).toBeCloseTo(1 / 3);
    checkSlots(slots, [space]);
  });

  test("remembers how often a key was asked for after it has left", () => {
    const { slots, space } = storeOf(100);
    for (let number = 0; number <= 100; number++) space.set(`k${number}`, "", Infinity, 0);
    for (let count = 0; count < 9; count++) space.get("k100", 0);
    space.delete("k100");
    space.set("k100", "", Infinity, 0);
    // Nine hits and its first arrival.
    expect((adaptiveOf(slots).uses[space.index.get("k100") ?? -1] ?? 0) & 127).toBe(10);
  });

  test("equal keys of two spaces are counted apart", () => {
    const { slots, space } = storeOf(100);
    for (let number = 0; number <= 100; number++) space.set(`k${number}`, "", Infinity, 0);
    for (let count = 0; count < 9; count++) space.get("k100", 0);
    space.delete("k100");
    const other = slots.space<string>();
    other.set("k100", "", Infinity, 0);
    expect((adaptiveOf(slots).uses[other.index.get("k100") ?? -1] ?? 0) & 127).toBe(0);
  });

  test("expired entries go before all others", () => {
    const { slots, space } = storeOf(100);
    for (let number = 0; number < 50; number++) space.set(`dead:${number}`, "", 10, 0);
    for (let number = 0; number < 50; number++) space.set(`live:${number}`, "", Infinity, 0);
    for (let round = 0; round < 14; round++) for (let number = 0; number < 50; number++) space.get(`dead:${number}`, 0);
    for (let number = 0; number < 50; number++) space.set(`new:${number}`, "", Infinity, 11);
    expect(slots.size).toBe(100);
    let live = 0;
    for (const kind of ["live", "new"]) for (let number = 0; number < 50; number++) if (space.peek(`${kind}:${number}`, 11) !== undefined) live++;
    expect(live).toBe(100);
  });

  test("goes by what is held when bytes run out before entries do, and fits itself when values become lighter", () => {
    const slots = new Slots({ maxEntries: 100_000, maxBytes: 30_000, weigh: (value) => (value === "heavy" ? 300 : 10) }, seeded);
    const space = slots.space<string>();
    for (let number = 0; number < 300; number++) space.set(`heavy${number}`, "heavy", Infinity, 0);
    expect([slots.size, adaptiveOf(slots).mind?.capacity]).toEqual([100, 100]);
    for (let number = 0; number < 300; number++) space.delete(`heavy${number}`);
    for (let number = 0; number < 9000; number++) space.set(`light${number}`, "light", Infinity, 0);
    expect(slots.size).toBe(3000);
    expect(adaptiveOf(slots).mind?.capacity).toBe(3000);
    checkSlots(slots, [space]);
  });

  test("time that wraps round does no harm", () => {
    const { slots, space } = storeOf(200);
    slots.tick = LAST_TICK - 20_000;
    const traffic = zipf(5000, 40_000, 0.99, seededRandom(3));
    hitRatio(space, traffic);
    expect(slots.tick).toBeLessThan(60_000);
    expect(hitRatio(space, traffic)).toBeGreaterThan(0.5);
    checkSlots(slots, [space]);
  });

  test.each([1, 2, 3, 63, 64, 65, 1000, 20_000])("stays consistent with %i entries under reads, writes and deletes", (maxEntries) => {
    const random = seededRandom(maxEntries);
    const { slots, space } = storeOf(maxEntries);
    for (let step = 0; step < Math.max(20_000, 3 * maxEntries); step++) {
      const key = `k${Math.floor(random() ** 2 * 4 * maxEntries)}`;
      if (random() < 0.05) space.delete(key);
      else if (space.get(key, step) === undefined) space.set(key, key, step + 1 + random() * 8 * maxEntries, step);
    }
    checkSlots(slots, [space]);
  });

  test.each([
    { imported: "createCache, local", carried: false },
    { imported: "createCache, local, adaptive", carried: true },
  ])("a bundle of { $imported } carries it: $carried", async ({ imported, carried }) => {
    const { outputFiles } = await build({
      stdin: { contents: `export { ${imported} } from "./src/index.ts";`, resolveDir: new URL("../..", import.meta.url).pathname, loader: "ts" },
      bundle: true,
      minify: true,
      write: false,
      format: "esm",
      conditions: ["cacheme-source"],
    });
    expect(outputFiles[0]?.text.includes('"adaptive"')).toBe(carried);
  });

  test("one object serves several tiers, each with a state of its own", () => {
    const policy = adaptive();
    expect(policy.name).toBe("adaptive");
    const [one, other] = [local({ policy, maxEntries: 2 }), local({ policy, maxEntries: 3 })];
    for (let number = 0; number < 5; number++) {
      one.set(`k${number}`, number);
      other.set(`k${number}`, number);
    }
    expect([one.size, other.size]).toEqual([2, 3]);
  });
});
