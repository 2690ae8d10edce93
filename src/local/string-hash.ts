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
 * Two units at a time are folded in by a multiplication and a rotation, so that their bits reach both halves of the state; the
 * finish is the avalanche step of MurmurHash3 (Appleby), after which any bits can be used as an index.
 */
export function hashString(text: string, seed: number): number {
  const { length } = text;
  const whole = length & ~1;
  let hash = seed ^ length;
  for (let index = 0; index < whole; index += 2) hash = folded(hash, text.charCodeAt(index) | (text.charCodeAt(index + 1) << 16));
  if (whole !== length) hash = folded(hash, text.charCodeAt(whole));
  return scramble(hash);
}

function folded(hash: number, word: number): number {
  const mixed = Math.imul(hash ^ word, 0x2c1b3c6d);
  return (mixed << 13) | (mixed >>> 19);
}

/** Spreads every input bit over all output bits; a bijection. */
export function scramble(word: number): number {
  let hash = Math.imul(word ^ (word >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35 | 0);
  return hash ^ (hash >>> 16);
}
