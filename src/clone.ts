/**
 * Protection against aliasing: values handed to several callers, frozen deeply or cloned.
 *
 * @module
 */

/** Freezes plain objects and arrays, all the way down; other objects cannot be frozen to any effect and stay as they are. Never recursive. */
export function deepFreeze<Value>(value: Value): Value {
  const seen = new Set<unknown>();
  const open: unknown[] = [value];
  while (open.length > 0) {
    const next = open.pop();
    if (typeof next !== "object" || next === null || seen.has(next) || !isPlain(next)) continue;
    seen.add(next);
    Object.freeze(next);
    open.push(...Object.values(next));
  }
  return value;
}

function isPlain(value: object): boolean {
  if (Array.isArray(value)) return true;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}
