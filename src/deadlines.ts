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

/** Adds what has to end within the queue's time from now. */
export type Deadlines = (due: Due) => void;

/** A queue of things that all may take equally long. */
export function createDeadlines(clock: Clock): Deadlines {
  let queue: Due[] = [];
  let head = 0;
  let timer: unknown;

  function arm(): void {
    while (head < queue.length && queue[head]?.over) head++;
    // What is over is forgotten once it is half of the queue, so that the queue stays as long as what is under way.
    if (head > 1_000 && head * 2 > queue.length) {
      queue = queue.slice(head);
      head = 0;
    }
    const first = queue[head];
    if (first) timer = clock.setTimeout(run, Math.max(0, first.dueAt - clock.monotonic()));
    else {
      queue = [];
      head = 0;
    }
  }
  function run(): void {
    timer = undefined;
    const now = clock.monotonic();
    for (let due = queue[head]; due && (due.over || due.dueAt <= now); due = queue[++head]) if (!due.over) due.expire();
    arm();
  }
  return (due) => {
    queue.push(due);
    if (timer === undefined) arm();
  };
}
