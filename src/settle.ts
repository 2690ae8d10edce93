/**
 * The end of a flight: publish locally, back-fill remotely, tell the followers. Only the leader comes here, once, and stores
 * only if nothing cut the flight off.
 *
 * Invariant: a value is serialized before any caller gets it, so what callers do to it is not stored.
 * Invariant: the key stays in flight until its writes have landed.
 * Invariant: a refused write takes the local copy of its own flight with it: something newer came between.
 *
 * @module
 */

import type { Capture } from "./capture.ts";
import type { Flight } from "./chain.ts";
import type { ByteRoom } from "./byte-room.ts";
import { notCloneable, protect } from "./clone.ts";
import type { LocalEntry, LocalPart, RemotePart } from "./binding.ts";
import { servable } from "./early.ts";
import type { CacheError } from "./errors.ts";
import type { NotStoredReason } from "./events.ts";
import type { Failure, Found } from "./found.ts";
import { jittered } from "./freshness.ts";
import { localEntry, putEntry, sharedGenerations } from "./local-entry.ts";
import { keyDigest, storedKey } from "./key.ts";
import { encodeValue, fits, makeSlot, serializeError } from "./make-slot.ts";
import type { Payload } from "./make-slot.ts";
import type { WriteJob } from "./remote-storage.ts";
import type { WriteEntry } from "./storage.ts";

/** Which tiers the doorkeeper opens to what this flight found. One arrival is one flight that found or loaded its value. */
export interface Admission {
  readonly local: boolean;
  readonly remote: boolean;
}

const OPEN: Admission = { local: true, remote: true };

/** Records an arrival at the node's doorkeeper. */
export function admits(flight: Flight): Admission {
  const { spec, owner, counters } = flight.binding;
  const { doorkeeper } = spec;
  // What was stored before is not strange: renewing it passes.
  if (!doorkeeper || flight.background || flight.old) return OPEN;
  try {
    if (doorkeeper.admit(`${owner.prefix}\u0001${spec.name}`, flight.key)) return OPEN;
  } catch {
    report(flight, "hook");
  }
  counters.doorkeeperRejectCount++;
  // A chain of one kind is guarded whole, else the doorkeeper of a remote-only node would guard nothing.
  const whole = doorkeeper.guards === "all" || flight.chain.locals.length === 0 || flight.chain.remotes.length === 0;
  return { local: false, remote: !whole };
}

/** Ends a flight with an error, or with an old copy where the node allows that. Errors are never cached, and the key is free at once. */
export function settleFailed(flight: Flight, error: unknown, loaded: boolean): void {
  const { core, spec } = flight.binding;
  const failure: Failure = { ok: false, error, loaded };
  const old = servable(flight, spec.freshness.keepMs, flight.maxAgeMs);
  if (old || flight.final || flight.background) core.emitter.emit({ type: "refresh-failed", node: spec.name, key: keyDigest(flight.key) });
  land(flight);
  flight.settle(old ?? failure);
}

/** Ends a flight with a value, found just before `now` by the monotonic clock. */
export function settleFound(flight: Flight, found: Found, admission: Admission, now: number): void {
  const { spec } = flight.binding;
  let own = found;
  if (spec.clone !== "none") {
    try {
      own = { ...found, value: protect(found.value, spec.clone) };
    } catch {
      return settleFailed(flight, notCloneable(spec.name, spec.clone), found.loaded);
    }
  }
  if (flight.stores && flight.current) {
    if (now - flight.startedAt <= spec.storeWithinMs) store(flight, own, admission, now);
    else report(flight, "too-late");
  }
  if (flight.writing === 0) land(flight);
  flight.settle(own);
}

function store(flight: Flight, found: Found, admission: Admission, now: number): void {
  const targets = admission.remote ? flight.chain.remotes.filter((part) => wants(flight, part, found)) : [];
  const payload = targets.length > 0 ? serialize(flight, found.value) : undefined;
  if (payload === FAILED) return;
  if (admission.local) publish(flight, found, now);
  if (targets.length === 0) return;
  flight.writing = targets.length;
  if (!(payload instanceof Promise)) return backFill(flight, found, targets, payload);
  payload.then(
    (bytes) => backFill(flight, found, targets, bytes),
    (error: unknown) => {
      report(flight, "serializer", serializeError(error, flight.binding.spec));
      dropFilled(flight);
      flight.writing = 0;
      land(flight);
    },
  );
}

/** Whether a tier is back-filled: it was read in this flight, stands left of the answer, and the answer is good enough for it. */
function wants(flight: Flight, part: RemotePart, found: Found): boolean {
  const capture = flight.captures[part.index];
  if (!capture || part.name === found.source) return false;
  // A hit that passed through a tier without guard may be an old copy; under the tombstone's stamp it would be accepted.
  return found.guarded || !part.storage.guarded;
}

const FAILED: unique symbol = Symbol("not serializable");

function serialize(flight: Flight, value: unknown): Payload | Promise<Payload> | typeof FAILED {
  try {
    return encodeValue(flight.binding.spec, value);
  } catch (error) {
    report(flight, "serializer", serializeError(error, flight.binding.spec));
    return FAILED;
  }
}

