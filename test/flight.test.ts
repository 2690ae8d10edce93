/** Calls that lead and follow: one heart for all that a call leads, a lease for each thing it follows, and one timer for both. */

import { describe, expect, test } from "vitest";
import { BEAT_MS, Call, LEASE_BEATS, LOST, Operation, OVERDUE } from "../src/flight.ts";
import type { CallHost } from "../src/flight.ts";
import type { WaitUntil } from "../src/types.ts";
import { fakeClock } from "./support/fake-clock.ts";
import { isSettled } from "./support/rig.ts";

const LEASE_MS = BEAT_MS * LEASE_BEATS;
const LONG_MS = 60_000;

function setUp(requestScoped = true) {
  const clock = fakeClock();
  let lacking = 0;
  const host: CallHost = { clock, requestScoped, lacksWaitUntil: () => void lacking++ };
  const kept: Promise<unknown>[] = [];
  const waitUntil: WaitUntil = (promise) => void kept.push(promise);
  return { clock, kept, call: (own: WaitUntil | undefined = waitUntil) => new Call(host, own), bare: () => new Call(host, undefined), lacking: () => lacking };
}

/** Something under way whose owner is dead: its heart never beats. */
function orphan(setup: ReturnType<typeof setUp>): Operation<object> {
  const owner = setup.clock.killed(() => {
    const call = setup.call();
    call.begin();
    return call;
  });
  return new Operation(owner);
}

describe("an operation", () => {
  test("settles once, with the first result, in the slot and by the promise", async () => {
    const { call } = setUp();
    const operation = new Operation<{ readonly n: number }>(call());
    expect(operation.result).toBe(undefined);
    const first = { n: 1 };
    operation.settle(first);
    operation.settle({ n: 2 });
    expect(operation.result).toBe(first);
    expect(await operation.done).toBe(first);
  });
});

describe("a call that leads", () => {
  test("beats every 100 ms, until it has ended what it leads", async () => {
    const { clock, call } = setUp();
    const own = call();
    const begunAt = own.beatAt;
    expect(begunAt).toBe(clock.monotonic());
    own.begin();
    own.begin();
    expect(clock.pending).toBe(1);
    await clock.advance(BEAT_MS - 1);
    expect([own.beat, own.beatAt]).toEqual([0, begunAt]);
    await clock.advance(1);
    expect([own.beat, own.beatAt]).toEqual([1, begunAt + BEAT_MS]);
    own.end();
    await clock.advance(BEAT_MS);
    expect(own.beat).toBe(2);
    own.end();
    expect(clock.pending).toBe(0);
    await clock.advance(10 * BEAT_MS);
    expect(own.beat).toBe(2);
  });

  test("is kept alive from the first to the last thing, once, and anew when it leads again", async () => {
    const { kept, call } = setUp();
    const own = call();
    own.begin();
    own.begin();
    expect(kept).toHaveLength(1);
    own.end();
    expect(await isSettled(kept[0] ?? Promise.resolve())).toBe(false);
    own.end();
    expect(await isSettled(kept[0] ?? Promise.reject(new Error("never kept")))).toBe(true);
    own.begin();
    expect(kept).toHaveLength(2);
    expect(await isSettled(kept[1] ?? Promise.resolve())).toBe(false);
    own.end();
    expect(await isSettled(kept[1] ?? Promise.reject(new Error("never kept")))).toBe(true);
  });

  test("without waitUntil says so, and with one that throws goes on", () => {
    const { clock, call, bare, lacking } = setUp();
    const own = call(() => {
      throw new Error("no request");
    });
    own.begin();
    expect(lacking()).toBe(0);
    expect(clock.pending).toBe(1);
    own.end();
    const without = bare();
    without.begin();
    without.begin();
    expect(lacking()).toBe(1);
    without.end();
    without.end();
    expect(clock.pending).toBe(0);
  });

  test("outlives its answer where promises do, or with waitUntil", () => {
    expect(setUp().call().lasts).toBe(true);
    expect(setUp().bare().lasts).toBe(false);
    expect(setUp(false).bare().lasts).toBe(true);
  });

  test("needs neither heart nor timer where promises may be awaited from anywhere", async () => {
    const { clock, kept, call } = setUp(false);
    const own = call();
    expect(own.beatAt).toBe(0);
    own.begin();
    own.end();
    own.end();
    own.begin();
    expect(clock.pending).toBe(0);
    expect(kept).toEqual([]);
    await clock.advance(LONG_MS);
    expect(own.silent(clock.monotonic())).toBe(false);
  });

  test("counts as silent after three leases without a beat, and not before", async () => {
    const { clock, call } = setUp();
    const own = call();
    await clock.advance(3 * LEASE_MS);
    expect(own.silent(clock.monotonic())).toBe(false);
    await clock.advance(1);
    expect(own.silent(clock.monotonic())).toBe(true);
    own.begin();
    await clock.advance(BEAT_MS);
    expect(own.silent(clock.monotonic())).toBe(false);
  });
});

