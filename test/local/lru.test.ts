/**
 * The policy `"lru"`, against a model that is obviously right and slow.
 *
 * @module
 */
import fc from "fast-check";
import { describe, expect, test, vi } from "vitest";
import { lru, Lru } from "../../src/local/lru.ts";
import { LAST_TICK } from "../../src/local/policy.ts";
import { Slots } from "../../src/local/slots.ts";

/** Keys from oldest to newest, moved about in a plain array. */
class Model {
  readonly keys: string[] = [];
  private readonly max: number;

  constructor(max: number) {
    this.max = max;
  }

  use(key: string): boolean {
    const place = this.keys.indexOf(key);
    if (place < 0) return false;
    this.keys.splice(place, 1);
    this.keys.push(key);
    return true;
  }

  set(key: string): void {
    if (this.use(key)) return;
    if (this.keys.length === this.max) this.keys.shift();
    this.keys.push(key);
  }

  delete(key: string): boolean {
    const place = this.keys.indexOf(key);
    if (place >= 0) this.keys.splice(place, 1);
    return place >= 0;
  }
}

const step = fc.tuple(fc.constantFrom("get", "set", "set", "delete", "peek"), fc.integer({ min: 0, max: 11 }));

describe("lru", () => {
  test("keeps exactly the order of a model through random reads, writes and deletes, also where accesses are numbered anew", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 8 }), fc.array(step, { maxLength: 120 }), fc.option(fc.nat(100)), (max, steps, left) => {
        const model = new Model(max);
        const slots = new Slots({ maxEntries: max, maxBytes: Infinity, weigh: undefined }, lru);
        if (left !== null) slots.tick = LAST_TICK - left;
        const space = slots.space<string>();
        for (const [action, number] of steps) {
          const key = `k${number}`;
          if (action === "get") expect(space.get(key, 0) !== undefined).toBe(model.use(key));
          else if (action === "peek") expect(space.peek(key, 0) !== undefined).toBe(model.keys.includes(key));
          else if (action === "delete") expect(space.delete(key)).toBe(model.delete(key));
          else {
            expect(space.set(key, key, Infinity, 0)).toBe(true);
            model.set(key);
          }
          const order = slots.policy instanceof Lru ? slots.policy.order().map((slot) => slots.keys[slot]) : [];
          expect(order.toReversed()).toEqual(model.keys);
        }
      }),
      { numRuns: 300 },
    );
  });

  test("an eviction after many hits finds the oldest, however far back it is, and passes are few", () => {
    const slots = new Slots({ maxEntries: 100, maxBytes: Infinity, weigh: undefined }, lru);
    const space = slots.space<number>();
    for (let number = 0; number < 100; number++) space.set(`k${number}`, number, Infinity, 0);
    // The later entries were read last, long after each other.
    for (let number = 0; number < 100; number++) for (let count = 0; count < 300; count++) space.get(`k${number}`, 0);
    for (let number = 0; number < 100; number++) {
      space.set(`new${number}`, number, Infinity, 0);
      expect(space.index.has(`k${number}`)).toBe(false);
      expect(space.index.size).toBe(100);
    }
    const policy = slots.policy instanceof Lru ? slots.policy : undefined;
    const passes = vi.spyOn(Object.getPrototypeOf(policy), "layOut");
    for (let number = 0; number < 10_000; number++) space.set(`newer${number}`, number, Infinity, 0);
    expect(passes.mock.calls.length).toBeGreaterThan(50);
    expect(passes.mock.calls.length).toBeLessThan(210);
    passes.mockRestore();
  });

  test("one order covers all spaces: a quiet space gives way to a busy one", () => {
    const slots = new Slots({ maxEntries: 3, maxBytes: Infinity, weigh: undefined }, lru);
    const quiet = slots.space<number>();
    const busy = slots.space<number>();
    quiet.set("a", 1, Infinity, 0);
    quiet.set("b", 2, Infinity, 0);
    busy.set("a", 3, Infinity, 0);
    expect(quiet.get("a", 0)).toBe(1);
    busy.set("b", 4, Infinity, 0);
    expect(quiet.get("b", 0)).toBeUndefined();
    expect(quiet.get("a", 0)).toBe(1);
    expect(busy.get("a", 0)).toBe(3);
    expect(busy.get("b", 0)).toBe(4);
  });
});
