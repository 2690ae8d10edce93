/**
 * W-TinyLFU, adaptive and lazy. In W-TinyLFU (Einziger, Friedman and Manes, "TinyLFU: A Highly Efficient Cache Admission
 * Policy", 2017) newcomers live in a window that goes by recency; on leaving it they enter the main part only if they were
 * asked for more often than the entry that would have to go. So one scan cannot flush the cache, and a burst of new keys still
 * finds a place. The main part has two segments, so that an entry needs a second success to be protected. How large the window
 * should be depends on the traffic: it climbs (Einziger, Eytan, Friedman and Manes, "Adaptive Software Cache Management",
 * 2018), that is, it grows or shrinks by a step while the hit ratio rises, and turns round when it falls.
 *
 * Lazy means that a hit moves nothing. It raises the entry's count and sets a bit in one byte; when the entry comes to the end
 * of its list, the bit earns it what the hit would have (Corbató's CLOCK, 1968, does the same for LRU). How often a key was
 * asked for is told by that byte while it is held: a newcomer begins with what a sketch remembers of it, and whoever leaves is
 * noted there again, so a hit does not hash either. All counts are halved from time to time, so that what was popular once does
 * not stay for ever.
 *
 * @module
 */
import { at, FIRST_SLOT, resized } from "./cells.ts";
import { Climber } from "./climber.ts";
import { Links } from "./links.ts";
import { LAST_TICK } from "./policy.ts";
import type { Eviction, EvictionPolicy, Room } from "./policy.ts";
import { MAX_COUNT, Sketch } from "./sketch.ts";
import { hashString, randomSalt } from "./string-hash.ts";

const WINDOW = 0;
const PROBATION = 1;
const PROTECTED = 2;
type List = typeof WINDOW | typeof PROBATION | typeof PROTECTED;

/** A mark is a count of 4 bits, this bit for "asked for since it came to this place", and above it the number of the list. */
const ASKED = 16;
const LIST_SHIFT = 5;
/** A mark that a hit cannot change, but for its list. */
const FULL = ASKED | MAX_COUNT;

const PROTECTED_SHARE = 0.8;
/** A candidate that loses with more than this count is warm, and one in `WARM_ODDS` of those is let in all the same. */
const WARM_COUNT = 6;
const WARM_ODDS = 128;
/** Accesses for each entry after which all counts are halved and the window takes a step. */
const PERIOD = 10;

/**
 * The state of one W-TinyLFU store. A class, so that every hit is a call on one shape.
 *
 * Invariant: a slot is linked in exactly the list that its mark names, and `sizes` counts each list.
 * Invariant: between calls the window holds at most `windowMax`, its share of `maxEntries`, or of what was held at the last
 * eviction when bytes ran out before entries did.
 */
export class TinyLfu implements Eviction {
  readonly links: Links = new Links();
  /** Entries in each list. */
  readonly sizes: [window: number, probation: number, guarded: number] = [0, 0, 0];
  /** Of each entry: accesses counted, its arrival and those of earlier lives included, 0 to 15 and halved with the sketch; the bit; its list. */
  marks: Uint8Array<ArrayBuffer> = new Uint8Array(FIRST_SLOT);
  hashes: Int32Array<ArrayBuffer> = new Int32Array(FIRST_SLOT);
  sketch: Sketch = new Sketch(0);
  windowMax = 1;
  protectedMax = 0;
  climber: Climber = new Climber();
  /** The access with which the present period began. */
  private began = 0;
  /** Newcomers in it. */
  private misses = 0;
  /** Accesses after which counts are halved even though nothing had to go. */
  private longest = 2 * PERIOD;
  private fitted = 0;
  private readonly room: Room;
  private readonly random: () => number;
  private salt: number | undefined;

  constructor(room: Room, random: () => number = Math.random, salt?: number) {
    this.room = room;
    this.random = random;
    this.salt = salt;
    this.fit(room.maxEntries);
  }

