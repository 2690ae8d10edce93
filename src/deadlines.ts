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
  /** Its place in the queue, for the queue alone. */
  place: number;
  /** Called once it is due, unless it ended before. */
  expire(): void;
}

/** A queue of things that all may take equally long. */
export interface Deadlines {
  /** Something began that has to end in time. */
  add(due: Due): void;
  /** It ended, by itself or because it was due. The timer goes when nothing is left, as it would keep a process alive. */
  ended(due: Due): void;
}

/** What is over is closed up when it makes up more than half of a queue of this length. */
const SLACK = 1_000;

/**
 * Makes a queue. It holds what goes on and nothing else, since what has ended may have a large value: the place of each that has
 * ended is empty.
 *
 * Invariant: `queue[due.place] === due` for each that goes on, and `live` counts those.
 */
export function createDeadlines(clock: Clock): Deadlines {
  let queue: (Due | undefined)[] = [];
  let live = 0;
  let timer: unknown;

  function arm(): void {
    const first = queue.find((due) => due !== undefined);
    if (first) timer = clock.setTimeout(run, Math.max(0, first.dueAt - clock.monotonic()));
  }
  function run(): void {
    timer = undefined;
    const now = clock.monotonic();
    for (const due of queue.filter((one) => one !== undefined && one.dueAt <= now)) {
      // One that expires may end another.
      if (due === undefined || queue[due.place] !== due) continue;
      leave(due);
      due.expire();
    }
    if (timer === undefined) arm();
  }
  function leave(due: Due): void {
    if (queue[due.place] !== due) return;
    queue[due.place] = undefined;
    live--;
    if (live === 0) queue = [];
    else if (queue.length > 2 * live + SLACK) close();
  }
  function close(): void {
    queue = queue.filter((due) => due !== undefined);
    for (const [place, due] of queue.entries()) if (due) due.place = place;
  }
  return {
    add(due) {
      due.place = queue.push(due) - 1;
      live++;
      if (timer === undefined) arm();
    },
    ended(due) {
      leave(due);
      if (live > 0 || timer === undefined) return;
      clock.clearTimeout(timer);
      timer = undefined;
    },
  };
}
