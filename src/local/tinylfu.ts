/**
 * W-TinyLFU (Einziger, Friedman and Manes, "TinyLFU: A Highly Efficient Cache Admission Policy", 2017): newcomers live in a
 * small LRU window; on leaving it they enter the main part only if they were asked for more often than the entry that would
 * have to go. The main part is a segmented LRU, 20 % on probation and 80 % protected. So one scan cannot flush the cache,
 * and a burst of new keys still finds a place. How often a key was asked for is kept exactly in a byte while it is held, and
 * in a sketch before and after, so that a hit neither hashes nor touches the sketch. All counts are halved from time to time.
 * The window's share is fixed at 1 %: this is the plain policy, it does not adapt to traffic where only recency counts.
 *
 * @module
 */
import { at, enlarged, FIRST_SLOT, Links } from "./links.ts";
import type { Eviction, EvictionPolicy, Room } from "./policy.ts";
import { MAX_COUNT, Sketch } from "./sketch.ts";
import { hashString, randomSalt } from "./string-hash.ts";

const WINDOW = 0;
const PROBATION = 1;
const PROTECTED = 2;

const WINDOW_SHARE = 0.01;
const PROTECTED_SHARE = 0.8;
/** A candidate that loses with more than this count is warm, and one in `WARM_ODDS` of those is let in all the same. */
const WARM_COUNT = 6;
const WARM_ODDS = 128;
/** Accesses for each entry after which all counts are halved. */
const SAMPLE_FACTOR = 10;

/**
 * The state of one W-TinyLFU store. A class, so that every hit is a call on one shape.
 *
 * Invariant: a slot is linked in exactly the list that `region` names, and `sizes` counts each list.
 * Invariant: shares are of `maxEntries`, or of what was held at the last eviction when bytes ran out before entries did.
 */
export class TinyLfu implements Eviction {
  readonly links: Links = new Links();
  /** Entries in each list. */
  readonly sizes: [window: number, probation: number, guarded: number] = [0, 0, 0];
  /** Accesses counted since the entry came in, its arrival included, 0 to 15, halved with the sketch. */
  uses: Uint8Array<ArrayBuffer> = new Uint8Array(FIRST_SLOT);
  region: Uint8Array<ArrayBuffer> = new Uint8Array(FIRST_SLOT);
  hashes: Int32Array<ArrayBuffer> = new Int32Array(FIRST_SLOT);
  sketch: Sketch = new Sketch(0);
  /** Accesses counted since the counts were halved, plus half of those before. */
  counted = 0;
  windowMax = 1;
  protectedMax = 0;
  private sample = SAMPLE_FACTOR;
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

  grow(capacity: number): void {
    this.region = longer(this.region, capacity);
    this.uses = longer(this.uses, capacity);
    this.hashes = enlarged(this.hashes, capacity);
    this.links.grow(capacity);
    const entries = Math.min(capacity, this.room.maxEntries);
    this.sketch.grow(entries);
    this.sample = entries * SAMPLE_FACTOR;
  }

  add(slot: number, key: string, seed: number): void {
    this.salt ??= randomSalt();
    this.hashes[slot] = hashString(key, this.salt ^ seed);
    this.uses[slot] = 0;
    this.count(slot);
    this.enter(WINDOW, slot);
    this.spill();
  }

  touch(slot: number): void {
    const region = this.region[slot];
    if (region === PROTECTED) {
      // The busiest entries are not relinked on every hit: with a full count no candidate outdoes them, and should one
      // drift to probation, its next hit brings it back.
      if (this.uses[slot] === MAX_COUNT) return;
      this.count(slot);
      this.links.toFront(PROTECTED, slot);
      return;
    }
    this.count(slot);
    if (region === WINDOW) this.links.toFront(WINDOW, slot);
    else this.promote(slot);
  }

  remove(slot: number): void {
    this.sketch.add(at(this.hashes, slot), this.uses[slot] ?? 0);
    this.leave(slot);
  }

