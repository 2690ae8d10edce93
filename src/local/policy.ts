/**
 * The seam between the store and the eviction policies. The store (`slots.ts`) knows keys, values, deadlines and weights and
 * decides *when* something has to go; a policy knows the order of the entries and decides *which*. They talk about entries
 * by slot number only, so a policy keeps what it needs in flat arrays indexed by slot. The store also counts accesses, in small
 * integers, which serve as the policies' time.
 *
 * @module
 */

/** The largest number of an access. Modulo one more than this, differences of two numbers are right over a restart as well. */
export const LAST_TICK: number = 2 ** 30 - 1;

/** What a policy may ask the store. */
export interface Room {
  /** Most entries the store will ever hold. */
  readonly maxEntries: number;
  /** The number of the last access: they are counted from 1 to `LAST_TICK`, and then from 0 or from where `restart` says. */
  readonly tick: number;
  /** Whether the entry in a slot is past its deadline: such an entry is worth nothing, however often it was read. */
  isExpired(slot: number, now: number): boolean;
}

/**
 * The order of the entries of one store. Calls come in a strict order: `add` before anything else for a slot, `remove` last;
 * no call ever names a slot that is not held. No method may throw, and none may take time that grows with the entries held,
 * save amortised over as many calls.
 *
 * Invariant: it knows exactly the slots that the store holds.
 */
export interface Eviction {
  /** Makes its arrays fit slot numbers below `capacity`, of which none from there on is held; called before the first such slot is used. */
  resize(capacity: number): void;
  /** An entry came in, with the access of that number. `seed` tells equal keys of different spaces apart, for policies that hash keys. */
  add(slot: number, key: string, seed: number, tick: number): void;
  /** An entry was read or overwritten, with the access of that number. This is on the path of every hit. */
  touch(slot: number, tick: number): void;
  /** An entry is leaving: evicted, expired or deleted. */
  remove(slot: number): void;
  /** Which entry to give up; the store is not empty. The store then calls `remove` for it. */
  victim(now: number): number;
  /**
   * An entry is in slot `to` from now on, which was free; `from` is free. A store that has become almost empty moves its
   * entries together in this way, in rising order, and then calls `resize` with less. It does not if the method is missing.
   */
  move?(from: number, to: number): void;
  /** The access of the last number was counted. Returns after which number to go on; without the method it is -1. */
  restart?(): number;
  /** Forgets everything and gives its memory back. */
  clear(): void;
}

/** An eviction policy as `local({ policy })` takes it: a name and a way to make its state for one store. */
export interface EvictionPolicy {
  /** For messages: `"lru"`. */
  readonly name: string;
  /** A fresh state. It is made once for each tier, so one policy object can serve several. */
  create(room: Room): Eviction;
}
