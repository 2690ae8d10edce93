/**
 * Time for the simulator: it moves only when it is told to. Every timer remembers on whose behalf it was set, so that those
 * of a killed request can be dropped and those of a slow one held back. It runs nothing by itself and awaits nothing.
 *
 * @module
 */
import type { Clock } from "../../src/clock.ts";

/** A timer that waits for its time. */
export interface VirtualTimer<Owner> {
  readonly at: number;
  readonly owner: Owner;
  readonly run: () => void;
}

/** A clock that stands still until it is moved. Its origin is 0; wall time is laid over it by whoever hands it out. */
export interface VirtualClock<Owner> extends Clock {
  /** When the earliest timer is due that `held` does not own; `undefined` if there is none. */
  nextAt(held?: Owner): number | undefined;
  /** Moves to a time that is not before the present one. */
  moveTo(at: number): void;
  /** Takes out the timers that are due, in the order in which they would fire. */
  takeDue(held?: Owner): VirtualTimer<Owner>[];
  /** Forgets what an owner still waits for. */
  dropTimersOf(owner: Owner): void;
}

/** A clock at 0 whose timers belong to whatever `ownerOf` says at the moment in which they are set. */
export function createVirtualClock<Owner>(ownerOf: () => Owner): VirtualClock<Owner> {
  const timers = new Map<unknown, VirtualTimer<Owner>>();
  let time = 0;
  return {
    now: () => time,
    monotonic: () => time,
    setTimeout(run, ms) {
      const timer = { at: time + Math.max(0, ms), owner: ownerOf(), run };
      timers.set(timer, timer);
      return timer;
    },
    clearTimeout(handle) {
      timers.delete(handle);
    },
    nextAt(held) {
      let next: number | undefined;
      for (const timer of timers.values()) if (timer.owner !== held || held === undefined) next = Math.min(next ?? timer.at, timer.at);
      return next;
    },
    moveTo(at) {
      time = Math.max(time, at);
    },
    takeDue(held) {
      const due = [...timers.values()].filter((timer) => timer.at <= time && (held === undefined || timer.owner !== held));
      for (const timer of due) timers.delete(timer);
      // A sort keeps the order of what is equal, and a map that of its insertions.
      return due.sort((a, b) => a.at - b.at);
    },
    dropTimersOf(owner) {
      for (const timer of timers.values()) if (timer.owner === owner) timers.delete(timer);
    },
  };
}
