/**
 * Reading for a caller: the local tiers first, then whatever it takes to arrive at the key, and what the caller's options say
 * about both.
 *
 * @module
 */

import { waitFor } from "./abort.ts";
import { handOut, lookUp, lookUpEntry, missing, take, takeEntry, unanswered, valuesOf } from "./answer.ts";
import { maxAgeOf } from "./arguments.ts";
import { arrive, arriveAll, callBy, callForMany, renew } from "./arrive.ts";
import type { Arrival, Ask, Caller } from "./arrive.ts";
import type { Binding, LocalEntry } from "./binding.ts";
import type { Call } from "./flight.ts";
import { linger } from "./linger.ts";
import { young } from "./local-probe.ts";
import { refresh } from "./refresh.ts";
import type { Refreshed } from "./refresh.ts";
import { targetOf } from "./tier-calls.ts";
import type { LookupResult, ReadOptions } from "./types.ts";

/** The value of one key. */
export function read(caller: Caller, ask: Ask): Promise<unknown> {
  const now = caller.core.turnTime();
  const entry = young(ask, now);
  return entry ? settledBy(() => takeLocal(caller, ask, entry)) : fly(caller, ask, now);
}

/** A promise of what a function gives or throws. */
function settledBy(give: () => unknown): Promise<unknown> {
  return new Promise((resolve) => resolve(give()));
}

function takeLocal(caller: Caller, { binding }: Ask, entry: LocalEntry): unknown {
  const value = takeEntry(binding, entry);
  counted(caller, 1);
  return value;
}

/** What a look into the local tiers gave for many keys. */
interface Looked {
  /** The copies that answer, aligned. */
  readonly entries: readonly (LocalEntry | undefined)[];
  /** Begins to renew those that ask for it; after the loads that somebody waits for, as they share their limit. */
  readonly renewIn: (call: () => Call) => void;
}

function look(caller: Caller, asks: readonly Ask[]): Looked {
  const now = caller.core.turnTime();
  const due: { readonly ask: Ask; readonly drawn: number | undefined }[] = [];
  return {
    entries: asks.map((ask) => young(ask, now) ?? linger(caller, ask, now, (one, drawn) => void due.push({ ask: one, drawn }))),
    renewIn: (call) => {
      for (const { ask, drawn } of due) renew(caller, call(), ask, drawn);
    },
  };
}

/** Tells the stats flush, where there is one, of requests that were answered just now; of 0 for other work that was counted. */
export function counted({ core, scope }: Caller, requests: number): void {
  core.statsFlush?.counted(scope.waitUntil, requests);
}

/** Past the calm local entries: takes one that lingers, joins the key's flight, or leads it. */
function fly(caller: Caller, ask: Ask, now: number): Promise<unknown> {
  const entry = ask.binding.lingers ? linger(caller, ask, now, (one, drawn) => renew(caller, callBy(caller), one, drawn)) : undefined;
  if (entry) return settledBy(() => takeLocal(caller, ask, entry));
  if (caller.core.statsFlush === undefined) return arrive(caller, ask, take);
  return arrive(caller, ask, (binding, outcome, collapsed) => {
    try {
      return take(binding, outcome, collapsed);
    } finally {
      counted(caller, 1);
    }
  });
}

/** The values of many keys, aligned. Rejects with the first failure in order, once all have settled. */
export function readAll(caller: Caller, asks: readonly Ask[]): Promise<unknown[]> {
  const { entries, renewIn } = look(caller, asks);
  if (!entries.includes(undefined)) {
    let call: Call | undefined;
    renewIn(() => (call ??= callForMany(caller)));
    return Promise.resolve(handOutAll(caller, asks, entries, []));
  }
  const call = callForMany(caller);
  const arriving = arriveAll(caller, call, missing(asks, entries));
  renewIn(() => call);
  return arriving.then((arrivals) => handOutAll(caller, asks, entries, arrivals));
}

function handOutAll(caller: Caller, asks: readonly Ask[], entries: readonly (LocalEntry | undefined)[], arrivals: readonly Arrival[]): unknown[] {
  try {
    return valuesOf(asks, entries, arrivals);
  } finally {
    counted(caller, asks.length);
  }
}

/** The lookups of many keys, aligned. */
export async function lookUpAll(caller: Caller, asks: readonly Ask[]): Promise<LookupResult<unknown>[]> {
  const { entries, renewIn } = look(caller, asks);
  const call = callForMany(caller);
  const arriving = arriveAll(caller, call, missing(asks, entries));
  renewIn(() => call);
  const arrivals = await arriving;
  let next = 0;
  const results = asks.map(({ binding, reference }, index) => {
    const entry = entries[index];
    if (entry) return lookUpEntry(binding, reference.key, entry);
    const { outcome, collapsed } = arrivals[next++] ?? unanswered();
    return lookUp(binding, outcome, collapsed);
  });
  counted(caller, asks.length);
  return results;
}

/** The value of one key, as the options of the call ask. */
export function readWith(caller: Caller, ask: Ask, options: ReadOptions): Promise<unknown> {
  const maxAgeMs = maxAgeOf(options);
  return waitFor(() => (options.bypass ? bypass(caller, ask) : read(caller, { ...ask, maxAgeMs })), options.signal);
}

/** The values of many keys, as the options of the call ask. */
export function readAllWith(caller: Caller, asks: readonly Ask[], options: ReadOptions): Promise<unknown[]> {
  const maxAgeMs = maxAgeOf(options);
  const youngOnly = asks.map((ask) => ({ ...ask, maxAgeMs }));
  return waitFor(() => (options.bypass ? bypassAll(caller, asks) : readAll(caller, youngOnly)), options.signal);
}

/** Skips every tier, loads and stores: a refresh that counts as a request, and that a storage cannot fail. */
async function bypass(caller: Caller, ask: Ask): Promise<unknown> {
  return taken(caller, ask, await loadAnew(caller, callBy(caller), ask), false);
}

function taken(caller: Caller, { binding }: Ask, { found, failure }: Refreshed, collapsed: boolean): unknown {
  if (collapsed) binding.counters.collapsedCount++;
  binding.counters.missCount++;
  counted(caller, 1);
  if (found) return handOut(binding, found.value);
  throw failure?.error;
}

/** A key that is listed again shares the load of the first time. */
async function bypassAll(caller: Caller, asks: readonly Ask[]): Promise<unknown[]> {
  const call = callForMany(caller);
  const loads = new Map<Binding, Map<string, Promise<Refreshed>>>();
  const settled = await Promise.allSettled(
    asks.map(async (ask) => {
      const ofNode = loads.get(ask.binding) ?? new Map<string, Promise<Refreshed>>();
      const { key } = ask.reference;
      const first = ofNode.get(key);
      const load = first ?? loadAnew(caller, call, ask);
      loads.set(ask.binding, ofNode.set(key, load));
      return taken(caller, ask, await load, first !== undefined);
    }),
  );
  return settled.map((result) => {
    if (result.status === "rejected") throw result.reason;
    return result.value;
  });
}

/** Loads one key anew and replaces it in every tier. */
export async function loadAnew(caller: Caller, call: Call, { binding, reference, loader }: Ask): Promise<Refreshed> {
  const { core, scope } = caller;
  core.sweep(binding);
  scope.begin();
  try {
    return await refresh(call, targetOf(scope, binding, reference), scope.env, loader);
  } finally {
    scope.end();
    counted(caller, 0);
  }
}
