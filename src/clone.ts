/**
 * Protection against aliasing: values handed to several callers, frozen deeply or cloned.
 *
 * @module
 */

import { describe } from "./duration.ts";
import { CacheError } from "./errors.ts";

/** How a node protects its values. */
export type CloneMode = "none" | "freeze" | "structured";

/** A value that callers may share, as the node asks: itself, itself frozen, or a copy that nobody else has. @throws what cannot be cloned */
export function protect<Value>(value: Value, mode: CloneMode): Value {
  if (mode === "none") return value;
  return mode === "freeze" ? deepFreeze(value) : structuredClone(value);
}

/** The error of a value that cannot be protected as its node asks. */
export function notCloneable(node: string, mode: CloneMode): CacheError {
  return new CacheError("ERR_SERIALIZE", `node ${describe(node)}: clone is ${mode}, and the value cannot be cloned`);
}

/** Freezes plain objects and arrays, all the way down; other objects cannot be frozen to any effect and stay as they are. Never recursive. */
export function deepFreeze<Value>(value: Value): Value {
  const seen = new Set<unknown>();
  const open: unknown[] = [value];
  while (open.length > 0) {
    const next = open.pop();
    if (typeof next !== "object" || next === null || seen.has(next) || !isPlain(next)) continue;
    seen.add(next);
    Object.freeze(next);
    // One by one: an engine takes some 100,000 arguments at most.
    for (const inner of Object.values(next)) open.push(inner);
  }
  return value;
}

function isPlain(value: object): boolean {
  if (Array.isArray(value)) return true;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}
