/**
 * A clock that stands still until a test moves it: wall time, monotonic time and timers in one. `advance` runs due timers in
 * the order of their deadlines and lets everything that they set going settle before the next one. It relies on the event loop
 * for settling, and never waits for real time.
 *
 * @module
 */
import type { Clock } from "../src/clock.ts";
import { settled } from "./turns.ts";
import { createVirtualClock } from "./virtual-clock.ts";

/** What {@link fakeClock} gives: a clock for `createCache({ clock })`, and what a test may do to time. */
export interface FakeClock extends Clock {
  /** Lets all promises settle and all drains run; time stands still. */
  settle(): Promise<void>;
  /** Settles, moves both clocks on by `ms`, and runs the timers on the way, each with all that follows from it. */
  advance(ms: number): Promise<void>;
  /** Steps the wall clock alone, as an operator or a time server does; below 0, back. No timer runs. */
  step(ms: number): void;
  /** Stops the wall clock alone: `advance` still moves the monotonic one and runs timers. */
  freeze(): void;
  /** Lets the wall clock go on from where it stands. */
  thaw(): void;
  /** The clock of another isolate: the same timers and monotonic time, the wall clock off by `ms`. */
  skewed(ms: number): Clock;
  /** Timers that have neither run nor been cleared. */
  readonly pending: number;
  /** Runs `begin` as a request that dies, as on Workers: no timer that it starts before it yields will ever run. */
  killed<Result>(begin: () => Result): Result;
}

const START = 1_800_000_000_000;
/** Apart from wall time and from 0, so that no test can mix them up. */
const MONOTONIC_START = 5_000;

/**
 * Makes a clock that stands still. Several caches and storages may share it.
 *
 * It moves what asks it for the time, not the host: `setTimeout`, `Date.now()` and the clock of a real server go on by
 * themselves. A `load` that waits for I/O has to have come back before time is advanced past it.
 *
 * @param start Unix ms that `now()` begins with. Default: 1,800,000,000,000, in January 2027.
 * @throws TypeError for a start that is no finite number. Its `setTimeout` throws an `Error` for a span below 0 or `NaN`.
 * @example
 * ```ts
 * import { createCache, local } from "cacheme";
 * import { fakeClock, memoryStorage } from "cacheme/testing";
 *
 * const clock = fakeClock();
 * const cache = createCache({ clock, storages: { local: local(), shared: memoryStorage({ clock }) } });
 * await cache.get(UserInfo(1));
 * await clock.advance(60_000); // a minute later, at once
 * ```
 */
export function fakeClock(start: number = START): FakeClock {
  if (!Number.isFinite(start)) throw new TypeError(`fakeClock: start must be a finite number of ms, got ${start}`);
  const time = createVirtualClock(() => undefined);
  /** What the wall clock shows when the monotonic one shows its start. */
  let wallAtStart = start;
  let frozenAt: number | undefined;
  let dying = false;

  const wall = (): number => frozenAt ?? wallAtStart + time.now();
  const clock: FakeClock = {
    now: wall,
    monotonic: () => MONOTONIC_START + time.now(),
    setTimeout(run, ms) {
      if (!(ms >= 0)) throw new Error(`a timer of ${ms} ms`);
      return dying ? undefined : time.setTimeout(run, ms);
    },
    clearTimeout: (timer) => time.clearTimeout(timer),
    settle: settled,
    async advance(ms) {
      await settled();
      const until = time.now() + ms;
      for (let timer = time.takeNext(until); timer; timer = time.takeNext(until)) {
        timer.run();
        await settled();
      }
      time.moveTo(until);
    },
    step(ms) {
      if (frozenAt === undefined) wallAtStart += ms;
      else frozenAt += ms;
    },
    freeze() {
      frozenAt = wall();
    },
    thaw() {
      wallAtStart = wall() - time.now();
      frozenAt = undefined;
    },
    skewed: (ms) => ({
      now: () => wall() + ms,
      monotonic: () => clock.monotonic(),
      setTimeout: (run, span) => clock.setTimeout(run, span),
      clearTimeout: (timer) => clock.clearTimeout(timer),
    }),
    get pending() {
      return time.pending;
    },
    killed(begin) {
      dying = true;
      try {
        return begin();
      } finally {
        dying = false;
      }
    },
  };
  return clock;
}
