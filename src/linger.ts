/**
 * Local copies past their calm time: one that fades is still fresh and may be renewed early, one that is stale may answer
 * while a new value is fetched in the background. Off the path of ordinary hits; only nodes with such rules come here.
 *
 * @module
 */

import { renew } from "./arrive.ts";
import type { Ask, Caller } from "./arrive.ts";
import type { LocalEntry } from "./binding.ts";
import { freshUntil } from "./found.ts";
import { isDue } from "./freshness.ts";
import { isYoung, stillStands } from "./local-probe.ts";

/**
 * The local copy that answers though it is not calm, counted as a hit of its tier, which the probe has counted as a miss.
 * Where it is due or stale, the flight that renews it has begun. Not without a request that outlives its answer: there a stale
 * value is renewed while the caller waits.
 */
export function linger(caller: Caller, ask: Ask): LocalEntry | undefined {
  const { binding, reference, maxAgeMs, bornAfter } = ask;
  if (!binding.lingers || bornAfter !== undefined) return undefined;
  const { staleWhileRevalidateMs } = binding.spec.freshness;
  const now = binding.core.turnTime();
  for (const { space, counters } of binding.chain.locals) {
    const entry = space.peek(reference.key, now);
    if (!entry || !stillStands(binding, entry) || !isYoung(binding, entry, maxAgeMs)) continue;
    const leftMs = freshUntil(entry) - now;
    if (leftMs <= -staleWhileRevalidateMs && leftMs <= 0) continue;
    if ((leftMs <= 0 || isDue(entry.fadeMs, leftMs)) && !renew(caller, ask) && leftMs <= 0) return undefined;
    counters.hitCount++;
    counters.missCount--;
    if (leftMs <= 0) binding.counters.staleCount++;
    return entry;
  }
  return undefined;
}
