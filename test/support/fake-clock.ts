/**
 * A clock that stands still until a test moves it: wall time, monotonic time and timers in one. `advance` runs due timers in
 * the order of their deadlines and lets everything that they set going settle before the next one. It relies on the real
 * event loop for settling, and never waits for real time.
 *
 * @module
 */
import type { Clock } from "../../src/clock.ts";

/** A clock for tests. */
export interface FakeClock extends Clock {
  /** Lets all promises settle and all drains run; time stands still. */
  settle(): Promise<void>;
  /** Settles, moves both clocks on by `ms`, and runs the timers on the way. */
  advance(ms: number): Promise<void>;
  /** Steps the wall clock alone, as an operator does. */
  step(ms: number): void;
  /** Timers that have neither run nor been cleared. */
  readonly pending: number;
  /** Runs `begin` as a request that dies: no timer that it starts before it yields will ever run. */
  killed<Result>(begin: () => Result): Result;
}

interface Timer {
  readonly due: number;
  readonly run: () => void;
}

/** Enough turns for a drain, a call, its reply and what follows, several times over. */
const TURNS = 12;

async function turns(): Promise<void> {
  for (let turn = 0; turn < TURNS; turn++) await new Promise((resolve) => setImmediate(resolve));
}

/** Makes a clock. The wall clock starts at a round date, the monotonic one elsewhere, so that no test can mix them up. */
export function fakeClock(): FakeClock {
  const timers = new Map<number, Timer>();
  let wall = 1_800_000_000_000;
  let monotonic = 5_000;
  let lastId = 0;
  let dying = false;

  function nextDue(until: number): [number, Timer] | undefined {
    let next: [number, Timer] | undefined;
    for (const entry of timers) if (entry[1].due <= until && (!next || entry[1].due < next[1].due)) next = entry;
    return next;
  }
  function moveTo(at: number): void {
    wall += at - monotonic;
    monotonic = at;
  }

  return {
    now: () => wall,
    monotonic: () => monotonic,
    setTimeout(run, ms) {
      if (!(ms >= 0)) throw new Error(`a timer of ${ms} ms`);
      if (!dying) timers.set(++lastId, { due: monotonic + ms, run });
      return dying ? 0 : lastId;
    },
    clearTimeout(timer) {
      if (typeof timer === "number") timers.delete(timer);
    },
    settle: turns,
    async advance(ms) {
      await turns();
      const until = monotonic + ms;
      for (let next = nextDue(until); next; next = nextDue(until)) {
        const [id, timer] = next;
        timers.delete(id);
        moveTo(Math.max(monotonic, timer.due));
        timer.run();
        await turns();
      }
      moveTo(until);
    },
    step(ms) {
      wall += ms;
    },
    get pending() {
      return timers.size;
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
}
