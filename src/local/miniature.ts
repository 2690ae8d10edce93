/**
 * Several eviction orders run side by side on a small sample of the keys, to see which of them hits most (Waldspurger, Saemundsson,
 * Ahmad and Park, "Cache Modeling and Optimization using Miniature Simulations", 2017). A tier of 10,000 entries of which one key
 * in 80 is watched behaves nearly as one of 125 entries would that sees nothing but those keys; so each order has a shadow of
 * that size, which holds no values. All shadows share the records of the watched keys, that is, hash, count and last access; the
 * records also tell the learner after how long keys come again.
 *
 * @module
 */
import { at } from "./cells.ts";
import type { Learner } from "./learner.ts";
import { BUCKETS, bucketOf, MAX_USES, ROWS } from "./ranks.ts";
import type { RankTable } from "./ranks.ts";

/** Records for each place in a shadow: what left the shadows is remembered as long as the tier's own ghosts are. */
const RECORD_FACTOR = 8;
/** A shadow gives up the lowest of so many. */
const LOOKED_AT = 32;
const NONE = -1;
/** Times are counted modulo this. */
const TIME_MASK = 2 ** 30 - 1;

/**
 * The watched keys and the shadows.
 *
 * Invariant: `places[record * orders + order]` is where the order's shadow holds the record, or -1, and `shadows` at that place
 * is the record; `shadowed` counts how many shadows hold it.
 * Invariant: a record is in the chain of its hash, and in no other. There are more records than places, so that one is always free.
 */
export class Miniature {
  /** For each order: hits of its shadow, fading. */
  readonly scores: Float64Array<ArrayBuffer>;
  private readonly orders: readonly RankTable[];
  private readonly learner: Learner;
  private readonly size: number;
  private readonly records: number;
  private readonly hashes: Int32Array<ArrayBuffer>;
  private readonly seenAt: Int32Array<ArrayBuffer>;
  private readonly counts: Uint8Array<ArrayBuffer>;
  /** Asked for since the search for a record to reuse came by. */
  private readonly asked: Uint8Array<ArrayBuffer>;
  readonly shadowed: Uint8Array<ArrayBuffer>;
  private readonly heads: Int32Array<ArrayBuffer>;
  private readonly chain: Int32Array<ArrayBuffer>;
  readonly places: Int32Array<ArrayBuffer>;
  readonly shadows: Int32Array<ArrayBuffer>;
  private readonly filled: Int32Array<ArrayBuffer>;
  private readonly hands: Int32Array<ArrayBuffer>;
  private used = 0;
  private hand = 0;

  /** With shadows of `size` entries for each of `orders`. */
  constructor(size: number, orders: readonly RankTable[], learner: Learner) {
    this.size = size;
    this.orders = orders;
    this.learner = learner;
    this.records = size * RECORD_FACTOR;
    this.hashes = new Int32Array(this.records);
    this.seenAt = new Int32Array(this.records);
    this.counts = new Uint8Array(this.records);
    this.asked = new Uint8Array(this.records);
    this.shadowed = new Uint8Array(this.records);
    this.chain = new Int32Array(this.records);
    this.heads = new Int32Array(2 ** Math.ceil(Math.log2(this.records))).fill(NONE);
    this.places = new Int32Array(this.records * orders.length).fill(NONE);
    this.shadows = new Int32Array(size * orders.length);
    this.scores = new Float64Array(orders.length);
    this.filled = new Int32Array(orders.length);
    this.hands = new Int32Array(orders.length);
  }

  /** A watched key was asked for at `now`; `known` is its count, should there be no record of it. */
  access(hash: number, known: number, now: number): void {
    let record = this.find(hash);
    if (record === NONE) {
      record = this.take(hash, known);
    } else {
      const count = this.counts[record] ?? 0;
      const cell = (ROWS[count] ?? 0) + bucketOf((now - at(this.seenAt, record)) & TIME_MASK);
      this.learner.reuses[cell] = (this.learner.reuses[cell] ?? 0) + 1;
      if (count < MAX_USES) this.counts[record] = count + 1;
      this.asked[record] = 1;
    }
    const row = (ROWS[this.counts[record] ?? 0] ?? 0) / BUCKETS;
    this.learner.starts[row] = (this.learner.starts[row] ?? 0) + 1;
    this.seenAt[record] = now;
    const base = record * this.orders.length;
    for (let order = 0; order < this.orders.length; order++) {
      if (at(this.places, base + order) !== NONE) this.scores[order] = (this.scores[order] ?? 0) + 1;
      else this.hold(record, order, now);
    }
  }

