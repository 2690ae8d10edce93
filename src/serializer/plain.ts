/**
 * Plain data: the values that a data format gives back equal. One walk refuses everything else before a format silently
 * changes it. It relies on the errors and on `bounds.ts`, and it encodes nothing.
 *
 * Plain are null, booleans, strings, ordinary numbers, arrays without holes, and objects whose prototype is
 * `Object.prototype` or null. A property whose value is undefined is allowed: reading it gives undefined, whether a format
 * keeps it or drops it. Only enumerable properties with string keys count as data; of arrays, only the elements.
 *
 * @module
 */

import { CacheError, isCacheError } from "../errors.ts";
import { BUILT_IN_WEIGHT, type Budget, spend, weightOfKey } from "./bounds.ts";

/** What one format carries beyond plain data, and what of plain data it cannot. */
export interface PlainFormat {
  /** Shown in errors: `"json()"`. */
  readonly name: string;
  /** Whether it gives back a value that is not plain: NaN, an infinity, a bigint, an instance. Never asked about -0. */
  carries(value: unknown): boolean;
  /** Whether it gives back an own key `__proto__`. */
  readonly carriesProtoKey: boolean;
  /** Whether its encoder writes what a method `toJSON` answers in place of the object. */
  readonly callsToJson?: boolean | undefined;
  /** Whether its decoder assigns properties one by one, so that holes before an index take memory. */
  readonly weighsKeys?: boolean | undefined;
  /** Whether it gives back this text, as a value and as a key. Left out: every text. */
  readonly carriesText?: ((text: string) => boolean) | undefined;
}

/** How deep containers may stand in one another, in levels. Deeper data overflows the stacks of recursive formats. */
export const MAX_DEPTH = 1_000;

/** From this depth on a walk remembers where it is, to tell a cycle from honest depth. Shallow data pays nothing. */
const WATCHED_DEPTH = 32;

type Place = "the value itself" | "in an array" | "in a property";

interface Walk {
  readonly format: PlainFormat;
  /** Whether `for in` would also visit what somebody put on `Object.prototype`; asking each property costs half of a walk. */
  readonly polluted: boolean;
  readonly callsToJson: boolean;
  /** Overdrawn where shared references multiply, too: an encoder would write for minutes. */
  readonly budget: Budget;
  /** The containers around the current one, from {@link WATCHED_DEPTH} inward. */
  trail: object[] | undefined;
}

/**
 * Returns if `format` gives `value` back equal.
 *
 * @throws CacheError `ERR_SERIALIZE`, naming the kind of what cannot be carried and where it stands; never a value or a key.
 */
export function assertPlain(value: unknown, format: PlainFormat): void {
  const walk: Walk = { format, polluted: isPolluted(), callsToJson: format.callsToJson === true, budget: { spent: 0 }, trail: undefined };
  try {
    check(value, walk, "the value itself", 0);
  } catch (error) {
    if (isCacheError(error)) throw error;
    // A getter or a proxy may say anything, so its words are not repeated. A caller that left too little stack ends here too.
    throw refusal("a value that throws while it is read", walk, "the value itself", 0);
  }
}

function isPolluted(): boolean {
  for (const _ in Object.prototype) return true;
  return false;
}

function check(value: unknown, walk: Walk, place: Place, depth: number): void {
  switch (typeof value) {
    case "string":
      if (walk.format.carriesText?.(value) === false) throw refusal("this string", walk, place, depth);
      return;
    case "boolean":
      return;
    case "number":
      // The difference is NaN for NaN and for both infinities.
      if (value - value === 0 && (value !== 0 || 1 / value > 0)) return;
      if (value === 0) throw refusal("-0", walk, place, depth);
      break;
    case "object":
      if (value === null || enter(value, walk, place, depth)) return;
      break;
    case "undefined":
      if (place === "in a property") return;
      throw refusal("undefined", walk, place, depth);
    default:
  }
  if (!walk.format.carries(value)) throw refusal(kindOf(value), walk, place, depth);
  if (typeof value === "object") charge(BUILT_IN_WEIGHT, walk, place, depth);
}

/** Walks a plain container; `false`, and nothing done, if it is another object. */
function enter(container: object, walk: Walk, place: Place, depth: number): boolean {
  // The question for a method stands in two places: each sees few kinds of containers, and the engine answers faster.
  if (Array.isArray(container)) {
    if (!Array.isArray(Object.getPrototypeOf(container))) return false;
    if (walk.callsToJson && "toJSON" in container) checkMethod(container, walk, place, depth);
    open(container, walk, place, depth);
    checkElements(container, walk, depth + 1);
    return true;
  }
  if (!isPlainObject(container)) return false;
  if (walk.callsToJson && container["toJSON"] !== undefined) checkMethod(container, walk, place, depth);
  open(container, walk, place, depth);
  checkProperties(container, walk, depth + 1);
  return true;
}

