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

/** Makes a queue. It holds what goes on and nothing else: what has ended may have a large value. */
export function createDeadlines(clock: Clock): Deadlines {
  const queue = new Set<Due>();
  let timer: unknown;

  function arm(): void {
    for (const first of queue) {
      timer = clock.setTimeout(run, Math.max(0, first.dueAt - clock.monotonic()));
      return;
    }
  }
  function run(): void {
    timer = undefined;
    const now = clock.monotonic();
    for (const one of queue) {
      if (one.dueAt > now) break;
      queue.delete(one);
      one.expire();
    }
    if (timer === undefined) arm();
  }
  return {
    add(due) {
      queue.add(due);
      if (timer === undefined) arm();
    },
    ended(due) {
      queue.delete(due);
      if (queue.size > 0) return;
      if (timer !== undefined) clock.clearTimeout(timer);
      timer = undefined;
    },
  };
}
