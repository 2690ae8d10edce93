/**
 * One owner's part of a store: the index from its keys to slots, and what is done with an entry that is found there. It relies
 * on `slots.ts` for making room, and on callers for the time.
 *
 * @module
 */
import type { Turn } from "../runtime.ts";
import type { LocalSpace } from "./local-tier.ts";
import type { Owner, Slots } from "./slots.ts";

/**
 * One owner's view of a store. A hit is one `Map` look-up, one comparison and the policy's touch.
 *
 * Invariant: every slot in `index` is held, and its `homes` entry is `number`.
 * Invariant: `missed` is not in `index`.
 */
export class Space<Value> implements LocalSpace<Value>, Owner {
  readonly index: Map<string, number> = new Map();
  readonly seed: number;
  number = -1;
  /** A key that `get` has just missed, and that is often set next. It is not in `index`, and need not be looked up again. */
  missed: string | undefined = undefined;
  private readonly slots: Slots;
  private readonly unwrap: ((value: Value) => unknown) | undefined;

  constructor(slots: Slots, seed: number, unwrap: ((value: Value) => unknown) | undefined) {
    this.slots = slots;
    this.seed = seed;
    this.unwrap = unwrap;
  }

  get(key: string, now: number): Value | undefined {
    const slot = this.index.get(key);
    if (slot === undefined) {
      this.missed = key;
      return undefined;
    }
    return this.read(slot, now);
  }

  /**
   * As `get`, at the time of a turn, which is read where it has to be.
   *
   * The way of a fresh hit has no branch that calls something and comes back: after one, a compiler loads everything anew, which
   * is a tenth of a hit or more. So whatever needs the clock is left to the end of another way.
   */
  ask(key: string, turn: Turn): Value | undefined {
    const slot = this.index.get(key);
    if (slot === undefined) {
      this.missed = key;
      return undefined;
    }
    const slots = this.slots;
    const tick = slots.tick + 1;
    if (tick > slots.lookAt || !((slots.deadlines[slot] ?? 0) > turn.horizon)) return this.read(slot, slots.look(turn));
    slots.tick = tick;
    slots.policy.touch(slot, tick);
    // Only this space writes to the slots in its index, and `set` takes a Value.
    return slots.values[slot] as Value;
  }

  peek(key: string, now: number): Value | undefined {
    const slot = this.index.get(key);
    if (slot === undefined || this.slots.isExpired(slot, now)) return undefined;
    return this.slots.values[slot] as Value;
  }

  /** Whether a live entry is there, without counting an access. */
  has(key: string, now: number): boolean {
    const slot = this.index.get(key);
    return slot !== undefined && !this.slots.isExpired(slot, now);
  }

  set(key: string, value: Value, deadline: number, now: number): boolean {
    const slots = this.slots;
    // Weighing runs foreign code, which may use the tier itself: nothing is looked up before it has ended.
    const weight = slots.weigh === undefined ? 0 : this.weightOf(slots.weigh, value, key);
    const slot = key === this.missed ? undefined : this.index.get(key);
    // Callers may know the time in whole ms only, and nothing is to be held beyond its end.
    const end = Math.floor(deadline);
    if (end !== Number.POSITIVE_INFINITY) slots.timed = true;
    const storable = end > now && weight <= slots.maxBytes;
    if (storable && slot !== undefined && slots.bytes - slots.weightOf(slot) + weight <= slots.maxBytes) {
      slots.replace(slot, value, end, weight);
      return true;
    }
    // An entry that outgrew its place comes in anew, so that making room cannot pick the entry that is being written.
    if (slot !== undefined) slots.drop(slot);
    if (storable) {
      this.missed = undefined;
      slots.insert(this, key, value, end, weight, now);
    }
    return storable;
  }

  delete(key: string): boolean {
    const slot = this.index.get(key);
    if (slot === undefined) return false;
    this.slots.drop(slot);
    return true;
  }

  /** The value in a slot of this space, unless it has ended. */
  private read(slot: number, now: number): Value | undefined {
    const slots = this.slots;
    if (slots.isExpired(slot, now)) {
      slots.drop(slot);
      return undefined;
    }
    slots.policy.touch(slot, slots.next());
    return slots.values[slot] as Value;
  }

  /** The weight in whole bytes. If there is none, the old value is dropped: it is known to be outdated. */
  private weightOf(weigh: (value: unknown, key: string) => number, value: Value, key: string): number {
    try {
      const weight = weigh(this.unwrap === undefined ? value : this.unwrap(value), key);
      if (typeof weight !== "number" || !(weight >= 0)) {
        throw new TypeError(`weigh must return a number of bytes, at least 0, got ${typeof weight === "number" ? weight : typeof weight}`);
      }
      // Whole numbers add up exactly, fractions would drift.
      return Math.ceil(weight);
    } catch (error) {
      this.delete(key);
      throw error;
    }
  }
}
