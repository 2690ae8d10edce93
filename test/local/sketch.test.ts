/**
 * The frequency sketch: what it may overestimate, what it never underestimates, and what ageing and growing do to it.
 *
 * @module
 */
import { describe, expect, test } from "vitest";
import { Sketch } from "../../src/local/sketch.ts";
import { hashString } from "../../src/local/string-hash.ts";

const hashOf = (number: number): number => hashString(`key:${number}`, 7);

describe("Sketch", () => {
  test("tells the largest count noted for a key, exactly while the key is alone", () => {
    const sketch = new Sketch(64);
    expect(sketch.frequency(hashOf(1))).toBe(0);
    for (const [noted, told] of [
      [1, 1],
      [9, 9],
      [0, 9],
      [4, 9],
      [15, 15],
      [1, 15],
    ] as const) {
      sketch.note(hashOf(1), noted);
      expect(sketch.frequency(hashOf(1))).toBe(told);
    }
  });

  test("never tells less than the truth, and for most keys exactly the truth, when it is as full as it was made for", () => {
    const keys = 4096;
    const sketch = new Sketch(keys);
    const truth = (number: number): number => 1 + (number % 5);
    for (let number = 0; number < keys; number++) sketch.note(hashOf(number), truth(number));
    let exact = 0;
    for (let number = 0; number < keys; number++) {
      const told = sketch.frequency(hashOf(number));
      expect(told).toBeGreaterThanOrEqual(truth(number));
      if (told === truth(number)) exact++;
    }
    expect(exact / keys).toBeGreaterThan(0.98);
  });

  test("strangers are seldom taken for known keys", () => {
    const sketch = new Sketch(4096);
    for (let number = 0; number < 4096; number++) sketch.note(hashOf(number), 1);
    let taken = 0;
    for (let number = 10_000; number < 20_000; number++) if (sketch.frequency(hashOf(number)) > 0) taken++;
    expect(taken / 10_000).toBeLessThan(0.02);
  });

  test("halving rounds every count down by half, without one counter spilling into its neighbour", () => {
    const sketch = new Sketch(64);
    for (let number = 0; number < 16; number++) sketch.note(hashOf(number), 15);
    const before = Array.from(sketch.table);
    sketch.halve();
    const nibbles = (word: number): number[] => Array.from({ length: 8 }, (_, place) => (word >>> (place * 4)) & 15);
    expect(before.some((word) => word < 0)).toBe(true);
    expect(Array.from(sketch.table).flatMap(nibbles)).toEqual(before.flatMap(nibbles).map((count) => count >> 1));
  });

  test("growing changes no estimate, and afterwards keys are told apart better", () => {
    const sketch = new Sketch(64);
    for (let number = 0; number < 500; number++) sketch.note(hashOf(number), 1 + (number % 3));
    const strangers = Array.from({ length: 1000 }, (_, number) => hashOf(number + 5000));
    const before = strangers.map((hash) => sketch.frequency(hash));
    sketch.grow(4096);
    expect(strangers.map((hash) => sketch.frequency(hash))).toEqual(before);
    for (let round = 0; round < 4; round++) sketch.halve();
    for (let number = 0; number < 500; number++) sketch.note(hashOf(number), 1);
    const wrong = strangers.filter((hash) => sketch.frequency(hash) > 0).length;
    expect(wrong).toBeLessThan(20);
  });

  test("it never shrinks", () => {
    const sketch = new Sketch(1000);
    const words = sketch.table.length;
    sketch.grow(10);
    expect(sketch.table.length).toBe(words);
  });
});
