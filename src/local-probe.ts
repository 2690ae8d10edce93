/**
 * Looking into the local tiers of a chain: synchronous, and on the path of nearly every call. A hit costs one lookup, a
 * look at the turn's time and one comparison of revisions; only after something was learned about generations is an entry compared
 * with them again.
 *
 * @module
 */

import type { Ask } from "./arrive.ts";
import { namesIn } from "./binding.ts";
import type { Binding, LocalEntry } from "./binding.ts";
import { ageMs } from "./entry.ts";
import { freshUntil, isBetter } from "./found.ts";
import { keyDigest } from "./key.ts";
import type { OldCopy } from "./found.ts";

/**
 * The calm entry of a key in the nearest tier, counted as a hit; `undefined`, and nothing counted, where it takes a longer look.
 * Nearly every `get` ends with it: see {@link Space.ask}.
 */
export function hit(binding: Binding, key: string): LocalEntry | undefined {
  const { nearest, nearestCounters, core, lingers } = binding;
  if (nearest === undefined || nearestCounters === undefined) return undefined;
  if (core.turn === undefined || lingers) return hitAt(binding, key, core.turnTime());
  const entry = nearest.ask(key, core.turn);
  if (entry === undefined || (entry.revision !== core.revision.value && !stillStands(binding, entry))) return undefined;
  nearestCounters.hitCount++;
  return entry;
}

/** The same at a time that the caller has: whoever asks for many keys looks at the clock once. */
export function hitAt(binding: Binding, key: string, now: number): LocalEntry | undefined {
  const { nearest, nearestCounters, core, lingers } = binding;
  if (nearest === undefined || nearestCounters === undefined) return undefined;
  const entry = nearest.get(key, now);
  // Where nothing lingers the tier has looked at the time already: looking at the entry's own costs a tenth of a hit.
  if (entry === undefined || (lingers && entry.calmUntil <= now)) return undefined;
  if (entry.revision !== core.revision.value && !stillStands(binding, entry)) return undefined;
  nearestCounters.hitCount++;
  return entry;
}

/** The calm local entry of a key, counted as a hit or a miss of the tiers asked. What fades or is stale is for `linger.ts`. */
function probe(binding: Binding, key: string, now: number): LocalEntry | undefined {
  const { nearestCounters, chain } = binding;
  if (nearestCounters === undefined) return undefined;
  const entry = hitAt(binding, key, now);
  if (entry !== undefined) return entry;
  nearestCounters.missCount++;
  return chain.locals.length > 1 ? probeFurther(binding, key, now) : undefined;
}

/** The calm local entry of what is asked, unless it is too old for this caller, or the caller takes none. */
export function young({ binding, reference, maxAgeMs, bornAfter }: Ask, now: number): LocalEntry | undefined {
  if (bornAfter !== undefined) return undefined;
  const entry = probe(binding, reference.key, now);
  return entry !== undefined && isYoung(binding, entry, maxAgeMs) ? entry : undefined;
}

/** Whether an entry is no older than a caller allows. */
export function isYoung({ core }: Binding, { createdAt }: LocalEntry, maxAgeMs: number | undefined): boolean {
  return maxAgeMs === undefined || ageMs(createdAt, core.clock.now()) <= maxAgeMs;
}

/** The fresh local entry of a key; counts nothing and is no access. */
export function peek(binding: Binding, key: string): LocalEntry | undefined {
  const now = binding.core.turnTime();
  for (const { space } of binding.chain.locals) {
    const entry = space.peek(key, now);
    if (entry && freshUntil(entry) > now && stillStands(binding, entry)) return entry;
  }
  return undefined;
}

/** The best local copy of a key, also one past its life; counts nothing and is no access. */
export function localCopy(binding: Binding, key: string): OldCopy | undefined {
  const now = binding.core.clock.monotonic();
  let best: OldCopy | undefined;
  for (const { space, name } of binding.chain.locals) {
    const entry = space.peek(key, now);
    if (entry && stillStands(binding, entry) && isBetter(entry, best?.entry, now)) best = { entry, source: name };
  }
  return best;
}

function probeFurther(binding: Binding, key: string, now: number): LocalEntry | undefined {
  const { locals } = binding.chain;
  for (const [index, part] of locals.entries()) {
    if (index === 0) continue;
    const entry = part.space.get(key, now);
    if (!entry || entry.calmUntil <= now || !stillStands(binding, entry)) {
      part.counters.missCount++;
      continue;
    }
    part.counters.hitCount++;
    const { keepMs } = binding.spec.freshness;
    for (const nearer of locals.slice(0, index)) {
      const end = Math.min(freshUntil(entry), now + nearer.ttlMs);
      try {
        nearer.space.set(key, { ...entry, calmUntil: end - entry.fadeMs }, end + keepMs, now);
      } catch {
        // What `weigh` throws costs the storing alone.
        const { core, spec } = binding;
        core.emitter.emit({ type: "not-stored", node: spec.name, key: keyDigest(key), reason: "hook", storage: nearer.name });
      }
    }
    return entry;
  }
  return undefined;
}

/** Whether an entry's generations are the ones that stand, as far as this isolate knows. */
export function stillStands(binding: Binding, entry: LocalEntry): boolean {
  const { revision, epochs } = binding.core;
  if (entry.revision === revision.value) return true;
  const groups = entry.groups ?? binding.groups;
  if (epochs.outlived(groups, entry.epoch)) return false;
  for (const part of binding.chain.remotes) {
    const own = entry.generations[part.index];
    if (own && !part.storage.stands(namesIn(part, groups), own)) return false;
  }
  entry.revision = revision.value;
  return true;
}
