/**
 * Flat integer arrays that describe entries by slot number. They cost the garbage collector nothing to trace, whatever their
 * number of entries.
 *
 * @module
 */

/** Slot numbers below this one belong to no entry: policies that keep lists use them for the lists' ends. */
export const FIRST_SLOT = 4;

/** A cell of an integer array. Every index used with it is in range; the fallback only satisfies the type. */
export function at(cells: Int32Array, index: number): number {
  return cells[index] ?? 0;
}

/** Any of the arrays here. */
interface Cells {
  readonly length: number;
  set(cells: Cells & ArrayLike<number>): void;
  subarray(begin: number, end: number): Cells & ArrayLike<number>;
}

/** Fills `into`, which is fresh, with as much of `cells` as it holds. */
export function resized<Array extends Cells>(cells: Cells & ArrayLike<number>, into: Array): Array {
  into.set(cells.length > into.length ? cells.subarray(0, into.length) : cells);
  return into;
}
