import { describe, expect, test } from "vitest";
import { createCache, defineNode, local } from "../../src/index.ts";
import { fakeClock } from "../../testing/index.ts";

describe("fakeClock", () => {
  test("stands still, then runs due timers in the order of their deadlines, each with what follows from it", async () => {
    const clock = fakeClock();
    const seen: string[] = [];
    const note = (name: string) => (): void => {
      seen.push(`${name} at ${clock.monotonic() - began}`);
      void Promise.resolve().then(() => clock.setTimeout(() => seen.push(`${name} again at ${clock.monotonic() - began}`), 5));
    };
    const began = clock.monotonic();
    clock.setTimeout(note("late"), 30);
    clock.setTimeout(note("early"), 10);
    clock.clearTimeout(clock.setTimeout(note("never"), 10));
    await clock.settle();
    expect(seen).toEqual([]);
    await clock.advance(29);
    expect(seen).toEqual(["early at 10", "early again at 15"]);
    await clock.advance(6);
    expect(seen).toEqual(["early at 10", "early again at 15", "late at 30", "late again at 35"]);
    expect([clock.pending, clock.monotonic() - began]).toEqual([0, 35]);
  });

  test("steps, freezes and thaws the wall clock alone", async () => {
    const clock = fakeClock(1_000);
    const read = (): [wall: number, monotonic: number] => [clock.now(), clock.monotonic() - began];
    const began = clock.monotonic();
    await clock.advance(10);
    expect(read()).toEqual([1_010, 10]);
    clock.step(-500);
    expect(read()).toEqual([510, 10]);
    clock.freeze();
    await clock.advance(10);
    clock.step(1);
    expect(read()).toEqual([511, 20]);
    clock.thaw();
    expect(read()).toEqual([511, 20]);
    await clock.advance(10);
    expect(read()).toEqual([521, 30]);
  });

  test("gives other isolates skewed clocks with the same timers", async () => {
    const clock = fakeClock(1_000);
    const other = clock.skewed(-400);
    let fired = 0;
    other.setTimeout(() => (fired += 1), 10);
    other.clearTimeout(other.setTimeout(() => (fired += 1), 10));
    await clock.advance(10);
    expect([other.now(), clock.now(), other.monotonic(), fired]).toEqual([610, 1_010, clock.monotonic(), 1]);
  });

  test("drops the timers of a request that dies", async () => {
    const clock = fakeClock();
    let fired = 0;
    clock.killed(() => clock.setTimeout(() => (fired += 1), 1));
    clock.setTimeout(() => (fired += 10), 1);
    await clock.advance(1);
    expect(fired).toBe(10);
  });

  test("drives all of a cache", async () => {
    const clock = fakeClock();
    let loads = 0;
    const Item = defineNode({ name: "fake-clock", key: (id: number) => `${id}`, load: () => ++loads, caches: [{ storage: "local", ttl: "30s" }] });
    const cache = createCache({ clock, storages: { local: local() } });
    expect(await cache.get(Item(1))).toBe(1);
    await clock.advance(29_999);
    expect(await cache.get(Item(1))).toBe(1);
    await clock.advance(1);
    expect(await cache.get(Item(1))).toBe(2);
  });

  test("refuses a start that is no number, and a timer of no length", () => {
    expect(() => fakeClock(Number.NaN)).toThrow(TypeError);
    const clock = fakeClock();
    for (const ms of [-1, Number.NaN]) expect(() => clock.setTimeout(() => undefined, ms)).toThrow("a timer of");
  });
});
