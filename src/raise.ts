/**
 * Invalidating many entries at once: raising the generation of a node or of tags in every remote tier, and telling by a token
 * what was raised. It costs one call a tier, whatever the number of entries.
 *
 * @module
 */

import { callBy } from "./arrive.ts";
import type { Caller } from "./arrive.ts";
import { fullKeyOf } from "./binding.ts";
import type { Binding } from "./binding.ts";
import type { Core } from "./core.ts";
import { generationsOf } from "./generations.ts";
import type { RemoteStorage } from "./remote-storage.ts";
import { writeError } from "./replace.ts";
import type { Failed } from "./replace.ts";
import { checkView } from "./storages.ts";
import { createToken, isNamed, parseToken } from "./token.ts";
import type { Named } from "./token.ts";
import type { InvalidationToken, Reference } from "./types.ts";

/**
 * Raises generations for a caller, and names them in a token. Storages are asked for after the isolate's own copies were cut off,
 * since they may have to be made, which may fail.
 *
 * @throws ERR_STORAGE_WRITE naming the tiers that failed; TypeError for storages that cannot be made
 */
export async function raiseBy(
  caller: Caller,
  operation: string,
  names: readonly string[],
  storagesOf: () => readonly RemoteStorage[],
): Promise<InvalidationToken> {
  cutOff(caller.core, names);
  const storages = storagesOf();
  checkView(caller.scope, storages, operation);
  const call = callBy(caller);
  call.begin();
  try {
    const failed = await raiseIn(caller, storages, names);
    if (failed.size > 0) throw writeError(operation, failed);
  } finally {
    call.end();
  }
  return createToken(names);
}

/** What a token from outside names. What is no token of ours is reported and names nothing. */
export function namedBy({ emitter }: Core, token: unknown): Named | undefined {
  const named = parseToken(token);
  if (!named) emitter.emit({ type: "token-ignored" });
  return named;
}

/** Whether a token names a reference: its key, its node or one of its tags. */
export function isNamedBy(named: Named, binding: Binding, { key, params }: Reference<unknown>): boolean {
  if (isNamed(named, [fullKeyOf(binding, key)])) return true;
  try {
    return isNamed(named, generationsOf(binding, params));
  } catch {
    // The flight finds out as well, and tells.
    return false;
  }
}

/**
 * Raises generations in storages, one after another, each awaited: first those that stand furthest right, for the same reason
 * as in `invalidate`. All are tried.
 *
 * @returns the storages that failed, by name.
 */
async function raiseIn({ core, scope }: Caller, storages: readonly RemoteStorage[], names: readonly string[]): Promise<Failed> {
  const failed: Failed = new Map();
  for (const storage of storages) {
    if (!storage.conditional) core.reportWeakKept(storage.name);
    else {
      const error = await storage.raise(names, scope);
      if (error) failed.set(storage.name, error);
    }
  }
  cutOff(core, names);
  return failed;
}

/** Cuts off what began before now, in this isolate. */
function cutOff({ epochs, revision }: Core, names: readonly string[]): void {
  epochs.raise(names);
  revision.value++;
}

/**
 * Every remote storage of a cache, in an order in which tags can be raised: from right to left for every chain. Storages are
 * taken in the reverse of the order in which the cache lists them; where a node's chain runs against that order, the storages
 * concerned are raised once more.
 */
export function raisingOrder(core: Core): readonly RemoteStorage[] {
  const order: RemoteStorage[] = [...core.storages.all()].reverse();
  for (const { chain } of core.allBindings()) {
    const wanted = chain.remotes.map(({ storage }) => storage).reverse();
    let next = 0;
    for (const storage of order) if (storage === wanted[next]) next++;
    if (next < wanted.length) order.push(...wanted);
  }
  return order;
}