describe("a call that follows", () => {
  test("gets what is there already, and what comes, and sets no timer for its own", async () => {
    const { clock, call } = setUp();
    const [leader, follower] = [call(), call()];
    const [over, own] = [new Operation<object>(leader), new Operation<object>(follower)];
    const result = {};
    over.settle(result);
    expect(await follower.follow(over, LONG_MS)).toBe(result);
    const waiting = follower.follow(own, LONG_MS);
    expect(clock.pending).toBe(0);
    own.settle(result);
    expect(await waiting).toBe(result);
  });

  test("gets the result as soon as it is there, and its timer is gone", async () => {
    const { clock, call } = setUp();
    const [leader, follower] = [call(), call()];
    leader.begin();
    const operation = new Operation<object>(leader);
    const waiting = follower.follow(operation, LONG_MS);
    expect(clock.pending).toBe(2);
    await clock.advance(20 * BEAT_MS);
    expect(await isSettled(waiting)).toBe(false);
    const result = {};
    operation.settle(result);
    expect(await waiting).toBe(result);
    expect(clock.pending).toBe(1);
    leader.end();
    expect(clock.pending).toBe(0);
  });

  test("of a dead owner knows it after one lease, not before", async () => {
    const setup = setUp();
    const waiting = setup.call().follow(orphan(setup), LONG_MS);
    await setup.clock.advance(LEASE_MS - 1);
    expect(await isSettled(waiting)).toBe(false);
    await setup.clock.advance(1);
    expect(await isSettled(waiting)).toBe(true);
    expect(await waiting).toBe(LOST);
    expect(setup.clock.pending).toBe(0);
  });

  test("of an owner that dies later counts from its last beat", async () => {
    const { clock, call } = setUp();
    const [leader, follower] = [call(), call()];
    leader.begin();
    const waiting = follower.follow(new Operation<object>(leader), LONG_MS);
    await clock.advance(7 * BEAT_MS);
    // It beats no more: as if its request had been killed.
    leader.end();
    await clock.advance(LEASE_MS - BEAT_MS);
    expect(await isSettled(waiting)).toBe(false);
    await clock.advance(2 * BEAT_MS);
    expect(await waiting).toBe(LOST);
  });

  test("of an owner that beats now and then waits on: only beats missed in a row count", async () => {
    const { clock, call } = setUp();
    const [leader, follower] = [call(), call()];
    const waiting = follower.follow(new Operation<object>(leader), LONG_MS);
    for (let round = 0; round < 10; round++) {
      await clock.advance((LEASE_BEATS - 1) * BEAT_MS);
      leader.beat++;
    }
    expect(await isSettled(waiting)).toBe(false);
    await clock.advance((LEASE_BEATS + 1) * BEAT_MS);
    expect(await waiting).toBe(LOST);
  });

  test("of an owner that lives but takes too long gives up after the cap and a lease", async () => {
    const { clock, call } = setUp();
    const [leader, follower] = [call(), call()];
    leader.begin();
    const waiting = follower.follow(new Operation<object>(leader), 250);
    await clock.advance(3 * BEAT_MS + LEASE_MS - 1);
    expect(await isSettled(waiting)).toBe(false);
    await clock.advance(1);
    expect(await isSettled(waiting)).toBe(true);
    expect(await waiting).toBe(OVERDUE);
  });

  test("finds the result in the slot when its lease ends, if nobody could wake it", async () => {
    const setup = setUp();
    const operation = orphan(setup);
    const follower = setup.call();
    const waiting = follower.follow(operation, LONG_MS);
    const result = {};
    // As where the promise belongs to a request that is gone.
    operation.result = result;
    await setup.clock.advance(BEAT_MS);
    expect(await isSettled(waiting)).toBe(true);
    expect(await waiting).toBe(result);
  });

  test("takes a promise that rejects for the runtime's word that the owner's request has ended", async () => {
    const { call } = setUp();
    const operation = new Operation<object>(call());
    Object.defineProperty(operation, "done", { value: Promise.reject(new Error("request ended")) });
    expect(await call().follow(operation, LONG_MS)).toBe(LOST);
  });

  test("several things has one timer, until the last has ended; what it leads keeps it as well", async () => {
    const setup = setUp();
    const { clock, call } = setup;
    const [leader, follower] = [call(), call()];
    const operations = [new Operation<object>(leader), new Operation<object>(leader)];
    const waiting = operations.map((operation) => follower.follow(operation, LONG_MS));
    expect(clock.pending).toBe(1);
    operations[0]?.settle({});
    await clock.settle();
    expect(clock.pending).toBe(1);
    follower.begin();
    operations[1]?.settle({});
    await Promise.all(waiting);
    expect(clock.pending).toBe(1);
    const third = follower.follow(orphan(setup), LONG_MS);
    follower.end();
    expect(clock.pending).toBe(1);
    await clock.advance(LEASE_MS);
    expect(await third).toBe(LOST);
    expect(clock.pending).toBe(0);
  });

  test("waits for the promise alone where promises may be awaited from anywhere", async () => {
    const { clock, call } = setUp(false);
    const operation = new Operation<object>(call());
    const waiting = call().follow(operation, 1);
    await clock.advance(LONG_MS);
    expect(clock.pending).toBe(0);
    expect(await isSettled(waiting)).toBe(false);
    const result = {};
    operation.settle(result);
    expect(await waiting).toBe(result);
    expect(await call().follow(operation, 1)).toBe(result);
  });
});
