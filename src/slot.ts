/**
 * What a flight makes of a slot that it read in a remote tier: an answer of some kind, or none. It tells the flight of
 * tombstones and other generations, which forbid its old copies, and reports what is no entry of this key. `make-slot.ts` goes
 * the other way.
 *
 * @module
 */

import type { RemotePart } from "./binding.ts";
import type { Flight } from "./chain.ts";
import { ageMs, freshLeftMs } from "./entry.ts";
import { decodeSlot } from "./envelope.ts";
import { draw, fadeMs, isDue } from "./freshness.ts";
import { isOfGenerations } from "./generations.ts";
import type { Slot } from "./storage.ts";

/** An entry of this key and of the generations that stand. */
export interface Answer {
  /** Whether it ends the flight, is handed out while the flight goes on, or is no answer unless the source fails. */
  readonly use: "answer" | "early" | "old";
  readonly payload: Uint8Array | null | undefined;
  readonly createdAt: number;
  readonly leftMs: number;
  readonly costMs: number;
}

/** The entry in a slot, if it is an answer to a flight; `asRead` are the generations that were read beside it. */
export function answerIn(slot: Slot, flight: Flight, part: RemotePart, asRead: readonly (number | undefined)[]): Answer | undefined {
  const { binding, key, fullKey, maxAgeMs } = flight;
  const { core, owner, spec } = binding;
  const decoded = decodeSlot(slot.bytes, owner, fullKey);
  if (decoded.kind === "foreign") core.reportMismatch(part.name, spec.name, decoded.node, key);
  if (decoded.kind === "corrupt") flight.report(part, decoded.reason);
  if (decoded.kind === "tombstone") flight.distrust();
  if (decoded.kind !== "entry") return undefined;
  if (!isOfGenerations(decoded.generations, asRead)) {
    flight.distrust();
    return undefined;
  }
  const now = core.clock.now();
  const { times, costMs, payload } = decoded;
  const leftMs = freshLeftMs(times, slot.remainingMs, now, part.ttlMs);
  if (!(leftMs > -spec.freshness.keepMs) || (maxAgeMs !== undefined && ageMs(times.createdAt, now) > maxAgeMs)) return undefined;
  const use = leftMs <= 0 ? "old" : isToBeRenewed(flight, fadeMs(costMs, spec.freshness), leftMs) ? "early" : "answer";
  return { payload, createdAt: times.createdAt, leftMs, costMs, use };
}

/** Whether chance says so; it is asked once for a flight, and only where renewing can outlive the answer. */
function isToBeRenewed(flight: Flight, fade: number, leftMs: number): boolean {
  if (fade === 0 || !flight.call.lasts) return false;
  flight.drawn ??= draw();
  return isDue(fade, leftMs, flight.drawn);
}
