/**
 * What a change is that breaks a promise on purpose; the changes are in `mutants.ts`.
 *
 * @module
 */

/** One replacement of text that occurs exactly once in its file. */
export interface Edit {
  readonly file: string;
  readonly find: string;
  readonly replace: string;
}

/** One change, and who must notice it. */
export interface Mutant {
  readonly name: string;
  readonly edits: readonly Edit[];
  readonly test: string;
}

/** A change in one place. */
export function mutant(name: string, test: string, file: string, find: string, replace: string): Mutant {
  return { name, test, edits: [{ file, find, replace }] };
}
