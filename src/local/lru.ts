/**
 * Least recently used: the entry that was neither read nor written for the longest time goes first, the bottom of the stack of
 * Mattson, Gecsei, Slutz and Traiger ("Evaluation Techniques for Storage Hierarchies", 1970).
 *
 * There is no list. A hit notes the number of the access, its stamp, and that is all. When an entry has to go, one pass over the
 * stamps lays out the oldest entries in order, as a counting sort does: those of as many accesses as there are slots. They go one
 * by one, unless they were asked for meanwhile, which their stamps tell. The next pass begins where this one ends, so each is
 * paid for by as many accesses as it takes steps. (A linked list took several stores at every hit, all over its arrays. Deleting
 * a key from a `Map` and setting it again gives this order with the least code, but V8 leaves the deleted places in the map's
 * chains, and one hot key then makes each of its hits a long walk.)
 *
 * @module
 */
import { at, FIRST_SLOT, resized } from "./cells.ts";
import type { Eviction, EvictionPolicy, Room } from "./policy.ts";

/** The stamp of a slot that is not held; accesses are counted from 1. */
const GONE = 0;
/** Above any stamp. */
const NEVER = 2 ** 30;

/**
 * The state of one LRU store. A class, so that every hit is a call on one shape.
 *
 * Invariant: `stamps` of a held slot is the number of its last access, of any other slot 0. No two held slots have the same.
 * Invariant: every held slot with a stamp from `since + place` to before `since + end` is at `due[stamp - since]`, and no held
 * slot has a stamp below `since + place`.
 */
export class Lru implements Eviction {
  stamps: Int32Array<ArrayBuffer> = new Int32Array(0);
  /** What the last pass laid out; made at the first eviction. */
  due: Int32Array<ArrayBuffer> = new Int32Array(0);
  /** The stamp that the first place of `due` stands for. */
  since = 1;
  /** The first place of `due` that was not dealt with. */
  place = 0;
  /** The first place that nothing was laid out for: the end of `due`, or accesses that came later. */
  end = 0;
  private readonly room: Room;

  constructor(room: Room) {
    this.room = room;
  }

  resize(capacity: number): void {
    this.stamps = resized(this.stamps, new Int32Array(capacity));
    this.drop();
  }

  add(slot: number, _key: string, _seed: number, tick: number): void {
    this.stamps[slot] = tick;
  }

  touch(slot: number, tick: number): void {
    this.stamps[slot] = tick;
  }

  remove(slot: number): void {
    this.stamps[slot] = GONE;
  }

  victim(): number {
    for (;;) {
      const { stamps, due, since, end } = this;
      for (; this.place < end; this.place++) {
        const slot = at(due, this.place);
        if (slot !== 0 && at(stamps, slot) === since + this.place) return slot;
      }
      this.search();
    }
  }

  move(from: number, to: number): void {
    this.stamps[to] = at(this.stamps, from);
    this.stamps[from] = GONE;
  }

  /** Numbers the entries from 1 on, in their order. */
  restart(): number {
    const { stamps } = this;
    const rising = stamps.filter((stamp) => stamp !== GONE).sort();
    for (let slot = FIRST_SLOT; slot < stamps.length; slot++) {
      const stamp = at(stamps, slot);
      if (stamp !== GONE) stamps[slot] = placeOf(stamp, rising) + 1;
    }
    this.drop();
    this.since = 1;
    return rising.length;
  }

  clear(): void {
    this.stamps = new Int32Array(0);
    this.drop();
  }

  /** Slots from newest to oldest, for checks. */
  order(): number[] {
    const { stamps } = this;
    const held = Array.from(stamps.keys()).filter((slot) => at(stamps, slot) !== GONE);
    return held.sort((one, other) => at(stamps, other) - at(stamps, one));
  }

  /** Forgets what was laid out, but not up to where. */
  private drop(): void {
    this.since += this.place;
    this.place = 0;
    this.end = 0;
    this.due = new Int32Array(0);
  }

  /** Lays out the entries of the next stamps, where there are any. */
  private search(): void {
    const oldest = this.layOut(this.since + this.place);
    if (oldest >= this.since + this.end) this.layOut(oldest);
  }

  /** One pass; the oldest stamp of all. */
  private layOut(since: number): number {
    const { stamps } = this;
    const { length } = stamps;
    if (this.due.length === length) this.due.fill(0);
    else this.due = new Int32Array(length);
    const { due } = this;
    let oldest = NEVER;
    for (let slot = FIRST_SLOT; slot < length; slot++) {
      const stamp = at(stamps, slot);
      if (stamp === GONE) continue;
      if (stamp < oldest) oldest = stamp;
      if (stamp - since < length) due[stamp - since] = slot;
    }
    this.since = since;
    this.place = 0;
    this.end = Math.min(length, this.room.tick - since + 1);
    return oldest;
  }
}

/** Where a number is in a rising list that has it. */
function placeOf(number: number, rising: Int32Array): number {
  let low = 0;
  let high = rising.length - 1;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (at(rising, middle) < number) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The policy `"lru"`. */
export const lru: EvictionPolicy = { name: "lru", create: (room) => new Lru(room) };
