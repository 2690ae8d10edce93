/**
 * Arriving at a key: join its flight or lead one, wait for it, and take over as often as its leader dies. It relies on
 * `flight.ts` for leases and on `chain.ts` for what a flight does.
 *
 * Invariant: looking up a key's flight and leading one happen in the same synchronous step, so two callers never both lead.
 *
 * @module
 */

import { Flight } from "./chain.ts";
import type { Binding } from "./binding.ts";
import type { Core } from "./core.ts";
import { describe } from "./duration.ts";
import { servable } from "./early.ts";
import { ageMs } from "./entry.ts";
import { CacheError } from "./errors.ts";
import { Call, LOST, OVERDUE } from "./flight.ts";
import type { Operation } from "./flight.ts";
import type { Found, Outcome } from "./found.ts";
import { BadTags, generationsOf } from "./generations.ts";
import { keyDigest } from "./key.ts";
import { limitLoads } from "./load.ts";
import type { OwnLoader } from "./flight.ts";
import { localCopy } from "./local-probe.ts";
import type { Scope } from "./scope.ts";
import { reportHook, settleFailed } from "./settle.ts";
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
  /** Older copies will not do; left out: any fresh one will. */
  readonly maxAgeMs: number | undefined;
  /** Local copies will not do, nor flights born no later than this: the caller knows of an invalidation. Left out: all will. */
  readonly bornAfter: number | undefined;
}

/** How a key was answered, and whether by a flight that somebody else led. */
export interface Arrival {
  readonly outcome: Outcome;
  readonly collapsed: boolean;
}

/** A key's flight, whether somebody else leads it, and what to wait for. */
interface Entered {
  readonly flight: Flight;
  readonly collapsed: boolean;
  readonly awaited: Operation<Outcome>;
  /** The old copy that the flight hands out while it goes on. */
  readonly early?: Found | undefined;
}

/** A call by this caller. */
export function callBy({ core, scope }: Caller): Call {
  return core.sharedCall ?? new Call(core, scope.waitUntil);
}

/** Arrives at one key, and makes of it what `answer` says. */
export function arrive<Answer>(caller: Caller, ask: Ask, answer: (binding: Binding, outcome: Outcome, collapsed: boolean) => Answer): Promise<Answer> {
  const call = callBy(caller);
  const born = caller.core.births;
  const entered = enter(caller, call, ask);
  const { binding } = ask;
  if (!isPlain(caller, ask)) return conclude(caller, call, ask, entered, born).then(({ outcome, collapsed }) => answer(binding, outcome, collapsed));
  const { awaited, early, collapsed } = entered;
  return (early ? Promise.resolve(early) : awaited.done).then((outcome) => answer(binding, outcome, collapsed));
}

/** A call by this caller for many keys, which loads a few of them at a time. */
export function callForMany({ core, scope }: Caller): Call {
  const call = new Call(core, scope.waitUntil);
  limitLoads(call);
  return call;
}

/** Arrives at many keys: enters all flights in one step, so that their reads travel together. Aligned; never rejects. */
export async function arriveAll(caller: Caller, call: Call, asks: readonly Ask[]): Promise<Arrival[]> {
  const over: Over = new Map();
  // Before the call's own flights, which are young enough for a key that is listed twice.
  const born = caller.core.births;
  const entered = asks.map((ask) => ({ ask, ...enterOnce(caller, call, ask, over) }));
  if (!asks.every((ask) => isPlain(caller, ask))) return Promise.all(entered.map((one) => conclude(caller, call, one.ask, one, born)));
  const arrivals: Arrival[] = [];
  for (const { awaited, early, collapsed } of entered) arrivals.push({ outcome: early ?? awaited.result ?? (await awaited.done), collapsed });
  return arrivals;
}

/** Flights of one call that were over before its next key was entered, as they are where a loader answers at once. */
type Over = Map<Binding, Map<string, Flight>>;

/** As {@link enter}; a key that is listed again shares the flight of the first time, even if that is over. */
function enterOnce(caller: Caller, call: Call, ask: Ask, over: Over): Entered {
  const { binding, reference } = ask;
  const first = over.get(binding)?.get(reference.key);
  if (first) return joined(first, ask);
  const entered = enter(caller, call, ask);
  if (entered.flight.result === undefined) return entered;
  const ofNode = over.get(binding) ?? new Map<string, Flight>();
  over.set(binding, ofNode.set(reference.key, entered.flight));
  return entered;
}

/** Whether waiting for the flight is all there is to do: no leases, no writes to wait for, no copy that may not do. */
function isPlain({ core }: Caller, { binding, maxAgeMs, bornAfter }: Ask): boolean {
  return !core.requestScoped && binding.spec.writes === "background" && maxAgeMs === undefined && bornAfter === undefined;
}

function enter(caller: Caller, call: Call, ask: Ask): Entered {
  const { flights } = ask.binding;
  const standing = flights.get(ask.reference.key);
  if (standing && isJoinable(standing, ask)) return joined(standing, ask);
  if (standing) supersede(standing);
  const flight = lead(caller, call, ask);
  if (standing) standing.heir = flight;
  return { flight, collapsed: false, awaited: flight };
}

/** Whoever joins a flight that answered early gets that answer too, while it may be served; else it waits for the end. */
function joined(flight: Flight, ask: Ask): Entered {
  const { final } = flight;
  if (!final) return { flight, collapsed: true, awaited: flight };
  const early = servable(flight, flight.earlyWindowMs, ask.maxAgeMs);
  return { flight, collapsed: true, awaited: final, early: early && isOwnCopy(ask, early) ? undefined : early };
}

/** A flight that nobody waits for. */
interface Background {
  readonly drawn: number | undefined;
}

