/**
 * All policies under random operations over several spaces: reads, writes with deadlines and weights, deletes, expiry,
 * clearing. After every step the store is checked from the inside and its answers against a model that knows what may be held.
 *
 * @module
 */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { adaptive } from "../../src/local/adaptive.ts";
import { lru } from "../../src/local/lru.ts";
import { LAST_TICK } from "../../src/local/policy.ts";
import { Slots } from "../../src/local/slots.ts";
import { tinyLfu } from "../../src/local/tinylfu.ts";
import type { Turn } from "../../src/runtime.ts";
import { checkSlots } from "./check-slots.ts";

interface Held {
  readonly id: number;
  readonly weight: number;
}

interface Known {
  readonly value: Held;
  readonly deadline: number;
}

const key = fc.oneof({ weight: 9, arbitrary: fc.integer({ min: 0, max: 14 }).map((number) => `k${number}`) }, fc.constantFrom("", "\0", "__proto__", "\ud800"));
const action = fc.oneof(
  fc.record({
    kind: fc.constant("set" as const),
    space: fc.nat(2),
    key,
    life: fc.constantFrom(0, 1, 5, 50, Infinity),
    weight: fc.oneof({ weight: 9, arbitrary: fc.nat(12) }, fc.constantFrom(-1, 40, 41)),
  }),
  fc.record({ kind: fc.constantFrom("get" as const, "get" as const, "peek" as const, "delete" as const), space: fc.nat(2), key }),
  fc.record({ kind: fc.constant("wait" as const), ms: fc.nat(6) }),
);
const actions = fc.array(action, { maxLength: 150 });
const clearAt = fc.option(fc.nat(150));
/** Accesses until their numbers begin anew, where that is to happen. */
const ticksLeft = fc.option(fc.nat(100));

