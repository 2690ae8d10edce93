/**
 * A salted 32-bit hash of a string's UTF-16 units, for sketches and filters: fast, well spread, not cryptographic and not
 * stable between isolates. The salt keeps outsiders from choosing keys that share a counter. NUL and lone surrogates are
 * units like any other.
 *
 * @module
 */

/** A fresh salt. Call it at first use, not at module scope: two isolates started from one snapshot should differ. */
export function randomSalt(): number {
  return Math.floor(Math.random() * 0x1_0000_0000) | 0;
}

/**
 * The hash of a text under a seed, as a signed 32-bit integer.
 *
 * Each unit is folded in by a multiplication and a rotation, so that its bits reach both halves of the state; the finish is
 * the avalanche step of MurmurHash3 (Appleby), after which any bits can be used as an index.
 */
export function hashString(text: string, seed: number): number {
  let hash = seed ^ text.length;
  for (let index = 0; index < text.length; index++) {
    const mixed = Math.imul(hash ^ text.charCodeAt(index), 0x2c1b3c6d);
    hash = (mixed << 13) | (mixed >>> 19);
  }
  return scramble(hash);
}

/** Spreads every input bit over all output bits; a bijection. */
export function scramble(word: number): number {
  let hash = Math.imul(word ^ (word >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35 | 0);
  return hash ^ (hash >>> 16);
}
