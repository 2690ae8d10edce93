/** Stamps: eight bytes that the platform drew, each byte used once, and drawn in pools. */

import { afterEach, describe, expect, test, vi } from "vitest";
import { stampOf, writeStamp } from "../src/stamp.ts";

const POOL_STAMPS = 512;

function stamp(): Uint8Array {
  const slot = new Uint8Array(12).fill(0xee);
  writeStamp(slot);
  expect(slot.subarray(8)).toEqual(new Uint8Array(4).fill(0xee));
  return stampOf(slot);
}

/** Draws 0, 1, 2... for every byte, so that a stamp tells which bytes it is made of; answers how often it was drawn. */
function countingBytes(): () => number {
  const draw = vi.spyOn(crypto, "getRandomValues").mockImplementation((array) => {
    if (array instanceof Uint8Array) for (let at = 0; at < array.length; at++) array[at] = at;
    return array;
  });
  return () => draw.mock.calls.length;
}

afterEach(() => vi.restoreAllMocks());

describe("stamps", () => {
  test("are the drawn bytes, eight after eight, and none of them twice", () => {
    const draws = countingBytes();
    // What is left of a pool that other tests began.
    while (draws() === 0) stamp();
    for (let number = 1; number < POOL_STAMPS; number++) {
      expect(stamp()).toEqual(Uint8Array.from({ length: 8 }, (_, at) => number * 8 + at));
    }
    expect(draws()).toBe(1);
  });

  test("are drawn once for 512 of them, to the last byte", () => {
    const draws = countingBytes();
    while (draws() === 0) stamp();
    for (let number = 0; number < POOL_STAMPS * 100; number++) stamp();
    expect(draws()).toBe(101);
  });
});
