/**
 * Reads values in the format of `structured-format.ts`. Any bytes give a value or a CacheError `ERR_ENTRY_CORRUPT`: nothing
 * is made whose bytes are not there, nothing recurses, no prototype is touched, and no code is made from data. It relies on
 * `byte-reader.ts` for the bounds of the bytes: everything that is counted takes a byte at least, so that counts need no check
 * of their own; and on `bounds.ts` for what a few bytes may ask for.
 *
 * @module
 */

import { isCacheError } from "../errors.ts";
import { BUILT_IN_WEIGHT, type Budget, crowd, ERROR_WEIGHT, indexOf, spend } from "./bounds.ts";
import { byteReader, type ByteReader, corrupt } from "./byte-reader.ts";
import { hasKeys } from "./plain.ts";
import * as tag from "./structured-format.ts";

interface Decoding {
  readonly input: ByteReader;
  /** Every container met so far, in order; those whose turn has not come are empty. */
  readonly containers: object[];
  /** The tag of each container. Two lists of small things, because bytes may ask for a container each. */
  readonly kinds: number[];
  /** Every property key met so far, in order. */
  readonly keys: string[];
  readonly budget: Budget;
}

/**
 * The value of bytes that `encodeStructured` made; it shares no memory with them.
 *
 * @throws CacheError `ERR_ENTRY_CORRUPT` for all other bytes; its message holds nothing of them.
 */
export function decodeStructured(bytes: Uint8Array, decoder: TextDecoder): unknown {
  const input = byteReader(bytes, decoder);
  const decoding: Decoding = { input, containers: [], kinds: [], keys: [], budget: { spent: 0 } };
  try {
    if (input.byte() !== tag.VERSION) throw corrupt();
    const value = readValue(decoding);
    // The list grows while it is walked.
    for (const [number, container] of decoding.containers.entries()) readContents(decoding.kinds[number], container, decoding);
    if (input.left() !== 0) throw corrupt();
    return value;
  } catch (error) {
    // A pattern, a length or text that the platform refuses; its words may quote the data.
    throw isCacheError(error) ? error : corrupt();
  }
}

function readValue(decoding: Decoding): unknown {
  const kind = decoding.input.byte();
  return kind < tag.REFERENCE ? readPrimitive(kind, decoding.input) : readContainer(kind, decoding);
}

function readPrimitive(kind: number, input: ByteReader): unknown {
  switch (kind) {
    case tag.UNDEFINED:
      return undefined;
    case tag.NULL:
      return null;
    case tag.FALSE:
      return false;
    case tag.TRUE:
      return true;
    case tag.FLOAT:
      return input.float();
    case tag.INTEGER:
      return input.count();
    case tag.NEGATIVE:
      return -1 - input.count();
    case tag.TEXT:
      return input.text(input.count());
    case tag.UNITS:
      return input.units(input.count());
    case tag.BIGINT:
      return readBigint(input);
    case tag.NEGATIVE_BIGINT:
      return -readBigint(input);
    default:
      throw corrupt();
  }
}

/** Bytes of a bigint that are turned into digits at once. */
const DIGITS_AT_ONCE = 1_024;

/** Bytes of a bigint that an ordinary number holds; text for each of millions would take long. */
const EXACT_BYTES = 6;

function readBigint(input: ByteReader): bigint {
  const bytes = input.raw(input.count());
  if (bytes.length <= EXACT_BYTES) return BigInt(bytes.reduce((number, byte) => number * 256 + byte, 0));
  let digits = "";
  // In pieces: a list of all digits would be ten times as large as the bytes.
  for (let start = 0; start < bytes.length; start += DIGITS_AT_ONCE) {
    digits += Array.from(bytes.subarray(start, start + DIGITS_AT_ONCE), (byte) => byte.toString(16).padStart(2, "0")).join("");
  }
  return BigInt(`0x0${digits}`);
}

function readText({ input }: Decoding): string {
  const value = readPrimitive(input.byte(), input);
  if (typeof value !== "string") throw corrupt();
  return value;
}

function readContainer(kind: number, decoding: Decoding): object {
  if (kind === tag.REFERENCE) {
    const known = decoding.containers[decoding.input.count()];
    if (known === undefined) throw corrupt();
    return known;
  }
  if (!spend(decoding.budget, weightOf(kind))) throw corrupt();
  const container = make(kind, decoding);
  decoding.containers.push(container);
  decoding.kinds.push(kind);
  return container;
}

function weightOf(kind: number): number {
  if (kind === tag.ERROR) return ERROR_WEIGHT;
  return kind > tag.SPARSE_ARRAY ? BUILT_IN_WEIGHT : 1;
}

