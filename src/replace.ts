/**
 * Changing what the tiers hold: `set`, `refresh`, `invalidate`. All three fence first, so that older loads of this isolate
 * store nothing, and clear or write remote tiers from right to left, each awaited before the next: in any other order a
 * reader could copy the old value from a tier that is not yet cleared into one that is.
 *
 * Invariant: a value is written only under the stamp that the same operation read, and only while the operation is younger
 * than `storeWithin`; whatever is refused, or too old, becomes a tombstone.
 * Invariant: a local copy is kept only if nothing fenced the operation, nothing was refused and nothing failed.
 *
 * @module
 */

import type { Capture, Found, OwnLoader } from "./chain.ts";
import { deepFreeze } from "./clone.ts";
import { fullKeyOf } from "./core.ts";
import type { Binding, Chain, RemotePart } from "./core.ts";
import { MARGIN_MS } from "./entry.ts";
import type { EntryTimes } from "./entry.ts";
import { encodeEntry, encodeTombstone } from "./envelope.ts";
import { CacheError } from "./errors.ts";
import { LOST, OVERDUE, Operation } from "./flight.ts";
import type { Call } from "./flight.ts";
import { keyDigest, storedKey } from "./key.ts";
import { execute, noLoader } from "./load.ts";
import type { Loaded } from "./load.ts";
import { countFailure, encodeValue, localEntry, serializeError, slotFor } from "./settle.ts";
import type { Payload } from "./settle.ts";
import { stampOf } from "./stamp.ts";
import { countLoad } from "./stats.ts";
import type { WriteEntry } from "./storage.ts";

/** One key of one node, as an operation is asked about it. */
export interface Target {
  readonly binding: Binding;
  readonly key: string;
  readonly params: unknown;
}

