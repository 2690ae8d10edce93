/**
 * The state behind `adaptive()`: an eviction policy that finds out which order suits the traffic. Of each entry it knows how often it was asked
 * for and when last; a table (`ranks.ts`) turns that into a rank, and an eviction gives up the lowest of a few entries it looks
 * at, which is nearly as good as the lowest of all (Psounis and Prabhakar, "A Randomized Web-Cache Replacement Scheme", 2001).
 * Five tables compete: four are fixed, for loops, scans, drift and recency, and one is learned from when keys come again
 * (`learner.ts`). They run side by side on a small sample of the keys (`miniature.ts`), and the tier uses the one with the most
 * hits there of late. How often a key was asked for outlives the entry in a note of two bytes (`ghost.ts`).
 *
 * A hit stores the time and raises a byte; it neither hashes nor moves anything. Entries looked at are the next eight slots in
 * turn and two that came in lately: among the newest are most of those that are never asked for again. All but the arrays of
 * the slots is made at the first eviction, since a tier that has room needs no order.
 *
 * @module
 */
import { at, FIRST_SLOT, resized } from "./cells.ts";
import { Ghost } from "./ghost.ts";
import { Learner } from "./learner.ts";
import { Miniature } from "./miniature.ts";
import { LAST_TICK } from "./policy.ts";
import type { Eviction, Room } from "./policy.ts";
import { bucketOf, fixedTables, MAX_USES, ROWS } from "./ranks.ts";
import type { RankTable } from "./ranks.ts";
import { hashString, randomSalt } from "./string-hash.ts";
import { Victims } from "./victims.ts";

/** The stamp of a slot that is not held. */
const GONE = -1;
/** In the byte of uses: the key is watched. The other bits count. */
const WATCHED = 128;

/** As many keys are watched as make a shadow of about this many entries, but at least one key in 256. */
const SHADOW_ENTRIES = 128;
const LEAST_RATE = 1 / 256;
/** Newcomers are looked at when so many of the tier's entries have come in after them, and again when the second so many have. */
const YOUNG_SHARE = 0.02;
const SETTLED_SHARE = 0.1;
/** Slots looked at in turn. */
const LOOKED_AT = 8;
/** The order is thought over after half as many accesses as there are entries, but not before this many. */
const THINK_SHARE = 0.5;
const LEAST_THINK = 1000;
/** After so many times as many accesses as entries, what was learned counts half. */
const HALF_LIFE = 16;
/** After so many times as many accesses as entries, counts of uses are halved. */
const AGE_FACTOR = 30;
/** Shares are of the entries held at an eviction; they are taken afresh when those have changed by this factor, if there are enough. */
const REFIT_FACTOR = 1.5;
const LEAST_CAPACITY = 64;

/** What is made at the first eviction, for a tier that is full with `capacity` entries. */
interface Mind {
  readonly capacity: number;
  readonly rate: number;
  readonly orders: readonly RankTable[];
  readonly learner: Learner;
  readonly miniature: Miniature;
  readonly think: number;
  /** The latest newcomers, the next place to write being that of the earliest. */
  readonly latest: Int32Array<ArrayBuffer>;
  readonly young: number;
}

/**
 * The state of one adaptive store. A class, so that every hit is a call on one shape.
 *
 * Invariant: `stamps` of a held slot is the time of its last access, of any other slot -1. No two held slots have the same.
 * Invariant: a held slot's WATCHED bit says whether its hash is in the sample, once there is one.
 */
