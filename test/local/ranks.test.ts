/**
 * Rank tables, what is learned for one of them, the notes about keys that left, and the climbing share.
 *
 * @module
 */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Climber } from "../../src/local/climber.ts";
import { Ghost } from "../../src/local/ghost.ts";
import { Learner } from "../../src/local/learner.ts";
import { BUCKETS, bucketOf, CELLS, CLASSES, fixedTables, MAX_USES, middleOf, ROWS, widthOf } from "../../src/local/ranks.ts";
import { hashString } from "../../src/local/string-hash.ts";

describe("buckets of ages", () => {
  test("are 120, rise with the age, and lie around their middle", () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 2 ** 30 - 1 }), (age) => {
        const bucket = bucketOf(age);
        expect(bucket).toBeGreaterThanOrEqual(0);
        expect(bucket).toBeLessThan(BUCKETS);
        expect(bucketOf(age + 1) - bucket).toBeOneOf([0, 1]);
        expect(Math.abs(age - middleOf(bucket))).toBeLessThanOrEqual(widthOf(bucket) / 2);
      }),
    );
  });

  test("begin with every age of its own, and counts have 14 classes", () => {
    expect([0, 1, 2, 3, 4, 5].map(bucketOf)).toEqual([0, 1, 2, 3, 4, 4]);
    expect([...new Set(ROWS)]).toEqual(Array.from({ length: CLASSES }, (_, row) => row * BUCKETS));
    expect(ROWS.length).toBe(MAX_USES + 1);
  });
});

describe("the fixed orders", () => {
  const [narrow, wide, drift, recency] = fixedTables(1000);
  const rank = (table: typeof narrow, count: number, age: number): number => table?.ranks[(ROWS[count] ?? 0) + bucketOf(age)] ?? Number.NaN;

  test("have no negative rank", () => {
    for (const table of fixedTables(1000)) for (const number of table.numbers) if (!(number >= 0)) throw new Error(`a rank of ${number}`);
  });

  test("three go by count, save that the newest are shielded, each as long as it says", () => {
    for (const table of [narrow, wide, drift]) {
      expect(rank(table, 0, 5000)).toBeLessThan(rank(table, 1, 5000));
      expect(rank(table, 1, 500_000)).toBeLessThan(rank(table, 2, 300));
      expect(rank(table, 0, 5)).toBeGreaterThan(rank(table, 100, 5000));
    }
    expect(rank(narrow, 0, 60)).toBeLessThan(rank(narrow, 1, 5000));
    expect(rank(wide, 0, 60)).toBeGreaterThan(rank(wide, 100, 5000));
    expect(rank(wide, 0, 150)).toBeLessThan(rank(wide, 1, 5000));
  });

  test("of equal counts two let the younger go and one the older; the last goes by age alone", () => {
    expect(rank(narrow, 1, 500)).toBeLessThan(rank(narrow, 1, 5000));
    expect(rank(wide, 1, 500)).toBeLessThan(rank(wide, 1, 5000));
    expect(rank(drift, 1, 5000)).toBeLessThan(rank(drift, 1, 500));
    expect(rank(recency, 100, 5000)).toBeLessThan(rank(recency, 0, 500));
  });
});