/** A container, still empty if it has contents. */
function make(kind: number, decoding: Decoding): object {
  switch (kind) {
    case tag.OBJECT:
      return {};
    case tag.BARE_OBJECT:
      return Object.create(null);
    case tag.ARRAY:
    case tag.SPARSE_ARRAY:
      return [];
    case tag.MAP:
      return new Map();
    case tag.SET:
      return new Set();
    case tag.ERROR:
      return makeError(decoding.input);
    default:
      return makeWhole(kind, decoding);
  }
}

/** A container that is complete at once. */
function makeWhole(kind: number, decoding: Decoding): object {
  const { input } = decoding;
  switch (kind) {
    case tag.DATE:
      return new Date(input.float());
    case tag.REGEXP:
      return new RegExp(readText(decoding), readText(decoding));
    case tag.BUFFER:
      return input.raw(input.count()).buffer;
    case tag.VIEW:
      return construct(tag.VIEWS[input.byte()], [input.raw(input.count()).buffer]);
    case tag.BOXED: {
      const primitive = readPrimitive(input.byte(), input);
      if (primitive === undefined || primitive === null) throw corrupt();
      return Object(primitive);
    }
    default:
      throw corrupt();
  }
}

/** An instance of a class of the language, by a name from our own lists. */
function construct(name: string | undefined, parameters: readonly unknown[]): object {
  const constructor: unknown = name === undefined ? undefined : Reflect.get(globalThis, name);
  if (typeof constructor !== "function") throw corrupt();
  return Reflect.construct(constructor, parameters);
}

function makeError(input: ByteReader): object {
  const name = tag.ERRORS[input.byte()];
  const error = construct(name, name === "AggregateError" ? [[]] : []);
  // It would tell where the error was decoded, not where it was thrown.
  Reflect.deleteProperty(error, "stack");
  return error;
}

/** Fills a container whose turn has come. */
function readContents(kind: number | undefined, container: object, decoding: Decoding): void {
  if (kind === tag.OBJECT || kind === tag.BARE_OBJECT) return readProperties(container, true, decoding);
  if (kind === tag.ERROR) {
    readProperties(container, false, decoding);
    return readProperties(container, true, decoding);
  }
  if (kind === tag.SPARSE_ARRAY && Array.isArray(container)) return readSparse(container, decoding);
  if (kind === tag.ARRAY && Array.isArray(container)) return readValues(decoding, (value) => container.push(value));
  const fits = crowd();
  if (container instanceof Set) return readValues(decoding, (value) => container.add(checked(value, fits)));
  if (!(container instanceof Map)) return;
  for (let rest = decoding.input.count(); rest > 0; rest -= 1) container.set(checked(readValue(decoding), fits), readValue(decoding));
}

function checked(key: unknown, fits: (key: unknown) => boolean): unknown {
  if (fits(key)) return key;
  throw corrupt();
}

function readProperties(target: object, enumerable: boolean, decoding: Decoding): void {
  if (!hasKeys(target)) throw corrupt();
  const count = decoding.input.count();
  let table = Array.isArray(target);
  for (let done = 0; done < count; done += 1) {
    const key = readKey(decoding);
    const value = readValue(decoding);
    if (!table && indexOf(key) > SHORT_GAP + done * 2) {
      makeTable(target);
      Reflect.deleteProperty(target, FAR);
      table = true;
    }
    if (enumerable && key !== "__proto__" && key !== "length") target[key] = value;
    // Assignment is faster, but would change the prototype of an object and the memory of an array, and make `message` visible.
    else Object.defineProperty(target, key, { value, enumerable, writable: true, configurable: true });
  }
}

function readKey(decoding: Decoding): string {
  const number = decoding.input.count();
  const key = number === 0 ? readText(decoding) : decoding.keys[number - 1];
  if (key === undefined) throw corrupt();
  if (number === 0) decoding.keys.push(key);
  return key;
}

function readValues(decoding: Decoding, add: (value: unknown) => unknown): void {
  for (let rest = decoding.input.count(); rest > 0; rest -= 1) add(readValue(decoding));
}

/** Longest stretch of holes for which an engine may reserve memory. */
const SHORT_GAP = 16;

/** The last index that there is. */
const FAR = 2 ** 32 - 2;

/** A far element makes engines keep elements as a table, where holes cost nothing; a near one, or a mere length, is reserved. */
function makeTable(target: object): void {
  Reflect.set(target, FAR, undefined);
}

function readSparse(array: unknown[], decoding: Decoding): void {
  const length = decoding.input.count();
  if (length >= 2 ** 32) throw corrupt();
  if (length > SHORT_GAP) makeTable(array);
  array.length = length;
  readProperties(array, true, decoding);
  // An element from there on has moved it.
  if (array.length !== length) throw corrupt();
}
