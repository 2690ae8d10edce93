/**
 * The keys of the benchmarks of the local tier.
 *
 * @module
 */

/** Flat strings, as keys are that came over a wire: a key built by joining would be flattened at its first use, whoever uses it. */
export function keysFrom(first: number, count: number): string[] {
  return Array.from({ length: count }, (_, index) => Buffer.from(`user:${String(first + index).padStart(10, "0")}:page`).toString("latin1"));
}
