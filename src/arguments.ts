/**
 * Looking at what callers pass to a view, none of which is trusted: definitions are checked once, calls each time, and in few
 * words.
 *
 * @module
 */

import type { Binding } from "./binding.ts";
import { describe, toMs } from "./duration.ts";
import { checkPrefix } from "./key.ts";
import { readFields } from "./fields.ts";
import type { Target } from "./tier-calls.ts";
import type { ReadOptions, Reference, ScopeOptions, SetOptions } from "./types.ts";

const READ_FIELDS = ["maxAge", "signal", "bypass", "load"];
const SCOPE_FIELDS = ["waitUntil", "env", "prefix", "after"];
const SET_FIELDS = ["ttl"];

/** Whether a value is a list. */
export function isList<Item>(value: Item | readonly Item[]): value is readonly Item[] {
  return Array.isArray(value);
}

/** A reference, as far as one can tell without looking at its node. @throws TypeError */
export function checkReference<Value>(reference: Reference<Value>): Reference<Value> {
  if (typeof reference === "object" && reference !== null) return reference;
  throw new TypeError(`expected a reference, as in cache.get(UserInfo(1)), got ${describe(reference)}`);
}

/** What `setAll` takes, without holes. @throws TypeError */
export function checkPairs<Value>(entries: readonly (readonly [Reference<Value>, unknown])[]): readonly (readonly [Reference<Value>, unknown])[] {
  const pairs = isList(entries) ? Array.from(entries) : [];
  if (isList(entries) && pairs.every((pair) => Array.isArray(pair))) return pairs;
  throw new TypeError(`setAll: expected a list of [reference, value], got ${describe(entries)}`);
}

/** @throws TypeError naming the first of these that is no function */
export function checkFunctions(operation: string, functions: Readonly<Record<string, unknown>>): void {
  for (const [name, value] of Object.entries(functions))
    if (typeof value !== "function") throw new TypeError(`${operation}: ${name} must be a function, got ${describe(value)}`);
}

/** The cap on the age of a copy that a read takes, in ms. @throws TypeError for options that cannot be */
export function maxAgeOf(options: ReadOptions): number | undefined {
  readFields(options, READ_FIELDS, "get: options");
  const { maxAge, signal } = options;
  if (signal !== undefined && typeof signal?.addEventListener !== "function")
    throw new TypeError(`get: signal must be an AbortSignal, got ${describe(signal)}`);
  return toMs(maxAge ?? null, "get: maxAge") ?? undefined;
}

/** The ttl that a call of `set` asks for, in ms; `undefined` if it asks for none. @throws TypeError for options that cannot be */
export function ttlOf(options: SetOptions | undefined): number | undefined {
  if (options === undefined) return undefined;
  readFields(options, SET_FIELDS, "set: options");
  return options.ttl === undefined ? undefined : (toMs(options.ttl, "set: ttl") ?? Number.POSITIVE_INFINITY);
}

/** The options of `with`. @throws TypeError for options that cannot be */
export function checkScope(options: ScopeOptions<unknown>): ScopeOptions<unknown> {
  readFields(options, SCOPE_FIELDS, "with: options");
  if (options.prefix !== undefined) checkPrefix(options.prefix);
  return options;
}

/** Targets without those that are there already. */
export function distinct(targets: readonly Target[]): readonly Target[] {
  const seen = new Map<Binding, Set<string>>();
  return targets.filter(({ binding, key }) => {
    const keys = seen.get(binding) ?? new Set();
    const isNew = !keys.has(key);
    seen.set(binding, keys.add(key));
    return isNew;
  });
}
