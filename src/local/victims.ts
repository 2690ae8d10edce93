/**
 * The entries with the lowest ranks seen lately, so that looking at ten entries for each eviction has the effect of looking at
 * many more: what was not needed this time stays for the next. It relies on its owner for ranks and for the stamps by which it
 * recognises that an entry was asked for or left meanwhile.
 *
 * @module
 */
import { at } from "./cells.ts";

const KEPT = 8;

/**
 * Up to eight candidates.
 *
 * Invariant: they lie in rising order of rank, each with the stamp it had when its rank was looked up; no slot is there twice
 * with the same stamp.
 */
export class Victims {
  private readonly slots = new Int32Array(KEPT);
  private readonly ranks = new Int32Array(KEPT);
  private readonly stamps = new Int32Array(KEPT);
  private size = 0;

  /** Takes a candidate in, if its rank is among the lowest. Of equal ranks the older comes first, or the younger. */
  offer(slot: number, rank: number, stamp: number, olderFirst: boolean): void {
    const { slots, ranks, stamps } = this;
    let place = this.size;
    if (place === KEPT) {
      place--;
      if (rank >= at(ranks, place)) return;
    }
    for (let other = 0; other < this.size; other++) if (slots[other] === slot && stamps[other] === stamp) return;
    while (place > 0 && precedes(rank, stamp, at(ranks, place - 1), at(stamps, place - 1), olderFirst)) {
      slots[place] = at(slots, place - 1);
      ranks[place] = at(ranks, place - 1);
      stamps[place] = at(stamps, place - 1);
      place--;
    }
    slots[place] = slot;
    ranks[place] = rank;
    stamps[place] = stamp;
    if (this.size < KEPT) this.size++;
  }

  /** Takes the lowest out whose stamp in `current` is the one it came with, and those before it; 0 if there is none. */
  take(current: Int32Array): number {
    const { slots, ranks, stamps } = this;
    for (let place = 0; place < this.size; place++) {
      const slot = at(slots, place);
      if (at(current, slot) !== at(stamps, place)) continue;
      const gone = place + 1;
      this.size -= gone;
      for (let rest = 0; rest < this.size; rest++) {
        slots[rest] = at(slots, rest + gone);
        ranks[rest] = at(ranks, rest + gone);
        stamps[rest] = at(stamps, rest + gone);
      }
      return slot;
    }
    this.size = 0;
    return 0;
  }

  clear(): void {
    this.size = 0;
  }
}

function precedes(rank: number, stamp: number, otherRank: number, otherStamp: number, olderFirst: boolean): boolean {
  if (rank !== otherRank) return rank < otherRank;
  return olderFirst ? stamp < otherStamp : stamp > otherStamp;
}
