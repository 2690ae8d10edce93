/**
 * Changing what the tiers hold: `set`, `invalidate`, and the two halves of `refresh` (`refresh.ts`). All three fence first, so
 * that older loads of this isolate store nothing, and clear or write remote tiers from right to left, each awaited before the
 * next: in any other order a reader could copy the old value from a tier that is not yet cleared into one that is.
 *
 * Invariant: a value is written only under the stamp that the same operation read, and only while the operation is younger
 * than `storeWithin`; whatever is refused, or too old, becomes a tombstone.
 * Invariant: a local copy is kept only if nothing fenced the operation, nothing was refused and nothing failed.
 *
 * @module
 */

import type { Capture } from "./capture.ts";
import type { ByteRoom } from "./byte-room.ts";
import { protect } from "./clone.ts";
import { fullKeyOf } from "./binding.ts";
import type { Binding, Chain, Mark, RemotePart } from "./binding.ts";
import { CacheError } from "./errors.ts";
import { Operation } from "./flight.ts";
import type { Call } from "./flight.ts";
import type { Found } from "./found.ts";
import { jittered } from "./freshness.ts";
import { BadTags, generationsOf } from "./generations.ts";
import { keyDigest, storedKey } from "./key.ts";
import { localEntry, putEntry, sharedGenerations } from "./local-entry.ts";
import { encodeValue, fits, makeSlot, serializeError } from "./make-slot.ts";
import type { Payload } from "./make-slot.ts";
import type { WriteEntry } from "./storage.ts";
import { resultOf } from "./shareable.ts";
import { capture, clear, write } from "./tier-calls.ts";
import type { Target } from "./tier-calls.ts";

export type { Target } from "./tier-calls.ts";

function dropLocal({ binding, key }: Target): void {
  for (const { space } of binding.chain.locals) space.delete(key);
}

/** The tiers that failed, and why, where that is known. */
export type Failed = Map<string, CacheError | undefined>;

export function writeError(operation: string, tiers: Failed): CacheError {
  const names = Array.from(tiers.keys(), (name) => `storage ${JSON.stringify(name)}`).join(" and ");
  const cause = [...tiers.values()].find((error) => error !== undefined);
  return new CacheError("ERR_STORAGE_WRITE", `${operation}: ${names} failed; the other tiers were served, and calling again is safe`, cause);
}

/** Clears a key in a tier, and notes it if that fails. */
async function clearOr(failed: Failed, part: RemotePart, target: Target): Promise<void> {
  const error = await clear(part, target);
  if (error) failed.set(part.name, error);
}

/** Clears keys in every tier. All tiers are tried; rejects naming those that failed. */
export async function invalidate(targets: readonly Target[]): Promise<void> {
  const cut = (): void => {
    for (const target of targets) {
      target.binding.core.fence(target.binding, target.key);
      dropLocal(target);
    }
  };
  cut();
  const failed: Failed = new Map();
  const chains = targets.map((target) => [...target.binding.chain.remotes].reverse());
  const depth = chains.reduce((most, chain) => Math.max(most, chain.length), 0);
  for (let step = 0; step < depth; step++) {
    await Promise.all(
      targets.map(async (target, index) => {
        const part = chains[index]?.[step];
        if (part) await clearOr(failed, part, target);
      }),
    );
  }
  cut();
  if (failed.size > 0) throw writeError("invalidate", failed);
}

/** What is to replace an entry. */
export interface Replacement {
  readonly found: Found;
  readonly payload: Payload;
  /** Cap on the life in every tier, in ms. */
  readonly ttlMs: number;
}

/** Where an operation that replaces an entry began, and what it saw. */
export interface Beginning {
  readonly chain: Chain;
  readonly startedAt: number;
  readonly mark: Mark;
  readonly epoch: number;
  /** The generations of the key; `undefined` if its tags cannot be known, and then nothing may be stored. */
  readonly groups: readonly string[] | undefined;
  readonly captures: readonly (Capture | undefined)[];
}

/** Fences, takes a mark, and reads the stamps and generations of all tiers at once. */
export async function beginReplacing(call: Call, target: Target): Promise<Beginning> {
  const { binding, key, params } = target;
  const { core, chain } = binding;
  const groups = groupsOf(binding, key, params);
  const startedAt = core.clock.monotonic();
  const epoch = core.epochs.now;
  core.fence(binding, key);
  const mark: Mark = { fenced: false, call };
  binding.marks.set(key, mark);
  const fullKey = fullKeyOf(binding, key);
  const captures = await Promise.all(
    chain.remotes.map(async (part) => capture(part, await storedKey(fullKey, part.storage.maxKeyBytes), groups ?? [], target)),
  );
  return { chain, startedAt, mark, epoch, groups, captures };
}