  resize(capacity: number): void {
    this.marks = resized(this.marks, new Uint8Array(capacity));
    this.hashes = resized(this.hashes, new Int32Array(capacity));
    this.links.resize(capacity);
    const entries = Math.min(capacity, this.room.maxEntries);
    this.sketch.grow(entries);
    this.longest = 2 * PERIOD * entries;
  }

  add(slot: number, key: string, seed: number): void {
    this.salt ??= randomSalt();
    const hash = hashString(key, this.salt ^ seed);
    this.hashes[slot] = hash;
    this.misses++;
    if (this.accesses() >= this.longest) this.rest();
    this.marks[slot] = Math.min(MAX_COUNT, this.sketch.frequency(hash) + 1);
    this.enter(WINDOW, slot);
    this.spill();
  }

  touch(slot: number): void {
    const mark = this.marks[slot] ?? 0;
    if ((mark & FULL) !== FULL) this.marks[slot] = ((mark & MAX_COUNT) === MAX_COUNT ? mark : mark + 1) | ASKED;
  }

  remove(slot: number): void {
    this.sketch.note(at(this.hashes, slot), this.frequency(slot));
    this.leave(slot);
  }

  victim(now: number): number {
    const held = this.sizes[WINDOW] + this.sizes[PROBATION] + this.sizes[PROTECTED];
    if (this.accesses() >= held * PERIOD) this.climb(held);
    else if (held !== this.fitted) this.fit(held);
    this.spill();
    const resident = this.leastOfMain(now);
    if (resident < FIRST_SLOT) return this.links.back(WINDOW);
    if (this.room.isExpired(resident, now) || this.sizes[WINDOW] < this.windowMax) return resident;
    const candidate = this.leastOfWindow(now);
    if (this.room.isExpired(candidate, now)) return candidate;
    // A candidate that wins stays the oldest of the full window: the newcomer will push it into the main part.
    return this.admits(candidate, resident) ? resident : candidate;
  }

  move(from: number, to: number): void {
    this.links.move(from, to);
    this.marks[to] = this.marks[from] ?? 0;
    this.hashes[to] = at(this.hashes, from);
  }

  clear(): void {
    this.links.clear();
    this.sizes.fill(0);
    this.marks = new Uint8Array(FIRST_SLOT);
    this.hashes = new Int32Array(FIRST_SLOT);
    this.sketch = new Sketch(0);
    this.climber = new Climber();
    this.began = this.room.tick;
    this.misses = 0;
    this.fit(this.room.maxEntries);
  }

  /** The slots of a list from newest to oldest, for checks. */
  order(list: List): number[] {
    const slots: number[] = [];
    for (let slot = at(this.links.next, list); slot >= FIRST_SLOT; slot = at(this.links.next, slot)) slots.push(slot);
    return slots;
  }

  /** Which list an entry is in. */
  listOf(slot: number): number {
    return (this.marks[slot] ?? 0) >>> LIST_SHIFT;
  }

  /** How often an entry was asked for lately, 0 to 15. */
  frequency(slot: number): number {
    return (this.marks[slot] ?? 0) & MAX_COUNT;
  }

  /** Accesses in the present period. */
  private accesses(): number {
    return (this.room.tick - this.began) & LAST_TICK;
  }

  /** Halves every count. This walks the sketch and the slots, which comes to less than a word for each access. */
  private age(): void {
    const { marks } = this;
    this.sketch.halve();
    for (let slot = FIRST_SLOT; slot < marks.length; slot++) {
      const mark = marks[slot] ?? 0;
      marks[slot] = (mark & ~MAX_COUNT) | ((mark & MAX_COUNT) >>> 1);
    }
  }

