/**
 * `clone: "freeze"` handed all elements of an array to one call as arguments, of which an engine takes some 100,000: a larger
 * array ended in an error instead of the value.
 *
 * @module
 */
import { expect, test } from "vitest";
import { counted, rig } from "../support/rig.ts";

test("a value of 300,000 elements is frozen like any other", async () => {
  const { cache } = rig();
  const Item = counted<unknown>({ load: () => Array.from({ length: 300_000 }, (_, id) => ({ id })), clone: "freeze" });
  const value = await cache.get(Item("a"));
  expect(Object.isFrozen(value)).toBe(true);
  expect(Object.isFrozen(Object(value)[299_999])).toBe(true);
});
