/**
 * Virtual time: a queue of what happens when, earliest first. Nothing waits for real time. It relies on nothing and knows
 * nothing of caches. A binary heap, because thousands of deadlines stand in it at once; what is cancelled stays until its time.
 *
 * @module
 */
import type { Clock } from "../../../src/clock.ts";

interface Event {
  readonly at: number;
  /** Of events at the same time, the one that was added first comes first. */
  readonly order: number;
  run: (() => void) | undefined;
}

/** Time that moves from event to event. */
export interface Timeline {
  /** Ms since the beginning. */
  now(): number;
  after(ms: number, run: () => void): unknown;
  /** Moves to the next event and runs it; `false` if there is none. */
  step(): boolean;
  /** Time as the core takes it. */
  readonly clock: Clock;
}

const START = 1_700_000_000_000;

export function createTimeline(): Timeline {
  const heap: Event[] = [];
  let now = 0;
  let order = 0;

  function after(ms: number, run: () => void): Event {
    const event: Event = { at: now + Math.max(0, ms), order: order++, run };
    let at = heap.push(event) - 1;
    while (at > 0) {
      const above = (at - 1) >> 1;
      if (!isBefore(event, heap[above])) break;
      heap[at] = heap[above] ?? event;
      at = above;
    }
    heap[at] = event;
    return event;
  }
  function take(): Event | undefined {
    const first = heap[0];
    const last = heap.pop();
    if (!last || first === last) return first;
    let at = 0;
    for (;;) {
      const left = 2 * at + 1;
      const below = isBefore(heap[left + 1], heap[left]) ? left + 1 : left;
      const child = heap[below];
      if (!isBefore(child, last) || !child) break;
      heap[at] = child;
      at = below;
    }
    heap[at] = last;
    return first;
  }
  return {
    now: () => now,
    after,
    step() {
      for (;;) {
        const event = take();
        if (!event) return false;
        const { run } = event;
        if (!run) continue;
        now = event.at;
        event.run = undefined;
        run();
        return true;
      }
    },
    clock: {
      now: () => START + now,
      monotonic: () => now,
      setTimeout: (run, ms) => after(ms, run),
      clearTimeout(timer) {
        if (isEvent(timer)) timer.run = undefined;
      },
    },
  };
}

function isBefore(one: Event | undefined, other: Event | undefined): boolean {
  if (!one || !other) return one !== undefined;
  return one.at < other.at || (one.at === other.at && one.order < other.order);
}

function isEvent(value: unknown): value is Event {
  return typeof value === "object" && value !== null && "run" in value;
}
