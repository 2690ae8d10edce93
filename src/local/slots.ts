/**
 * The store under a local tier: entries in numbered slots, described by parallel arrays that grow with use, and one `Map`
 * from key to slot for each space. It keeps values, deadlines and weights, and makes room by asking its eviction policy who
 * goes. It relies on callers for the time, has no timers and never scans: an expired entry goes when it is met, when the
 * policy picks it, or when it is overwritten.
 *
 * @module
 */
import { FIRST_SLOT, resized } from "./cells.ts";
import { LAST_TICK } from "./policy.ts";
import type { Eviction, EvictionPolicy, Room } from "./policy.ts";
import type { Turn } from "../runtime.ts";
import { Space } from "./space.ts";
import { scramble } from "./string-hash.ts";

const FIRST_CAPACITY = 32;
/** A store of which less than one slot in 8 is still held moves together and gives memory back, unless it is this small anyway. */
const SPARSE = 8;
const WORTH_RELEASING = 1024;
/** Spaces that hold entries are numbered; so many numbers fit the narrow array. */
const NARROW_NUMBERS = 2 ** 8;
/** How many accesses of one store may rely on one reading of the clock, so that time also goes on in a turn that does not end. */
const USES = 64;
/** The time where nothing ends. */
const TIMELESS: Turn = { horizon: Number.NEGATIVE_INFINITY, read: () => Number.NEGATIVE_INFINITY };

/** How a store is bounded. */
export interface Bounds {
  readonly maxEntries: number;
  /** Most weight, up to which sums are exact. */
  readonly maxBytes: number;
  /** The weight of a value in whole bytes, at least 0. Without it entries weigh nothing. */
  readonly weigh: ((value: unknown, key: string) => number) | undefined;
}

/**
 * A bounded store that several spaces share.
 *
 * Invariant: a slot is either held (`owners[homes[slot]]` is the space whose index leads to it), on the free list, or at `top` or above.
 * Invariant: `size` counts the held slots, `bytes` is the sum of their weights, and neither exceeds its bound between calls.
 * Invariant: a space is in `owners`, at its own number, exactly while it holds an entry: an empty one costs nothing here.
 */
export class Slots implements Room {
  readonly maxEntries: number;
  readonly maxBytes: number;
  readonly weigh: Bounds["weigh"];
  readonly policy: Eviction;
  size = 0;
  bytes = 0;
  /** Accesses so far, see {@link Room}. */
  tick = 0;
  /** Accesses up to this one may rely on the time that is known. At most `LAST_TICK`. */
  lookAt = 0;
  /** Where calls without a time of their own take it from; before something can end, there is none. */
  turn: Turn = TIMELESS;
  /** Whether any entry was ever stored that ends. */
  timed = false;
  keys: string[] = [];
  values: unknown[] = [];
  /** The number of the space that a held slot belongs to: one byte for each entry where a reference would be eight. */
  homes: Uint8Array<ArrayBuffer> | Uint32Array<ArrayBuffer> = new Uint8Array(0);
  owners: (Owner | undefined)[] = [];
  deadlines: Float64Array<ArrayBuffer> = new Float64Array(0);
  /** Empty while nothing is weighed. */
  weights: Float64Array<ArrayBuffer> = new Float64Array(0);
  free: number[] = [];
  /** The first slot that was never used. */
  top: number = FIRST_SLOT;
  private capacity = 0;
  private spaces = 0;
  private freeNumbers: number[] = [];

  constructor(bounds: Bounds, policy: EvictionPolicy) {
    this.maxEntries = bounds.maxEntries;
    this.maxBytes = bounds.maxBytes;
    this.weigh = bounds.weigh;
    this.policy = policy.create(this);
    this.reset();
  }

  /** A new, empty space. */
  space<Value>(unwrap?: (value: Value) => unknown): Space<Value> {
    return new Space(this, scramble(++this.spaces), unwrap);
  }

  /** Counts an access and gives its number. */
  next(): number {
    if (this.tick === LAST_TICK) {
      this.tick = this.policy.restart?.() ?? -1;
      this.lookAt = this.tick;
    }
    return ++this.tick;
  }

  /** The time for a call that has none; each call takes one of the uses. */
  time(): number {
    const { horizon } = this.turn;
    return this.tick < this.lookAt-- && horizon !== Number.POSITIVE_INFINITY ? horizon : this.look(this.turn);
  }

  /** The time, read anew where it is read at all. */
  look(turn: Turn): number {
    // A turn that reads no clock must not make others believe that somebody has.
    if (turn !== TIMELESS || !this.timed) this.lookAt = Math.min(this.tick + USES, LAST_TICK);
    return turn.read();
  }

  isExpired(slot: number, now: number): boolean {
    return (this.deadlines[slot] ?? 0) <= now;
  }

  weightOf(slot: number): number {
    return this.weights[slot] ?? 0;
  }

  /** Fills a slot with a new entry, evicting others until it fits. The owner does not hold the key, and the weight fits an empty store. */
  insert(owner: Owner, key: string, value: unknown, deadline: number, weight: number, now: number): void {
    const slot = this.vacant(weight, now);
    if (owner.number < 0) this.enlist(owner);
    owner.index.set(key, slot);
    this.keys[slot] = key;
    this.values[slot] = value;
    this.homes[slot] = owner.number;
    this.deadlines[slot] = deadline;
    this.size++;
    if (this.weigh !== undefined) {
      this.weights[slot] = weight;
      this.bytes += weight;
    }
    this.policy.add(slot, key, owner.seed, this.next());
  }

