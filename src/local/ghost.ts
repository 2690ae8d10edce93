/**
 * What is remembered of entries that are gone: a fingerprint of the key and how often it was asked for, 16 bits in all, for
 * at least twelve times as many keys as the tier holds. Four such notes share a bucket, newest first, so that a look-up
 * reads one cache line and the oldest note makes room. Unlike the counters of a sketch, a note of a key that was seen once
 * takes nothing from the others. It takes hashes, not keys; two keys may be taken for one another, once in about 500 look-ups.
 *
 * @module
 */

/** The largest count that a note can hold. */
export const MAX_NOTED = 31;

const COUNT_BITS = 5;
const NOTES = 4;
/** Notes for each entry of the tier, at least. */
const MEMORY_FACTOR = 12;
const MIN_BUCKETS = 16;

/**
 * Notes about keys that left.
 *
 * Invariant: a note is `fingerprint << 5 | count` with a count of at least 1; 0 is no note. The bucket is given by the low bits
 * of the hash and the fingerprint by the top 11, so that doubling the buckets by repeating them loses no note.
 */
export class Ghost {
  notes: Uint16Array<ArrayBuffer> = new Uint16Array(0);
  private mask = 0;

  /** Makes room for the notes of a tier of `entries`. It never shrinks. */
  grow(entries: number): void {
    let buckets = MIN_BUCKETS;
    while (buckets * NOTES < entries * MEMORY_FACTOR) buckets *= 2;
    if (buckets * NOTES <= this.notes.length) return;
    const notes = new Uint16Array(buckets * NOTES);
    if (this.notes.length > 0) for (let start = 0; start < notes.length; start += this.notes.length) notes.set(this.notes, start);
    this.notes = notes;
    this.mask = buckets - 1;
  }

  /** The count noted for a key, 0 without a note. */
  count(hash: number): number {
    const { notes } = this;
    const base = (hash & this.mask) * NOTES;
    const print = hash >>> 21;
    for (let place = base; place < base + NOTES; place++) {
      const note = notes[place] ?? 0;
      if (note >>> COUNT_BITS === print && note !== 0) return note & MAX_NOTED;
    }
    return 0;
  }

  /** Notes a count of at least 1 for a key that leaves. */
  note(hash: number, count: number): void {
    const { notes } = this;
    const base = (hash & this.mask) * NOTES;
    const newest = notes[base] ?? 0;
    const print = hash >>> 21;
    if (newest >>> COUNT_BITS !== print) {
      notes[base + 3] = notes[base + 2] ?? 0;
      notes[base + 2] = notes[base + 1] ?? 0;
      notes[base + 1] = newest;
    }
    notes[base] = (print << COUNT_BITS) | Math.min(count, MAX_NOTED);
  }

  /** Halves every count; a key that was seen once stays known. */
  halve(): void {
    const { notes } = this;
    for (let place = 0; place < notes.length; place++) {
      const note = notes[place] ?? 0;
      notes[place] = (note & ~MAX_NOTED) | ((note & MAX_NOTED) >>> 1);
    }
  }

  clear(): void {
    this.notes = new Uint16Array(0);
    this.mask = 0;
  }
}
