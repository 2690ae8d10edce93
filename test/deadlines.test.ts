/** Many loads under one hard timeout: when each of them is stopped, on how many timers, and what is held meanwhile. */

import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { describe, expect, test } from "vitest";
import { createDeadlines } from "../src/deadlines.ts";
import { isCacheError } from "../src/errors.ts";
import { fakeClock } from "./support/fake-clock.ts";
import { counted, failure, rig } from "./support/rig.ts";

const LIMIT = 1_000;

function setUp() {
  const clock = fakeClock();
  const deadlines = createDeadlines(clock);
  const expired: string[] = [];
  const begin = (name: string, whenDue: () => void = () => undefined) => {
    const due = {
      dueAt: clock.monotonic() + LIMIT,
      place: 0,
      expire: () => {
        expired.push(name);
        whenDue();
      },
    };
    deadlines.add(due);
    return due;
  };
  return { clock, deadlines, expired, begin };
}

describe("deadlines of one length", () => {
  test("expire in order, each at its time, on one timer, which goes with the last", async () => {
    const { clock, expired, begin } = setUp();
    begin("a");
    await clock.advance(10);
    begin("b");
    begin("c");
    expect(clock.pending).toBe(1);
    await clock.advance(LIMIT - 10);
    expect(expired).toEqual(["a"]);
    expect(clock.pending).toBe(1);
    await clock.advance(10);
    expect(expired).toEqual(["a", "b", "c"]);
    expect(clock.pending).toBe(0);
  });

  test("that end before are not told, and one alone takes the timer with it", async () => {
    const { clock, deadlines, expired, begin } = setUp();
    const [a, b] = [begin("a"), begin("b")];
    deadlines.ended(a);
    expect(clock.pending).toBe(1);
    deadlines.ended(b);
    deadlines.ended(b);
    expect(clock.pending).toBe(0);
    begin("c");
    await clock.advance(LIMIT);
    expect(expired).toEqual(["c"]);
  });

  test("keep their order and their places when many have ended", async () => {
    const { clock, deadlines, expired, begin } = setUp();
    const all = Array.from({ length: 5_000 }, (_, nth) => begin(`${nth}`));
    for (const [nth, due] of all.entries()) if (nth % 1_000 !== 7) deadlines.ended(due);
    begin("last");
    await clock.advance(LIMIT);
    expect(expired).toEqual(["7", "1007", "2007", "3007", "4007", "last"]);
    expect(clock.pending).toBe(0);
  });

  test("that end or begin while others expire keep to their own time", async () => {
    const { clock, deadlines, expired, begin } = setUp();
    begin("a", () => {
      deadlines.ended(b);
      begin("c");
    });
    const b = begin("b");
    await clock.advance(LIMIT);
    expect(expired).toEqual(["a"]);
    await clock.advance(LIMIT - 1);
    expect(expired).toEqual(["a"]);
    await clock.advance(1);
    expect(expired).toEqual(["a", "c"]);
    expect(clock.pending).toBe(0);
  });
});

test("values that were loaded are not held while another load goes on", async () => {
  setFlagsFromString("--expose-gc");
  const collect: () => void = runInNewContext("gc");
  const { cache, clock } = rig();
  const Item = counted<unknown>({
    ttlFor: () => "skip",
    load: async (key) => (key === "slow" ? new Promise(() => undefined) : new Uint8Array(1_000_000)),
  });
  const slow = failure(cache.get(Item("slow")));
  const before = process.memoryUsage().arrayBuffers;
  for (let nth = 0; nth < 100; nth++) await cache.get(Item(`${nth}`));
  // The collector gives the memory of buffers back a little later.
  await expect
    .poll(() => {
      collect();
      return process.memoryUsage().arrayBuffers - before;
    })
    .toBeLessThan(20_000_000);
  await clock.advance(20_000);
  expect(isCacheError(await slow, "ERR_LOAD_TIMEOUT")).toBe(true);
});