export class Adaptive implements Eviction {
  stamps: Int32Array<ArrayBuffer> = new Int32Array(0);
  /** Accesses after the first, those of earlier lives included, 0 to 127 and halved from time to time; and the WATCHED bit. */
  uses: Uint8Array<ArrayBuffer> = new Uint8Array(0);
  hashes: Int32Array<ArrayBuffer> = new Int32Array(0);
  mind: Mind | undefined;
  /** Which of the orders is in use. */
  current = 0;
  /** Slots held. */
  held = 0;
  /** No slot from here on was ever held. */
  top: number = FIRST_SLOT;
  readonly ghost: Ghost = new Ghost();
  private readonly victims = new Victims();
  private hand: number = FIRST_SLOT;
  private latestAt = 0;
  private thoughtAt = 0;
  private agedAt = 0;
  private readonly room: Room;
  private salt: number | undefined;

  constructor(room: Room, salt?: number) {
    this.room = room;
    this.salt = salt;
  }

  resize(capacity: number): void {
    this.stamps = resized(this.stamps, new Int32Array(capacity).fill(GONE));
    this.uses = resized(this.uses, new Uint8Array(capacity));
    this.hashes = resized(this.hashes, new Int32Array(capacity));
    this.top = Math.min(this.top, capacity);
    this.hand = FIRST_SLOT;
    this.victims.clear();
  }

  add(slot: number, key: string, seed: number, now: number): void {
    this.salt ??= randomSalt();
    const hash = hashString(key, this.salt ^ seed);
    this.hashes[slot] = hash;
    this.stamps[slot] = now;
    this.uses[slot] = 0;
    this.held++;
    if (slot >= this.top) this.top = slot + 1;
    if (this.mind !== undefined) this.welcome(this.mind, slot, hash, now);
  }

  touch(slot: number, now: number): void {
    this.stamps[slot] = now;
    const uses = this.uses[slot] ?? 0;
    if (uses < MAX_USES) this.uses[slot] = uses + 1;
    else if (uses > MAX_USES) this.touchWatched(slot, uses, now);
  }

  remove(slot: number): void {
    if (this.mind !== undefined) this.ghost.note(at(this.hashes, slot), ((this.uses[slot] ?? 0) & MAX_USES) + 1);
    this.stamps[slot] = GONE;
    this.held--;
  }

  victim(now: number): number {
    const mind = this.fitted();
    const order = mind.orders[this.current] ?? mind.learner.table;
    for (;;) {
      const { latest } = mind;
      const young = this.latestAt - mind.young;
      this.look(at(latest, young < 0 ? young + latest.length : young), order);
      this.look(at(latest, this.latestAt), order);
      for (let looked = 0; looked < LOOKED_AT; looked++) {
        const slot = this.hand;
        if (++this.hand >= this.top) this.hand = FIRST_SLOT;
        if (at(this.stamps, slot) !== GONE && this.room.isExpired(slot, now)) return slot;
        this.look(slot, order);
      }
      const slot = this.victims.take(this.stamps);
      if (slot !== 0) return slot;
    }
  }

  move(from: number, to: number): void {
    this.stamps[to] = at(this.stamps, from);
    this.uses[to] = this.uses[from] ?? 0;
    this.hashes[to] = at(this.hashes, from);
    this.stamps[from] = GONE;
  }

  clear(): void {
    this.stamps = new Int32Array(0);
    this.uses = new Uint8Array(0);
    this.hashes = new Int32Array(0);
    this.held = 0;
    this.top = FIRST_SLOT;
    this.hand = FIRST_SLOT;
    this.current = 0;
    this.mind = undefined;
    this.ghost.clear();
    this.victims.clear();
  }

  /** A newcomer to a tier that has been full: what is known of it from earlier, and whether it is watched. */
  private welcome(mind: Mind, slot: number, hash: number, now: number): void {
    if (((now - this.thoughtAt) & LAST_TICK) >= mind.think) this.think(mind);
    if (((now - this.agedAt) & LAST_TICK) >= mind.capacity * AGE_FACTOR) this.age(mind);
    const known = this.ghost.count(hash);
    this.uses[slot] = known;
    if (isWatched(hash, mind.rate)) {
      this.uses[slot] = known | WATCHED;
      mind.miniature.access(hash, known, now);
    }
    mind.latest[this.latestAt] = slot;
    if (++this.latestAt === mind.latest.length) this.latestAt = 0;
  }