  victim(now: number): number {
    const held = this.sizes[WINDOW] + this.sizes[PROBATION] + this.sizes[PROTECTED];
    if (held !== this.fitted) {
      this.fit(held);
      this.spill();
    }
    const candidate = this.links.back(WINDOW);
    const shielded = this.links.back(PROTECTED);
    const onProbation = this.links.back(PROBATION);
    const resident = onProbation >= FIRST_SLOT ? onProbation : shielded;
    if (resident < FIRST_SLOT) return candidate;
    if (this.room.isExpired(resident, now)) return resident;
    // Nobody asks for these any more, so no hit would ever push them out of their list.
    if (shielded >= FIRST_SLOT && this.room.isExpired(shielded, now)) return shielded;
    if (candidate < FIRST_SLOT) return resident;
    if (this.room.isExpired(candidate, now)) return candidate;
    // A candidate that wins stays the oldest of the window: if that is full, the newcomer will push it into the main part.
    return this.admits(candidate, resident) ? resident : candidate;
  }

  clear(): void {
    this.links.clear();
    this.sizes.fill(0);
    this.region = new Uint8Array(FIRST_SLOT);
    this.uses = new Uint8Array(FIRST_SLOT);
    this.hashes = new Int32Array(FIRST_SLOT);
    this.sketch = new Sketch(0);
    this.counted = 0;
    this.fit(this.room.maxEntries);
  }

  /** The slots of a list from newest to oldest, for checks. */
  order(list: 0 | 1 | 2): number[] {
    const slots: number[] = [];
    for (let slot = at(this.links.next, list); slot >= FIRST_SLOT; slot = at(this.links.next, slot)) slots.push(slot);
    return slots;
  }

  /** How often an entry was asked for lately, 0 to 15. */
  frequency(slot: number): number {
    return Math.min(MAX_COUNT, this.sketch.frequency(at(this.hashes, slot)) + (this.uses[slot] ?? 0));
  }

  /** Counts an access to a held entry. As in TinyLFU, an access that cannot raise a full count does not hasten the ageing. */
  private count(slot: number): void {
    const uses = this.uses[slot] ?? 0;
    if (uses >= MAX_COUNT) return;
    this.uses[slot] = uses + 1;
    if (++this.counted >= this.sample) this.age();
  }

  /**
   * Halves every count, so that what was popular once does not stay for ever. This walks the sketch and the slots, which
   * comes to less than a word for each access counted.
   */
  private age(): void {
    this.sketch.halve();
    for (let slot = FIRST_SLOT; slot < this.uses.length; slot++) this.uses[slot] = (this.uses[slot] ?? 0) >>> 1;
    this.counted >>>= 1;
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

  private promote(slot: number): void {
    this.move(slot, PROTECTED);
    while (this.sizes[PROTECTED] > this.protectedMax) this.move(this.links.back(PROTECTED), PROBATION);
  }

  /** Moves the oldest of an overfull window to probation. Without an eviction there is room for them. */
  private spill(): void {
    while (this.sizes[WINDOW] > this.windowMax) this.move(this.links.back(WINDOW), PROBATION);
  }

  private fit(entries: number): void {
    this.fitted = entries;
    this.windowMax = Math.max(1, Math.floor(entries * WINDOW_SHARE));
    this.protectedMax = Math.floor((entries - this.windowMax) * PROTECTED_SHARE);
  }

  private move(slot: number, region: 0 | 1 | 2): void {
    this.leave(slot);
    this.enter(region, slot);
  }

  private enter(region: 0 | 1 | 2, slot: number): void {
    this.links.push(region, slot);
    this.region[slot] = region;
    this.sizes[region]++;
  }

  private leave(slot: number): void {
    this.links.unlink(slot);
    const region = this.region[slot];
    if (region === PROTECTED) this.sizes[PROTECTED]--;
    else if (region === PROBATION) this.sizes[PROBATION]--;
    else this.sizes[WINDOW]--;
  }
}

function longer(cells: Uint8Array<ArrayBuffer>, capacity: number): Uint8Array<ArrayBuffer> {
  const copy = new Uint8Array(capacity);
  copy.set(cells);
  return copy;
}

/** The policy `"w-tinylfu"`. */
export const tinyLfu: EvictionPolicy = { name: "w-tinylfu", create: (room) => new TinyLfu(room) };
