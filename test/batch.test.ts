/** Lanes: what travels together, in which chunks, how many calls are open, where requests own their I/O and where not. */

import { array, assert, asyncProperty, boolean, integer, property } from "fast-check";
import { describe, expect, test } from "vitest";
import { createLanes } from "../src/batch.ts";
import type { Job, LaneOptions } from "../src/batch.ts";
import type { Runtime } from "../src/runtime.ts";
import { fakeClock } from "./support/fake-clock.ts";

const job = (storedKey: string): Job => ({ storedKey, view: {} });

/** Lanes whose drains and calls end when the test says so. */
function setUp(requestScoped: boolean) {
  const clock = fakeClock();
  const drains: (() => void)[] = [];
  const runtime: Runtime = { requestScoped, waitUntil: undefined, scheduleDrain: (run) => void drains.push(run) };
  const lanes = createLanes(runtime, clock);
  const open: { readonly keys: readonly string[]; readonly end: () => void }[] = [];
  const sent: (readonly string[])[] = [];
  const send = (jobs: readonly Job[]): Promise<void> => {
    const keys = jobs.map(({ storedKey }) => storedKey);
    sent.push(keys);
    return new Promise((resolve) => {
      const call = {
        keys,
        end: () => {
          open.splice(open.indexOf(call), 1);
          resolve();
        },
      };
      open.push(call);
    });
  };
  return {
    clock,
    drains,
    open,
    sent,
    lane: (options: Partial<LaneOptions<Job>> = {}) => lanes.lane({ maxBatch: Number.POSITIVE_INFINITY, allowRepeats: true, urgent: true, send, ...options }),
    /** Runs the drains that are due, and lets what follows settle. */
    async drain() {
      for (const run of drains.splice(0)) run();
      await clock.settle();
    },
    async endOne() {
      open[0]?.end();
      await clock.settle();
    },
  };
}

const names = (count: number, prefix = "k"): string[] => Array.from({ length: count }, (_, index) => `${prefix}${index}`);

describe.each([
  ["where calls belong to nobody", false],
  ["where calls belong to their request", true],
])("jobs %s", (_where, requestScoped) => {
  test("of one drain travel in one call, in the order in which they were asked for", async () => {
    const { lane, drain, drains, sent } = setUp(requestScoped);
    const own = lane();
    for (const key of ["b", "a", "b"]) own.add(job(key));
    // Where a request may be killed before its drain, each job sets an alarm of its own.
    expect(drains.length).toBe(requestScoped ? 3 : 1);
    await drain();
    expect(sent).toEqual([["b", "a", "b"]]);
  });

  test("none: nothing is drained and nothing sent", async () => {
    const { lane, drain, sent } = setUp(requestScoped);
    lane();
    await drain();
    expect(sent).toEqual([]);
  });

  test("over maxBatch go in full chunks and one last, none lost and none twice", () => {
    assert(
      property(integer({ min: 0, max: 40 }), integer({ min: 1, max: 12 }), (count, maxBatch) => {
        const { lane, drains, sent } = setUp(requestScoped);
        const own = lane({ maxBatch, send: async (jobs) => void sent.push(jobs.map(({ storedKey }) => storedKey)) });
        for (const key of names(count)) own.add(job(key));
        for (const run of drains.splice(0)) run();
        const full = Math.min(6, Math.ceil(count / maxBatch));
        expect(sent.flat().slice(0, full * maxBatch)).toEqual(names(Math.min(count, full * maxBatch)));
        expect(sent.slice(0, -1).every(({ length }) => length === maxBatch)).toBe(true);
      }),
    );
  });

  test("of one key never share a call where repeats are refused, and keep their order", async () => {
    const { lane, drain, endOne, open, sent } = setUp(requestScoped);
    const own = lane({ allowRepeats: false, maxBatch: 3 });
    for (const key of ["a", "b", "a", "c", "a", "d"]) own.add(job(key));
    for (let round = 0; round < 9; round++) {
      await drain();
      if (open.length > 0) await endOne();
    }
    expect(sent.every((keys) => new Set(keys).size === keys.length)).toBe(true);
    expect(sent.flat().toSorted()).toEqual(["a", "a", "a", "b", "c", "d"]);
    expect(sent[0]).toEqual(["a", "b", "c"]);
  });

  test("are sent six calls at a time, the rest as those end, and none is forgotten", async () => {
    const { lane, drain, open, endOne, sent } = setUp(requestScoped);
    const own = lane({ maxBatch: 1 });
    for (const key of names(20)) own.add(job(key));
    await drain();
    expect(open.length).toBe(6);
    for (let ended = 0; ended < 20; ended++) {
      await endOne();
      await drain();
      expect(open.length).toBeLessThanOrEqual(6);
    }
    expect(sent.flat().toSorted()).toEqual(names(20).toSorted());
    expect(open.length).toBe(0);
  });
});

