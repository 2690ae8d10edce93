/**
 * Old copies as answers: what a flight may hand out before it is done, or in place of an error. It relies on the flight for
 * what was met on the way, and on `freshness.ts` for the windows.
 *
 * Invariant: no old copy is served once this isolate has invalidated the key, its node or a tag, or has read that another did.
 *
 * @module
 */

import { handOut } from "./answer.ts";
import type { LocalEntry } from "./binding.ts";
import type { Flight } from "./chain.ts";
import { ageMs } from "./entry.ts";
import { foundInCopy, freshUntil } from "./found.ts";
import type { Found } from "./found.ts";
import { stillStands } from "./local-probe.ts";
import type { Stale } from "./types.ts";

/** The flight's old copy as an answer, if it is no more than `windowMs` past its life, and no older than whoever asks allows. */
export function servable(flight: Flight, windowMs: number, maxAgeMs: number | undefined): Found | undefined {
  const { old, binding } = flight;
  if (!old || flight.fenced || !stillStands(binding, old.entry)) return undefined;
  const { clock } = binding.core;
  const now = clock.monotonic();
  if (now >= freshUntil(old.entry) + windowMs) return undefined;
  if (maxAgeMs !== undefined && ageMs(old.entry.createdAt, clock.now()) > maxAgeMs) return undefined;
  return foundInCopy(old, now);
}

/** No tier had an answer: those who wait get the old copy now, where the node allows that, or once the load has taken long. */
export function serveWhileLoading(flight: Flight): void {
  if (!flight.old) return;
  const { core, spec } = flight.binding;
  const { staleWhileRevalidateMs, keepMs, softTimeoutMs } = spec.freshness;
  const serve = (windowMs: number): void => {
    const found = servable(flight, windowMs, flight.maxAgeMs);
    if (found) flight.answerEarly(found, windowMs);
  };
  serve(staleWhileRevalidateMs);
  if (!flight.final && softTimeoutMs !== undefined) flight.softTimer = core.clock.setTimeout(() => serve(keepMs), softTimeoutMs);
}

/** The value that a copy offers to a loader. */
export function offer({ binding }: Pick<Flight, "binding">, entry: LocalEntry | undefined): Stale | undefined {
  return entry && { value: handOut(binding, entry.value), ageMs: ageMs(entry.createdAt, binding.core.clock.now()) };
}
