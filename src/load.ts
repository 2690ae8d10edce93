/**
 * Asking the source for what no tier had: one load for one key, or one `loadAll` for the keys of a drain; a call that asks for
 * many keys runs a few loads at a time. What a running refresh loads is shared. It relies on `execution.ts` for the run itself
 * and on `settle.ts` for the end.
 *
 * @module
 */

import type { Binding } from "./binding.ts";
import type { Flight } from "./chain.ts";
import { describe } from "./duration.ts";
import { offer } from "./early.ts";
import { ageMs } from "./entry.ts";
import { CacheError } from "./errors.ts";
import { execute, isUnchanged } from "./execution.ts";
import type { Loaded, LoadWaiter } from "./execution.ts";
import { LOST, OVERDUE } from "./flight.ts";
import type { Call, Operation } from "./flight.ts";
import type { Stale } from "./types.ts";
import { foundByLoad } from "./found.ts";
import { lifeFor } from "./freshness.ts";
import { stillStands } from "./local-probe.ts";
import type { Refresh } from "./refresh.ts";
import { admits, reportHook, settleFailed, settleFound } from "./settle.ts";
import { resultOf } from "./shareable.ts";
import type { Result } from "./shareable.ts";
import { countLoad } from "./stats.ts";

/** Loads what a flight found in no tier. */
export function load(flight: Flight): void {
  const refreshing = flight.binding.refreshes.get(flight.key);
  if (refreshing?.load && isShareable(flight, refreshing, refreshing.load)) void share(flight, refreshing, refreshing.load);
  else loadAlone(flight);
}

/** Whether the load of a refresh is an answer to a flight: it goes on, and began after every invalidation that the flight has to heed. */
function isShareable({ binding, groups, bornAfter }: Flight, { birth, epoch }: Refresh, running: Operation<Loaded>): boolean {
  const { core } = binding;
  return birth > bornAfter && !core.epochs.outlived(groups, epoch) && !running.result && !running.call.silent(core.clock.monotonic());
}

function loadAlone(flight: Flight): void {
  const { spec } = flight.binding;
  if (!flight.loader && spec.loadAll) return queue(flight);
  if (!flight.loader && !spec.load) return settleFailed(flight, noLoader(spec.name), false);
  const { gates } = flight.call;
  if (!gates) return start(flight, undefined);
  // Its age counts from the start of its load: waiting for its share it is not late.
  flight.agesFrom = Number.POSITIVE_INFINITY;
  enter(gates, flight.binding, (gate) => start(flight, gate));
}

/** The error of a miss on a node that cannot load. */
export function noLoader(node: string): CacheError {
  return new CacheError("ERR_NO_LOADER", `node ${describe(node)} has no load, and none was given with the call`);
}

/** A refresh is loading this key: its load began after whatever was in the tiers, so it is an answer, and it is stored by the refresh. */
async function share(flight: Flight, refreshing: Refresh, running: Operation<Loaded>): Promise<void> {
  const { birth, binding, maxAgeMs } = flight;
  flight.birth = refreshing.birth;
  const loaded = await flight.call.follow(running, binding.spec.hardTimeoutMs);
  if (loaded === LOST || loaded === OVERDUE) {
    flight.birth = birth;
    // Else the same dead load would be found again, at once where the runtime rejects promises of ended requests.
    if (refreshing.load === running) refreshing.load = undefined;
    return load(flight);
  }
  if (maxAgeMs !== undefined && loaded.ok && ageMs(loaded.createdAt, binding.core.clock.now()) > maxAgeMs) {
    flight.birth = birth;
    return loadAlone(flight);
  }
  flight.stores = false;
  settleLoaded(flight, loaded);
}

/** What the loader is told of the old value, if there is one that counts. */
function offered(flight: Flight): Stale | undefined {
  const { binding, old } = flight;
  flight.offered = old && !flight.fenced && stillStands(binding, old.entry) ? old.entry : undefined;
  return offer(flight, flight.offered);
}

/** Runs the loader of one flight. */
function start(flight: Flight, gate: Gate | undefined): void {
  const { core, spec } = flight.binding;
  const own = flight.loader;
  if (gate) flight.agesFrom = core.clock.monotonic();
  // A caller's own loader takes nothing, and might take something else for an option.
  const loader = own ? () => own() : (spec.load ?? nothing);
  execute(core, spec, flight.env, loader, flight.params, offered(flight), gate ? throughGate(gate, flight.binding, flight) : flight);
}

/** Ends a flight with what its own loader gave. */
export function finishLoad(flight: Flight, loaded: Loaded): void {
  const { spec, counters } = flight.binding;
  const told = isUnchanged(loaded.result) ? { ...loaded, ...unchangedIn(loaded, flight.offered, spec.name) } : loaded;
  countLoad(counters, told.ms, told.ok);
  settleLoaded(flight, told);
}

function nothing(): undefined {
  // `load` has seen to it that there is a loader
}

/** A load that waits for its share; it tells the gate when it is over. */
export type Starter = (gate: Gate) => void;

/** The loads of one node that a call has open, and those that wait for their share. */
export interface Gate {
  open: number;
  pumping: boolean;
  /** The first of `waiting` that was not started. */
  next: number;
  readonly waiting: Starter[];
}

/** Limits the loads that a call runs at once, per node, to the node's `loadConcurrency`. */
export function limitLoads(call: Call): void {
  call.gates = new Map();
}

/** Starts a load when it is its turn among those of its call and node. */
export function enter(gates: Map<Binding, Gate>, binding: Binding, starter: Starter): void {
  let gate = gates.get(binding);
  if (!gate) {
    gate = { open: 0, pumping: false, next: 0, waiting: [] };
    gates.set(binding, gate);
  }
  gate.waiting.push(starter);
  pump(gate, binding.spec.loadConcurrency);
}

