/**
 * The serializer on msgpackr: MessagePack as any language reads it, without records, so that another isolate can decode it.
 * It relies on msgpackr for encoding and decoding, on the walk of `plain.ts` to refuse what msgpackr would change, and on a
 * scan of its own to refuse bytes that msgpackr would read past, misread or quote in an error. It knows no storage.
 *
 * msgpackr is imported in its build without `eval`: it runs where code generation is refused, needs no native addon, and
 * shares neither its buffer nor its registry of extensions with other users of msgpackr in the program.
 *
 * @module
 */

// @ts-expect-error this build carries no types, and those of the others need Node's.
import { Packr, RESET_BUFFER_MODE } from "msgpackr/index-no-eval";
import { CacheError } from "../src/errors.ts";
import { optionsOf } from "./options.ts";
import { BUILT_IN_WEIGHT, type Budget, spend, weightOfKey } from "../src/serializer/bounds.ts";
import { assertPlain, MAX_DEPTH, type PlainFormat } from "../src/serializer/plain.ts";
import type { Serializer } from "../src/serializer/serializer.ts";

/** What is used of a `Packr`. */
interface Codec {
  pack(value: unknown, mode: number): Uint8Array;
  unpack(bytes: Uint8Array): unknown;
  useBuffer(buffer: Uint8Array): void;
}

const FORMAT: PlainFormat = { name: "msgpack()", carries, carriesProtoKey: false, weighsKeys: true };
const EXACT_TEXT: PlainFormat = { ...FORMAT, carriesText };

/** First byte in UTF-8 of U+F000 to U+FFFF: of a byte order mark, and of what a lone surrogate is replaced by. */
const TEXT_AT_RISK = 0xef;

/** msgpackr's buffer grows with the largest value and is never given back; above this size we give it a small one again. */
const LARGE_BUFFER = 1 << 20;
const SMALL_BUFFER = 1 << 13;

/**
 * Makes a serializer that writes MessagePack: plain data in about seven tenths of the bytes of JSON, and binary data as it is.
 *
 * Beyond what `json()` carries it gives back Date, Uint8Array (not Buffer or another subclass), bigint within 64 bits, NaN,
 * the infinities, and properties whose value is undefined. Refused are Map, Set, RegExp, Error, class instances, functions,
 * symbols, -0, cycles, more than 1,000 levels or half a million objects (2^19; a Date and bytes count twice), undefined as the
 * value itself or in an array, larger bigints, a key `__proto__`, text with lone surrogates, and text of more than 21 units
 * that begins with U+FEFF, which msgpackr drops.
 *
 * It takes no options, and throws a TypeError for any.
 *
 * `encode` throws a CacheError `ERR_SERIALIZE` naming the kind of what cannot be carried, and where; `decode` throws
 * `ERR_ENTRY_CORRUPT` for bytes that `encode` did not make. Neither message holds anything of the value.
 *
 * @example
 * ```ts
 * import { defineNode } from "cacheme";
 * import { msgpack } from "cacheme/msgpack";
 *
 * export const Hello = defineNode({
 *   name: "Hello",
 *   key: (name: string) => `hello:${name}`,
 *   load: async (name) => ({ text: `hello ${name}`, at: new Date() }),
 *   caches: [{ storage: "redis", ttl: "10d" }],
 *   serializer: msgpack(),
 * });
 * ```
 *
 * @see The MessagePack specification, https://github.com/msgpack/msgpack/blob/master/spec.md
 */
export function msgpack(): Serializer;
// From plain JavaScript, msgpackr's own options may be given: they would change what isolates can read of each other.
export function msgpack(options: object = {}): Serializer {
  optionsOf(options, [], "msgpack");
  const codec: Codec = new Packr({ useRecords: false, variableMapSize: true, useToJSON: false, copyBuffers: true });
  return {
    name: "msgpack",
    encode: (value) => encode(value, codec),
    decode: (bytes) => decode(bytes, codec),
  };
}

function encode(value: unknown, codec: Codec): Uint8Array {
  assertPlain(value, FORMAT);
  const bytes = pack(value, codec);
  // One native search in the bytes is far cheaper than looking at every string, and nearly always enough.
  if (bytes.includes(TEXT_AT_RISK)) assertPlain(value, EXACT_TEXT);
  return bytes;
}

function pack(value: unknown, codec: Codec): Uint8Array {
  try {
    const packed = codec.pack(value, RESET_BUFFER_MODE);
    const bytes = new Uint8Array(packed);
    // `slice` keeps the class: under Node msgpackr needs a Buffer here, elsewhere a Uint8Array.
    if (packed.buffer.byteLength > LARGE_BUFFER && packed.length >= SMALL_BUFFER) {
      codec.useBuffer(Uint8Array.prototype.slice.call(packed, 0, SMALL_BUFFER));
    }
    return bytes;
  } catch {
    // Out of memory, or a caller that left too little stack.
    throw new CacheError("ERR_SERIALIZE", "msgpack() cannot carry a value as large or as deep as this");
  }
}

function decode(bytes: Uint8Array, codec: Codec): unknown {
  if (isWellFormed(bytes)) {
    try {
      // A view of its own, because msgpackr leaves a property on the one it reads.
      return codec.unpack(new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength));
    } catch {
      // msgpackr quotes the data.
    }
  }
  throw new CacheError("ERR_ENTRY_CORRUPT", "msgpack() cannot decode these bytes");
}

