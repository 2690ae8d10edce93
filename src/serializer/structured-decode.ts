/**
 * Reads values in the format of `structured-format.ts`. Any bytes give a value or a CacheError `ERR_ENTRY_CORRUPT`: nothing
 * is made whose bytes are not there, nothing recurses, no prototype is touched, and no code is made from data. It relies on
 * `byte-reader.ts` for the bounds: everything that is counted takes a byte at least, so that counts need no check of their own.
 *
 * @module
 */

import { isCacheError } from "../errors.ts";
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
}

/**
 * The value of bytes that `encodeStructured` made; it shares no memory with them.
 *
 * @throws CacheError `ERR_ENTRY_CORRUPT` for all other bytes; its message holds nothing of them.
 */
export function decodeStructured(bytes: Uint8Array, decoder: TextDecoder): unknown {
  const input = byteReader(bytes, decoder);
  const decoding: Decoding = { input, containers: [], kinds: [], keys: [] };
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

function readBigint(input: ByteReader): bigint {
  const bytes = input.raw(input.count());
  const digits = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0"));
  return BigInt(`0x0${digits.join("")}`);
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
  const container = make(kind, decoding);
  decoding.containers.push(container);
  decoding.kinds.push(kind);
  return container;
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
  if (container instanceof Set) return readValues(decoding, (value) => container.add(value));
  if (!(container instanceof Map)) return;
  for (let rest = decoding.input.count(); rest > 0; rest -= 1) container.set(readValue(decoding), readValue(decoding));
}

function readProperties(target: object, enumerable: boolean, decoding: Decoding): void {
  if (!hasKeys(target)) throw corrupt();
  for (let rest = decoding.input.count(); rest > 0; rest -= 1) {
    const key = readKey(decoding);
    const value = readValue(decoding);
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

/** Longest stretch of holes for which an engine may allocate memory when the length of an array is set. */
const SHORT_GAP = 1_024;

function readSparse(array: unknown[], decoding: Decoding): void {
  const length = decoding.input.count();
  readProperties(array, true, decoding);
  if (length < array.length || length >= 2 ** 32) throw corrupt();
  if (length - array.length > SHORT_GAP) {
    // A far element makes engines keep the array as a table, where holes cost nothing; a mere length would be allocated.
    array[length - 1] = undefined;
    Reflect.deleteProperty(array, length - 1);
  } else array.length = length;
}
