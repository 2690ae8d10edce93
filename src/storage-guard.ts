/**
 * The guard around a storage: the time budget of every call, also of one that never answers, and the only place that wraps
 * a storage's errors. It relies on the port and the clock. It does not retry (a write applied twice can put an old stamp
 * back), and it never keeps a driver's error, which may carry the whole command with its values.
 *
 * @module
 */

import type { Clock } from "./clock.ts";
import { toFiniteMs, describe } from "./duration.ts";
import { CacheError } from "./errors.ts";
import { readFields } from "./node-spec.ts";
import type { Storage } from "./storage.ts";
import type { GuardOptions } from "./types.ts";

/** What is being asked of a storage. */
export type Operation = "read" | "write" | "remove" | "ensure" | "raise" | "prune" | "close";

/** Default budget of one storage call, in ms. */
const DEFAULT_TIMEOUT_MS = 1_000;
const MESSAGE_LENGTH = 200;
const GUARD_FIELDS = ["timeout"];

const ownOptions = new WeakMap<Storage, GuardOptions>();

/**
 * Gives one storage a guard of its own, in place of the cache's `guard` option, and returns the same storage.
 *
 * @example
 * ```ts
 * import { createCache, guarded } from "cacheme";
 * import { upstash } from "cacheme/upstash";
 *
 * const cache = createCache({ storages: { redis: guarded(upstash({ url, token }), { timeout: "250ms" }) } });
 * ```
 */
export function guarded<S extends Storage>(storage: S, options: GuardOptions): S {
  checkGuard(options);
  ownOptions.set(storage, options);
  return storage;
}

/** @throws TypeError naming the option and the value. */
export function checkGuard(options: GuardOptions | undefined): void {
  if (options !== undefined && (typeof options !== "object" || options === null)) throw new TypeError(`guard must be an object, got ${describe(options)}`);
  readFields(options ?? {}, GUARD_FIELDS, "guard");
  timeoutOf(options);
}

/** The budget of one call to a storage, in ms. */
export function budgetOf(storage: Storage, options: GuardOptions | undefined): number {
  return timeoutOf(ownOptions.get(storage) ?? options);
}

function timeoutOf(options: GuardOptions | undefined): number {
  if (options?.timeout === undefined) return DEFAULT_TIMEOUT_MS;
  const ms = toFiniteMs(options.timeout, "guard: timeout");
  if (ms === 0) throw new TypeError(`guard: timeout must be above 0, got ${describe(options.timeout)}`);
  return ms;
}

/**
 * Runs one call to a storage within a budget. When the budget is gone the signal is aborted and the promise rejects with
 * `ERR_STORAGE_TIMEOUT`, whether or not the storage heeds the signal; what it answers later is dropped.
 */
export function callWithin<T>(
  clock: Clock,
  budgetMs: number,
  storage: string,
  operation: Operation,
  secrets: readonly string[],
  call: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const controller = new AbortController();
    const timer = clock.setTimeout(() => {
      reject(new CacheError("ERR_STORAGE_TIMEOUT", `storage ${describe(storage)}: ${operation} took longer than its budget of ${Math.round(budgetMs)} ms`));
      controller.abort();
    }, budgetMs);
    const failed = (error: unknown): void => {
      clock.clearTimeout(timer);
      reject(wrap(error, storage, operation, secrets));
    };
    try {
      call(controller.signal).then((value) => {
        clock.clearTimeout(timer);
        resolve(value);
      }, failed);
    } catch (error) {
      failed(error);
    }
  });
}

/** An error of our own for what a driver threw: its name, its code and a redacted beginning of its message. */
export function wrap(error: unknown, storage: string, operation: Operation, secrets: readonly string[]): CacheError {
  const code = operation === "read" ? "ERR_STORAGE_READ" : "ERR_STORAGE_WRITE";
  return new CacheError(code, `storage ${describe(storage)}: ${operation} failed: ${redact(textOf(error), secrets)}`);
}

function textOf(error: unknown): string {
  if (!(error instanceof Error)) return typeof error === "string" ? error : "something other than an Error was thrown";
  const code = "code" in error && (typeof error.code === "string" || typeof error.code === "number") ? ` ${error.code}` : "";
  return `${error.name}${code}: ${error.message}`;
}

/**
 * Takes from a driver's message what may be a secret: the keys of the call in any spelling, everything from the first
 * quote, brace or bracket on, and from the word "command"; URLs and what stands before an @; anything percent-encoded; and
 * any run of 16 or more letters and digits that has both (tokens, hashes, base64). What is left tells the kind of failure.
 */
function redact(text: string, secrets: readonly string[]): string {
  let clean = text.slice(0, 4_096);
  for (const secret of secrets) {
    for (const spelling of [secret, encodeURIComponent(secret), JSON.stringify(secret).slice(1, -1)])
      if (spelling !== "") clean = clean.replaceAll(spelling, "…");
  }
  const end = clean.search(/["'`{[<]|\bcommands?\b/i);
  if (end >= 0) clean = `${clean.slice(0, end)}…`;
  return clean
    .replaceAll(/\b([a-z][a-z0-9+.-]*:\/\/)\S*/gi, "$1…")
    .replaceAll(/\S*[@%]\S*/g, "…")
    .replaceAll(/[A-Za-z0-9+/_=-]{16,}/g, (run) => (/\d/.test(run) && /[A-Za-z]/.test(run) ? "…" : run))
    .slice(0, MESSAGE_LENGTH);
}