  private touchWatched(slot: number, uses: number, now: number): void {
    if (uses < (WATCHED | MAX_USES)) this.uses[slot] = uses + 1;
    this.mind?.miniature.access(at(this.hashes, slot), 0, now);
  }

  /** Looks up the rank of an entry and keeps it in mind if that is low. */
  private look(slot: number, { ranks, olderFirst }: RankTable): void {
    if (slot < FIRST_SLOT || slot >= this.top) return;
    const stamp = at(this.stamps, slot);
    if (stamp === GONE) return;
    const row = ROWS[(this.uses[slot] ?? 0) & MAX_USES] ?? 0;
    this.victims.offer(slot, at(ranks, row + bucketOf((this.room.tick - stamp) & LAST_TICK)), stamp, olderFirst);
  }

  /** Learns anew, and takes the order that hits most. */
  private think({ capacity, learner, miniature, think }: Mind): void {
    this.thoughtAt = this.room.tick;
    learner.learn();
    this.current = miniature.best(this.current);
    const fade = 0.5 ** (think / (HALF_LIFE * capacity));
    learner.fade(fade);
    miniature.fade(fade);
    this.victims.clear();
  }

  /** Halves all counts, so that what was popular once does not stay for ever. It walks everything, once in 30 accesses for each entry. */
  private age({ miniature }: Mind): void {
    const { uses } = this;
    this.agedAt = this.room.tick;
    for (let slot = FIRST_SLOT; slot < this.top; slot++) {
      const both = uses[slot] ?? 0;
      uses[slot] = (both & WATCHED) | ((both & MAX_USES) >>> 1);
    }
    this.ghost.halve();
    miniature.halve();
    this.victims.clear();
  }

  /** The mind, made for about as many entries as are held. */
  private fitted(): Mind {
    const wanted = Math.max(LEAST_CAPACITY, this.held);
    const { mind } = this;
    if (mind !== undefined && wanted <= mind.capacity * REFIT_FACTOR && wanted * REFIT_FACTOR >= mind.capacity) return mind;
    const fresh = mindFor(wanted);
    this.ghost.grow(wanted);
    // What is held counts as having come in just now, in the order of the slots, without anything to learn from it.
    for (let slot = FIRST_SLOT; slot < this.top; slot++) {
      const stamp = at(this.stamps, slot);
      if (stamp === GONE) continue;
      const hash = at(this.hashes, slot);
      const uses = (this.uses[slot] ?? 0) & MAX_USES;
      const watched = isWatched(hash, fresh.rate);
      this.uses[slot] = watched ? uses | WATCHED : uses;
      if (watched) fresh.miniature.access(hash, uses, stamp);
    }
    this.latestAt = 0;
    this.thoughtAt = this.room.tick;
    if (mind === undefined) this.agedAt = this.room.tick;
    this.victims.clear();
    this.mind = fresh;
    return fresh;
  }
}

function isWatched(hash: number, rate: number): boolean {
  return Math.imul(hash, 0x9e3779b1) >>> 16 < rate * 0x10000;
}

function mindFor(capacity: number): Mind {
  const rate = Math.min(1, Math.max(LEAST_RATE, SHADOW_ENTRIES / capacity));
  const learner = new Learner(capacity, rate);
  const orders = [...fixedTables(capacity), learner.table];
  return {
    capacity,
    rate,
    orders,
    learner,
    miniature: new Miniature(Math.floor(capacity * rate), orders, learner),
    think: Math.max(LEAST_THINK, Math.floor(capacity * THINK_SHARE)),
    latest: new Int32Array(Math.max(1, Math.floor(capacity * SETTLED_SHARE))),
    young: Math.max(1, Math.floor(capacity * YOUNG_SHARE)),
  };
}