describe.each([lru, tinyLfu, adaptive()])("the store with $name", (policy) => {
  test.each([
    { bounds: "entries", maxBytes: Infinity },
    { bounds: "entries and bytes", maxBytes: 40 },
  ])("stays consistent and within its bounds by $bounds, and never answers wrongly", ({ maxBytes }) => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 10 }), actions, clearAt, ticksLeft, (maxEntries, steps, clear, left) => {
        const weigh = (value: unknown): number => (isHeld(value) ? value.weight : Number.NaN);
        const slots = new Slots({ maxEntries, maxBytes, weigh: maxBytes === Infinity ? undefined : weigh }, policy);
        if (left !== null) slots.tick = LAST_TICK - left;
        const spaces = [slots.space<Held>(), slots.space<Held>(), slots.space<Held>()];
        const known = new Map<string, Known>();
        let now = 0;
        let ids = 0;
        for (const [index, step] of steps.entries()) {
          if (index === clear) {
            slots.clear();
            known.clear();
          }
          if (step.kind === "wait") now += step.ms;
          else {
            const space = spaces[step.space];
            const name = `${step.space}/${step.key}`;
            const expected = known.get(name);
            const alive = expected !== undefined && expected.deadline > now ? expected.value : undefined;
            if (space === undefined) throw new Error("no such space");
            if (step.kind === "set") {
              const value = { id: ids++, weight: step.weight };
              const write = () => space.set(step.key, value, now + step.life, now);
              if (maxBytes !== Infinity && step.weight < 0) {
                expect(write).toThrow(TypeError);
                known.delete(name);
              } else {
                const stored = write();
                expect(stored).toBe(step.life > 0 && (maxBytes === Infinity || step.weight <= maxBytes));
                expect(space.peek(step.key, now)).toBe(stored ? value : undefined);
                if (stored) known.set(name, { value, deadline: now + step.life });
                else known.delete(name);
              }
            } else if (step.kind === "delete") {
              space.delete(step.key);
              known.delete(name);
            } else {
              const found = step.kind === "get" ? space.get(step.key, now) : space.peek(step.key, now);
              if (found !== undefined) expect(found).toBe(alive);
              if (step.kind === "get" && found === undefined) expect(space.index.has(step.key)).toBe(false);
            }
          }
          checkSlots(slots, spaces);
        }
      }),
      { numRuns: 150 },
    );
  });

  test("the clock is looked at once in 64 accesses, also where their numbers begin anew", () => {
    const slots = new Slots({ maxEntries: 10, maxBytes: Infinity, weigh: undefined }, policy);
    const space = slots.space<number>();
    space.set("k", 1, Infinity, 0);
    slots.tick = LAST_TICK - 100;
    let looks = 0;
    const turn: Turn = {
      horizon: 0,
      read: () => {
        looks++;
        return 0;
      },
    };
    for (let count = 0; count < 640; count++) expect(space.ask("k", turn)).toBe(1);
    expect(looks).toBeGreaterThanOrEqual(10);
    expect(looks).toBeLessThanOrEqual(12);
    expect(slots.tick).toBeLessThan(1000);
    checkSlots(slots, [space]);
  });

  test("keeps everything while it is not full", () => {
    const slots = new Slots({ maxEntries: 2000, maxBytes: Infinity, weigh: undefined }, policy);
    const space = slots.space<number>();
    for (let number = 0; number < 2000; number++) space.set(`k${number}`, number, Infinity, 0);
    for (let number = 0; number < 2000; number++) expect(space.get(`k${number}`, 0)).toBe(number);
    checkSlots(slots, [space]);
    space.set("one more", 1, Infinity, 0);
    expect(slots.size).toBe(2000);
    checkSlots(slots, [space]);
  });

  test("moves together and gives memory back when most entries have left, in any order, and loses none of the others", () => {
    const slots = new Slots({ maxEntries: 10_000, maxBytes: Infinity, weigh: () => 3 }, policy);
    const spaces = [slots.space<number>(), slots.space<number>()];
    for (let number = 0; number < 20_000; number++) spaces[number % 2]?.set(`k${number}`, number, Infinity, 0);
    const kept = new Map<string, number>();
    for (const space of spaces)
      for (const key of space.index.keys()) if (kept.size < 1500 && Number(key.slice(1)) % 7 === 0) kept.set(key, Number(key.slice(1)));
    for (const space of spaces) for (const key of space.index.keys()) if (!kept.has(key)) space.delete(key);
    checkSlots(slots, spaces);
    // Nothing is given back before seven of eight slots are free.
    for (const [key, number] of [...kept].slice(100)) {
      spaces[number % 2]?.delete(key);
      kept.delete(key);
    }
    checkSlots(slots, spaces);
    expect(slots.size).toBe(100);
    expect(slots.bytes).toBe(300);
    expect(slots.top).toBeLessThan(2100);
    for (const array of [slots.keys, slots.values, slots.homes, slots.deadlines, slots.weights]) expect(array.length).toBeLessThan(4200);
    for (const [key, number] of kept) expect(spaces[number % 2]?.get(key, 0)).toBe(number);
    for (let number = 0; number < 20_000; number++) spaces[number % 2]?.set(`again${number}`, number, Infinity, 0);
    expect(slots.size).toBe(10_000);
    checkSlots(slots, spaces);
  });

  test("an emptied store keeps next to nothing, and its spaces are not held on to", () => {
    const slots = new Slots({ maxEntries: 10_000, maxBytes: Infinity, weigh: undefined }, policy);
    const space = slots.space<number>();
    for (let number = 0; number < 5000; number++) space.set(`k${number}`, number, Infinity, 0);
    for (let number = 0; number < 5000; number++) space.delete(`k${number}`);
    expect(slots.size).toBe(0);
    expect(slots.deadlines.length).toBeLessThan(2100);
    expect(slots.owners.filter((owner) => owner !== undefined)).toEqual([]);
    space.set("k", 1, Infinity, 0);
    expect(space.get("k", 0)).toBe(1);
    checkSlots(slots, [space]);
  });

  test("serves more spaces than a byte can number, and gives numbers out again", () => {
    const slots = new Slots({ maxEntries: 2000, maxBytes: Infinity, weigh: undefined }, policy);
    const spaces = Array.from({ length: 700 }, () => slots.space<number>());
    for (const [number, space] of spaces.entries()) for (const key of ["a", "b"]) space.set(key, number, Infinity, 0);
    checkSlots(slots, spaces);
    for (const [number, space] of spaces.entries()) expect([space.get("a", 0), space.get("b", 0)]).toEqual([number, number]);
    for (const space of spaces) for (const key of ["a", "b"]) space.delete(key);
    for (const space of spaces.slice(300)) space.set("c", 1, Infinity, 0);
    expect(slots.owners.length).toBe(700);
    checkSlots(slots, spaces);
  });

  test("reuses slots, so that churn does not use up slot numbers", () => {
    const slots = new Slots({ maxEntries: 50, maxBytes: Infinity, weigh: undefined }, policy);
    const space = slots.space<number>();
    for (let number = 0; number < 5000; number++) {
      space.set(`k${number}`, number, Infinity, 0);
      if (number % 3 === 0) space.delete(`k${number - 1}`);
    }
    expect(slots.top).toBeLessThanOrEqual(54);
    checkSlots(slots, [space]);
  });
});

function isHeld(value: unknown): value is Held {
  return typeof value === "object" && value !== null && "weight" in value;
}
