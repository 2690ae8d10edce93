/**
 * Loading anew: a refresh fences, reads the stamps of all tiers, loads, and replaces what the tiers hold. One runs and one
 * waits for each key; whoever comes later shares the one that waits, which began after they asked.
 *
 * Invariant: a failing load leaves the old entry.
 *
 * @module
 */

import type { OwnLoader } from "./flight.ts";
import { LOST, OVERDUE, Operation } from "./flight.ts";
import type { Call } from "./flight.ts";
import { foundByLoad } from "./found.ts";
import type { Found } from "./found.ts";
import { lifeFor } from "./freshness.ts";
import { keyDigest } from "./key.ts";
import { offer } from "./early.ts";
import { execute } from "./execution.ts";
import type { Loaded } from "./execution.ts";
import { localCopy } from "./local-probe.ts";
import { collect, enter, noLoader, throughGate, unchangedIn } from "./load.ts";
import type { Gate } from "./load.ts";
import { abandonReplacing, beginReplacing, finishReplacing, invalidate, prepare, writeError } from "./replace.ts";
import { serializeError } from "./make-slot.ts";
import type { Payload } from "./make-slot.ts";
import { countLoad } from "./stats.ts";
import type { Target } from "./tier-calls.ts";

/** What a refresh ends with: what was loaded, and what went wrong. Both, if a tier failed after the load. */
export interface Refreshed {
  readonly found?: Found | undefined;
  readonly failure?: { readonly error: unknown } | undefined;
}

/** One refresh of one key. One runs and one waits; whoever comes later shares the one that waits. */
export class Refresh extends Operation<Refreshed> {
  /** The load, while it may be shared by flights that found the key in no tier. */
  load: Operation<Loaded> | undefined = undefined;
  /** The epoch at which it began to read. */
  epoch = 0;
  /** The place of its load in the order in which flights and loads began. */
  birth = 0;
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
    refreshed = { failure: { error } };
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
  if (!own && !spec.load && !spec.loadAll) return { failure: { error: noLoader(spec.name) } };
  mine.epoch = binding.core.epochs.now;
  const begun = await beginReplacing(mine.call, target);
  const loaded = await loadOnce(mine, target, env, own);
  if (!loaded.ok) {
    abandonReplacing(target, begun);
    return { failure: { error: loaded.result } };
  }
  const found = (value: unknown): Found => foundByLoad(loaded, value, Number.POSITIVE_INFINITY);
  let prepared: { readonly value: unknown; readonly payload: Payload };
  try {
    prepared = await prepare(binding, loaded.result);
  } catch (error) {
    // As on every load: the value is answered, not stored, and reported. What it was to replace goes.
    binding.core.emitter.emit({ type: "not-stored", node: spec.name, key: keyDigest(target.key), reason: "serializer", error: serializeError(error, spec) });
    const cleared = await invalidate([target]).then(
      () => undefined,
      (failed: unknown) => ({ error: failed }),
    );
    return { found: found(loaded.result), failure: cleared };
  }
  const ttlMs = lifeOf(target, prepared.value);
  const failed = await finishReplacing(target, begun, { found: found(prepared.value), payload: prepared.payload, ttlMs });
  return { found: found(prepared.value), failure: failed.size > 0 ? { error: writeError("refresh", failed) } : undefined };
}

/** The cap on the life of what was loaded; 0 if it is not to be stored. */
export function lifeOf({ binding, key, params }: Target, value: unknown): number {
  const { core, spec } = binding;
  try {
    return lifeFor(spec.freshness, value, params) ?? 0;
  } catch {
    core.emitter.emit({ type: "not-stored", node: spec.name, key: keyDigest(key), reason: "hook" });
    return 0;
  }
}

/** Runs the loader once, where flights that found nothing can see it. */
async function loadOnce(mine: Refresh, { binding, key, params }: Target, env: unknown, own: OwnLoader | undefined): Promise<Loaded> {
  const { core, spec, counters } = binding;
  const operation = new Operation<Loaded>(mine.call);
  mine.load = operation;
  mine.birth = ++core.births;
  const old = localCopy(binding, key)?.entry;
  if (!own && spec.loadAll) {
    const finished = (told: Loaded): void => operation.settle(told);
    collect(binding, { env, params, offered: old, offer: () => offer({ binding }, old), finished });
    return operation.done;
  }
  const waiter = {
    loaded(result: Loaded): void {
      const told = { ...result, ...unchangedIn(result, old, spec.name) };
      countLoad(counters, told.ms, told.ok);
      operation.settle(told);
    },
  };
  const loader = own ? () => own() : (spec.load ?? noValue);
  const start = (gate?: Gate): void => execute(core, spec, env, loader, params, offer({ binding }, old), gate ? throughGate(gate, binding, waiter) : waiter);
  const { gates } = mine.call;
  if (gates) enter(gates, binding, start);
  else start();
  return operation.done;
}

function noValue(): undefined {
  // `replaceByLoad` has seen to it that there is a loader
}