/** @throws TypeError for what is no tag; what `tags` itself throws costs the storing. */
function groupsOf(binding: Binding, key: string, params: unknown): readonly string[] | undefined {
  try {
    return generationsOf(binding, params);
  } catch (error) {
    if (error instanceof BadTags) throw error;
    binding.core.emitter.emit({ type: "not-stored", node: binding.spec.name, key: keyDigest(key), reason: "hook" });
    return undefined;
  }
}

/** Gives up before anything was written. */
export function abandonReplacing({ binding, key }: Target, { mark }: Beginning): void {
  if (binding.marks.get(key) === mark) binding.marks.delete(key);
}

/** Writes right to left, then locally. Answers the tiers that failed. */
export async function finishReplacing(target: Target, begun: Beginning, { found, payload, ttlMs }: Replacement): Promise<Failed> {
  const { binding, key } = target;
  const { core, spec } = binding;
  const { chain, captures } = begun;
  const fullKey = fullKeyOf(binding, key);
  const failed: Failed = new Map();
  const lasts = ttlMs > 0 && begun.groups !== undefined;
  let refused = false;
  for (const part of [...chain.remotes].reverse()) {
    const seen = captures[part.index];
    const short = await storedKey(fullKey, part.storage.maxKeyBytes);
    let tooLarge = false;
    const make = (now: number, room: ByteRoom): WriteEntry | undefined => {
      if (!seen || !lasts || now - begun.startedAt > spec.storeWithinMs) return undefined;
      const lifeMs = Math.min(jittered(part.ttlMs, spec.freshness), ttlMs);
      const entry = makeSlot(binding, part, { key: short, fullKey, found, payload, capture: seen, ttlMs: lifeMs }, room);
      tooLarge = !fits(part, payload, entry);
      if (!tooLarge) return entry;
      core.emitter.emit({ type: "not-stored", node: spec.name, key: keyDigest(key), reason: "size", storage: part.name });
      return undefined;
    };
    if (!seen) failed.set(part.name, undefined);
    const written = await write(part, short, target.view, make);
    if (written instanceof CacheError) failed.set(part.name, written);
    if (written !== "refused") continue;
    refused ||= !tooLarge && lasts && seen !== undefined;
    await clearOr(failed, part, target);
  }
  const mine = !begun.mark.fenced;
  core.fence(binding, key);
  if (refused) binding.counters.fencedCount++;
  if (mine && lasts && !refused && failed.size === 0) putLocal(target, begun, found, ttlMs);
  else dropLocal(target);
  return failed;
}

function putLocal({ binding, key }: Target, begun: Beginning, found: Found, ttlMs: number): void {
  const { core, spec } = binding;
  const { epoch, groups } = begun;
  const generations = sharedGenerations(binding, begun.captures);
  const own = groups === binding.groups ? undefined : groups;
  for (const part of begun.chain.locals) {
    const entry = localEntry(part, { ...found, leftMs: Math.min(found.leftMs, ttlMs) }, generations, spec.freshness, epoch, own);
    try {
      putEntry(binding, part, key, entry, core.clock.monotonic());
    } catch {
      core.emitter.emit({ type: "not-stored", node: spec.name, key: keyDigest(key), reason: "hook", storage: part.name });
    }
  }
}

/** The value as it is stored: protected as the node asks, and serialized before anybody can change it. @throws ERR_SERIALIZE */
export async function prepare(binding: Binding, value: unknown): Promise<{ readonly value: unknown; readonly payload: Payload }> {
  const { spec, chain } = binding;
  try {
    const shareable = resultOf(value, spec.name, "set was given");
    if (!shareable.ok) throw shareable.result;
    const own = protect(value, spec.clone);
    return { value: own, payload: chain.remotes.length > 0 ? await encodeValue(spec, own) : undefined };
  } catch (error) {
    throw serializeError(error, spec);
  }
}

/** Stores a value in every tier, after earlier `set`s of the same key. */
export async function set(call: Call, target: Target, value: unknown, ttlMs: number): Promise<void> {
  const { binding, key } = target;
  const { core } = binding;
  const preparing = prepare(binding, value);
  preparing.catch(() => undefined);
  const turn = new Operation<object>(call);
  const before = binding.turns.get(key);
  binding.turns.set(key, turn);
  call.begin();
  try {
    // Those who come later wait for this turn alone, so it waits for the one before also when it has nothing to store.
    if (before) await call.follow(before, binding.chain.capMs);
    const prepared = await preparing;
    const createdAt = core.clock.now();
    const begun = await beginReplacing(call, target);
    const found: Found = {
      ok: true,
      value: prepared.value,
      source: "set",
      loaded: true,
      stale: false,
      createdAt,
      since: begun.startedAt,
      leftMs: Number.POSITIVE_INFINITY,
      costMs: 0,
      guarded: true,
    };
    const failed = await finishReplacing(target, begun, { found, payload: prepared.payload, ttlMs });
    if (failed.size > 0) throw writeError("set", failed);
  } finally {
    if (binding.turns.get(key) === turn) binding.turns.delete(key);
    turn.settle({});
    call.end();
  }
}