/** What a read of a tier, made for writing it, saw; `undefined` if it failed. */
function capture(part: RemotePart, short: string): Promise<Capture | undefined> {
  return new Promise((resolve) => {
    part.storage.read({
      storedKey: short,
      names: part.names,
      queuedAt: 0,
      answered(slot, _asRead, standing, ms) {
        part.counters.readTimeMs += ms;
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

type Written = "stored" | "refused" | "failed";

/** Writes one slot; `make` is asked at the moment of sending, and may decline. */
function write(part: RemotePart, short: string, make: () => WriteEntry | undefined): Promise<Written> {
  return new Promise((resolve) => {
    part.storage.write({
      storedKey: short,
      queuedAt: 0,
      prepare() {
        const entry = make();
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
        resolve("failed");
      },
    });
  });
}

/** Clears a key in one tier: a tombstone where writes are conditional, so that older loads elsewhere are refused; else a removal. */
async function clear(part: RemotePart, { binding, key }: Target): Promise<boolean> {
  const fullKey = fullKeyOf(binding, key);
  const short = await storedKey(fullKey, part.storage.maxKeyBytes);
  if (part.storage.conditional) {
    const ttlMs = binding.spec.storeWithinMs + MARGIN_MS;
    return (await write(part, short, () => ({ key: short, bytes: encodeTombstone(binding.owner, fullKey), ttlMs }))) === "stored";
  }
  return new Promise((resolve) => {
    part.storage.remove({
      storedKey: short,
      queuedAt: 0,
      removed: () => resolve(true),
      failed(error) {
        countFailure(part, error);
        resolve(false);
      },
    });
  });
}

function dropLocal({ binding, key }: Target): void {
  for (const { space } of binding.chain.locals) space.delete(key);
}

function writeError(operation: string, tiers: ReadonlySet<string>): CacheError {
  return new CacheError(
    "ERR_STORAGE_WRITE",
    `${operation}: ${[...tiers].map((name) => `storage ${JSON.stringify(name)}`).join(" and ")} failed; the other tiers were served, and calling again is safe`,
  );
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
  const failed = new Set<string>();
  const chains = targets.map((target) => [...target.binding.chain.remotes].reverse());
  const depth = chains.reduce((most, chain) => Math.max(most, chain.length), 0);
  for (let step = 0; step < depth; step++) {
    await Promise.all(
      targets.map(async (target, index) => {
        const part = chains[index]?.[step];
        if (part && !(await clear(part, target))) failed.add(part.name);
      }),
    );
  }
  cut();
  if (failed.size > 0) throw writeError("invalidate", failed);
}

/** What is to replace an entry. */
interface Replacement {
  readonly found: Found;
  readonly payload: Payload;
  /** Cap on the life in every tier, in ms. */
  readonly ttlMs: number;
}

/** Where an operation that replaces an entry began, and what it saw. */
interface Beginning {
  readonly chain: Chain;
  readonly startedAt: number;
  readonly mark: number;
  readonly captures: readonly (Capture | undefined)[];
}

/** Fences, takes a mark, and reads the stamps and generations of all tiers at once. */
async function beginReplacing({ binding, key }: Target): Promise<Beginning> {
  const { core, chain } = binding;
  const startedAt = core.clock.monotonic();
  core.fence(binding, key);
  const mark = core.mark(key);
  const fullKey = fullKeyOf(binding, key);
  const captures = await Promise.all(chain.remotes.map(async (part) => capture(part, await storedKey(fullKey, part.storage.maxKeyBytes))));
  return { chain, startedAt, mark, captures };
}

/** Writes right to left, then locally. Answers the tiers that failed. */
async function finishReplacing(target: Target, begun: Beginning, { found, payload, ttlMs }: Replacement): Promise<ReadonlySet<string>> {
  const { binding, key } = target;
  const { core, owner, spec } = binding;
  const { chain, captures } = begun;
  const fullKey = fullKeyOf(binding, key);
  const failed = new Set<string>();
  let refused = false;
  for (const part of [...chain.remotes].reverse()) {
    const seen = captures[part.index];
    const short = await storedKey(fullKey, part.storage.maxKeyBytes);
    let tooLarge = false;
    const make = (): WriteEntry | undefined => {
      if (!seen || core.clock.monotonic() - begun.startedAt > spec.storeWithinMs) return undefined;
      const encode = (times: EntryTimes): Uint8Array => encodeEntry(owner, fullKey, { ...times, costMs: found.costMs, generations: seen.numbers, payload });
      const entry = slotFor({ core, spec, part, storedKey: short, ttlMs: Math.min(part.ttlMs, ttlMs), stamp: seen.stamp, createdAt: found.createdAt, encode });
      tooLarge = entry.bytes.length > part.storage.maxValueBytes;
      if (!tooLarge) return entry;
      core.emitter.emit({ type: "not-stored", node: spec.name, key: keyDigest(key), reason: "size", storage: part.name });
      return undefined;
    };
    if (!seen) failed.add(part.name);
    const written = await write(part, short, make);
    if (written === "failed") failed.add(part.name);
    if (written !== "refused") continue;
    refused ||= !tooLarge;
    if (!(await clear(part, target))) failed.add(part.name);
  }
  const mine = core.mark(key) === begun.mark;
  core.fence(binding, key);
  if (refused) binding.counters.fencedCount++;
  if (mine && !refused && failed.size === 0) putLocal(target, begun, found, ttlMs);
  else dropLocal(target);
  return failed;
}

function putLocal({ binding, key }: Target, begun: Beginning, found: Found, ttlMs: number): void {
  const { core, spec } = binding;
  const generations = begun.captures.map((seen) => seen?.numbers);
  for (const part of begun.chain.locals) {
    const entry = localEntry(core, part, { ...found, leftMs: Math.min(found.leftMs, ttlMs) }, generations);
    try {
      part.space.set(key, entry, entry.freshUntil, core.clock.monotonic());
    } catch {
      core.emitter.emit({ type: "not-stored", node: spec.name, key: keyDigest(key), reason: "hook", storage: part.name });
    }
  }
}

/** The value as it is stored: protected as the node asks, and serialized before anybody can change it. @throws ERR_SERIALIZE */
async function prepare(binding: Binding, value: unknown): Promise<{ readonly value: unknown; readonly payload: Payload }> {
  const { spec, chain } = binding;
  try {
    const own = spec.clone === "none" ? value : spec.clone === "freeze" ? deepFreeze(value) : structuredClone(value);
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
  const turn = new Operation<object>(call);
  const before = binding.turns.get(key);
  binding.turns.set(key, turn);
  call.begin();
  try {
    const prepared = await preparing;
    if (before) await call.follow(before, binding.chain.capMs);
    const createdAt = core.clock.now();
    const begun = await beginReplacing(target);
    const found: Found = {
      ok: true,
      value: prepared.value,
      source: "set",
      loaded: true,
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

/** What a refresh ends with. */
export type Refreshed = { readonly ok: true; readonly found: Found } | { readonly ok: false; readonly error: unknown };

/** One refresh of one key. One runs and one waits; whoever comes later shares the one that waits. */
export class Refresh extends Operation<Refreshed> {
  /** The load, while it may be shared by flights that found the key in no tier. */
  load: Operation<Loaded> | undefined = undefined;
  next: Refresh | undefined = undefined;
}

/** Loads anew and replaces every tier. Never joins a load that began before. */
export async function refresh(call: Call, target: Target, env: unknown, own: OwnLoader | undefined): Promise<Refreshed> {
  const { binding, key } = target;
  const { core, chain } = binding;
  const capMs = 2 * chain.capMs;
  for (;;) {
    const running = binding.refreshes.get(key);
    const now = core.clock.monotonic();
    if (!running || running.call.silent(now)) return run(new Refresh(call), target, env, own);
    const waiting = running.next;
    if (waiting && !waiting.call.silent(now)) {
      const shared = await call.follow(waiting, 2 * capMs);
      if (shared !== LOST && shared !== OVERDUE) return shared;
      if (running.next === waiting) running.next = undefined;
      if (binding.refreshes.get(key) === waiting) binding.refreshes.delete(key);
      continue;
    }
    const mine = new Refresh(call);
    running.next = mine;
    call.begin();
    await call.follow(running, capMs);
    call.end();
    return run(mine, target, env, own);
  }
}

async function run(mine: Refresh, target: Target, env: unknown, own: OwnLoader | undefined): Promise<Refreshed> {
  const { binding, key } = target;
  binding.refreshes.set(key, mine);
  mine.call.begin();
  let refreshed: Refreshed;
  try {
    refreshed = await replaceByLoad(mine, target, env, own);
  } catch (error) {
    refreshed = { ok: false, error };
  }
  if (binding.refreshes.get(key) === mine) {
    if (mine.next) binding.refreshes.set(key, mine.next);
    else binding.refreshes.delete(key);
  }
  mine.settle(refreshed);
  mine.call.end();
  return refreshed;
}

async function replaceByLoad(mine: Refresh, target: Target, env: unknown, own: OwnLoader | undefined): Promise<Refreshed> {
  const { binding } = target;
  const { spec } = binding;
  if (!own && !spec.load && !spec.loadAll) return { ok: false, error: noLoader(spec.name) };
  const begun = await beginReplacing(target);
  const loaded = await loadOnce(mine, target, env, own);
  if (!loaded.ok) return { ok: false, error: loaded.result };
  const { createdAt, since, ms } = loaded;
  const found = (value: unknown): Found => ({
    ok: true,
    value,
    source: "load",
    loaded: true,
    createdAt,
    since,
    leftMs: Number.POSITIVE_INFINITY,
    costMs: ms,
    guarded: true,
  });
  let prepared: { readonly value: unknown; readonly payload: Payload };
  try {
    prepared = await prepare(binding, loaded.result);
  } catch (error) {
    // As on every load: the value is answered, not stored, and reported. What it was to replace goes.
    binding.core.emitter.emit({ type: "not-stored", node: spec.name, key: keyDigest(target.key), reason: "serializer", error: serializeError(error, spec) });
    await invalidate([target]);
    return { ok: true, found: found(loaded.result) };
  }
  const failed = await finishReplacing(target, begun, { found: found(prepared.value), payload: prepared.payload, ttlMs: Number.POSITIVE_INFINITY });
  if (failed.size > 0) return { ok: false, error: writeError("refresh", failed) };
  return { ok: true, found: found(prepared.value) };
}

/** Runs the loader once, where flights that found nothing can see it. */
async function loadOnce(mine: Refresh, { binding, params }: Target, env: unknown, own: OwnLoader | undefined): Promise<Loaded> {
  const { core, spec, counters } = binding;
  const operation = new Operation<Loaded>(mine.call);
  mine.load = operation;
  execute(
    core,
    spec,
    env,
    (context) => (own ? own() : spec.load ? spec.load(params, context) : loadAlone(spec.loadAll?.([params], context), spec.name)),
    (loaded) => {
      countLoad(counters, loaded.ms, loaded.ok);
      operation.settle(loaded);
    },
  );
  return operation.done;
}

/** The one result of a `loadAll` for one key. */
async function loadAlone(results: unknown, node: string): Promise<unknown> {
  const list: unknown = await results;
  if (!Array.isArray(list) || list.length !== 1) throw new TypeError(`node ${JSON.stringify(node)}: loadAll must answer a list aligned with its 1 parameters`);
  const [only]: unknown[] = list;
  if (only instanceof Error) throw only;
  return only;
}
