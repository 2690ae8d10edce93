/**
 * Learns an eviction order from the traffic. For keys with a given count it knows after how long they are asked for again, if
 * at all; from that follows what keeping such an entry is worth: of all times up to which one might keep it, the best ratio of
 * hits to be expected to the time that its place is taken. That ratio, the slope of a concave hull, is Gittins' index for jobs
 * of unknown length ("Bandit Processes and Dynamic Allocation Indices", 1979) with hits for rewards, and the entry with the
 * lowest goes. (Beckmann and Sanchez, "Maximizing Cache Performance Under Uncertainty", 2017, rank by age alone in a like way.)
 *
 * @module
 */
import { BUCKETS, bucketOf, CELLS, CLASSES, middleOf, rankTable, widthOf } from "./ranks.ts";
import type { RankTable } from "./ranks.ts";

/** A class that has seen fewer keys than this believes the class below it, or, the lowest, what is said below. */
const LEAST_WEIGHT = 20;
const WEIGHT_OF_BELOW = 100;
/** Until known better, of keys never seen before three in ten come again soon, three after long, and four never. */
const PRIOR = 0.3;
const SOON_SHARE = 0.1;
const LONG_FACTOR = 16;
const LONG_BUCKETS = 2;
/** Half the width of the triangle with which what was seen at one age is spread over the ages nearby. */
const REACH = 5;
/** The sum of the triangle around an age, which is cut off at both ends. Not a table: making one took an eighth of an import. */
function sumOfTriangle(bucket: number): number {
  return REACH * REACH - cutOff(bucket) - cutOff(BUCKETS - 1 - bucket);
}

/** What of a triangle lies beyond an end that is so many ages away. */
function cutOff(distance: number): number {
  const ages = Math.max(0, REACH - 1 - distance);
  return (ages * (ages + 1)) / 2;
}

/**
 * Counts of what happened, and the order made from them.
 *
 * Invariant: `starts` of a class is the number of accesses after which a key was in it, `reuses` says how many of those were
 * followed by another one, and after how long; both fade in the same way.
 */
export class Learner {
  readonly table: RankTable = rankTable(true);
  readonly reuses: Float32Array<ArrayBuffer> = new Float32Array(CELLS);
  readonly starts: Float32Array<ArrayBuffer> = new Float32Array(CLASSES);
  private readonly capacity: number;
  private readonly rate: number;
  private readonly prior: Float64Array;
  /** Reuses of the class below with what it believed itself, and of the present one; then spread out. */
  private below = new Float64Array(BUCKETS);
  private own = new Float64Array(BUCKETS);
  private readonly spread = new Float64Array(BUCKETS);
  private readonly hits = new Float64Array(BUCKETS + 1);
  private readonly time = new Float64Array(BUCKETS + 1);
  private readonly hull = new Int32Array(BUCKETS + 1);

  /** For a tier of `capacity` entries, of whose keys the share `rate` is watched. */
  constructor(capacity: number, rate: number) {
    this.capacity = capacity;
    this.rate = rate;
    this.prior = priorOf(capacity);
    this.learn();
  }

  /** Makes the order anew. It takes about as long as a hundred evictions. */
  learn(): void {
    let believed = 1;
    for (let row = 0; row < CLASSES; row++) {
      if (row > 0 && this.starts[row] === 0) {
        // Nothing is known of this class: it believes what the one below does.
        this.table.numbers.copyWithin(row * BUCKETS, (row - 1) * BUCKETS, row * BUCKETS);
        continue;
      }
      const from = row === 0 ? this.prior : this.below;
      const weight = row === 0 ? Math.max(LEAST_WEIGHT, 0.5 * this.capacity * this.rate) : Math.max(LEAST_WEIGHT, WEIGHT_OF_BELOW * this.rate);
      const scale = weight / believed;
      for (let bucket = 0; bucket < BUCKETS; bucket++) this.own[bucket] = (this.reuses[row * BUCKETS + bucket] ?? 0) + scale * (from[bucket] ?? 0);
      believed = (this.starts[row] ?? 0) + weight;
      this.spreadOut();
      this.rank(row, believed);
      [this.below, this.own] = [this.own, this.below];
    }
  }

  /** Multiplies all counts, so that old traffic weighs less. */
  fade(factor: number): void {
    for (let cell = 0; cell < CELLS; cell++) this.reuses[cell] = (this.reuses[cell] ?? 0) * factor;
    for (let row = 0; row < CLASSES; row++) this.starts[row] = (this.starts[row] ?? 0) * factor;
  }

  private spreadOut(): void {
    const { own, spread } = this;
    spread.fill(0);
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      const first = Math.max(0, bucket - REACH + 1);
      const last = Math.min(BUCKETS - 1, bucket + REACH - 1);
      const amount = (own[bucket] ?? 0) / sumOfTriangle(bucket);
      for (let near = first; near <= last; near++) spread[near] = (spread[near] ?? 0) + amount * (REACH - Math.abs(near - bucket));
    }
  }

  /**
   * Fills the row of a class. `hits` and `time` are, for each age, the hits to be had until then and the time that entries
   * take their places until then; walking from the last age back, a stack holds the corners of the curve's upper hull.
   */
  private rank(row: number, known: number): void {
    const { hits, time, hull, spread } = this;
    let left = known;
    let reused = 0;
    for (const amount of spread) reused += amount;
    // Spreading and fading are inexact; no more can come again than there are.
    left = Math.max(left, reused);
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      const amount = spread[bucket] ?? 0;
      hits[bucket + 1] = (hits[bucket] ?? 0) + amount;
      time[bucket + 1] = (time[bucket] ?? 0) + widthOf(bucket) * (left - amount / 2);
      left -= amount;
    }
    let corners = 0;
    hull[corners++] = BUCKETS;
    for (let bucket = BUCKETS - 1; bucket >= 0; bucket--) {
      let best = this.slope(bucket, hull[corners - 1] ?? 0);
      for (; corners > 1; corners--) {
        const next = this.slope(bucket, hull[corners - 2] ?? 0);
        if (best > next) break;
        best = next;
      }
      this.table.numbers[row * BUCKETS + bucket] = Math.max(0, best);
      hull[corners++] = bucket;
    }
  }

  private slope(from: number, to: number): number {
    const { hits, time } = this;
    const taken = (time[to] ?? 0) - (time[from] ?? 0);
    return taken > 0 ? ((hits[to] ?? 0) - (hits[from] ?? 0)) / taken : 0;
  }
}

function priorOf(capacity: number): Float64Array {
  const prior = new Float64Array(BUCKETS);
  let soon = 0;
  while (soon < BUCKETS - 1 && middleOf(soon) <= SOON_SHARE * capacity) soon++;
  for (let bucket = 0; bucket < soon; bucket++) prior[bucket] = PRIOR / soon;
  const long = bucketOf(LONG_FACTOR * capacity);
  for (let bucket = long - LONG_BUCKETS; bucket <= long + LONG_BUCKETS; bucket++) prior[bucket] = (prior[bucket] ?? 0) + PRIOR / (2 * LONG_BUCKETS + 1);
  return prior;
}