describe("lanes where calls belong to nobody", () => {
  test("let jobs that come while six calls are open wait and travel together", async () => {
    const { lane, drain, endOne, sent, drains } = setUp(false);
    const own = lane();
    for (const key of names(6, "open")) {
      own.add(job(key));
      await drain();
    }
    for (const key of names(100)) {
      own.add(job(key));
      await drain();
    }
    expect(sent.length).toBe(6);
    expect(drains.length).toBe(0);
    await endOne();
    await drain();
    expect(sent[6]).toEqual(names(100));
  });

  test("of one storage share the six calls: reads go first, and one place is left to writes and removals, in turn", async () => {
    const { lane, drain, endOne, open } = setUp(false);
    const others = { maxBatch: 1, urgent: false };
    const [writes, removals, reads] = [lane(others), lane(others), lane({ maxBatch: 1 })];
    for (const key of names(50, "w")) writes.add(job(key));
    for (const key of names(50, "d")) removals.add(job(key));
    for (const key of names(50, "r")) reads.add(job(key));
    await drain();
    const now = (): string => open.flatMap(({ keys }) => keys).join(" ");
    expect(now()).toBe("r0 r1 r2 r3 r4 w0");
    for (let ended = 0; ended < 5; ended++) {
      await endOne();
      await drain();
    }
    expect(now()).toBe("w0 r5 r6 r7 r8 r9");
    for (const next of ["d0", "w1", "d1"]) {
      open.find(({ keys: [key] }) => !key?.startsWith("r"))?.end();
      await drain();
      await drain();
      expect(open.length).toBe(6);
      expect(now()).toContain(next);
    }
  });

  test("leave a place to reads, however many writes there are", async () => {
    const { lane, drain, drains, open } = setUp(false);
    const [reads, writes] = [lane(), lane({ maxBatch: 1, urgent: false })];
    for (const key of names(50, "w")) writes.add(job(key));
    await drain();
    expect(open.length).toBe(5);
    // What cannot be sent costs no turn.
    writes.add(job("one more"));
    expect(drains.length).toBe(0);
    for (const key of names(3, "r")) reads.add(job(key));
    await drain();
    expect(open.length).toBe(6);
    expect(open[5]?.keys).toEqual(["r0", "r1", "r2"]);
  });

  test("are all sent in the end, whatever comes when and ends when", async () => {
    await assert(
      asyncProperty(array(integer({ min: 0, max: 4 }), { maxLength: 60 }), integer({ min: 1, max: 3 }), async (steps, maxBatch) => {
        const { lane, drain, endOne, open, sent } = setUp(false);
        const lanes = [lane({ maxBatch }), lane({ maxBatch, urgent: false }), lane({ maxBatch, urgent: false })];
        const asked: string[] = [];
        for (const [index, step] of steps.entries()) {
          if (step < 3) asked.push(`${step}.${index}`);
          if (step < 3) lanes[step]?.add(job(`${step}.${index}`));
          else await (step === 3 ? drain() : endOne());
          expect(open.length).toBeLessThanOrEqual(6);
        }
        for (let rest = 0; rest < 2 * steps.length + 2; rest++) await (rest % 2 === 0 ? drain() : endOne());
        expect(sent.flat().toSorted()).toEqual(asked.toSorted());
        expect(open.length).toBe(0);
      }),
    );
  });
});

describe("lanes where calls belong to their request", () => {
  test("hold no job of one drain back for another: a drain has its own six calls", async () => {
    const { lane, drain, open } = setUp(true);
    const own = lane({ maxBatch: 1 });
    for (const key of names(10, "first")) own.add(job(key));
    await drain();
    for (const key of names(10, "second")) own.add(job(key));
    await drain();
    expect(open.flatMap(({ keys }) => keys).toSorted()).toEqual([...names(6, "first"), ...names(6, "second")]);
  });

  test("send what a living request asked for, and nothing of one that died between asking and sending", async () => {
    const { lane, drain, drains, sent } = setUp(true);
    const own = lane();
    own.add(job("dead"));
    drains.length = 0;
    own.add(job("alive"));
    own.add(job("too"));
    await drain();
    expect(sent).toEqual([["alive", "too"]]);
  });

  test("of one storage drain together", async () => {
    const { lane, drain, sent } = setUp(true);
    const [reads, writes] = [lane(), lane()];
    reads.add(job("r"));
    writes.add(job("w"));
    reads.add(job("r2"));
    await drain();
    expect(sent).toEqual([["r", "r2"], ["w"]]);
  });

  test("keep to six open calls for one owner, over its drains, and let writes that merge wait for the call before them", async () => {
    const { lane, drain, open, sent, endOne } = setUp(true);
    const owner = {};
    const [reads, writes] = [lane({ maxBatch: 1 }), lane({ merges: true })];
    for (const key of names(4)) reads.add({ ...job(key), owner });
    writes.add({ ...job("w1"), owner });
    await drain();
    expect(open.length).toBe(5);
    for (const key of names(4, "later")) reads.add({ ...job(key), owner });
    writes.add({ ...job("w2"), owner });
    writes.add({ ...job("w3"), owner });
    await drain();
    expect(open.length).toBe(6);
    while (open.length > 0) await endOne();
    expect(sent.filter((keys) => keys[0]?.startsWith("w"))).toEqual([["w1"], ["w2", "w3"]]);
  });
});

describe("jobs that come at any time", () => {
  test("are each sent exactly once", async () => {
    const waves = array(array(integer({ min: 0, max: 5 }), { maxLength: 8 }), { maxLength: 8 });
    await assert(
      asyncProperty(waves, boolean(), boolean(), async (keys, requestScoped, allowRepeats) => {
        const { lane, drain, endOne, open, sent, drains } = setUp(requestScoped);
        const own = lane({ allowRepeats, maxBatch: 2 });
        for (const wave of keys) {
          for (const key of wave) own.add(job(`k${key}`));
          if (wave.length % 2 === 0) await drain();
          if (wave.length % 3 === 0) await endOne();
        }
        while (drains.length > 0 || open.length > 0) {
          await drain();
          await endOne();
        }
        expect(sent.flat().toSorted()).toEqual(
          keys
            .flat()
            .map((key) => `k${key}`)
            .toSorted(),
        );
      }),
      { numRuns: 60 },
    );
  });
});
