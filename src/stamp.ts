/**
 * Stamps: the random first bytes of every slot in a shared tier. A back-fill is stored only while the slot still shows the
 * stamp that its own flight read, so an `invalidate` that came between (a tombstone is a new stamp) is never undone.
 * Uniqueness is what matters, not secrecy.
 *
 * @module
 */

import { STAMP_BYTES } from "./storage.ts";

const POOL_BYTES = 4_096;
let pool = new Uint8Array(0);
let used = 0;

/** Writes a new stamp to the start of a slot. Random bytes are drawn in pools, as one draw costs as much for 8 as for 4,096. */
export function writeStamp(slot: Uint8Array): void {
  if (used + STAMP_BYTES > pool.length) {
    pool = crypto.getRandomValues(new Uint8Array(POOL_BYTES));
    used = 0;
  }
  for (let i = 0; i < STAMP_BYTES; i++) slot[i] = pool[used + i] ?? 0;
  used += STAMP_BYTES;
}

/** The stamp that a slot shows: its first bytes, *up to* eight, so that foreign garbage can be replaced as well. A copy. */
export function stampOf(slot: Uint8Array): Uint8Array {
  return slot.slice(0, STAMP_BYTES);
}
