/**
 * Doubly linked lists of slots in two flat arrays. Several circular lists share the arrays, since a slot is in one list at a
 * time; the first slot numbers are never given to entries and serve as the lists' ends, so that linking needs no case for
 * an empty list. A list in arrays costs 8 bytes an entry and gives the garbage collector nothing to trace.
 *
 * @module
 */

import { at, FIRST_SLOT, resized } from "./cells.ts";

/**
 * Lists numbered 0 to 3, each with a front (newest) and a back (oldest).
 *
 * Invariant: for every slot in a list, `next[prev[slot]] === slot` and `prev[next[slot]] === slot`.
 */
export class Links {
  /** Towards the front; of an end: the back. */
  prev: Int32Array<ArrayBuffer> = new Int32Array(FIRST_SLOT);
  /** Towards the back; of an end: the front. */
  next: Int32Array<ArrayBuffer> = new Int32Array(FIRST_SLOT);

  constructor() {
    this.clear();
  }

  resize(capacity: number): void {
    this.prev = resized(this.prev, new Int32Array(capacity));
    this.next = resized(this.next, new Int32Array(capacity));
  }

  /** Puts a slot that is in no list in the place of one that is. */
  move(from: number, to: number): void {
    const before = at(this.prev, from);
    const after = at(this.next, from);
    this.prev[to] = before;
    this.next[to] = after;
    this.next[before] = to;
    this.prev[after] = to;
  }

  /** The oldest slot of a list; the list's own number if it is empty. */
  back(list: number): number {
    return at(this.prev, list);
  }

  /** Puts a slot that is in no list in front. */
  push(list: number, slot: number): void {
    const first = at(this.next, list);
    this.prev[slot] = list;
    this.next[slot] = first;
    this.prev[first] = slot;
    this.next[list] = slot;
  }

  /** Takes a slot out of the list it is in. */
  unlink(slot: number): void {
    const before = at(this.prev, slot);
    const after = at(this.next, slot);
    this.next[before] = after;
    this.prev[after] = before;
  }

  /** Moves a slot to the front of a list, out of the list it is in. */
  toFront(list: number, slot: number): void {
    if (at(this.next, list) === slot) return;
    this.unlink(slot);
    this.push(list, slot);
  }

  /** Empties every list and gives the memory back. */
  clear(): void {
    this.prev = new Int32Array(FIRST_SLOT);
    this.next = new Int32Array(FIRST_SLOT);
    for (let list = 0; list < FIRST_SLOT; list++) {
      this.prev[list] = list;
      this.next[list] = list;
    }
  }
}
