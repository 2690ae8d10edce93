/**
 * The guard around a storage: the time budget of every call, also of one that never answers; the breaker, which spares a
 * sick storage and those who ask it; and the only place that wraps and reports a storage's errors. It relies on the port, the
 * clock and `breaker.ts`. It never sends a write twice (applied twice it can put an old stamp back), and it never keeps a
 * driver's error, which may carry the whole command with its values.
 *
 * @module
 */

import { ailmentOf, REMEDIES } from "./ailment.ts";
import { createBreaker } from "./breaker.ts";
import type { Clock } from "./clock.ts";
import { describe, toFiniteMs, toTimerMs } from "./duration.ts";
import { CacheError } from "./errors.ts";
import type { Emitter, NotReadyReason } from "./events.ts";
import { readFields } from "./fields.ts";
import { redact, textOf } from "./redact.ts";
import type { Storage } from "./storage.ts";
import type { BreakerOptions, GuardOptions } from "./types.ts";

/** What is being asked of a storage. */
export type Operation = "read" | "write" | "remove" | "ensure" | "raise" | "prune" | "close";

/** Default budget of one storage call, in ms. */
const DEFAULT_TIMEOUT_MS = 1_000;
const DEFAULT_FAILURES = 5;
const DEFAULT_COOL_DOWN_MS = 5_000;
/** A probe that has been silent for its budget and this long, in ms, has died: as long as the lease of a flight. */
export const PROBE_GRACE_MS = 400;
/** How often the same ailment is reported, in ms. */
const NOT_READY_EVERY_MS = 60_000;
const GUARD_FIELDS = ["timeout", "breaker"];
const BREAKER_FIELDS = ["failures", "coolDown"];

const ownOptions = new WeakMap<Storage, GuardOptions>();
/** Errors that say what ails the storage; their text no longer does once it is redacted. */
const notReady = new WeakMap<CacheError, NotReadyReason>();

/**
 * Gives one storage a guard of its own, in place of the cache's `guard` option, and returns the same storage.
 *
 * @throws TypeError naming the option and the value.
 * @example
 * ```ts
 * import { createCache, guarded } from "cacheme";
 * import { upstash } from "cacheme/upstash";
 *
 * const cache = createCache({ storages: { redis: guarded(upstash({ url, token }), { timeout: "250ms", breaker: { failures: 3, coolDown: "2s" } }) } });
 * ```
 */
export function guarded<S extends Storage>(storage: S, options: GuardOptions): S {
  checkGuard(options);
  ownOptions.set(storage, options);
  return storage;
}

/** The options of a guard, as it uses them. */
export interface GuardRules {
  /** Budget of one call. */
  readonly timeoutMs: number;
  /** `undefined`: no breaker. */
  readonly breaker: { readonly failures: number; readonly coolDownMs: number } | undefined;
}

/** @throws TypeError naming the option and the value. */
export function checkGuard(options: GuardOptions | undefined): void {
  readGuard(options);
}

/** The guard of a storage: its own, or the cache's. */
export function guardOf(storage: Storage, options: GuardOptions | undefined): GuardRules {
  return readGuard(ownOptions.get(storage) ?? options);
}

/** The budget of one call to a storage, in ms. */
export function budgetOf(storage: Storage, options: GuardOptions | undefined): number {
  return guardOf(storage, options).timeoutMs;
}

function readGuard(options: GuardOptions | undefined): GuardRules {
  if (options !== undefined && (typeof options !== "object" || options === null)) throw new TypeError(`guard must be an object, got ${describe(options)}`);
  readFields(options ?? {}, GUARD_FIELDS, "guard");
  const timeoutMs = options?.timeout === undefined ? DEFAULT_TIMEOUT_MS : toTimerMs(options.timeout, "guard: timeout");
  return { timeoutMs, breaker: readBreaker(options?.breaker) };
}

function readBreaker(options: BreakerOptions | false | undefined): GuardRules["breaker"] {
  if (options === false) return undefined;
  if (options !== undefined && (typeof options !== "object" || options === null))
    throw new TypeError(`guard: breaker must be an object or false, got ${describe(options)}`);
  readFields(options ?? {}, BREAKER_FIELDS, "guard: breaker");
  const failures = options?.failures === undefined ? DEFAULT_FAILURES : options.failures;
  if (!(Number.isSafeInteger(failures) && failures >= 1))
    throw new TypeError(`guard: breaker.failures must be a whole number of at least 1, got ${describe(failures)}`);
  return { failures, coolDownMs: readCoolDown(options?.coolDown) };
}

function readCoolDown(duration: unknown): number {
  if (duration === undefined) return DEFAULT_COOL_DOWN_MS;
  const ms = toFiniteMs(duration, "guard: breaker.coolDown");
  if (ms === 0) throw new TypeError(`guard: breaker.coolDown must be above 0, got ${describe(duration)}`);
  return ms;
}

/** What a guard needs from its cache. */
export interface GuardHost {
  readonly clock: Clock;
  readonly emitter: Emitter;
}

/** One call to a storage. */
export interface GuardedCall<T> {
  readonly operation: Operation;
  /** What must not be told: its keys. */
  readonly secrets: readonly string[];
  readonly run: (signal: AbortSignal) => Promise<T>;
  /** Throws if the answer is nonsense, which is a failure of the storage like any other. */
  readonly check: (value: T) => void;
  /** When it was asked for, by the monotonic clock. */
  readonly since?: number | undefined;
}

/** What stands between the core and one storage. */
export interface Guard {
  readonly budgetMs: number;
  /** Makes a call within its budget, if the breaker lets it. Rejects with an error that has been reported. */
  call<T>(call: GuardedCall<T>): Promise<T>;
  /** An error of ours for what was caught; reported, if it has not been. */
  report(operation: Operation, error: unknown): CacheError;
}