function lead({ core, scope }: Caller, call: Call, { binding, reference, loader, maxAgeMs, bornAfter }: Ask, background?: Background): Flight {
  core.sweep(binding);
  const flight = new Flight(call, scope, binding, reference.key, reference.params, loader);
  flight.maxAgeMs = maxAgeMs;
  flight.bornAfter = bornAfter ?? 0;
  flight.background = background !== undefined;
  flight.drawn = background?.drawn;
  if (binding.lingers && bornAfter === undefined) flight.old = localCopy(binding, reference.key);
  binding.flights.set(reference.key, flight);
  call.begin();
  scope.begin();
  if (!binding.spec.tags || assignGroups(flight)) flight.next();
  return flight;
}

/** Finds the generations of a flight's key. What is no tag is its caller's error; what `tags` throws costs the storing. */
function assignGroups(flight: Flight): boolean {
  try {
    flight.groups = generationsOf(flight.binding, flight.params);
  } catch (error) {
    if (error instanceof BadTags) {
      settleFailed(flight, error, false);
      return false;
    }
    flight.stores = false;
    reportHook(flight);
  }
  return true;
}

/** Whether what a caller begins goes on after it was answered. */
export function outlives({ core, scope }: Caller): boolean {
  return !core.requestScoped || scope.waitUntil !== undefined;
}

/** Begins a flight that nobody waits for, unless one is under way. `drawn` is what chance has said about renewing early. */
export function renew(caller: Caller, call: Call, ask: Ask, drawn: number | undefined): void {
  const standing = ask.binding.flights.get(ask.reference.key);
  if (standing && isJoinable(standing, ask)) return;
  if (standing) supersede(standing);
  const flight = lead(caller, call, { ...ask, maxAgeMs: undefined }, { drawn });
  if (standing) standing.heir = flight;
}

/** Waits for a flight, and takes over as often as its leader dies. `born` counts what had begun before the call did. */
async function conclude(caller: Caller, call: Call, ask: Ask, first: Entered, born: number): Promise<Arrival> {
  const { core, spec, chain } = ask.binding;
  for (let entered = first; ;) {
    const { flight, collapsed } = entered;
    const outcome = entered.early ?? (await call.follow(entered.awaited, chain.capMs));
    if (outcome === OVERDUE) {
      if (!isOverdue(flight, core.clock.monotonic())) continue;
      const old = servable(flight, spec.freshness.keepMs, ask.maxAgeMs);
      return { outcome: old && !isOwnCopy(ask, old) ? old : { ok: false, error: abandoned(spec.name), loaded: true }, collapsed };
    }
    if (outcome === LOST) entered = takeOver(caller, call, ask, flight);
    else if (collapsed && (!suits(flight, ask) || isOlder(ask, flight, outcome, born) || isOwnCopy(ask, outcome))) {
      const { final } = flight;
      // What the flight answers in the end may do.
      if (final && entered.awaited !== final) entered = { flight, collapsed, awaited: final };
      else {
        supersede(flight);
        entered = enter(caller, call, ask);
      }
    } else {
      if (!collapsed && !flight.final && (spec.writes === "await" || !call.lasts)) await hasLanded(flight);
      return { outcome, collapsed };
    }
  }
}

/** The leader of a flight has died. Whoever notices first leads anew, and the others follow, though the new flight may be over by then. */
function takeOver(caller: Caller, call: Call, ask: Ask, dead: Flight): Entered {
  if (dead.heir) return joined(dead.heir, ask);
  const { emitter } = ask.binding.core;
  emitter.emit({ type: "leader-lost", node: ask.binding.spec.name, key: keyDigest(dead.key) });
  supersede(dead);
  const entered = enter(caller, call, ask);
  dead.heir = entered.flight;
  return entered;
}

/**
 * Whether a flight may be joined: its leader lives, it is not older than a flight may be, and its writes were not sent longer
 * ago than a write may take. What waits for its turn to be sent has not begun to be late.
 */
function isJoinable(flight: Flight, ask: Ask): boolean {
  const now = flight.binding.core.clock.monotonic();
  if (flight.outlived || !suits(flight, ask)) return false;
  if (flight.call.silent(now) || isOverdue(flight, now)) return false;
  return flight.sentAt === undefined || now - flight.sentAt <= writeBudgetMs(flight);
}

/** Whether a flight has taken longer than it may. Where its load waits for its turn it has not. */
function isOverdue({ agesFrom, chain }: Flight, now: number): boolean {
  return now - agesFrom > chain.capMs;
}

/**
 * Whether a flight, and the load it shares, began late enough for a caller that knows of an invalidation. Old copies that it may
 * hand out are another matter.
 */
function suits({ birth }: Flight, { bornAfter }: Ask): boolean {
  return bornAfter === undefined || birth > bornAfter;
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

/** Whether a caller that takes no old copies has to ask again: all but a load that began after it asked may be too old for it. */
function isOlder({ binding, maxAgeMs }: Ask, flight: Flight, outcome: Outcome, born: number): boolean {
  if (maxAgeMs === undefined || !outcome.ok || (outcome.loaded && flight.birth > born)) return false;
  return ageMs(outcome.createdAt, binding.core.clock.now()) > maxAgeMs;
}

/** Whether an outcome is a local copy, for a caller that knows of an invalidation which that copy may not have seen. */
function isOwnCopy({ bornAfter, binding }: Ask, outcome: Outcome): boolean {
  return bornAfter !== undefined && outcome.ok && binding.chain.locals.some(({ name }) => name === outcome.source);
}

function abandoned(node: string): CacheError {
  return new CacheError("ERR_LOAD_ABANDONED", `node ${describe(node)}: the request that loads this key has taken longer than a load may`);
}
