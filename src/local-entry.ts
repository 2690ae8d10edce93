/**
 * Entries of local tiers: how they are made from what was found, and how long a tier keeps them. It relies on
 * `freshness.ts` for the node's rules.
 *
 * @module
 */

import type { Binding, LocalEntry, LocalPart } from "./binding.ts";
import type { Capture } from "./capture.ts";
import { freshUntil } from "./found.ts";
import type { Found } from "./found.ts";
import { fadeMs, jittered } from "./freshness.ts";
import type { FreshnessRules } from "./freshness.ts";

/**
 * The generations that were captured, as one list that all entries of a node share while nothing changes: entries are many,
 * and generations change seldom.
 */
export function sharedGenerations(binding: Binding, captures: readonly (Capture | undefined)[], unread: Unread = []): LocalEntry["generations"] {
  const last = binding.generations;
  const length = Math.max(captures.length, unread.length);
  const same = last.length === length && last.every((numbers, index) => isSame(numbers, captures[index]?.numbers ?? unread[index]));
  if (!same) binding.generations = allGenerations(captures, unread);
  return binding.generations;
}

/** By the position of the remote tier: what stands in for the generations of a tier that could not be read. */
export type Unread = readonly (readonly number[] | undefined)[];

function allGenerations(captures: readonly (Capture | undefined)[], unread: Unread): LocalEntry["generations"] {
  return Array.from({ length: Math.max(captures.length, unread.length) }, (_, index) => captures[index]?.numbers ?? unread[index]);
}

function isSame(one: readonly number[] | undefined, other: readonly number[] | undefined): boolean {
  if (one === other) return true;
  return one !== undefined && one.length === other?.length && one.every((number, index) => number === other[index]);
}

/**
 * A local entry for a tier; it lives for the smaller of the tier's ttl and what was left where the value came from.
 *
 * @param epoch at which its load or its flight began.
 * @param groups the generations that count for it; `undefined`: its node's alone.
 */
export function localEntry(
  part: LocalPart,
  found: Found,
  generations: readonly (readonly number[] | undefined)[],
  freshness: FreshnessRules,
  epoch: number,
  groups: readonly string[] | undefined,
): LocalEntry {
  const lifeMs = Math.min(jittered(part.ttlMs, freshness), found.leftMs);
  // In whole ms, which take no memory of their own.
  const fade = lifeMs === Number.POSITIVE_INFINITY ? 0 : Math.floor(fadeMs(found.costMs, freshness));
  const calmUntil = Math.floor(found.since + lifeMs - fade);
  const { value, createdAt, guarded } = found;
  // Revision -1: what was captured before a slow load may have been replaced since, so the first hit compares.
  return { value, revision: -1, createdAt, calmUntil, fadeMs: fade, epoch, groups, generations, guarded };
}

/** What is old in a remote tier as an entry: no local tier keeps it, but a flight may fall back on it. `until` is when it ends, by the monotonic clock. */
export function passingEntry(
  { value, createdAt, until, guarded }: { readonly value: unknown; readonly createdAt: number; readonly until: number; readonly guarded: boolean },
  captures: readonly (Capture | undefined)[],
  unread: Unread,
  epoch: number,
  groups: readonly string[],
): LocalEntry {
  const generations = allGenerations(captures, unread);
  return { value, revision: -1, createdAt, calmUntil: until, fadeMs: 0, epoch, groups, generations, guarded };
}

/** Puts an entry into a local tier, until the end of its node's stale windows; `false` if it is past its life, or not held. @throws what `weigh` throws */
export function putEntry({ spec }: Binding, part: LocalPart, key: string, entry: LocalEntry, now: number): boolean {
  const end = freshUntil(entry);
  return part.space.set(key, entry, end > now ? end + spec.freshness.keepMs : end, now);
}