describe("the learned order", () => {
  const rankOf = (learner: Learner, count: number, age: number): number => learner.table.numbers[(ROWS[count] ?? 0) + bucketOf(age)] ?? Number.NaN;

  /** 1,000 keys of one count, each asked for again after `age`, and 1,000 of the count above that are not. */
  function taught(age: number): Learner {
    const learner = new Learner(1000, 1);
    learner.starts[1] = 1000;
    learner.reuses[(ROWS[1] ?? 0) + bucketOf(age)] = 1000;
    learner.starts[2] = 100_000;
    learner.learn();
    return learner;
  }

  test("keeps what is about to come again, and lets it go when the time is over", () => {
    const learner = taught(2000);
    expect(rankOf(learner, 1, 1500)).toBeGreaterThan(rankOf(learner, 1, 200));
    expect(rankOf(learner, 1, 200)).toBeGreaterThan(rankOf(learner, 1, 20_000));
  });

  test("prefers a class that comes again to one that does not, whatever the counts", () => {
    const learner = taught(2000);
    expect(rankOf(learner, 1, 1500)).toBeGreaterThan(rankOf(learner, 2, 1500));
  });

  test("has no negative rank and no rank that is no number, whatever was counted", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 64, max: 2 ** 24 }),
        fc.array(fc.tuple(fc.nat(CELLS - 1), fc.nat(1_000_000)), { maxLength: 30 }),
        fc.array(fc.tuple(fc.nat(CLASSES - 1), fc.nat(1_000_000)), { maxLength: 10 }),
        (capacity, reuses, starts) => {
          const learner = new Learner(capacity, Math.min(1, 128 / capacity));
          for (const [cell, count] of reuses) learner.reuses[cell] = count;
          for (const [row, count] of starts) learner.starts[row] = count;
          learner.learn();
          for (const number of learner.table.numbers) if (!(number >= 0 && number < Infinity)) throw new Error(`a rank of ${number}`);
        },
      ),
      { numRuns: 50 },
    );
  });

  test("fading keeps what was learned, but lets new traffic outweigh it", () => {
    const learner = taught(2000);
    for (let count = 0; count < 10; count++) learner.fade(0.5);
    learner.starts[2] = 1000;
    learner.reuses[(ROWS[2] ?? 0) + bucketOf(300)] = 1000;
    learner.learn();
    expect(rankOf(learner, 2, 200)).toBeGreaterThan(rankOf(learner, 1, 1500));
  });
});

describe("notes about keys that left", () => {
  const hashOf = (number: number): number => hashString(`key:${number}`, 7);

  test("tell the last count noted, up to 31, and nothing of a key that is unknown", () => {
    const ghost = new Ghost();
    ghost.grow(100);
    expect(ghost.count(hashOf(1))).toBe(0);
    ghost.note(hashOf(1), 3);
    expect(ghost.count(hashOf(1))).toBe(3);
    ghost.note(hashOf(1), 128);
    expect(ghost.count(hashOf(1))).toBe(31);
  });

  test("of twelve times as many keys as there are entries most are remembered, and few strangers are taken for them", () => {
    const ghost = new Ghost();
    ghost.grow(1000);
    for (let number = 0; number < 12_000; number++) ghost.note(hashOf(number), 1 + (number % 7));
    let known = 0;
    for (let number = 0; number < 12_000; number++) if (ghost.count(hashOf(number)) === 1 + (number % 7)) known++;
    let strangers = 0;
    for (let number = 20_000; number < 30_000; number++) if (ghost.count(hashOf(number)) > 0) strangers++;
    expect(known).toBeGreaterThan(9000);
    expect(strangers).toBeLessThan(50);
  });

  test("growing loses none, halving halves, clearing forgets", () => {
    const ghost = new Ghost();
    ghost.grow(100);
    for (let number = 0; number < 500; number++) ghost.note(hashOf(number), 9);
    const before = Array.from({ length: 500 }, (_, number) => ghost.count(hashOf(number)));
    ghost.grow(5000);
    expect(Array.from({ length: 500 }, (_, number) => ghost.count(hashOf(number)))).toEqual(before);
    ghost.halve();
    expect(Array.from({ length: 500 }, (_, number) => ghost.count(hashOf(number)))).toEqual(before.map((count) => count >> 1));
    ghost.clear();
    expect(ghost.notes.length).toBe(0);
    expect(ghost.count(hashOf(1))).toBe(0);
  });
});

describe("the climbing share", () => {
  /** Steps on a hill whose top is at `top`. */
  function climbed(top: number, steps: number): number {
    const climber = new Climber();
    for (let step = 0; step < steps; step++) climber.step(0.5 - Math.abs(climber.share - top) / 4);
    return climber.share;
  }

  test.each([0, 0.3, 0.8])("comes near the top of a hill at %d and stays there", (top) => {
    expect(Math.abs(climbed(top, 100) - top)).toBeLessThan(0.07);
    expect(Math.abs(climbed(top, 400) - top)).toBeLessThan(0.03);
  });

  test("stays between 0 and 0.8, and leaves the upper end where the ratio never changes", () => {
    const climber = new Climber();
    const shares = Array.from({ length: 300 }, () => {
      climber.step(0);
      return climber.share;
    });
    expect(Math.max(...shares)).toBe(0.8);
    expect(Math.min(...shares)).toBe(0);
  });
});
