/**
 * Rank tables: the common form of the eviction orders that `adaptive.ts` chooses from. An entry is described by how often it
 * was asked for and how long ago it was last; both are rounded to a logarithmic scale, 14 classes of counts and 120 buckets of
 * ages, and a table has one number for each pair. The entry with the lowest number goes. So a look-up is all that an order
 * costs, changing the order is changing a reference, and "least recently used", "least frequently used" and whatever is learned
 * from the traffic (`learner.ts`) differ in their numbers alone. Ages are counted in accesses.
 *
 * @module
 */

/** Classes of counts: 0 to 3 are one each, from there on two for each doubling, to 127. */
export const CLASSES = 14;
/** Buckets of ages: four for each doubling; enough for every age below 2^31. */
export const BUCKETS = 120;
export const CELLS: number = CLASSES * BUCKETS;
/** The largest count. */
export const MAX_USES = 127;

/** Where the numbers of a count begin in a table. */
export const ROWS: Uint16Array<ArrayBuffer> = /* @__PURE__ */ rows();

function rows(): Uint16Array<ArrayBuffer> {
  const all = new Uint16Array(MAX_USES + 1);
  for (let count = 0; count <= MAX_USES; count++) all[count] = classOf(count) * BUCKETS;
  return all;
}

function classOf(count: number): number {
  if (count < 4) return count;
  const doublings = 31 - Math.clz32(count);
  return 2 * doublings + ((count >>> (doublings - 1)) & 1);
}

/** The bucket of an age of at least 0. */
export function bucketOf(age: number): number {
  const shifted = age + 4;
  const doublings = 31 - Math.clz32(shifted);
  return 4 * doublings + ((shifted >>> (doublings - 2)) & 3) - 8;
}

/** How many ages share a bucket. */
export function widthOf(bucket: number): number {
  return 1 << (bucket >> 2);
}

/** The age in the middle of a bucket. */
export function middleOf(bucket: number): number {
  const width = widthOf(bucket);
  return (4 + (bucket & 3)) * width - 4 + width / 2;
}

/** One order of eviction. */
export interface RankTable {
  /**
   * The ranks as 32-bit patterns, of which the lowest goes.
   *
   * Invariant: no rank is negative, because only then do the patterns of floating-point numbers lie in the order of the numbers.
   */
  readonly ranks: Int32Array<ArrayBuffer>;
  /** The same memory as numbers, for whoever fills the table. */
  readonly numbers: Float32Array<ArrayBuffer>;
  /** Which of two equal ranks goes: the entry that was asked for longer ago, or the other one. */
  readonly olderFirst: boolean;
}

/** An empty table. */
export function rankTable(olderFirst: boolean): RankTable {
  const numbers = new Float32Array(CELLS);
  return { numbers, ranks: new Int32Array(numbers.buffer), olderFirst };
}

/** More than any rank by count. */
const SHIELDED = 1e6;
/** More than any bucket. */
const PER_CLASS = 1000;

/**
 * The orders that need no learning, for a tier of `capacity` entries:
 * - by count, and of equal counts the younger goes first, which serves loops and scans; what came or was asked for within the
 *   last 2 % of `capacity` accesses is shielded, because it had no chance yet;
 * - the same with a shield of 10 %;
 * - by count, and of equal counts the older goes first, for traffic that drifts;
 * - by age alone: least recently used.
 */
export function fixedTables(capacity: number): RankTable[] {
  const shielded = (bucket: number, share: number): boolean => middleOf(bucket) <= share * capacity;
  return [
    filled(false, (row, bucket) => (shielded(bucket, 0.02) ? SHIELDED - bucket : row * PER_CLASS + bucket)),
    filled(false, (row, bucket) => (shielded(bucket, 0.1) ? SHIELDED - bucket : row * PER_CLASS + bucket)),
    filled(true, (row, bucket) => (shielded(bucket, 0.02) ? SHIELDED - bucket : row * PER_CLASS + BUCKETS - bucket)),
    filled(true, (_, bucket) => BUCKETS - bucket),
  ];
}

function filled(olderFirst: boolean, rank: (row: number, bucket: number) => number): RankTable {
  const table = rankTable(olderFirst);
  for (let cell = 0; cell < CELLS; cell++) table.numbers[cell] = rank(Math.floor(cell / BUCKETS), cell % BUCKETS);
  return table;
}
