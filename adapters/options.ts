/**
 * The one check that all factories share: that they were given options at all. Without it a call without arguments ends in the
 * engine's own words, which differ and name neither the factory nor what it wants.
 *
 * @module
 */

/** @throws TypeError unless there are options at all. */
export function optionsOf<T extends object>(options: T, name: string): T {
  if (typeof options !== "object" || options === null)
    throw new TypeError(`${name} takes an object of options, got ${options === null ? "null" : typeof options}`);
  return options;
}
