/** What an isolate remembers of generations: what changes the revision, and what stands for names that could not be read. */

import { describe, expect, test } from "vitest";
import { KnownGenerations } from "../src/known-generations.ts";

function setUp(mostKnown = 100) {
  const host = { revision: { value: 0 }, mostKnown };
  const known = new KnownGenerations(host);
  const learn = (name: string, number: number): void => known.learn([name], [number], known.moment());
  return { host, known, learn };
}

describe("generations that could not be read", () => {
  test("stand as they are remembered, until another number is read", () => {
    const { known, learn } = setUp();
    learn("a", 7);
    const numbers = known.remembered(["a"]);
    expect(numbers).toEqual([7]);
    expect(known.stands(["a"], numbers)).toBe(true);
    learn("a", 7);
    expect(known.stands(["a"], numbers)).toBe(true);
    learn("a", 8);
    expect(known.stands(["a"], numbers)).toBe(false);
  });

  test("stand where nothing is remembered until anything is read, which is told once and for that name alone", () => {
    const { host, known, learn } = setUp();
    const numbers = known.remembered(["a"]);
    expect(known.stands(["a"], numbers)).toBe(true);
    learn("b", 1);
    expect([host.revision.value, known.stands(["a"], numbers)]).toEqual([0, true]);
    learn("a", 1);
    expect([host.revision.value, known.stands(["a"], numbers)]).toEqual([1, false]);
    learn("a", 1);
    learn("c", 1);
    expect(host.revision.value).toBe(1);
  });

  test("are not remembered without a bound: beyond it they stand no longer", () => {
    const { host, known } = setUp(3);
    const first = known.remembered(["a", "b", "c"]);
    expect([host.revision.value, known.stands(["a", "b", "c"], first)]).toEqual([0, true]);
    known.remembered(["d"]);
    expect([host.revision.value, known.stands(["a"], first.slice(0, 1))]).toEqual([1, false]);
  });
});
