/**
 * Least recently used: the entry that was neither read nor written for the longest time goes first, the bottom of the stack of
 * Mattson, Gecsei, Slutz and Traiger ("Evaluation Techniques for Storage Hierarchies", 1970). The order is one linked list in
 * flat arrays, and a hit moves its entry to the front. (A log of accesses that is packed from time to time gives the same order
 * with fewer stores for each hit; it was no faster. Deleting a key from a `Map` and setting it again gives it with less code,
 * but V8 leaves the deleted places in the map's chains, and one hot key then makes each of its hits a long walk.)
 *
 * @module
 */
import { FIRST_SLOT } from "./cells.ts";
import { Links } from "./links.ts";
import type { Eviction, EvictionPolicy } from "./policy.ts";

const ORDER = 0;

/**
 * The state of one LRU store. A class, so that every hit is a call on one shape.
 *
 * Invariant: the list holds exactly the slots that are held, the last one read or written in front.
 */
export class Lru implements Eviction {
  readonly links: Links = new Links();

  resize(capacity: number): void {
    this.links.resize(capacity);
  }

  add(slot: number): void {
    this.links.push(ORDER, slot);
  }

  touch(slot: number): void {
    this.links.toFront(ORDER, slot);
  }

  remove(slot: number): void {
    this.links.unlink(slot);
  }

  victim(): number {
    return this.links.back(ORDER);
  }

  move(from: number, to: number): void {
    this.links.move(from, to);
  }

  clear(): void {
    this.links.clear();
  }

  /** Slots from newest to oldest, for checks. */
  order(): number[] {
    const slots: number[] = [];
    for (let slot = this.links.next[ORDER] ?? ORDER; slot >= FIRST_SLOT; slot = this.links.next[slot] ?? ORDER) slots.push(slot);
    return slots;
  }
}

/** The policy `"lru"`. */
export const lru: EvictionPolicy = { name: "lru", create: () => new Lru() };