/** Whoever waits for a load that makes room for the next when it is over. */
export function throughGate(gate: Gate, { spec }: Binding, waiter: LoadWaiter): LoadWaiter {
  return {
    loaded(loaded) {
      gate.open--;
      pump(gate, spec.loadConcurrency);
      waiter.loaded(loaded);
    },
  };
}

/** Starts what waits while there is room. A load that ends at once makes room within its own start, so this never recurs. */
function pump(gate: Gate, limit: number): void {
  if (gate.pumping) return;
  gate.pumping = true;
  while (gate.open < limit) {
    const starter = gate.waiting[gate.next];
    if (!starter) break;
    gate.next++;
    gate.open++;
    starter(gate);
  }
  gate.pumping = false;
}

/** One key that `loadAll` is to load. */
export interface Wanted {
  readonly env: unknown;
  readonly params: unknown;
  /** The old value that the loader is offered. Asked once, when the load begins. */
  offer(): Stale | undefined;
  /** What it was offered, for a loader that says it still holds. */
  readonly offered: { readonly value: unknown } | undefined;
  finished(loaded: Loaded): void;
}

function queue(flight: Flight): void {
  collect(flight.binding, {
    env: flight.env,
    params: flight.params,
    offer: () => offered(flight),
    get offered() {
      return flight.offered;
    },
    finished: (loaded) => settleLoaded(flight, loaded),
  });
}

/** Collects the keys of one drain for one `loadAll`. */
export function collect(binding: Binding, wanted: Wanted): void {
  const { core } = binding;
  binding.loading ??= [];
  const mine = binding.loading;
  const place = mine.push(wanted) - 1;
  // One alarm a drain would do, were it not for requests that are killed before it goes off; see `requestLanes`.
  if (place > 0 && !core.requestScoped) return;
  core.runtime.scheduleDrain(() => {
    if (binding.loading !== mine) return;
    binding.loading = undefined;
    const { maxLoadBatch } = binding.spec;
    for (const group of byEnv(mine.slice(place)))
      for (let from = 0; from < group.length; from += maxLoadBatch) loadMany(binding, group.slice(from, from + maxLoadBatch));
  });
}

function byEnv(all: readonly Wanted[]): Iterable<Wanted[]> {
  const groups = new Map<unknown, Wanted[]>();
  for (const one of all) {
    const group = groups.get(one.env);
    if (group) group.push(one);
    else groups.set(one.env, [one]);
  }
  return groups.values();
}

function loadMany({ core, spec, counters }: Binding, many: readonly Wanted[]): void {
  const params = many.map((wanted) => wanted.params);
  const loaded = (all: Loaded): void => {
    const results = resultsOf(all, many.length, spec.name);
    many.forEach((wanted, index) => {
      const one = unchangedIn(results(index), wanted.offered, spec.name);
      countLoad(counters, all.ms, one.ok, 1 / many.length);
      wanted.finished({ ...all, ...one });
    });
  };
  const old = many.map((wanted) => wanted.offer());
  execute(core, spec, many[0]?.env, spec.loadAll ?? nothing, params, old, { loaded });
}

/** What each key gets of what `loadAll` gave, by position; an `Error` is that key's failure, and no list is everybody's. */
function resultsOf({ ok, result }: Loaded, expected: number, node: string): (index: number) => Result {
  if (!ok) return () => ({ ok, result });
  // A proxy whose traps throw, say, fails those keys whose results it hides, and hangs nobody.
  const guarded = (look: () => Result): Result => {
    try {
      return look();
    } catch (error) {
      return { ok: false, result: error };
    }
  };
  const list = guarded(() => aligned(result, expected, node));
  return (index) => guarded(() => (list.ok && Array.isArray(list.result) ? elementOf(list.result[index], node) : list));
}

function elementOf(result: unknown, node: string): Result {
  return result instanceof Error ? { ok: false, result } : resultOf(result, node);
}

/** The list that `loadAll` owes, or the error that all its keys get. */
function aligned(result: unknown, expected: number, node: string): Result {
  if (Array.isArray(result) && result.length === expected) return { ok: true, result };
  const got = Array.isArray(result) ? counted(result.length, "result") : describe(result);
  const error = new TypeError(`node ${describe(node)}: loadAll must answer a list aligned with its ${counted(expected, "parameter")}, got ${got}`);
  return { ok: false, result: error };
}

function counted(number: number, what: string): string {
  return number === 1 ? `1 ${what}` : `${number} ${what}s`;
}

function settleLoaded(flight: Flight, loaded: Loaded): void {
  const { ok, result } = loaded;
  if (!ok) return settleFailed(flight, result, true);
  settleFound(flight, foundByLoad(loaded, result, lifeOf(flight, result)), admits(flight), loaded.since + loaded.ms);
}

/** What a loader meant by "unchanged": the value it was offered. */
export function unchangedIn({ ok, result }: Result, entry: { readonly value: unknown } | undefined, node: string): Result {
  if (!ok || !isUnchanged(result)) return { ok, result };
  if (entry) return { ok, result: entry.value };
  return { ok: false, result: new TypeError(`node ${describe(node)}: load answered unchanged() where context.stale was undefined`) };
}

/** The cap on a loaded value's life. One that is not to be stored has none. */
function lifeOf(flight: Flight, value: unknown): number {
  try {
    const lifeMs = lifeFor(flight.binding.spec.freshness, value, flight.params);
    if (lifeMs !== undefined) return lifeMs;
  } catch {
    reportHook(flight);
  }
  flight.stores = false;
  return 0;
}
