/**
 * Seeded random numbers and traffic for tests of policies, so that a run can be repeated.
 *
 * @module
 */

/** Numbers in [0, 1) from a seed (a Weyl sequence with a multiplicative finish); good enough for traffic, not for secrets. */
export function seededRandom(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x61c88647) | 0;
    let word = Math.imul(state ^ (state >>> 16), 0x21f0aaad);
    word = Math.imul(word ^ (word >>> 15), 0x735a2d97);
    return ((word ^ (word >>> 15)) >>> 0) / 2 ** 32;
  };
}

/** `count` keys out of `universe`, the k-th most frequent with a chance proportional to 1 / k^exponent. */
export function zipf(universe: number, count: number, exponent: number, random: () => number): string[] {
  const upTo = new Float64Array(universe);
  let total = 0;
  for (let rank = 0; rank < universe; rank++) {
    total += 1 / (rank + 1) ** exponent;
    upTo[rank] = total;
  }
  return Array.from({ length: count }, () => {
    const point = random() * total;
    let low = 0;
    let high = universe - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((upTo[middle] ?? 0) < point) low = middle + 1;
      else high = middle;
    }
    return `key:${low}`;
  });
}
