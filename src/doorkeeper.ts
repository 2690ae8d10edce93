/**
 * A doorkeeper lets a key into the cache only on its second arrival, so that keys asked for once do not push out the ones
 * asked for often.
 *
 * @module
 */

/** Decides whether a value may be stored. */
export interface Doorkeeper {
  /** Which tiers it guards: the local ones (default), or all. A chain of one kind is guarded whole. */
  readonly guards: "local" | "all";
  /** Records an arrival of a node's key; `true` if that key had arrived before and may be stored. */
  admit(node: string, key: string): boolean;
}