  /**
   * Whether the candidate is worth more than the resident; a tie is not enough. Once in a while a warm loser is let in, so
   * that nobody who found keys that share counters can keep a resident in for ever (the remedy is Caffeine's).
   */
  private admits(candidate: number, resident: number): boolean {
    const count = this.frequency(candidate);
    if (count > this.frequency(resident)) return true;
    return count > WARM_COUNT && this.random() * WARM_ODDS < 1;
  }

  /**
   * The oldest entry of the window that was not asked for there; those that were go round once more. The window is not empty.
   * Each step spends the bit of a hit, or is the last.
   */
  private leastOfWindow(now: number): number {
    for (;;) {
      const slot = this.links.back(WINDOW);
      if (!this.spend(slot) || this.room.isExpired(slot, now)) return slot;
      this.links.toFront(WINDOW, slot);
    }
  }

  /** The oldest entry on probation that was not asked for there; those that were become protected. 0 if the main part is empty. */
  private leastOfMain(now: number): number {
    for (;;) {
      const slot = this.links.back(PROBATION);
      if (slot < FIRST_SLOT) {
        if (this.sizes[PROTECTED] === 0) return 0;
        this.transfer(this.links.back(PROTECTED), PROBATION);
        continue;
      }
      if (!this.spend(slot) || this.room.isExpired(slot, now)) return slot;
      this.transfer(slot, PROTECTED);
      this.relegate();
    }
  }

  /** Sends the oldest of an overfull protected segment back to probation; those that were asked for meanwhile go round once more. */
  private relegate(): void {
    while (this.sizes[PROTECTED] > this.protectedMax) {
      const slot = this.links.back(PROTECTED);
      if (this.spend(slot)) this.links.toFront(PROTECTED, slot);
      else this.transfer(slot, PROBATION);
    }
  }

  /** Takes an entry's bit; whether it had it. */
  private spend(slot: number): boolean {
    const mark = this.marks[slot] ?? 0;
    if ((mark & ASKED) === 0) return false;
    this.marks[slot] = mark & ~ASKED;
    return true;
  }

  /** Moves the oldest of an overfull window to probation. Without an eviction there is room for them. */
  private spill(): void {
    while (this.sizes[WINDOW] > this.windowMax) this.transfer(this.links.back(WINDOW), PROBATION);
  }

  /** The end of a period in which no entry had to go: nothing is known about the window, but counts must not fill up. */
  private rest(): void {
    this.age();
    this.began = (this.began + (this.accesses() >>> 1)) & LAST_TICK;
    this.misses >>>= 1;
  }

  /** The end of a period: the window's share takes a step, at once; up to a sixteenth of the entries move, once in ten accesses for each. */
  private climb(held: number): void {
    this.age();
    const accesses = this.accesses();
    this.climber.step((accesses - this.misses) / accesses);
    this.began = this.room.tick;
    this.misses = 0;
    this.fit(held);
    while (this.sizes[WINDOW] < this.windowMax && this.sizes[PROBATION] > 0) this.transfer(this.links.back(PROBATION), WINDOW);
  }

  private fit(entries: number): void {
    this.fitted = entries;
    this.windowMax = Math.max(1, Math.floor(entries * this.climber.share));
    this.protectedMax = Math.floor((entries - this.windowMax) * PROTECTED_SHARE);
  }

  private transfer(slot: number, list: List): void {
    this.leave(slot);
    this.enter(list, slot);
  }

  private enter(list: List, slot: number): void {
    this.links.push(list, slot);
    this.marks[slot] = ((this.marks[slot] ?? 0) & FULL) | (list << LIST_SHIFT);
    this.sizes[list]++;
  }

  private leave(slot: number): void {
    this.links.unlink(slot);
    const list = this.listOf(slot);
    if (list === PROTECTED) this.sizes[PROTECTED]--;
    else if (list === PROBATION) this.sizes[PROBATION]--;
    else this.sizes[WINDOW]--;
  }
}

/** The policy `"w-tinylfu"`. */
export const tinyLfu: EvictionPolicy = { name: "w-tinylfu", create: (room) => new TinyLfu(room) };
