/**
 * How a flight ends: a value with all that a tier needs to know of it, or an error; and the old copies that a flight meets on
 * its way, which may answer while it goes on, or if it fails. It relies on the clock that callers pass.
 *
 * @module
 */

import type { LocalEntry } from "./binding.ts";
import type { Loaded } from "./execution.ts";

/** How a flight ended. */
export type Outcome = Found | Failure;

/** A value, and all that a tier needs to know of it. */
export interface Found {
  readonly ok: true;
  readonly value: unknown;
  /** The storage's name, or `"load"`. */
  readonly source: string;
  readonly loaded: boolean;
  /** Whether it is past its life, and served because the node allows it. Never stored anywhere. */
  readonly stale: boolean;
  /** Unix ms, just before the load began. */
  readonly createdAt: number;
  /** By the monotonic clock: when the load began, or the entry was read. A tier's own time counts from here. */
  readonly since: number;
  /** What is left of the entry in the tier that answered, in ms from `since`; after a load the cap on its life, mostly `Infinity`. */
  readonly leftMs: number;
  readonly costMs: number;
  readonly guarded: boolean;
}

/** The error that every waiter gets, unchanged. */
export interface Failure {
  readonly ok: false;
  readonly error: unknown;
  /** Whether the source was asked. */
  readonly loaded: boolean;
}

/** A copy that is past its life or due for renewal, and the tier that had it. */
export interface OldCopy {
  readonly entry: LocalEntry;
  readonly source: string;
}

/** What a load gave. `lifeMs` caps its life in every tier. */
export function foundByLoad({ createdAt, since, ms }: Loaded, value: unknown, lifeMs: number): Found {
  return { ok: true, value, source: "load", loaded: true, stale: false, createdAt, since, leftMs: lifeMs, costMs: ms, guarded: true };
}

/** The end of an entry's life, by the monotonic clock. */
export function freshUntil(entry: LocalEntry): number {
  return entry.calmUntil + entry.fadeMs;
}

/** Whether a copy is a better answer at `now` than another: fresh before stale, then the newer, then the one that lives longer. */
export function isBetter(copy: LocalEntry, other: LocalEntry | undefined, now: number): boolean {
  if (!other) return true;
  const [mine, its] = [freshUntil(copy), freshUntil(other)];
  if (mine > now !== its > now) return mine > now;
  return copy.createdAt > other.createdAt || (copy.createdAt === other.createdAt && mine > its);
}

/** An old copy as an answer at `now`, by the monotonic clock. */
export function foundInCopy({ entry, source }: OldCopy, now: number): Found {
  const leftMs = freshUntil(entry) - now;
  const { value, createdAt, guarded } = entry;
  return { ok: true, value, source, loaded: false, stale: leftMs <= 0, createdAt, since: now, leftMs, costMs: 0, guarded };
}