/** Fills the local tiers left of where the value was found. */
function publish(flight: Flight, found: Found, now: number): void {
  const { spec, groups } = flight.binding;
  const generations = sharedGenerations(flight.binding, flight.captures, flight.unread);
  const own = flight.groups === groups ? undefined : flight.groups;
  for (const part of flight.chain.locals) {
    const entry = localEntry(part, found, generations, spec.freshness, flight.epoch, own);
    if (putLocal(flight, part, entry, now)) flight.filled = flight.filled ? [...flight.filled, entry] : [entry];
  }
}

function putLocal(flight: Flight, part: LocalPart, entry: LocalEntry, now: number): boolean {
  try {
    return putEntry(flight.binding, part, flight.key, entry, now);
  } catch {
    report(flight, "hook");
    return false;
  }
}

function dropFilled(flight: Flight): void {
  const now = flight.binding.core.clock.monotonic();
  for (const { space } of flight.chain.locals) {
    const held = space.peek(flight.key, now);
    if (held && flight.filled?.some((own) => isCopy(held, own))) space.delete(flight.key);
  }
}

/** Whether an entry came from another one: a tier may have copied it from the tier beside it. */
function isCopy(held: LocalEntry, own: LocalEntry): boolean {
  return held === own || (held.value === own.value && held.createdAt === own.createdAt && held.epoch === own.epoch);
}

function backFill(flight: Flight, found: Found, targets: readonly RemotePart[], payload: Payload): void {
  for (const part of targets) {
    const stored = storedKey(flight.fullKey, part.storage.maxKeyBytes);
    const job = (short: string): void => part.storage.write(new BackFill(flight, part, found, payload, short));
    if (typeof stored === "string") job(stored);
    else stored.then(job, () => wrote(flight));
  }
}

/** One write of a flight to one tier. */
class BackFill implements WriteJob {
  readonly storedKey: string;
  private readonly flight: Flight;
  private readonly part: RemotePart;
  private readonly found: Found;
  private readonly payload: Payload;

  constructor(flight: Flight, part: RemotePart, found: Found, payload: Payload, storedKey: string) {
    this.flight = flight;
    this.part = part;
    this.found = found;
    this.payload = payload;
    this.storedKey = storedKey;
  }

  get owner(): object {
    return this.flight.call;
  }

  get view(): object {
    return this.flight.scope;
  }

  prepare(now: number, room: ByteRoom): WriteEntry | undefined {
    const { flight, part } = this;
    const capture = flight.captures[part.index];
    const tooLate = now - flight.startedAt > flight.binding.spec.storeWithinMs;
    const entry = capture && !flight.fenced && !flight.outlived && !tooLate ? this.slot(capture, now, room) : undefined;
    flight.sentAt = now;
    if (entry && fits(part, this.payload, entry)) return entry;
    if (tooLate) report(flight, "too-late", undefined, part.name);
    else if (entry) report(flight, "size", undefined, part.name);
    wrote(flight);
    return undefined;
  }

  /** The slot, under the stamp that this flight read in this tier. */
  private slot(capture: Capture, now: number, room: ByteRoom): WriteEntry | undefined {
    const { flight, part, found, payload, storedKey: key } = this;
    const { binding, fullKey } = flight;
    const spentMs = found.loaded ? 0 : now - found.since;
    const ttlMs = Math.max(0, Math.min(jittered(part.ttlMs, binding.spec.freshness), found.leftMs - spentMs));
    return ttlMs === 0 ? undefined : makeSlot(binding, part, { key, fullKey, found, payload, capture, ttlMs }, room);
  }

  written(stored: boolean | undefined, ms: number): void {
    const { flight, part } = this;
    part.counters.writeCount++;
    part.counters.writeTimeMs += ms;
    if (stored === false) {
      part.counters.refusedCount++;
      flight.binding.counters.fencedCount++;
      dropFilled(flight);
    }
    wrote(flight);
  }

  failed(error: CacheError): void {
    countFailure(this.part, error);
    this.flight.binding.counters.errorCount++;
    wrote(this.flight);
  }
}

/** Counts a storage call that failed or timed out. */
export function countFailure(part: RemotePart, error: CacheError): void {
  if (error.code === "ERR_STORAGE_TIMEOUT") part.counters.timeoutCount++;
  else part.counters.errorCount++;
}

function wrote(flight: Flight): void {
  flight.writing--;
  if (flight.writing === 0) land(flight);
}

/** The last write has landed, or there is none: the key is free, and the request may end. */
function land(flight: Flight): void {
  if (flight.landed) return;
  flight.landed = true;
  if (flight.binding.flights.get(flight.key) === flight) flight.binding.flights.delete(flight.key);
  flight.call.end();
  flight.scope.end();
  flight.onLanded?.();
}

/** A function of the node threw, so the value is answered and not stored. */
export function reportHook(flight: Flight): void {
  report(flight, "hook");
}

function report(flight: Flight, reason: NotStoredReason, error?: CacheError, storage?: string): void {
  const { core, spec, counters } = flight.binding;
  if (error) counters.errorCount++;
  core.emitter.emit({
    type: "not-stored",
    node: spec.name,
    key: keyDigest(flight.key),
    reason,
    ...(storage === undefined ? {} : { storage }),
    ...(error ? { error } : {}),
  });
}
