/**
 * Freshness as pure functions of times: how long an entry lives in a tier, and what is left of it. `Infinity` stands for
 * "no end". No clock is read here; the caller passes the times.
 *
 * @module
 */

/** Extra life of every guarded slot beyond `storeWithin`, in ms: how late a call may be applied after it was sent. */
export const MARGIN_MS = 60_000;

/** The times in an envelope, Unix ms of the isolate that wrote it. */
export interface EntryTimes {
  /** Just before the load began. */
  readonly createdAt: number;
  /** End of the time in which the entry answers. */
  readonly freshUntil: number;
  /** End of the slot's life. */
  readonly expiresAt: number;
}

/** How long a slot is kept, `keepMs` past its ttl; a guarded tier never lets a short-lived value uncover what its tombstone shielded. */
export function slotLifeMs(ttlMs: number, keepMs: number, storeWithinMs: number, guarded: boolean, minTtlMs: number): number {
  const life = guarded ? Math.max(ttlMs + keepMs, storeWithinMs + MARGIN_MS) : ttlMs + keepMs;
  return Math.max(life, minTtlMs, 1);
}

/**
 * What is left of an entry's fresh time, in ms, at most the reading tier's ttl; below 0 it is the time since its end.
 *
 * The storage's clock decides where it reports what remains of the slot; elsewhere the reader's wall clock does, and a
 * skewed clock errs by at most the skew and never beyond the ttl.
 */
export function freshLeftMs(times: EntryTimes, remainingMs: number | undefined, now: number, ttlMs: number): number {
  const byStorage = remainingMs !== undefined && Number.isFinite(times.expiresAt);
  const left = byStorage ? remainingMs - (times.expiresAt - times.freshUntil) : times.freshUntil - now;
  return Math.min(left, ttlMs);
}

/** Age in ms; never negative, whatever the clocks say. */
export function ageMs(createdAt: number, now: number): number {
  return Math.max(0, now - createdAt);
}
