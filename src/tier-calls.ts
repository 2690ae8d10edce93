/**
 * Single calls to single tiers, as promises, for the operations that go through tiers one after another. They travel in the
 * storage's lanes like those of flights, so many callers still share round trips.
 *
 * @module
 */

import type { Capture } from "./capture.ts";
import { fullKeyOf, namesIn } from "./binding.ts";
import type { Binding, RemotePart } from "./binding.ts";
import { MARGIN_MS } from "./entry.ts";
import { encodeTombstone, isTombstone } from "./envelope.ts";
import { storedKey } from "./key.ts";
import type { CacheError } from "./errors.ts";
import { countFailure } from "./settle.ts";
import type { WriteJob } from "./remote-storage.ts";
import { stampOf } from "./stamp.ts";
import type { Scope } from "./scope.ts";

/** One key of one node, as an operation is asked about it. */
export interface Target {
  readonly binding: Binding;
  readonly key: string;
  readonly params: unknown;
  /** The view that asks. */
  readonly view: Scope;
}

/** The key of a reference, as a view asks about it. */
export function targetOf(view: Scope, binding: Binding, { key, params }: { readonly key: string; readonly params: unknown }): Target {
  return { binding, key, params, view };
}

/** What a read of a tier, made for writing it, saw; `undefined` if it failed. A tombstone is the end of this isolate's copies. */
export function capture(part: RemotePart, short: string, groups: readonly string[], { binding, key, view }: Target): Promise<Capture | undefined> {
  return new Promise((resolve) => {
    part.storage.read({
      view,
      storedKey: short,
      names: namesIn(part, groups),
      glimpsed(slot) {
        if (slot && isTombstone(slot.bytes)) forsake(binding, key);
      },
      answered(slot, _asRead, standing, ms) {
        part.counters.readTimeMs += ms;
        this.glimpsed(slot);
        if (!standing) return resolve(undefined);
        resolve({ stamp: part.storage.conditional ? (slot ? stampOf(slot.bytes) : null) : undefined, numbers: standing });
      },
      failed(error) {
        countFailure(part, error);
        resolve(undefined);
      },
    });
  });
}

/** Drops the copies of a key that its isolate holds, also as what a flight would fall back on. */
function forsake(binding: Binding, key: string): void {
  for (const { space } of binding.chain.locals) space.delete(key);
  binding.flights.get(key)?.distrust();
}

/** How a write ended; an error if it failed. */
export type Written = "stored" | "refused" | CacheError;

/** Writes one slot; `make` is asked at the moment of sending, as {@link WriteJob.prepare}, and may decline. */
export function write(part: RemotePart, short: string, view: Scope, make: WriteJob["prepare"]): Promise<Written> {
  return new Promise((resolve) => {
    part.storage.write({
      view,
      storedKey: short,
      prepare(now, room) {
        const entry = make(now, room);
        if (!entry) resolve("refused");
        return entry;
      },
      written(stored, ms) {
        part.counters.writeCount++;
        part.counters.writeTimeMs += ms;
        if (stored === false) part.counters.refusedCount++;
        resolve(stored === false ? "refused" : "stored");
      },
      failed(error) {
        countFailure(part, error);
        resolve(error);
      },
    });
  });
}

/**
 * Clears a key in one tier: a tombstone where writes are conditional, so that older loads elsewhere are refused; else a removal.
 *
 * @returns why it failed, if it did.
 */
export async function clear(part: RemotePart, { binding, key, view }: Target): Promise<CacheError | undefined> {
  const fullKey = fullKeyOf(binding, key);
  const short = await storedKey(fullKey, part.storage.maxKeyBytes);
  if (part.storage.conditional) {
    const ttlMs = binding.spec.storeWithinMs + MARGIN_MS;
    const written = await write(part, short, view, () => ({ key: short, bytes: encodeTombstone(binding.owner, fullKey), ttlMs }));
    return typeof written === "string" ? undefined : written;
  }
  return new Promise((resolve) => {
    part.storage.remove({
      view,
      storedKey: short,
      removed: () => resolve(undefined),
      failed(error) {
        countFailure(part, error);
        resolve(error);
      },
    });
  });
}
