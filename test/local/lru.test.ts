/**
 * The policy `"lru"`, against a model that is obviously right and slow.
 *
 * @module
 */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { lru, Lru } from "../../src/local/lru.ts";
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
  test("keeps exactly the order of a model through random reads, writes and deletes", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 8 }), fc.array(step, { maxLength: 120 }), (max, steps) => {
        const model = new Model(max);
        const slots = new Slots({ maxEntries: max, maxBytes: Infinity, weigh: undefined }, lru);
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
