/**
 * Time that moves only when it is told to. Every timer remembers on whose behalf it was set, so that those of a killed request
 * or isolate can be dropped and those of a slow one held back. It runs nothing by itself and awaits nothing.
 *
 * @module
 */
import type { Clock } from "../src/clock.ts";

/** A timer that waits for its time. */
export interface VirtualTimer<Owner> {
  readonly at: number;
  readonly owner: Owner;
  readonly run: () => void;
}

/** A clock that stands still until it is moved. Its origin is 0; wall time is laid over it by whoever hands it out. */
export interface VirtualClock<Owner> extends Clock {
  /** Moves to a time that is not before the present one. */
  moveTo(at: number): void;
  /** Takes out the earliest timer that is due by `until` and not `held`'s, and moves to its time; `undefined` if there is none. */
  takeNext(until: number, held?: Owner): VirtualTimer<Owner> | undefined;
  /** Forgets what an owner still waits for. */
  dropTimersOf(owner: Owner): void;
  /** Timers that have neither been taken out, nor cleared or dropped. */
  readonly pending: number;
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
    moveTo(at) {
      time = Math.max(time, at);
    },
    takeNext(until, held) {
      let next: VirtualTimer<Owner> | undefined;
      for (const timer of timers.values()) {
        if (timer.at > until || (held !== undefined && timer.owner === held)) continue;
        // Of those due at the same time the one that was set first comes first: a map keeps the order of insertion.
        if (!next || timer.at < next.at) next = timer;
      }
      if (!next) return undefined;
      timers.delete(next);
      time = Math.max(time, next.at);
      return next;
    },
    dropTimersOf(owner) {
      for (const timer of timers.values()) if (timer.owner === owner) timers.delete(timer);
    },
    get pending() {
      return timers.size;
    },
  };
}