/** A method of that name may be hidden, stand on an array, or on a prototype: the walk over data does not meet it. */
function checkMethod(container: object, walk: Walk, place: Place, depth: number): void {
  if (typeof Reflect.get(container, "toJSON") === "function") throw refusal("an object or array with a method toJSON", walk, place, depth);
}

/** Counts what the decoder will count. */
function charge(weight: number, walk: Walk, place: Place, depth: number): void {
  if (!spend(walk.budget, weight)) throw refusal("so many objects and arrays", walk, place, depth);
}

/** Counts a container, and refuses it where counting shows that the walk would not end. */
function open(container: object, walk: Walk, place: Place, depth: number): void {
  charge(1, walk, place, depth);
  if (depth >= WATCHED_DEPTH) watch(container, walk, place, depth);
}

function checkElements(elements: readonly unknown[], walk: Walk, depth: number): void {
  // A hole reads as undefined and is refused like it.
  for (let index = 0; index < elements.length; index += 1) check(elements[index], walk, "in an array", depth);
}

function checkProperties(container: PlainObject, walk: Walk, depth: number): void {
  const { carriesProtoKey, carriesText, weighsKeys } = walk.format;
  for (const key in container) {
    if (walk.polluted && !Object.hasOwn(container, key)) continue;
    if (key === "__proto__" && !carriesProtoKey) throw refusal("a key __proto__", walk, "in a property", depth);
    if (carriesText !== undefined && !carriesText(key)) throw refusal("this key", walk, "in a property", depth);
    if (weighsKeys === true) charge(weightOfKey(key), walk, "in a property", depth);
    check(container[key], walk, "in a property", depth);
  }
}

/** For the type checker alone: every object has string keys, and what stands under them is unknown. */
export function hasKeys(value: object): value is Record<string, unknown> {
  return typeof value === "object";
}

/** An object with string keys. */
export type PlainObject = Readonly<Record<string, unknown>>;

/** Whether this is an array and of no subclass. `Array.prototype` is itself an array, in every realm; others are not. */
export function isPlainArray(value: object): value is readonly unknown[] {
  return Array.isArray(value) && Array.isArray(Object.getPrototypeOf(value));
}

/** Whether the prototype is null or the `Object.prototype` of this realm or another. Arrays and functions are no plain objects. */
export function isPlainObject(value: object): value is PlainObject {
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype === Object.prototype || prototype === null) return !Array.isArray(value);
  return typeof prototype === "object" && Object.getPrototypeOf(prototype) === null && Object.hasOwn(prototype, "isPrototypeOf");
}

/** Remembers deep containers and, each time the depth has doubled, looks for the current one among those around it. */
function watch(container: object, walk: Walk, place: Place, depth: number): void {
  if (depth >= MAX_DEPTH) throw refusal(`more than ${MAX_DEPTH} levels`, walk, place, depth);
  const trail = (walk.trail ??= []);
  const distance = depth - WATCHED_DEPTH;
  trail.length = distance;
  if ((distance & (distance - 1)) === 0 && trail.includes(container)) throw refusal("a cycle", walk, place, depth);
  trail.push(container);
}

function refusal(what: string, walk: Walk, place: Place, depth: number): CacheError {
  const where = depth > 1 ? `${place}, ${depth} levels deep` : place;
  return new CacheError("ERR_SERIALIZE", `${walk.format.name} cannot carry ${what} (${where})`);
}

const NAMED: ReadonlySet<string> = new Set(
  "Array ArrayBuffer Blob Date Error FormData Headers Map Promise ReadableStream RegExp Request Response Set URL WeakMap WeakSet".split(" "),
);

/** The kind of a value, in words that hold nothing of the value. */
export function kindOf(value: unknown): string {
  if (typeof value === "number") return Number.isNaN(value) ? "NaN" : "an infinite number";
  if (typeof value !== "object") return value === undefined ? "undefined" : `a ${typeof value}`;
  if (value === null) return "null";
  if (ArrayBuffer.isView(value)) return "binary data";
  // The brand may be the user's own text, so only well-known ones are repeated.
  const brand = brandOf(value);
  return NAMED.has(brand) ? `an instance of ${brand} or of a class derived from it` : "an instance of a class";
}

/** What the language says an object is, in every realm. A class may lie, and then the methods of the built-in refuse the object. */
export function brandOf(value: object): string {
  return Object.prototype.toString.call(value).slice(8, -1);
}
