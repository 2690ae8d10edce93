/**
 * The store under a local tier: entries in numbered slots, described by parallel arrays that grow with use, and one `Map`
 * from key to slot for each space. It keeps values, deadlines and weights, and makes room by asking its eviction policy who
 * goes. It relies on callers for the time, has no timers and never scans: an expired entry goes when it is met, when the
 * policy picks it, or when it is overwritten.
 *
 * @module
 */
import type { LocalSpace } from "./local-tier.ts";
import { FIRST_SLOT } from "./links.ts";
import type { Eviction, EvictionPolicy, Room } from "./policy.ts";
import { scramble } from "./string-hash.ts";

const FIRST_CAPACITY = 32;

/** How a store is bounded. */
export interface Bounds {
  readonly maxEntries: number;
  /** Most weight; `Infinity` without a limit. */
  readonly maxBytes: number;
  /** The weight of a value in whole bytes, at least 0. Without it entries weigh nothing. */
  readonly weigh: ((value: unknown, key: string) => number) | undefined;
}

/**
 * A bounded store that several spaces share.
 *
 * Invariant: a slot is either held (its `homes` entry is the `Map` that leads to it), on the free list, or at `top` or above.
 * Invariant: `size` counts the held slots, `bytes` is the sum of their weights, and neither exceeds its bound between calls.
 */
export class Slots implements Room {
  readonly maxEntries: number;
  readonly maxBytes: number;
  readonly weigh: Bounds["weigh"];
  readonly policy: Eviction;
  size = 0;
  bytes = 0;
  keys: string[] = [];
  values: unknown[] = [];
  homes: (Map<string, number> | undefined)[] = [];
  deadlines: Float64Array<ArrayBuffer> = new Float64Array(0);
  /** Empty while nothing is weighed. */
  weights: Float64Array<ArrayBuffer> = new Float64Array(0);
  free: number[] = [];
  /** The first slot that was never used. */
  top: number = FIRST_SLOT;
  private capacity = 0;
  private spaces = 0;

  constructor(bounds: Bounds, policy: EvictionPolicy) {
    this.maxEntries = bounds.maxEntries;
    this.maxBytes = bounds.maxBytes;
    this.weigh = bounds.weigh;
    this.policy = policy.create(this);
    this.reset();
  }

  /** A new space; see {@link LocalSpace}. */
  space<Value>(unwrap?: (value: Value) => unknown): Space<Value> {
    return new Space(this, scramble(++this.spaces), unwrap);
  }

  isExpired(slot: number, now: number): boolean {
    return (this.deadlines[slot] ?? 0) <= now;
  }

  weightOf(slot: number): number {
    return this.weights[slot] ?? 0;
  }

  /** Fills a slot with a new entry, evicting others until it fits. The key is not in `home`, and the weight fits an empty store. */
  insert(home: Map<string, number>, seed: number, key: string, value: unknown, deadline: number, weight: number, now: number): void {
    while (this.size >= this.maxEntries || this.bytes + weight > this.maxBytes) this.drop(this.policy.victim(now));
    if (this.free.length === 0 && this.top >= this.capacity) this.grow();
    const slot = this.free.pop() ?? this.top++;
    home.set(key, slot);
    this.keys[slot] = key;
    this.values[slot] = value;
    this.homes[slot] = home;
    this.deadlines[slot] = deadline;
    if (this.weigh !== undefined) this.weights[slot] = weight;
    this.size++;
    this.bytes += weight;
    this.policy.add(slot, key, seed);
  }

  /** Overwrites an entry in its slot; the caller has checked that the new weight fits. */
  replace(slot: number, value: unknown, deadline: number, weight: number): void {
    this.bytes += weight - this.weightOf(slot);
    this.values[slot] = value;
    this.deadlines[slot] = deadline;
    if (this.weigh !== undefined) this.weights[slot] = weight;
    this.policy.touch(slot);
  }

  /** Removes an entry: out of its space's `Map`, out of the policy, and its value out of memory. */
  drop(slot: number): void {
    this.homes[slot]?.delete(this.keys[slot] ?? "");
    this.policy.remove(slot);
    this.size--;
    this.bytes -= this.weightOf(slot);
    this.keys[slot] = "";
    this.values[slot] = undefined;
    this.homes[slot] = undefined;
    this.free.push(slot);
  }

  /** Drops every entry of every space and gives the arrays back. */
  clear(): void {
    for (const home of this.homes) home?.clear();
    this.policy.clear();
    this.reset();
  }

  private reset(): void {
    this.size = 0;
    this.bytes = 0;
    this.top = FIRST_SLOT;
    this.capacity = 0;
    this.free = [];
    // The places below FIRST_SLOT are filled too: arrays without holes are read faster.
    this.keys = Array.from({ length: FIRST_SLOT }, () => "");
    this.values = Array.from({ length: FIRST_SLOT }, () => undefined);
    this.homes = Array.from({ length: FIRST_SLOT }, () => undefined);
    this.deadlines = new Float64Array(0);
    this.weights = new Float64Array(0);
  }

  /** Doubles the arrays. The plain ones grow by themselves, since slots are first used in order. */
  private grow(): void {
    const capacity = Math.min(Math.max(this.capacity * 2, FIRST_CAPACITY), this.maxEntries + FIRST_SLOT);
    this.policy.grow(capacity);
    this.deadlines = longer(this.deadlines, capacity);
    if (this.weigh !== undefined) this.weights = longer(this.weights, capacity);
    this.capacity = capacity;
  }
}

/**
 * One owner's view of a store. A hit is one `Map` look-up, one comparison and the policy's touch.
 *
 * Invariant: every slot in `index` is held, and its `homes` entry is `index`.
 */
export class Space<Value> implements LocalSpace<Value> {
  readonly index: Map<string, number> = new Map();
  private readonly slots: Slots;
  private readonly seed: number;
  private readonly unwrap: ((value: Value) => unknown) | undefined;

  constructor(slots: Slots, seed: number, unwrap: ((value: Value) => unknown) | undefined) {
    this.slots = slots;
    this.seed = seed;
    this.unwrap = unwrap;
  }

  get(key: string, now: number): Value | undefined {
    const slot = this.index.get(key);
    if (slot === undefined) return undefined;
    const slots = this.slots;
    if ((slots.deadlines[slot] ?? 0) <= now) {
      slots.drop(slot);
      return undefined;
    }
    slots.policy.touch(slot);
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
    const slot = this.index.get(key);
    const storable = deadline > now && weight <= slots.maxBytes;
    if (storable && slot !== undefined && slots.bytes - slots.weightOf(slot) + weight <= slots.maxBytes) {
      slots.replace(slot, value, deadline, weight);
      return true;
    }
    // An entry that outgrew its place comes in anew, so that making room cannot pick the entry that is being written.
    if (slot !== undefined) slots.drop(slot);
    if (storable) slots.insert(this.index, this.seed, key, value, deadline, weight, now);
    return storable;
  }

  delete(key: string): boolean {
    const slot = this.index.get(key);
    if (slot === undefined) return false;
    this.slots.drop(slot);
    return true;
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

function longer(cells: Float64Array<ArrayBuffer>, capacity: number): Float64Array<ArrayBuffer> {
  const copy = new Float64Array(capacity);
  copy.set(cells);
  return copy;
}
