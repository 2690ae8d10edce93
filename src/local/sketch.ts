/**
 * How often keys were asked for lately, in about 8 bytes for each: a count-min sketch (Cormode and Muthukrishnan, 2005) of
 * 4-bit counters in 2 rows. It is told counts, not occurrences, and raises a key's two counters to them; they lie in one block of
 * 64 bytes, so that this touches one cache line. (For so many keys in so little memory two long rows estimate as well as four
 * short ones, and cost half.) It takes hashes, not keys, and does not decide when to age: its owner does, as in TinyLFU.
 *
 * @module
 */

/** The largest count. */
export const MAX_COUNT = 15;

/** A block is 16 words of 32 bits: 2 rows of 8 words, which hold 64 counters each. */
const BLOCK_WORDS = 16;
const ROW_WORDS = BLOCK_WORDS / 2;
const KEYS_PER_BLOCK = 8;
const MIN_CAPACITY = 64;

/**
 * Counts for about `capacity` keys.
 *
 * Invariant: an estimate is never below the largest count noted (halved as often as the sketch was since), and may be above it.
 * Invariant: the number of blocks is a power of two, and a key's block is given by the low bits of its hash. Hence a table
 * can be doubled by repeating it, without changing any estimate.
 */
export class Sketch {
  table: Int32Array<ArrayBuffer>;
  private blockMask: number;

  constructor(capacity: number) {
    const blocks = blocksFor(capacity);
    this.blockMask = blocks - 1;
    this.table = new Int32Array(blocks * BLOCK_WORDS);
  }

  /** Enlarges the sketch for more keys; every estimate stays as it was. It never shrinks. */
  grow(capacity: number): void {
    const blocks = blocksFor(capacity);
    if (blocks <= this.blockMask + 1) return;
    const table = new Int32Array(blocks * BLOCK_WORDS);
    for (let start = 0; start < table.length; start += this.table.length) table.set(this.table, start);
    this.table = table;
    this.blockMask = blocks - 1;
  }

  /** Raises a key's counters to `count`, at most 15, where they are lower. */
  note(hash: number, count: number): void {
    // The upper bits choose the counters, since the lower ones chose the block: three a word and three the counter in it, for
    // each row. A counter is 4 bits, so that the latter three are taken in their place.
    const base = (hash & this.blockMask) * BLOCK_WORDS;
    this.raise(base + (hash >>> 29), (hash >>> 24) & 28, count);
    this.raise(base + ROW_WORDS + ((hash >>> 23) & 7), (hash >>> 18) & 28, count);
  }

  /** The estimated count, 0 to 15. */
  frequency(hash: number): number {
    const { table } = this;
    const base = (hash & this.blockMask) * BLOCK_WORDS;
    const first = ((table[base + (hash >>> 29)] ?? 0) >>> ((hash >>> 24) & 28)) & MAX_COUNT;
    const second = ((table[base + ROW_WORDS + ((hash >>> 23) & 7)] ?? 0) >>> ((hash >>> 18) & 28)) & MAX_COUNT;
    return first < second ? first : second;
  }

  /** Halves every count, rounding down. It walks the whole table. */
  halve(): void {
    const table = this.table;
    for (let index = 0; index < table.length; index++) table[index] = ((table[index] ?? 0) >>> 1) & 0x77777777;
  }

  private raise(index: number, shift: number, count: number): void {
    const word = this.table[index] ?? 0;
    const present = (word >>> shift) & MAX_COUNT;
    if (count > present) this.table[index] = (word + ((count - present) << shift)) | 0;
  }
}

function blocksFor(capacity: number): number {
  return 2 ** Math.ceil(Math.log2(Math.max(capacity, MIN_CAPACITY) / KEYS_PER_BLOCK));
}