  /** The order with the most hits; `current` if no other has more. */
  best(current: number): number {
    let best = current;
    for (const [order, score] of this.scores.entries()) if (score > (this.scores[best] ?? 0)) best = order;
    return best;
  }

  fade(factor: number): void {
    for (let order = 0; order < this.scores.length; order++) this.scores[order] = (this.scores[order] ?? 0) * factor;
  }

  /** Halves the counts of the records. */
  halve(): void {
    for (let record = 0; record < this.used; record++) this.counts[record] = (this.counts[record] ?? 0) >>> 1;
  }

  private find(hash: number): number {
    let record = at(this.heads, hash & (this.heads.length - 1));
    while (record !== NONE && at(this.hashes, record) !== hash) record = at(this.chain, record);
    return record;
  }

  /** A record for a new key: an unused one, or that of a key that is in no shadow and was not asked for lately. */
  private take(hash: number, known: number): number {
    let record = this.used;
    if (record < this.records) this.used++;
    else {
      record = this.reusable();
      this.unchain(record);
    }
    const bin = hash & (this.heads.length - 1);
    this.chain[record] = at(this.heads, bin);
    this.heads[bin] = record;
    this.hashes[record] = hash;
    this.counts[record] = known;
    this.asked[record] = 0;
    return record;
  }

  private reusable(): number {
    for (;;) {
      const record = this.hand;
      if (++this.hand === this.records) this.hand = 0;
      if (this.shadowed[record] !== 0) continue;
      if (this.asked[record] === 0) return record;
      this.asked[record] = 0;
    }
  }

  private unchain(record: number): void {
    const bin = at(this.hashes, record) & (this.heads.length - 1);
    const after = at(this.chain, record);
    let before = at(this.heads, bin);
    if (before === record) {
      this.heads[bin] = after;
      return;
    }
    while (at(this.chain, before) !== record) before = at(this.chain, before);
    this.chain[before] = after;
  }

  /** Puts a record into the shadow of an order, in the place of the lowest of the next few if that is full. */
  private hold(record: number, order: number, now: number): void {
    const { places, shadows, orders } = this;
    const filled = at(this.filled, order);
    let place = order * this.size + filled;
    if (filled < this.size) this.filled[order] = filled + 1;
    else {
      place = this.lowest(order, now);
      const loser = at(shadows, place);
      places[loser * orders.length + order] = NONE;
      this.shadowed[loser] = (this.shadowed[loser] ?? 0) - 1;
    }
    shadows[place] = record;
    places[record * orders.length + order] = place;
    this.shadowed[record] = (this.shadowed[record] ?? 0) + 1;
  }

  private lowest(order: number, now: number): number {
    const { seenAt, counts, shadows, size } = this;
    const table = this.orders[order];
    let hand = at(this.hands, order);
    let best = order * size + hand;
    let bestRank = Number.POSITIVE_INFINITY;
    let bestAge = 0;
    for (let looked = Math.min(LOOKED_AT, size); looked > 0 && table !== undefined; looked--) {
      const place = order * size + hand;
      const record = at(shadows, place);
      const age = (now - at(seenAt, record)) & TIME_MASK;
      const rank = at(table.ranks, (ROWS[counts[record] ?? 0] ?? 0) + bucketOf(age));
      if (rank < bestRank || (rank === bestRank && age > bestAge === table.olderFirst)) {
        best = place;
        bestRank = rank;
        bestAge = age;
      }
      if (++hand === size) hand = 0;
    }
    this.hands[order] = hand;
    return best;
  }
}
