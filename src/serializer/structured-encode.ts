/**
 * Writes values in the format of `structured-format.ts`. It relies on a queue instead of recursion, and on brands instead of
 * `instanceof`, because values may come from another realm. It decides what `structured()` refuses.
 *
 * @module
 */

import { CacheError, isCacheError } from "../errors.ts";
import { BUILT_IN_WEIGHT, type Budget, crowd, ERROR_WEIGHT, spend } from "./bounds.ts";
import { type ByteWriter, byteWriter } from "./byte-writer.ts";
import { brandOf, hasKeys, isPlainArray, isPlainObject, kindOf, type PlainObject } from "./plain.ts";
import * as tag from "./structured-format.ts";

interface Encoding {
  readonly out: ByteWriter;
  readonly encoder: TextEncoder;
  /** The number of each container met so far. */
  readonly numbers: Map<object, number>;
  /** Writes the contents of each container, in the order in which they were met. */
  readonly contents: (() => void)[];
  /** The number of each property key written so far, from 1. */
  readonly keys: Map<string, number>;
  readonly budget: Budget;
  /** Where the values being written stand, for errors. */
  place: string;
}

/**
 * The bytes of a value, in a buffer of their own.
 *
 * @throws CacheError `ERR_SERIALIZE`, naming the kind of what cannot be carried and where it stands; never a value or a key.
 */
export function encodeStructured(value: unknown, encoder: TextEncoder): Uint8Array {
  const encoding: Encoding = { out: byteWriter(), encoder, numbers: new Map(), contents: [], keys: new Map(), budget: { spent: 0 }, place: "the value itself" };
  try {
    encoding.out.byte(tag.VERSION);
    writeValue(value, encoding);
    // The list grows while it is walked.
    for (const writeContents of encoding.contents) writeContents();
    return encoding.out.finish();
  } catch (error) {
    if (isCacheError(error)) throw error;
    // A getter or a proxy may say anything, so its words are not repeated.
    throw refusal("a value that is too large, detached or throws while it is read", encoding);
  }
}

function refusal(what: string, encoding: Encoding): CacheError {
  return new CacheError("ERR_SERIALIZE", `structured() cannot carry ${what} (${encoding.place})`);
}

function writeValue(value: unknown, encoding: Encoding): void {
  const { out } = encoding;
  switch (typeof value) {
    case "undefined":
      return out.byte(tag.UNDEFINED);
    case "boolean":
      return out.byte(value ? tag.TRUE : tag.FALSE);
    case "number":
      return writeNumber(value, out);
    case "string":
      return writeText(value, encoding);
    case "bigint":
      out.byte(value < 0n ? tag.NEGATIVE_BIGINT : tag.BIGINT);
      return out.magnitude(value < 0n ? -value : value);
    case "object":
      return value === null ? out.byte(tag.NULL) : writeObject(value, encoding);
    default:
      throw refusal(kindOf(value), encoding);
  }
}

function writeNumber(value: number, out: ByteWriter): void {
  if (!Number.isSafeInteger(value) || Object.is(value, -0)) {
    out.byte(tag.FLOAT);
    return out.float(value);
  }
  out.byte(value < 0 ? tag.NEGATIVE : tag.INTEGER);
  out.count(value < 0 ? -1 - value : value);
}

function writeText(text: string, { out, encoder }: Encoding): void {
  if (out.shortAscii(tag.TEXT, text)) return;
  if (/\p{Surrogate}/u.test(text)) {
    out.byte(tag.UNITS);
    out.count(text.length);
    return out.units(text);
  }
  const bytes = encoder.encode(text);
  out.byte(tag.TEXT);
  out.count(bytes.length);
  out.raw(bytes);
}

function writeObject(value: object, encoding: Encoding): void {
  const { out, numbers } = encoding;
  const known = numbers.get(value);
  if (known !== undefined) {
    out.byte(tag.REFERENCE);
    return out.count(known);
  }
  numbers.set(value, numbers.size);
  charge(1, encoding);
  if (isPlainArray(value)) return writeArray(value, encoding);
  if (isPlainObject(value)) return writePlainObject(value, encoding);
  charge(BUILT_IN_WEIGHT - 1, encoding);
  if (ArrayBuffer.isView(value)) return writeView(value, encoding);
  const write = BUILT_INS.get(brandOf(value));
  if (write === writeError) charge(ERROR_WEIGHT - BUILT_IN_WEIGHT, encoding);
  if (write === undefined || (write !== writeError && prototypesOf(value) !== 2)) throw refusal(kindOf(value), encoding);
  write(value, encoding);
}

/** Counts what the decoder will count. */
function charge(weight: number, encoding: Encoding): void {
  if (!spend(encoding.budget, weight)) throw refusal("so many objects and arrays", encoding);
}

/** How long the prototype chain is: one more than that of a built-in class for the subclasses of it, in every realm. */
function prototypesOf(value: object): number {
  let length = 0;
  for (let link: unknown = Object.getPrototypeOf(value); link !== null; link = Object.getPrototypeOf(link)) length += 1;
  return length;
}

// Nothing is called here, so that bundles without `structured()` are without all of this.
const BUILT_INS: ReadonlyMap<string, (value: object, encoding: Encoding) => void> = new Map([
  ["Map", writeMap],
  ["Set", writeSet],
  ["Date", writeDate],
  ["RegExp", writeRegExp],
  ["ArrayBuffer", writeBuffer],
  ["Error", writeError],
  ["Number", (value, encoding) => writeBoxed(Number.prototype, value, encoding)],
  ["String", (value, encoding) => writeBoxed(String.prototype, value, encoding)],
  ["Boolean", (value, encoding) => writeBoxed(Boolean.prototype, value, encoding)],
  ["BigInt", (value, encoding) => writeBoxed(BigInt.prototype, value, encoding)],
]);

