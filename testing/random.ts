/**
 * Seeded choice. All that a run decides by chance goes through one list of choices, its *tape*: a failing run is told again by
 * replaying the tape, and made shorter by cutting pieces out of it. It relies on nothing.
 *
 * @module
 */

/** Numbers from 0 (included) to 1 (excluded) that depend on the seed alone: mulberry32. */
export function createRandom(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 0x1_0000_0000;
  };
}

/** Where a run takes its decisions from. */
export interface Choices {
  /** A whole number below `count`; `weights` says how likely each is, all equally if it is left out. */
  pick(count: number, weights?: (index: number) => number): number;
  /** What was picked so far. */
  readonly tape: readonly number[];
}

/** Choices by chance. */
export function chance(random: () => number): Choices {
  const tape: number[] = [];
  return {
    tape,
    pick(count, weights) {
      if (count <= 1) return 0;
      const picked = weights ? weighted(random, count, weights) : Math.floor(random() * count);
      tape.push(picked);
      return picked;
    },
  };
}

/** Choices made before. Where the tape ends, or does not fit, the first possibility is taken. */
export function replay(old: readonly number[]): Choices {
  const tape: number[] = [];
  return {
    tape,
    pick(count) {
      if (count <= 1) return 0;
      const picked = (old[tape.length] ?? 0) % count;
      tape.push(picked);
      return picked;
    },
  };
}

function weighted(random: () => number, count: number, weights: (index: number) => number): number {
  let total = 0;
  for (let index = 0; index < count; index++) total += weights(index);
  let left = random() * total;
  for (let index = 0; index < count - 1; index++) {
    left -= weights(index);
    if (left <= 0) return index;
  }
  return count - 1;
}
