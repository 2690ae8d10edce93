/**
 * The serializer on the platform's own JSON. It relies on `plain.ts` to refuse what JSON would change, so that the bytes
 * it makes are ordinary JSON that any language reads, and on `bounds.ts`; it adds no tags of its own.
 *
 * @module
 */

import { CacheError } from "../errors.ts";
import { utf8 } from "../utf8.ts";
import { MAX_WEIGHT } from "./bounds.ts";
import { assertPlain, type PlainFormat } from "./plain.ts";
import type { Serializer } from "./serializer.ts";

const FORMAT: PlainFormat = { name: "json()", carries: () => false, carriesProtoKey: true, callsToJson: true };

/**
 * Makes a serializer that writes UTF-8 JSON and refuses what JSON does not give back equal.
 *
 * Refused are Date, Map, Set, objects and arrays with a method toJSON, bigint, NaN, the infinities, -0, class instances,
 * functions, symbols, cycles, more than 1,000 levels or half a million objects and arrays (2^19), and undefined as the value
 * itself or in an array (holes count as undefined). A property whose value is undefined is dropped. An object without a prototype
 * comes back with the ordinary one; an object that stands in two places comes back as two. Properties with symbols for keys,
 * non-enumerable ones, and those of an array besides its elements are not data.
 *
 * `encode` throws a CacheError `ERR_SERIALIZE` naming the kind of what cannot be carried, and where; `decode` throws
 * `ERR_ENTRY_CORRUPT` for bytes that are no JSON. Neither message holds anything of the value.
 *
 * @example
 * ```ts
 * import { json } from "cacheme";
 *
 * const bytes = json().encode({ id: 1, tags: ["a", "b"] });
 * ```
 *
 * @see RFC 8259 and ECMA-262, `JSON.stringify` (well-formed: lone surrogates are escaped and come back).
 */
export function json(): Serializer {
  const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  return {
    name: "json",
    encode: (value) => utf8(stringify(value)),
    decode: (bytes) => parse(bytes, decoder),
  };
}

function stringify(value: unknown): string {
  assertPlain(value, FORMAT);
  let text: string | undefined;
  try {
    text = JSON.stringify(value);
  } catch {
    // Text above the engine's longest string, or a caller that left too little stack.
  }
  if (text === undefined) throw new CacheError("ERR_SERIALIZE", "json() cannot carry a value as large or as deep as this");
  return text;
}

function parse(bytes: Uint8Array, decoder: TextDecoder): unknown {
  // So many need a byte each at least, and another for what ends them or stands between them.
  if (bytes.length <= MAX_WEIGHT * 2 || countContainers(bytes) <= MAX_WEIGHT) {
    try {
      return JSON.parse(decoder.decode(bytes));
    } catch {
      // The engine's message quotes the text.
    }
  }
  throw new CacheError("ERR_ENTRY_CORRUPT", "json() cannot decode these bytes");
}

/** How many objects and arrays JSON holds; of other bytes it says nothing, and the parser refuses them. */
function countContainers(bytes: Uint8Array): number {
  let count = 0;
  let inText = false;
  for (let at = 0; at < bytes.length; at += 1) {
    const byte = bytes[at];
    if (byte === 0x22) inText = !inText;
    else if (inText && byte === 0x5c) at += 1;
    else if (!inText && (byte === 0x5b || byte === 0x7b)) count += 1;
  }
  return count;
}