  /** Overwrites an entry in its slot; the caller has checked that the new weight fits. */
  replace(slot: number, value: unknown, deadline: number, weight: number): void {
    this.values[slot] = value;
    this.deadlines[slot] = deadline;
    if (this.weigh !== undefined) {
      this.bytes += weight - this.weightOf(slot);
      this.weights[slot] = weight;
    }
    this.policy.touch(slot, this.next());
  }

  /** Removes an entry: out of its space's `Map`, out of the policy, and its value out of memory. */
  drop(slot: number): void {
    this.detach(slot);
    this.release(slot);
    if (this.isSparse()) this.pack();
  }

  /** Drops every entry of every space and gives the arrays back. */
  clear(): void {
    for (const owner of this.owners) {
      owner?.index.clear();
      if (owner !== undefined) owner.number = -1;
    }
    this.policy.clear();
    this.reset();
  }

  /** A slot that is neither held nor free, for an entry of this weight: that of the first entry that had to go, if any had to. */
  private vacant(weight: number, now: number): number {
    let slot = 0;
    while (this.size >= this.maxEntries || (this.weigh !== undefined && this.bytes + weight > this.maxBytes)) {
      const victim = this.policy.victim(now);
      this.detach(victim);
      if (slot === 0) slot = victim;
      else this.release(victim);
    }
    if (slot !== 0 && !this.isSparse()) return slot;
    if (slot !== 0) {
      this.release(slot);
      this.pack();
    }
    if (this.free.length === 0 && this.top >= this.capacity) this.grow();
    return this.free.pop() ?? this.top++;
  }

  /** Takes an entry out of its space's `Map` and out of the policy; its slot is then to be released or filled. */
  private detach(slot: number): void {
    const owner = this.owners[this.homes[slot] ?? 0];
    if (owner !== undefined) {
      owner.index.delete(this.keys[slot] ?? "");
      if (owner.index.size === 0) this.dismiss(owner);
    }
    this.policy.remove(slot);
    this.size--;
    if (this.weigh !== undefined) this.bytes -= this.weightOf(slot);
  }

  /** Forgets what was in a slot, for another entry. */
  private release(slot: number): void {
    this.keys[slot] = "";
    this.values[slot] = undefined;
    this.free.push(slot);
  }

  private isSparse(): boolean {
    return this.top > WORTH_RELEASING && this.size * SPARSE < this.top;
  }

  /** Gives a space a number, with its first entry. */
  private enlist(owner: Owner): void {
    owner.number = this.freeNumbers.pop() ?? this.owners.length;
    this.owners[owner.number] = owner;
    if (owner.number >= NARROW_NUMBERS && this.homes instanceof Uint8Array) this.homes = Uint32Array.from(this.homes);
  }

  /** Takes a space's number back, with its last entry. */
  private dismiss(owner: Owner): void {
    this.owners[owner.number] = undefined;
    this.freeNumbers.push(owner.number);
    owner.number = -1;
  }

  private reset(): void {
    this.size = 0;
    this.bytes = 0;
    this.top = FIRST_SLOT;
    this.capacity = 0;
    this.free = [];
    this.keys = [];
    this.values = [];
    this.homes = new Uint8Array(0);
    this.owners = [];
    this.freeNumbers = [];
    this.deadlines = new Float64Array(0);
    this.weights = new Float64Array(0);
  }

  /** Doubles the arrays. */
  private grow(): void {
    this.resize(Math.min(Math.max(this.capacity * 2, FIRST_CAPACITY), this.maxEntries + FIRST_SLOT));
  }

  /** Moves what is held to the lowest slots and gives the rest of the arrays back. It is paid for by the entries that left. */
  private pack(): void {
    const { policy, top } = this;
    if (policy.move === undefined) return;
    const isFree = new Uint8Array(top);
    for (const slot of this.free) isFree[slot] = 1;
    this.free = [];
    this.top = FIRST_SLOT;
    for (let slot = FIRST_SLOT; slot < top; slot++) {
      if (isFree[slot] === 1) continue;
      const to = this.top++;
      if (to === slot) continue;
      const key = this.keys[slot] ?? "";
      this.keys[to] = key;
      this.values[to] = this.values[slot];
      this.homes[to] = this.homes[slot] ?? 0;
      this.deadlines[to] = this.deadlines[slot] ?? 0;
      if (this.weigh !== undefined) this.weights[to] = this.weightOf(slot);
      this.owners[this.homes[to] ?? 0]?.index.set(key, to);
      policy.move(slot, to);
    }
    this.resize(Math.min(Math.max(this.top * 2, FIRST_CAPACITY), this.capacity));
    this.keys.fill("", this.top);
    this.values.fill(undefined, this.top);
  }

  private resize(capacity: number): void {
    this.policy.resize(capacity);
    this.deadlines = resized(this.deadlines, new Float64Array(capacity));
    if (this.weigh !== undefined) this.weights = resized(this.weights, new Float64Array(capacity));
    this.homes = this.homes instanceof Uint8Array ? resized(this.homes, new Uint8Array(capacity)) : resized(this.homes, new Uint32Array(capacity));
    // Left to itself, an array that is appended to reserves half of its length in advance. Holes would be read more slowly.
    const before = this.keys.length;
    this.keys.length = capacity;
    this.values.length = capacity;
    if (capacity > before) {
      this.keys.fill("", before);
      this.values.fill(undefined, before);
    }
    this.capacity = capacity;
  }
}

/** What the store knows of a space. */
export interface Owner {
  readonly index: Map<string, number>;
  /** Tells equal keys of different spaces apart where keys are hashed. */
  readonly seed: number;
  /** Its place in `owners`; -1 while it holds nothing. */
  number: number;
}
