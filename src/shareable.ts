/**
 * What may be shared between requests: plain data, and nothing that can be read once or belongs to whoever made it.
 *
 * @module
 */

import { describe } from "./duration.ts";
import { CacheError } from "./errors.ts";

/** Whether a value is a promise, of whatever make. */
export function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === "object" && value !== null && "then" in value && typeof value.then === "function";
}

const UNSHAREABLE = ["Response", "Request", "ReadableStream", "WritableStream", "TransformStream", "Promise", "WebSocket"] as const;

/** By its tag, which also holds for objects of another realm; on Workers with a compatibility date before 2024-09-26 classes have none. */
function isA(value: object, name: string): boolean {
  const type: unknown = Reflect.get(globalThis, name);
  return Reflect.get(value, Symbol.toStringTag) === name || (typeof type === "function" && value instanceof type);
}

/** Most values are plain, and a plain object is none of the classes that cannot be shared. */
function isOrdinary(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === Array.prototype || prototype === null;
}

/** A value, or the error in its place. */
export interface Result {
  readonly ok: boolean;
  readonly result: unknown;
}

/** A value, if it may be shared between requests: a body can be read once, and by the request that fetched it. */
export function resultOf(value: unknown, node: string, from: string = "load gave"): Result {
  if (typeof value !== "object" || value === null) return { ok: true, result: value };
  try {
    if (isOrdinary(value) && !isThenable(value)) return { ok: true, result: value };
    const tag = isThenable(value) ? "Promise" : UNSHAREABLE.find((name) => isA(value, name));
    if (tag === undefined) return { ok: true, result: value };
    const message = `node ${describe(node)}: ${from} a ${tag}, which cannot be shared; read its body and return plain data`;
    return { ok: false, result: new CacheError("ERR_SERIALIZE", message) };
  } catch (error) {
    // A proxy whose traps throw, say: what cannot be looked at is the loader's failure.
    return { ok: false, result: error };
  }
}
