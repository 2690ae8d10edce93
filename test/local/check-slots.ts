/**
 * Checks of a store and its policy from the inside: the invariants that `slots.ts`, `links.ts` and the policies state, counted
 * afresh from the arrays. For tests; it reads internals that no user sees.
 *
 * @module
 */
import { expect } from "vitest";
import { FIRST_SLOT, type Links } from "../../src/local/links.ts";
import { Lru } from "../../src/local/lru.ts";
import type { Slots } from "../../src/local/slots.ts";
import { TinyLfu } from "../../src/local/tinylfu.ts";

const WINDOW = 0;
const PROBATION = 1;
const PROTECTED = 2;

/** What is looked at in a space. */
type Index = { readonly index: ReadonlyMap<string, number> };

/** Fails the test if a store with these spaces (all of them) is not consistent. */
export function checkSlots(slots: Slots, spaces: readonly Index[]): void {
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
}

/** Every key of every space leads to a slot that knows its way back, and no slot is reached twice. */
function checkHeld(slots: Slots, spaces: readonly Index[]): Set<number> {
  const held = new Set<number>();
  for (const space of spaces) {
    for (const [key, slot] of space.index) {
      expect(slot).toBeGreaterThanOrEqual(FIRST_SLOT);
      expect(slot).toBeLessThan(slots.top);
      expect(slots.keys[slot]).toBe(key);
      expect(slots.homes[slot]).toBe(space.index);
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
    expect(slots.homes[slot]).toBeUndefined();
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

function checkLru(policy: Lru, held: ReadonlySet<number>): void {
  checkLinks(policy.links);
  const order = policy.order();
  expect(new Set(order)).toEqual(held);
  expect(order.length).toBe(held.size);
}

function checkTinyLfu(policy: TinyLfu, held: ReadonlySet<number>): void {
  checkLinks(policy.links);
  const linked = new Set<number>();
  for (const list of [WINDOW, PROBATION, PROTECTED] as const) {
    const order = policy.order(list);
    expect(policy.sizes[list]).toBe(order.length);
    for (const slot of order) {
      expect(policy.region[slot]).toBe(list);
      linked.add(slot);
    }
  }
  expect(linked).toEqual(held);
  expect(policy.sizes[WINDOW] + policy.sizes[PROBATION] + policy.sizes[PROTECTED]).toBe(held.size);
  expect(policy.sizes[WINDOW]).toBeLessThanOrEqual(policy.windowMax);
}
