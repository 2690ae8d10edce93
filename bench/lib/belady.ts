/**
 * The best that any policy can do with knowledge of the future (L. Bélády, "A study of replacement algorithms for a
 * virtual-storage computer", 1966): on a miss the entry goes whose next request is farthest away. A newcomer whose own next
 * request is farther than all others is not kept, since a cache need not keep what it fetched.
 *
 * @module
 */

/** How many requests of the stream a cache of `capacity` entries can answer at best. */
export function mostHits(keys: Uint32Array, keyCount: number, capacity: number): number {
  const next = nextUses(keys, keyCount);
  // Requests held, as a heap by the time of the next one, farthest on top; a held entry that was asked again leaves its old
  // time behind, which is recognised by `due`.
  const heap = new Heap();
  const due = new Int32Array(keyCount).fill(-1);
  let held = 0;
  let hits = 0;
  for (const [at, key] of keys.entries()) {
    const again = next[at] ?? keys.length;
    if (due[key] === at) hits++;
    else held++;
    // What never comes again is worth nothing: it need not be held at all.
    if (again >= keys.length) {
      due[key] = -1;
      held--;
      continue;
    }
    due[key] = again;
    heap.push(again);
    while (held > capacity) {
      const farthest = heap.pop();
      const owner = keys[farthest] ?? 0;
      if (due[owner] !== farthest) continue;
      due[owner] = -1;
      held--;
    }
  }
  return hits;
}

function nextUses(keys: Uint32Array, keyCount: number): Int32Array {
  const next = new Int32Array(keys.length);
  const seen = new Int32Array(keyCount).fill(keys.length);
  for (let at = keys.length - 1; at >= 0; at--) {
    const key = keys[at] ?? 0;
    next[at] = seen[key] ?? keys.length;
    seen[key] = at;
  }
  return next;
}

/** A binary heap of whole numbers, the largest on top. */
class Heap {
  private readonly cells: number[] = [];

  push(value: number): void {
    const { cells } = this;
    let at = cells.length;
    cells.push(value);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      const above = cells[parent] ?? 0;
      if (above >= value) break;
      cells[at] = above;
      at = parent;
    }
    cells[at] = value;
  }

  /** The largest; the heap is not empty. */
  pop(): number {
    const { cells } = this;
    const top = cells[0] ?? 0;
    const last = cells.pop() ?? 0;
    const { length } = cells;
    let at = 0;
    for (let child = 1; child < length; child = 2 * at + 1) {
      if (child + 1 < length && (cells[child + 1] ?? 0) > (cells[child] ?? 0)) child++;
      const below = cells[child] ?? 0;
      if (below <= last) break;
      cells[at] = below;
      at = child;
    }
    if (length > 0) cells[at] = last;
    return top;
  }
}