function carries(value: unknown): boolean {
  if (typeof value === "number") return true;
  if (typeof value === "bigint") return value >= -(2n ** 63n) && value < 2n ** 64n;
  if (typeof value !== "object" || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Uint8Array.prototype || prototype === Date.prototype;
}

function carriesText(text: string): boolean {
  return !/\p{Surrogate}/u.test(text) && (text.length <= 21 || !text.startsWith("\uFEFF"));
}

/**
 * Whether the bytes are one value of the kinds that `encode` writes, and nothing after it. msgpackr would take the byte 0xC1
 * for an object of its own, decode records and extensions of any type, recurse as deep as the bytes say, and make as much.
 */
function isWellFormed(bytes: Uint8Array): boolean {
  return endOfValue(bytes, 0, 0, { spent: 0 }) === bytes.length;
}

/** Where the value that begins at `start` ends; beyond the bytes if it is none. */
function endOfValue(bytes: Uint8Array, start: number, depth: number, budget: Budget): number {
  const head = bytes[start] ?? 0xc1;
  const body = start + 1;
  if (head < 0x80 || head >= 0xe0) return body;
  if (head < 0x90) return endOfItems(bytes, body, head & 0x0f, 2, depth, budget);
  if (head < 0xa0) return endOfItems(bytes, body, head & 0x0f, 1, depth, budget);
  if (head < 0xc0) return body + (head & 0x1f);
  if (head >= 0xcc && head <= 0xd3) return body + (1 << (head & 3)); // integers of 8 to 64 bits
  switch (head) {
    case 0xc0: // null, false, true
    case 0xc2:
    case 0xc3:
      return body;
    case 0xca: // floats of 32 and 64 bits
      return body + 4;
    case 0xcb:
      return body + 8;
    case 0xc4: // binary data, then text, with lengths of 8, 16 and 32 bits
    case 0xc5:
    case 0xc6:
      return spend(budget, BUILT_IN_WEIGHT) ? endOfRun(bytes, body, 1 << (head - 0xc4)) : Infinity;
    case 0xd9:
    case 0xda:
    case 0xdb:
      return endOfRun(bytes, body, 1 << (head - 0xd9));
    case 0xdc: // arrays, then maps, with counts of 16 and 32 bits
    case 0xdd:
      return endOfItems(bytes, body + 2 * (head - 0xdb), uint(bytes, body, 2 * (head - 0xdb)), 1, depth, budget);
    case 0xde:
    case 0xdf:
      return endOfItems(bytes, body + 2 * (head - 0xdd), uint(bytes, body, 2 * (head - 0xdd)), 2, depth, budget);
    default:
      // Undefined is an extension as well, but nothing is made for it.
      return bytes[body] === 0 || spend(budget, BUILT_IN_WEIGHT) ? endOfExtension(bytes, head, body) : Infinity;
  }
}

function endOfRun(bytes: Uint8Array, start: number, width: number): number {
  return start + width + uint(bytes, start, width);
}

/** `width` is 1 for an array and 2 for a map, whose keys must be text. */
function endOfItems(bytes: Uint8Array, start: number, count: number, width: number, depth: number, budget: Budget): number {
  // Every item takes a byte at least, so the loop never runs longer than there are bytes.
  if (depth >= MAX_DEPTH || count * width > bytes.length - start || !spend(budget, 1)) return Infinity;
  let position = start;
  for (let index = 0; index < count && position < bytes.length; index += 1) {
    if (width === 2) {
      const head = bytes[position] ?? 0xc1;
      if ((head & 0xe0) !== 0xa0 && (head < 0xd9 || head > 0xdb)) return Infinity;
      const end = endOfValue(bytes, position, depth + 1, budget);
      if (!spend(budget, weightOfShortKey(bytes, head, position, end))) return Infinity;
      position = end;
    }
    position = endOfValue(bytes, position, depth + 1, budget);
  }
  return position;
}

/** Keys of more than 4 bytes are no index that weighs anything. */
function weightOfShortKey(bytes: Uint8Array, head: number, start: number, end: number): number {
  const body = start + (head < 0xc0 ? 1 : 1 + (1 << (head - 0xd9)));
  return end - body > 4 ? 0 : weightOfKey(String.fromCharCode(...bytes.subarray(body, end)));
}

/** The extensions that `encode` writes: undefined (0) and the timestamps (-1) of 4, 8 and 12 bytes, or invalid. */
function endOfExtension(bytes: Uint8Array, head: number, start: number): number {
  const type = bytes[start];
  const next = bytes[start + 1];
  if (head === 0xd4 && type === next && (type === 0 || type === 0xff)) return start + 2;
  if (head === 0xd6 && type === 0xff) return start + 5;
  if (head === 0xd7 && type === 0xff) return start + 9;
  return head === 0xc7 && type === 12 && next === 0xff ? start + 14 : Infinity;
}

/** A big-endian number of `width` bytes; bytes that are missing count as zero, and their end lies beyond the bytes anyway. */
function uint(bytes: Uint8Array, start: number, width: number): number {
  let number = 0;
  for (let index = start; index < start + width; index += 1) number = number * 256 + (bytes[index] ?? 0);
  return number;
}
