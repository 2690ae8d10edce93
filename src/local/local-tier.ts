/**
 * The port of the isolate-local tier. It is no remote storage: it is synchronous and holds values, not bytes. Many nodes
 * share one bounded tier; each has a *space* in it, an index of its own from key to slot, so that two nodes never meet and
 * no key has to be joined with a prefix to be looked up.
 *
 * @module
 */
import type { Turn } from "../runtime.ts";

/** One owner's view of a local tier. Times are deadlines on the monotonic clock that the caller passes, in ms. */
export interface LocalSpace<Value> {
  /** The value, counted as an access, or `undefined` if absent or expired at `now`. */
  get(key: string, now: number): Value | undefined;
  /** As `get`, at the time of a turn. */
  ask(key: string, turn: Turn): Value | undefined;
  /** The value without counting an access. */
  peek(key: string, now: number): Value | undefined;
  /**
   * Stores a value until `deadline`, rounded down to a whole ms (`Infinity`: no end).
   *
   * @returns `false` if it was not stored: already past its deadline, or heavier than the whole tier. The old value is
   * gone in that case too. A policy may also evict the newcomer later; `true` promises only that it is held now.
   * @throws what `weigh` throws; the old value is gone then as well.
   */
  set(key: string, value: Value, deadline: number, now: number): boolean;
  /** Removes a key; `true` if it was there. */
  delete(key: string): boolean;
}

/** A bounded in-memory tier that several owners share. */
export interface LocalTier {
  /** Marks the storage as local; the chain tells tiers apart by it. */
  readonly kind: "local";
  /** A new, empty space. `weigh`, where the tier has one, is given what `unwrap` makes of a stored value. */
  space<Value>(unwrap?: (value: Value) => unknown): LocalSpace<Value>;
  /** Entries held, over all spaces; expired ones count until they are met or evicted. */
  readonly size: number;
  /** Sum of the weights held, over all spaces; 0 without `weigh`. */
  readonly bytes: number;
  /** Drops every entry of every space. */
  clear(): void;
}
