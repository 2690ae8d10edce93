/**
 * Checks of a store and its policy from the inside: the invariants that `slots.ts`, `links.ts` and the policies state, counted
 * afresh from the arrays. For tests; it reads internals that no user sees.
 *
 * @module
 */
import { expect } from "vitest";
import { Adaptive } from "../../src/local/adaptive-eviction.ts";
import { FIRST_SLOT } from "../../src/local/cells.ts";
import type { Links } from "../../src/local/links.ts";
import { Lru } from "../../src/local/lru.ts";
import type { Miniature } from "../../src/local/miniature.ts";
import { MAX_USES } from "../../src/local/ranks.ts";
import type { Owner, Slots } from "../../src/local/slots.ts";
import { Space } from "../../src/local/space.ts";
import { TinyLfu } from "../../src/local/tinylfu.ts";

const WINDOW = 0;
const PROBATION = 1;
const PROTECTED = 2;

/** Fails the test if a store with these spaces (all of them) is not consistent. */
export function checkSlots(slots: Slots, spaces: readonly Owner[]): void {
  const held = checkHeld(slots, spaces);
  expect(slots.size).toBe(held.size);
  expect(slots.size).toBeLessThanOrEqual(slots.maxEntries);
  expect(slots.bytes).toBeLessThanOrEqual(slots.maxBytes);
  let bytes = 0;
  for (const slot of held) bytes += slots.weightOf(slot);
  expect(slots.bytes).toBe(bytes);
  checkFree(slots, held);
  if (slots.policy instanceof Lru) checkLru(slots.policy, held);
  else if (slots.policy instanceof TinyLfu) checkTinyLfu(slots.policy, held);
  else if (slots.policy instanceof Adaptive) checkAdaptive(slots.policy, held);
}

/** Every key of every space leads to a slot that knows its way back, and no slot is reached twice. */
function checkHeld(slots: Slots, spaces: readonly Owner[]): Set<number> {
  const held = new Set<number>();
  for (const space of spaces) {
    expect(space.number >= 0).toBe(space.index.size > 0);
    if (space instanceof Space && space.missed !== undefined) expect(space.index.has(space.missed)).toBe(false);
    if (space.number >= 0) expect(slots.owners[space.number]).toBe(space);
    for (const [key, slot] of space.index) {
      expect(slot).toBeGreaterThanOrEqual(FIRST_SLOT);
      expect(slot).toBeLessThan(slots.top);
      expect(slots.keys[slot]).toBe(key);
      expect(slots.homes[slot]).toBe(space.number);
      expect(held.has(slot)).toBe(false);
      held.add(slot);
    }
  }
  return held;
}

/** Free slots and held ones are disjoint, together they are all slots ever used, and a free one keeps nothing alive. */
function checkFree(slots: Slots, held: ReadonlySet<number>): void {
  const free = new Set(slots.free);
  expect(free.size).toBe(slots.free.length);
  expect(free.size + held.size).toBe(slots.top - FIRST_SLOT);
  for (const slot of free) {
    expect(held.has(slot)).toBe(false);
    expect(slots.values[slot]).toBeUndefined();
    expect(slots.keys[slot]).toBe("");
  }
}

function checkLinks(links: Links): void {
  for (let list = 0; list < FIRST_SLOT; list++) {
    let steps = 0;
    let slot = list;
    do {
      const after = links.next[slot] ?? -1;
      expect(links.prev[after]).toBe(slot);
      slot = after;
      if (++steps > links.next.length) throw new Error(`list ${list} does not come back to its end`);
    } while (slot !== list);
  }
}

/** Stamps tell held slots from others and from each other; what is laid out is what has to be, and nothing held is behind it. */
function checkLru(policy: Lru, held: ReadonlySet<number>): void {
  const { stamps, due, since, place, end } = policy;
  const seen = new Set<number>();
  expect(end).toBeLessThanOrEqual(due.length);
  for (const [slot, stamp] of stamps.entries()) {
    expect(stamp > 0).toBe(held.has(slot));
    if (stamp === 0) continue;
    expect(seen.has(stamp)).toBe(false);
    seen.add(stamp);
    expect(stamp).toBeGreaterThanOrEqual(since + place);
    if (stamp < since + end) expect(due[stamp - since]).toBe(slot);
  }
}

function checkTinyLfu(policy: TinyLfu, held: ReadonlySet<number>): void {
  checkLinks(policy.links);
  const linked = new Set<number>();
  for (const list of [WINDOW, PROBATION, PROTECTED] as const) {
    const order = policy.order(list);
    expect(policy.sizes[list]).toBe(order.length);
    for (const slot of order) {
      expect(policy.listOf(slot)).toBe(list);
      linked.add(slot);
    }
  }
  expect(linked).toEqual(held);
  expect(policy.sizes[WINDOW] + policy.sizes[PROBATION] + policy.sizes[PROTECTED]).toBe(held.size);
  expect(policy.sizes[WINDOW]).toBeLessThanOrEqual(policy.windowMax);
}

/** Stamps tell held slots from others and from each other; whether a slot is watched follows from its hash; the miniature agrees with itself. */
function checkAdaptive(policy: Adaptive, held: ReadonlySet<number>): void {
  expect(policy.held).toBe(held.size);
  const stamps = new Set<number>();
  for (const [slot, stamp] of policy.stamps.entries()) {
    expect(stamp >= 0).toBe(held.has(slot));
    if (stamp < 0) continue;
    expect(slot).toBeLessThan(policy.top);
    expect(stamps.has(stamp)).toBe(false);
    stamps.add(stamp);
  }
  const { mind } = policy;
  if (mind === undefined) return;
  expect(mind.orders.length).toBeGreaterThan(policy.current);
  for (const { numbers } of mind.orders) for (const rank of numbers) if (!(rank >= 0)) throw new Error(`a rank of ${rank}`);
  // With a rate of 1 every key is watched.
  if (mind.rate === 1) for (const slot of held) expect(policy.uses[slot]).toBeGreaterThan(MAX_USES);
  checkMiniature(mind.miniature);
}

function checkMiniature(miniature: Miniature): void {
  const orders = miniature.scores.length;
  const shadowed = new Uint8Array(miniature.shadowed.length);
  for (const [index, place] of miniature.places.entries()) {
    if (place < 0) continue;
    const record = Math.floor(index / orders);
    expect(miniature.shadows[place]).toBe(record);
    shadowed[record] = (shadowed[record] ?? 0) + 1;
  }
  expect(Buffer.compare(shadowed, miniature.shadowed)).toBe(0);
}
