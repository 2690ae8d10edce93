/**
 * Looking into the local tiers of a chain: synchronous, and on the path of nearly every call. A hit costs one lookup, a
 * look at the turn's time and one comparison of revisions; only after something was learned about generations is an entry compared
 * with them again.
 *
 * @module
 */

import type { Ask } from "./arrive.ts";
import type { Binding, LocalEntry } from "./binding.ts";
import { ageMs } from "./entry.ts";

/** The fresh local entry of a key, counted as a hit or a miss of the tiers asked. */
export function probe(binding: Binding, key: string): LocalEntry | undefined {
  const { nearest, nearestCounters, core } = binding;
  if (nearest === undefined || nearestCounters === undefined) return undefined;
  const now = core.turnTime();
  const entry = nearest.get(key, now);
  if (entry !== undefined && (entry.revision === core.revision.value || stillStands(binding, entry))) {
    nearestCounters.hitCount++;
    return entry;
  }
  nearestCounters.missCount++;
  return binding.chain.locals.length > 1 ? probeFurther(binding, key, now) : undefined;
}

/** The fresh local entry of what is asked, unless it is too old for this caller. */
export function young({ binding, reference, maxAgeMs }: Ask): LocalEntry | undefined {
  const entry = probe(binding, reference.key);
  if (entry === undefined || maxAgeMs === undefined) return entry;
  return ageMs(entry.createdAt, binding.core.clock.now()) <= maxAgeMs ? entry : undefined;
}

/** The fresh local entry of a key; counts nothing and is no access. */
export function peek(binding: Binding, key: string): LocalEntry | undefined {
  const now = binding.core.turnTime();
  for (const { space } of binding.chain.locals) {
    const entry = space.peek(key, now);
    if (entry && stillStands(binding, entry)) return entry;
  }
  return undefined;
}

function probeFurther(binding: Binding, key: string, now: number): LocalEntry | undefined {
  const { locals } = binding.chain;
  for (const [index, part] of locals.entries()) {
    if (index === 0) continue;
    const entry = part.space.get(key, now);
    if (!entry || !stillStands(binding, entry)) {
      part.counters.missCount++;
      continue;
    }
    part.counters.hitCount++;
    for (const nearer of locals.slice(0, index)) {
      const freshUntil = Math.min(entry.freshUntil, now + nearer.ttlMs);
      nearer.space.set(key, { ...entry, freshUntil }, freshUntil, now);
    }
    return entry;
  }
  return undefined;
}

/** Whether an entry's generations are the ones that stand, as far as this isolate knows. */
function stillStands(binding: Binding, entry: LocalEntry): boolean {
  const { revision } = binding.core;
  if (entry.revision === revision.value) return true;
  for (const part of binding.chain.remotes) {
    const own = entry.generations[part.index];
    if (own && !part.storage.stands(part.names, own)) return false;
  }
  entry.revision = revision.value;
  return true;
}
