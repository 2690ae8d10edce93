/**
 * What the runner asks of whoever is measured. Types alone.
 *
 * @module
 */

/** What a load gives: an object of one field, as small as a cached value gets. */
export interface Row {
  readonly uid: number;
}

/** The pretended source; counts itself. */
export type Load = (uid: number) => Promise<Row>;

/** A cache under test. */
export interface Contestant {
  get(uid: number): Promise<Row>;
  getMany(uids: readonly number[]): Promise<readonly Row[]>;
  /** Resolves when every write has landed. */
  settle(): Promise<void>;
  /** Anything the cache reported beside its answers, how often, for the result's last column. */
  readonly reports: ReadonlyMap<string, number>;
}
