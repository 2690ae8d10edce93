/**
 * Arriving at a key: join its flight or lead one, wait for it, and take over as often as its leader dies. It relies on
 * `flight.ts` for leases and on `chain.ts` for what a flight does.
 *
 * Invariant: looking up a key's flight and leading one happen in the same synchronous step, so two callers never both lead.
 *
 * @module
 */

import { Flight } from "./chain.ts";
import type { Outcome, OwnLoader } from "./chain.ts";
import type { Binding } from "./binding.ts";
import type { Core } from "./core.ts";
import { describe } from "./duration.ts";
import { ageMs } from "./entry.ts";
import { CacheError } from "./errors.ts";
import { Call, LOST, OVERDUE } from "./flight.ts";
import { keyDigest } from "./key.ts";
import { limitLoads } from "./load.ts";
import type { Scope } from "./scope.ts";
import type { Reference } from "./types.ts";

/** Who asks: a view of a cache. */
export interface Caller {
  readonly core: Core;
  readonly scope: Scope;
}

/** What is asked: one reference, and how its reading deviates from the node's rules. */
export interface Ask {
  readonly binding: Binding;
  readonly reference: Reference<unknown>;
  readonly loader: OwnLoader | undefined;
  /** Older copies will not do; `Infinity`: any fresh one. */
  readonly maxAgeMs: number;
}

/** How a key was answered, and whether by a flight that somebody else led. */
export interface Arrival {
  readonly outcome: Outcome;
  readonly collapsed: boolean;
}

/** A key's flight, and whether somebody else leads it. */
interface Entered {
  readonly flight: Flight;
  readonly collapsed: boolean;
}

/** A call by this caller. */
export function callBy({ core, scope }: Caller): Call {
  return new Call(core, scope.waitUntil);
}

/** Arrives at one key. Never rejects. */
export function arrive(caller: Caller, ask: Ask): Promise<Arrival> {
  const call = callBy(caller);
  return concluded(caller, call, ask, enter(caller, call, ask));
}

/** Arrives at many keys: enters all flights in one step, so that their reads travel together. Aligned; never rejects. */
export async function arriveAll(caller: Caller, asks: readonly Ask[]): Promise<Arrival[]> {
  const call = callBy(caller);
  limitLoads(call);
  const entered = asks.map((ask) => enter(caller, call, ask));
  if (!isPlain(caller, asks)) return Promise.all(asks.map((ask, index) => concluded(caller, call, ask, entered[index] ?? enter(caller, call, ask))));
  const arrivals: Arrival[] = [];
  for (const { flight, collapsed } of entered) arrivals.push({ outcome: flight.result ?? (await flight.done), collapsed });
  return arrivals;
}

/** Whether waiting for the flights is all there is to do: no leases, no writes to wait for, no copies too old. */
function isPlain({ core }: Caller, asks: readonly Ask[]): boolean {
  return !core.requestScoped && asks.every(({ binding, maxAgeMs }) => binding.spec.writes === "background" && maxAgeMs === Number.POSITIVE_INFINITY);
}

function concluded(caller: Caller, call: Call, ask: Ask, entered: Entered): Promise<Arrival> {
  if (!isPlain(caller, [ask])) return conclude(caller, call, ask, entered);
  const { flight, collapsed } = entered;
  return flight.done.then((outcome) => ({ outcome, collapsed }));
}

function enter(caller: Caller, call: Call, ask: Ask): Entered {
  const flight = joinable(ask.binding, ask.reference.key);
  return flight ? { flight, collapsed: true } : { flight: lead(caller, call, ask), collapsed: false };
}

function lead({ core, scope }: Caller, call: Call, { binding, reference, loader, maxAgeMs }: Ask): Flight {
  core.sweep(binding);
  const flight = new Flight(call, binding, reference.key, reference.params, scope.env, loader);
  flight.maxAgeMs = maxAgeMs;
  binding.flights.set(reference.key, flight);
  call.begin();
  scope.begin();
  flight.onLanded = () => scope.end();
  flight.next();
  return flight;
}

/** Waits for a flight, and takes over as often as its leader dies. */
async function conclude(caller: Caller, call: Call, ask: Ask, first: Entered): Promise<Arrival> {
  const { core, spec, chain } = ask.binding;
  const since = core.clock.monotonic();
  for (let entered = first; ; entered = enter(caller, call, ask)) {
    const { flight, collapsed } = entered;
    const outcome = await call.follow(flight, chain.capMs);
    if (outcome === OVERDUE) return { outcome: { ok: false, error: abandoned(spec.name), loaded: true }, collapsed };
    if (outcome === LOST) {
      if (!flight.fenced) core.emitter.emit({ type: "leader-lost", node: spec.name, key: keyDigest(flight.key) });
      supersede(flight);
    } else if (collapsed && flight.startedAt < since && isOlder(ask, outcome)) supersede(flight);
    else {
      if (!collapsed && (spec.writes === "await" || !call.lasts)) await hasLanded(flight);
      return { outcome, collapsed };
    }
  }
}

/** A key's flight, if it may be joined: its leader lives, and it was not settled for longer than a write may take. */
function joinable({ core, flights }: Binding, key: string): Flight | undefined {
  const flight = flights.get(key);
  if (!flight) return undefined;
  const now = core.clock.monotonic();
  const over = flight.result ? now - flight.settledAt > writeBudgetMs(flight) : flight.call.silent(now);
  if (!over) return flight;
  supersede(flight);
  return undefined;
}

function writeBudgetMs(flight: Flight): number {
  return flight.chain.remotes.reduce((most, { storage }) => Math.max(most, storage.budgetMs), 0);
}

/** Takes a flight out of the table; should it live after all, it publishes nothing. */
function supersede(flight: Flight): void {
  flight.fenced = true;
  const { flights } = flight.binding;
  if (flights.get(flight.key) === flight) flights.delete(flight.key);
}

function hasLanded(flight: Flight): Promise<void> {
  if (flight.landed) return Promise.resolve();
  return new Promise((resolve) => {
    const before = flight.onLanded;
    flight.onLanded = () => {
      before?.();
      resolve();
    };
  });
}

function isOlder({ binding, maxAgeMs }: Ask, outcome: Outcome): boolean {
  return outcome.ok && ageMs(outcome.createdAt, binding.core.clock.now()) > maxAgeMs;
}

function abandoned(node: string): CacheError {
  return new CacheError("ERR_LOAD_ABANDONED", `node ${describe(node)}: the request that loads this key has taken longer than a load may`);
}
