/**
 * Time as a parameter. Wall time goes into envelopes, because other isolates read it; every age and every local deadline is
 * taken from the monotonic clock, so a stepped wall clock can neither prolong a local life nor cut a flight off. Timers are
 * here as well, so that a fake clock drives all of the core.
 *
 * @module
 */

import { describe } from "./duration.ts";

/** Where the core takes time and timers from. */
export interface Clock {
  /** Unix time in ms. */
  now(): number;
  /** Milliseconds that never step back, from an arbitrary origin. */
  monotonic(): number;
  /** As the global of that name. */
  setTimeout(run: () => void, ms: number): unknown;
  clearTimeout(timer: unknown): void;
}

/** The host's clock. On Workers time stands still between two I/O events of a request, so short times may read as 0. */
export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  setTimeout: (run, ms) => setTimeout(run, ms),
  clearTimeout: (timer) => clearTimeout(timer as ReturnType<typeof setTimeout>),
};

/** The host's clock with parts replaced. A clock that is given keeps its `this`. @throws TypeError for a part that is no function. */
export function clockFrom(parts: Partial<Clock> | undefined): Clock {
  if (parts === undefined) return systemClock;
  if (typeof parts !== "object" || parts === null) throw new TypeError(`createCache: clock must be an object, got ${describe(parts)}`);
  for (const part of ["now", "monotonic", "setTimeout", "clearTimeout"] as const) {
    if (parts[part] !== undefined && typeof parts[part] !== "function")
      throw new TypeError(`createCache: clock.${part} must be a function, got ${typeof parts[part]}`);
  }
  return {
    now: () => (parts.now ? parts.now() : systemClock.now()),
    monotonic: () => (parts.monotonic ? parts.monotonic() : systemClock.monotonic()),
    setTimeout: (run, ms) => (parts.setTimeout ? parts.setTimeout(run, ms) : systemClock.setTimeout(run, ms)),
    clearTimeout: (timer) => (parts.clearTimeout ? parts.clearTimeout(timer) : systemClock.clearTimeout(timer)),
  };
}
