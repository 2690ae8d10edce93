/**
 * Least recently used: the entry that was neither read nor written for the longest time goes first. The order is one linked
 * list in flat arrays. (Deleting a key from a `Map` and setting it again keeps the same order with less code, but V8 leaves
 * the deleted places in the map's chains, and one hot key then makes each of its hits a long walk.)
 *
 * @module
 */
import { FIRST_SLOT, Links } from "./links.ts";
import type { Eviction, EvictionPolicy } from "./policy.ts";

const ORDER = 0;

/** The state of one LRU store. A class, so that every hit is a call on one shape. */
export class Lru implements Eviction {
  readonly links: Links = new Links();

  grow(capacity: number): void {
    this.links.grow(capacity);
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
