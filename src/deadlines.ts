/**
 * Many deadlines of one length on one timer. Loads of a node all have the same hard timeout, so they fall due in the order in
 * which they began: a queue and one timer for its head serve them all. Only for hosts where a timer may outlive the request
 * that set it; elsewhere each request needs its own.
 *
 * @module
 */

import type { Clock } from "./clock.ts";

/** Something that has to end in time. */
export interface Due {
  /** By the monotonic clock. */
  readonly dueAt: number;
  /** Set when it ended by itself. */
  over: boolean;
  /** Called once it is due, unless it is over. */
  expire(): void;
}

/** A queue of things that all may take equally long. */
export interface Deadlines {
  /** Something began that has to end in time. */
  add(due: Due): void;
  /** Something ended by itself, and said so in `over`. The timer goes when nothing is left, as it would keep a process alive. */
  ended(): void;
}

/** What is over is forgotten when it makes up more than half of a queue of this length. */
const SLACK = 1_000;

/** Makes a queue. */
export function createDeadlines(clock: Clock): Deadlines {
  let queue: Due[] = [];
  let live = 0;
  let timer: unknown;

  function arm(): void {
    const first = queue[0];
    if (first) timer = clock.setTimeout(run, Math.max(0, first.dueAt - clock.monotonic()));
  }
  function run(): void {
    timer = undefined;
    const now = clock.monotonic();
    const due = queue.filter((one) => !one.over && one.dueAt <= now);
    queue = queue.filter((one) => !one.over && one.dueAt > now);
    for (const one of due) one.expire();
    if (timer === undefined) arm();
  }
  return {
    add(due) {
      queue.push(due);
      live++;
      if (timer === undefined) arm();
    },
    ended() {
      live--;
      if (live === 0) {
        if (timer !== undefined) clock.clearTimeout(timer);
        timer = undefined;
        queue = [];
      } else if (queue.length > 2 * live + SLACK) queue = queue.filter((one) => !one.over);
    },
  };
}
