/**
 * Definitions and options as users write them: objects whose names are checked, because a misspelt option would be left out
 * without a word. It says nothing of values, but that there is an object at all, and shows none.
 *
 * @module
 */
import { describe } from "./duration.ts";

/** The fields of a definition, none of them trusted. */
export type Fields = Readonly<Record<string, unknown>>;

/** The names of all options that there are, in any member of a union. */
type OptionName<Options> = Options extends unknown ? Extract<keyof Options, string> : never;

/** Whether a value has fields to look at. */
export function isFields(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The fields of a definition whose names are all known. @throws TypeError naming the first that is not. */
export function readFields(definition: unknown, known: readonly string[], what: string): Fields {
  if (!isFields(definition)) throw new TypeError(`${what} must be an object, got ${describe(definition)}`);
  checkNames(definition, known, what);
  return definition;
}

/**
 * The options of a factory, as they are. An instance of a class may hold more than options, so its names are not looked at.
 *
 * @throws TypeError unless they are an object, without its value, which may be a secret; or naming the first that is not known.
 */
export function optionsOf<Options extends object>(options: Options, known: readonly OptionName<Options>[], factory: string): Options {
  const given: unknown = options;
  if (!isFields(given))
    throw new TypeError(`${factory} takes an object of options, got ${given === null ? "null" : Array.isArray(given) ? "an array" : typeof given}`);
  // A plain object of any realm: at most one prototype stands behind it.
  const prototype: unknown = Object.getPrototypeOf(given);
  if (!isFields(prototype) || Object.getPrototypeOf(prototype) === null) checkNames(given, known, factory);
  return options;
}

function checkNames(fields: Fields, known: readonly string[], what: string): void {
  for (const field of Object.keys(fields)) {
    if (known.includes(field)) continue;
    const near = nearest(field, known);
    throw new TypeError(`${what}: unknown option ${describe(field)}${near === undefined ? "" : `, did you mean ${describe(near)}?`}`);
  }
}

/** The known word that a misspelt one most likely meant, if any is near. */
function nearest(word: string, known: readonly string[]): string | undefined {
  // Part of a name is far from it by letters: `token` from `authToken`.
  let best = known.find((candidate) => word.length > 3 && candidate.toLowerCase().includes(word.toLowerCase()));
  if (best !== undefined) return best;
  let bestDistance = Math.max(2, Math.floor(word.length / 3)) + 1;
  for (const candidate of known) {
    const distance = editDistance(word.toLowerCase(), candidate.toLowerCase());
    if (distance < bestDistance) [best, bestDistance] = [candidate, distance];
  }
  return best;
}

/** Levenshtein's distance, one row at a time. */
function editDistance(from: string, to: string): number {
  let row = Array.from({ length: to.length + 1 }, (_, index) => index);
  for (let i = 1; i <= from.length; i++) {
    const next = [i];
    for (let j = 1; j <= to.length; j++) {
      const replace = (row[j - 1] ?? 0) + (from[i - 1] === to[j - 1] ? 0 : 1);
      next.push(Math.min(replace, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[to.length] ?? 0;
}
