/**
 * What callers get: values, their own copies where the node asks for that, lookups, and the counting of requests.
 *
 * Invariant: a request is counted once, when it is answered, as a hit or as a miss; a follower as what its leader found.
 *
 * @module
 */

import { notCloneable } from "./clone.ts";
import type { Arrival, Ask } from "./arrive.ts";
import type { Binding, LocalEntry } from "./binding.ts";
import { ageMs } from "./entry.ts";
import { freshUntil } from "./found.ts";
import type { Found, Outcome } from "./found.ts";
import type { Lookup, LookupResult } from "./types.ts";

/** The value of a local entry, counted as a hit. */
export function takeEntry(binding: Binding, entry: LocalEntry): unknown {
  binding.counters.hitCount++;
  return handOut(binding, entry.value);
}

/** The value of a flight's outcome, counted. @throws what the flight failed with, unchanged. */
export function take(binding: Binding, outcome: Outcome, collapsed: boolean): unknown {
  count(binding, outcome, collapsed);
  if (outcome.ok) return handOut(binding, outcome.value);
  throw outcome.error;
}

/** A value for one caller. */
export function handOut({ spec }: Binding, value: unknown): unknown {
  if (spec.clone !== "structured") return value;
  try {
    return structuredClone(value);
  } catch {
    throw notCloneable(spec.name, spec.clone);
  }
}

function count({ counters }: Binding, outcome: Outcome, collapsed: boolean): void {
  if (collapsed) counters.collapsedCount++;
  if (outcome.ok && outcome.stale) counters.staleCount++;
  if (outcome.ok && !outcome.loaded) counters.hitCount++;
  else counters.missCount++;
}

/** The lookup of a local entry, counted as a hit. */
export function lookUpEntry(binding: Binding, key: string, entry: LocalEntry): Lookup<unknown> {
  const { clock } = binding.core;
  const { locals } = binding.chain;
  const now = clock.monotonic();
  const part = locals.find(({ space }) => space.peek(key, now) === entry) ?? locals[0];
  const leftMs = freshUntil(entry) - now;
  return {
    value: takeEntry(binding, entry),
    source: part?.name ?? "local",
    state: leftMs > 0 ? "fresh" : "stale",
    ageMs: ageMs(entry.createdAt, clock.now()),
    ttlMs: leftOf(leftMs),
    collapsed: false,
    guarded: entry.guarded,
  };
}

/** The lookup of an arrival, counted; an error takes its place. */
export function lookUp(binding: Binding, outcome: Outcome, collapsed: boolean): LookupResult<unknown> {
  count(binding, outcome, collapsed);
  return outcome.ok ? lookUpFound(binding, outcome, collapsed) : { error: outcome.error };
}

function lookUpFound(binding: Binding, found: Found, collapsed: boolean): Lookup<unknown> {
  const { clock } = binding.core;
  const { locals, remotes } = binding.chain;
  // After a load the leftmost tier is the one that answers next.
  const lifeMs = found.loaded ? Math.min(found.leftMs, locals[0]?.ttlMs ?? remotes[0]?.ttlMs ?? 0) : found.leftMs;
  return {
    value: handOut(binding, found.value),
    source: found.source,
    state: found.stale ? "stale" : "fresh",
    ageMs: ageMs(found.createdAt, clock.now()),
    ttlMs: leftOf(lifeMs - (clock.monotonic() - found.since)),
    collapsed,
    guarded: found.guarded,
  };
}

function leftOf(ms: number): number | null {
  return ms === Number.POSITIVE_INFINITY ? null : Math.max(0, ms);
}

/** The asks that no local entry answered. */
export function missing(asks: readonly Ask[], entries: readonly (LocalEntry | undefined)[]): readonly Ask[] {
  return asks.filter((_, index) => entries[index] === undefined);
}

/** The values of local entries and, where there was none, of arrivals, in order. @throws the first failure in that order. */
export function valuesOf(asks: readonly Ask[], entries: readonly (LocalEntry | undefined)[], arrivals: readonly Arrival[]): unknown[] {
  let next = 0;
  let failure: { readonly error: unknown } | undefined;
  const values = asks.map(({ binding }, index) => {
    const entry = entries[index];
    if (entry) return takeEntry(binding, entry);
    try {
      const { outcome, collapsed } = arrivals[next++] ?? unanswered();
      return take(binding, outcome, collapsed);
    } catch (error) {
      failure ??= { error };
      return undefined;
    }
  });
  if (failure) throw failure.error;
  return values;
}

/** Cannot happen: every ask that was missing has its arrival. */
export function unanswered(): never {
  throw new Error("a key was asked for and not answered");
}