/** Makes the guard of a storage that a cache knows by a name. */
export function createGuard({ clock, emitter }: GuardHost, name: string, { setup }: Storage, rules: GuardRules): Guard {
  const { timeoutMs: budgetMs } = rules;
  const breaker = rules.breaker && createBreaker({ ...rules.breaker, leaseMs: budgetMs + PROBE_GRACE_MS });
  // Set while the last call to end ran out of its budget. Jobs that waited for such a call have spent their own budget.
  let hangs = false;
  const toldNotReadyAt = new Map<NotReadyReason, number>();

  function admit(operation: Operation): number {
    const ticket = breaker ? breaker.admit(clock.monotonic()) : 0;
    if (ticket !== undefined) return ticket;
    throw new CacheError(
      codeOf(operation),
      `storage ${describe(name)}: ${operation} was not tried: the breaker is open, as the storage failed too often in a row`,
    );
  }
  function ended(ticket: number, succeeded: boolean): void {
    const change = breaker?.end(ticket, succeeded, clock.monotonic());
    if (change === "opened" && rules.breaker) emitter.emit({ type: "breaker-opened", storage: name, ...rules.breaker });
    if (change === "closed") emitter.emit({ type: "breaker-closed", storage: name });
  }
  function tell(operation: Operation, error: CacheError): void {
    const reason = notReady.get(error);
    if (!reason) return emitter.emit({ type: "storage-failed", storage: name, operation, error });
    const now = clock.monotonic();
    if (now - (toldNotReadyAt.get(reason) ?? Number.NEGATIVE_INFINITY) < NOT_READY_EVERY_MS) return;
    toldNotReadyAt.set(reason, now);
    emitter.emit({ type: "storage-not-ready", storage: name, reason, ...(setup === undefined || reason !== "table" ? {} : { setup }), error });
  }
  function report(operation: Operation, error: unknown): CacheError {
    // What is one of ours already comes from `call`, and was told there.
    if (error instanceof CacheError) return error;
    const wrapped = wrap(error, name, operation, []);
    tell(operation, wrapped);
    return wrapped;
  }

  async function call<T>({ operation, secrets, run, check, since }: GuardedCall<T>): Promise<T> {
    const ticket = admit(operation);
    const waited = hangs && since !== undefined ? clock.monotonic() - since : 0;
    // A probe is one call.
    const mayRepeat = operation === "read" && breaker?.state !== "probing";
    const againWithinMs = mayRepeat ? budgetMs / 2 - waited : Number.NEGATIVE_INFINITY;
    try {
      const value = await callWithin(clock, Math.max(1, budgetMs - waited), name, operation, secrets, run, againWithinMs);
      check(value);
      hangs = false;
      ended(ticket, true);
      return value;
    } catch (error) {
      const failure = error instanceof CacheError ? error : wrap(error, name, operation, secrets);
      hangs = failure.code === "ERR_STORAGE_TIMEOUT";
      tell(operation, failure);
      ended(ticket, false);
      throw failure;
    }
  }
  return { budgetMs, call, report };
}

/**
 * Runs one call to a storage within a budget. When the budget is gone the signal is aborted and the promise rejects with
 * `ERR_STORAGE_TIMEOUT`, whether or not the storage heeds the signal; what it answers later is dropped.
 *
 * @param againWithinMs a call that failed is tried once more, within the same budget, if no more than this has passed. Only
 * for reads. Default: never.
 */
export function callWithin<T>(
  clock: Clock,
  budgetMs: number,
  storage: string,
  operation: Operation,
  secrets: readonly string[],
  call: (signal: AbortSignal) => Promise<T>,
  againWithinMs: number = Number.NEGATIVE_INFINITY,
): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const controller = new AbortController();
    const began = clock.monotonic();
    let mayRepeat = true;
    const timer = clock.setTimeout(() => {
      reject(new CacheError("ERR_STORAGE_TIMEOUT", `storage ${describe(storage)}: ${operation} took longer than its budget of ${Math.round(budgetMs)} ms`));
      controller.abort();
    }, budgetMs);
    const failed = (error: unknown): void => {
      const again = mayRepeat && !controller.signal.aborted && clock.monotonic() - began <= againWithinMs && mayHeal(error);
      mayRepeat = false;
      if (again) return attempt();
      clock.clearTimeout(timer);
      reject(wrap(error, storage, operation, secrets));
    };
    const attempt = (): void => {
      try {
        call(controller.signal).then((value) => {
          clock.clearTimeout(timer);
          resolve(value);
        }, failed);
      } catch (error) {
        failed(error);
      }
    };
    attempt();
  });
}

/** Whether a second attempt at once may fare better. A connection that was lost may have been opened anew. */
function mayHeal(error: unknown): boolean {
  const ailment = ailmentOf(error);
  return ailment === undefined || ailment === "closed";
}

function codeOf(operation: Operation): "ERR_STORAGE_READ" | "ERR_STORAGE_WRITE" {
  return operation === "read" ? "ERR_STORAGE_READ" : "ERR_STORAGE_WRITE";
}

/** An error of our own for what a driver threw: its name, its code, a redacted beginning of its message, and what to do where that is known. */
export function wrap(error: unknown, storage: string, operation: Operation, secrets: readonly string[]): CacheError {
  const ailment = ailmentOf(error);
  const remedy = ailment ? ` (${REMEDIES[ailment]})` : "";
  const wrapped = new CacheError(codeOf(operation), `storage ${describe(storage)}: ${operation} failed: ${redact(textOf(error), secrets)}${remedy}`);
  if (ailment) notReady.set(wrapped, ailment);
  return wrapped;
}