/** Leaves something to be written when the turn of the container's contents comes. */
function later(place: string, encoding: Encoding, write: () => void): void {
  encoding.contents.push(() => {
    encoding.place = place;
    write();
  });
}

function writePlainObject(value: PlainObject, encoding: Encoding): void {
  encoding.out.byte(Object.getPrototypeOf(value) === null ? tag.BARE_OBJECT : tag.OBJECT);
  later("in a property", encoding, () => writeProperties(value, Object.keys(value), encoding));
}

function writeProperties(value: object, keys: readonly string[], encoding: Encoding): void {
  if (!hasKeys(value)) throw refusal(kindOf(value), encoding);
  encoding.out.count(keys.length);
  for (const key of keys) {
    writeKey(key, encoding);
    writeValue(value[key], encoding);
  }
}

function writeKey(key: string, encoding: Encoding): void {
  const known = encoding.keys.get(key);
  encoding.out.count(known ?? 0);
  if (known !== undefined) return;
  encoding.keys.set(key, encoding.keys.size + 1);
  writeText(key, encoding);
}

function writeArray(value: readonly unknown[], encoding: Encoding): void {
  const keys = Object.keys(value);
  const { length } = value;
  // Indices come first and in order, so the last key tells that there is neither a hole nor another property.
  if (keys.length === length && (length === 0 || keys[length - 1] === String(length - 1))) {
    encoding.out.byte(tag.ARRAY);
    later("in an array", encoding, () => writeValues(value, encoding));
    return;
  }
  encoding.out.byte(tag.SPARSE_ARRAY);
  later("in an array", encoding, () => {
    encoding.out.count(length);
    writeProperties(value, keys, encoding);
  });
}

function writeValues(values: readonly unknown[], encoding: Encoding): void {
  encoding.out.count(values.length);
  for (const value of values) writeValue(value, encoding);
}

function writeMap(value: object, encoding: Encoding): void {
  const flat: unknown[] = [];
  const fits = crowd();
  Map.prototype.forEach.call(value, (item: unknown, key: unknown) => {
    checkKey(key, fits, encoding);
    flat.push(key, item);
  });
  encoding.out.byte(tag.MAP);
  later("in a Map", encoding, () => {
    encoding.out.count(flat.length / 2);
    for (const item of flat) writeValue(item, encoding);
  });
}

function checkKey(key: unknown, fits: (key: unknown) => boolean, encoding: Encoding): void {
  if (!fits(key)) throw refusal("a Map or Set of so many bigints that differ above their lowest 64 bits alone", encoding);
}

function writeSet(value: object, encoding: Encoding): void {
  const members: unknown[] = [];
  const fits = crowd();
  Set.prototype.forEach.call(value, (member: unknown) => {
    checkKey(member, fits, encoding);
    members.push(member);
  });
  encoding.out.byte(tag.SET);
  later("in a Set", encoding, () => writeValues(members, encoding));
}

function writeDate(value: object, { out }: Encoding): void {
  const time: number = Date.prototype.getTime.call(value);
  out.byte(tag.DATE);
  out.float(time);
}

function writeRegExp(value: object, encoding: Encoding): void {
  encoding.out.byte(tag.REGEXP);
  writeValue(Reflect.get(value, "source"), encoding);
  writeValue(Reflect.get(value, "flags"), encoding);
}

function writeBuffer(value: object, { out }: Encoding): void {
  const bytes = new Uint8Array(ArrayBuffer.prototype.slice.call(value, 0));
  out.byte(tag.BUFFER);
  out.count(bytes.length);
  out.raw(bytes);
}

function writeView(value: ArrayBufferView, encoding: Encoding): void {
  const name = brandOf(value);
  const kind = tag.VIEWS.indexOf(name);
  if (kind < 0 || prototypesOf(value) !== (name === "DataView" ? 2 : 3)) throw refusal("a subclass of a typed array, such as Buffer", encoding);
  encoding.out.byte(tag.VIEW);
  encoding.out.byte(kind);
  encoding.out.count(value.byteLength);
  encoding.out.raw(new Uint8Array(value.buffer, value.byteOffset, value.byteLength));
}

function writeError(value: object, encoding: Encoding): void {
  const prototype: unknown = Object.getPrototypeOf(value);
  const own = typeof prototype === "object" && prototype !== null && Object.hasOwn(prototype, "name");
  const kind = own ? tag.ERRORS.indexOf(String(Reflect.get(prototype, "name"))) : -1;
  if (kind < 0 || Symbol.toStringTag in value || prototypesOf(value) !== (kind === 0 ? 2 : 3)) {
    throw refusal("an error of a class of its own", encoding);
  }
  encoding.out.byte(tag.ERROR);
  encoding.out.byte(kind);
  later("in an error", encoding, () => {
    const visible = Object.keys(value).filter((key) => key !== "stack");
    const hidden = tag.HIDDEN_OF_ERRORS.filter((key) => Object.hasOwn(value, key) && !visible.includes(key));
    writeProperties(value, hidden, encoding);
    writeProperties(value, visible, encoding);
  });
}

function writeBoxed(prototype: { valueOf(): unknown }, value: object, encoding: Encoding): void {
  const primitive: unknown = prototype.valueOf.call(value);
  encoding.out.byte(tag.BOXED);
  writeValue(primitive, encoding);
}
