/**
 * Local copies past their calm time: one that fades is still fresh and may be renewed early, one that is stale may answer
 * while a new value is fetched in the background. Off the path of ordinary hits; only nodes with such rules come here.
 *
 * @module
 */

import { outlives } from "./arrive.ts";
import type { Ask, Caller } from "./arrive.ts";
import type { LocalEntry } from "./binding.ts";
import { freshUntil } from "./found.ts";
import { draw, isDue } from "./freshness.ts";
import { isYoung, stillStands } from "./local-probe.ts";
import type { TierCounters } from "./stats.ts";

/** Has a key renewed; `drawn` is what chance has said about it. */
export type Renew = (ask: Ask, drawn: number | undefined) => void;

/**
 * The local copy that answers though it is not calm, counted as a hit of its tier, which the probe has counted as a miss: the
 * first that is fresh, else the first in its window. Where it is due or stale, it is handed to `renewing`. A stale one is no
 * answer where nothing outlives the answer: there it is renewed while the caller waits.
 */
export function linger(caller: Caller, ask: Ask, now: number, renewing: Renew): LocalEntry | undefined {
  const { binding, reference, maxAgeMs, bornAfter } = ask;
  if (!binding.lingers || bornAfter !== undefined) return undefined;
  const { staleWhileRevalidateMs } = binding.spec.freshness;
  let old: { readonly entry: LocalEntry; readonly counters: TierCounters } | undefined;
  for (const { space, counters } of binding.chain.locals) {
    const entry = space.peek(reference.key, now);
    if (!entry || !stillStands(binding, entry) || !isYoung(binding, entry, maxAgeMs)) continue;
    const leftMs = freshUntil(entry) - now;
    if (leftMs > 0) {
      const drawn = draw();
      if (outlives(caller) && isDue(entry.fadeMs, leftMs, drawn)) renewing(ask, drawn);
      return countHit(entry, counters);
    }
    if (leftMs > -staleWhileRevalidateMs) old ??= { entry, counters };
  }
  if (!old || !outlives(caller)) return undefined;
  renewing(ask, undefined);
  binding.counters.staleCount++;
  return countHit(old.entry, old.counters);
}

function countHit(entry: LocalEntry, counters: TierCounters): LocalEntry {
  counters.hitCount++;
  counters.missCount--;
  return entry;
}
