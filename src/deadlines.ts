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

/** Makes a queue. */
export function createDeadlines(clock: Clock): Deadlines {
  let queue: Due[] = [];
  let head = 0;
  let live = 0;
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
  }
  function run(): void {
    timer = undefined;
    const now = clock.monotonic();
    for (let due = queue[head]; due && (due.over || due.dueAt <= now); due = queue[head]) {
      // First, as the last to expire empties the queue.
      head++;
      if (!due.over) due.expire();
    }
    if (timer === undefined) arm();
  }
  return {
    add(due) {
      queue.push(due);
      live++;
      if (timer === undefined) arm();
    },
    ended() {
      if (--live > 0) return;
      if (timer !== undefined) clock.clearTimeout(timer);
      timer = undefined;
      queue = [];
      head = 0;
    },
  };
}
