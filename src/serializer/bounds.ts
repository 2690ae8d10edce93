/**
 * How much one value may be made of. A payload of 16 MB can ask for ten million empty Maps, or for a Set whose members an
 * engine cannot tell apart by their hashes: the decoders count what they make and stop, and the encoders count alike, so that
 * nothing is stored which would not be read. It knows no format.
 *
 * Invariant: what any payload decodes to takes some 300 MB at most, measured in V8: about 400 bytes for each unit of weight, and primitives.
 *
 * @module
 */

/**
 * Largest weight of a value. An object or array weighs 1, whatever else has an identity (a Map, a Date, a buffer...) 2, an
 * error 8. That is one object for each 32 bytes of the largest payload.
 */
export const MAX_WEIGHT: number = 1 << 19;

/** Weight of what is neither a plain object nor an array. */
export const BUILT_IN_WEIGHT = 2;

/** Weight of an error: engines note where each was made before anybody can tell them not to. */
export const ERROR_WEIGHT = 8;

/** What has been made so far. */
export interface Budget {
  spent: number;
}

/** Adds to a budget; `false` if it is overdrawn. */
export function spend(budget: Budget, weight: number): boolean {
  budget.spent += weight;
  return budget.spent <= MAX_WEIGHT;
}

/** Places that an engine may reserve for one element behind the last, and no more than it is willing to: 1,024 in V8. */
const LONGEST_GAP = 1_024;
/** Places of an element in the memory that a unit of weight stands for, with the half that engines add. */
const PLACES_PER_WEIGHT = 32;

/** The index that a property key is, or -1: `"404"` is stored as an element, in a list with 403 holes before it. */
export function indexOf(key: string): number {
  const first = key.charCodeAt(0);
  if (!(first >= 0x30 && first <= 0x39) || key.length > 10) return -1;
  const index = Number(key);
  return Number.isInteger(index) && String(index) === key && index < 2 ** 32 - 1 ? index : -1;
}

/** What a property weighs by its key, where a format's own decoder assigns it: the holes before an index. */
export function weightOfKey(key: string): number {
  const index = indexOf(key);
  return index < LONGEST_GAP ? Math.max(0, index) / PLACES_PER_WEIGHT : 0;
}

/** Wide bigints with the same low half that one Map or Set may hold. */
const MOST_ALIKE = 100;

/**
 * Judges the keys of one Map, or the members of one Set, one after another: `false` for the first that is too many. Engines
 * hash a bigint by its lowest 64 bits, so that those which differ above alone are searched one by one: 20,000 of them took
 * seconds, a million would take days.
 */
export function crowd(): (key: unknown) => boolean {
  let alike: Map<bigint, number> | undefined;
  return (key) => {
    if (typeof key !== "bigint") return true;
    const size = key < 0n ? -key : key;
    const low = BigInt.asUintN(64, size);
    if (low === size) return true;
    alike ??= new Map();
    const count = (alike.get(low) ?? 0) + 1;
    alike.set(low, count);
    return count <= MOST_ALIKE;
  };
}
