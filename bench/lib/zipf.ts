/**
 * The request streams: a seeded generator of random numbers and a bounded zipf distribution drawn by rejection-inversion
 * (W. Hörmann, G. Derflinger, "Rejection-inversion to generate variates from monotone discrete distributions", 1996). It
 * relies on nothing and knows nothing of caches; the same seed gives the same stream on every machine.
 *
 * @module
 */

/** Draws a number in [0, 1). */
export type Random = () => number;

/** Shape of the distribution: P(k) is proportional to (v + k)^-s for whole k from 0 to `max`; s > 1, v >= 1. */
export interface ZipfOptions {
  readonly s: number;
  readonly v: number;
  readonly max: number;
}

const TWO_32 = 2 ** 32;

/** xoshiro128** (D. Blackman, S. Vigna, 2018), its state filled from `seed` by the SplitMix32 finalizer. */
export function seededRandom(seed: number): Random {
  let mix = seed >>> 0;
  const next = (): number => {
    mix = (mix + 0x9e3779b9) >>> 0;
    const once = Math.imul(mix ^ (mix >>> 16), 0x85ebca6b);
    const twice = Math.imul(once ^ (once >>> 13), 0xc2b2ae35);
    return (twice ^ (twice >>> 16)) >>> 0;
  };
  let [a, b, c, d] = [next(), next(), next(), next()];
  return () => {
    const result = Math.imul(rotateLeft(Math.imul(b, 5), 7), 9) >>> 0;
    const shifted = b << 9;
    c ^= a;
    d ^= b;
    b ^= c;
    a ^= d;
    c ^= shifted;
    d = rotateLeft(d, 11);
    return result / TWO_32;
  };
}

function rotateLeft(word: number, bits: number): number {
  return (word << bits) | (word >>> (32 - bits));
}

/** A function that draws the next key. Expected cost: little over one uniform number for each draw. */
export function zipf(random: Random, { s, v, max }: ZipfOptions): () => number {
  // The area under the density from x on is -area(x); `inverse` undoes it.
  const area = (x: number): number => (v + x) ** (1 - s) / (1 - s);
  const inverse = (y: number): number => ((1 - s) * y) ** (1 / (1 - s)) - v;
  const mass = (k: number): number => (v + k) ** -s;
  const top = area(max + 0.5);
  // Key 0 gets exactly its own mass, because nothing is left of it to be shared with.
  const span = area(0.5) - mass(0) - top;
  // Closer to the hat's own centre than this, a draw needs no test.
  const sure = 1 - inverse(area(1.5) - mass(1));
  return () => {
    for (;;) {
      const y = top + random() * span;
      const x = inverse(y);
      const k = Math.floor(x + 0.5);
      if (k - x <= sure || y >= area(k + 0.5) - mass(k)) return k;
    }
  };
}

/** `count` draws in a row. */
export function drawStream(count: number, draw: () => number): Int32Array {
  return Int32Array.from({ length: count }, draw);
}

/** `calls` times `size` draws; the keys of one call are distinct. Laid out flat, one call after the other. */
export function drawBatches(calls: number, size: number, draw: () => number): Int32Array {
  const stream = new Int32Array(calls * size);
  for (let call = 0; call < calls; call++) {
    const keys = new Set<number>();
    while (keys.size < size) keys.add(draw());
    stream.set([...keys], call * size);
  }
  return stream;
}
