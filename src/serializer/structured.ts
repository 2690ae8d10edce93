/**
 * The serializer for everything that structured clone takes, in a compact format of our own. It relies on
 * `structured-encode.ts` and `structured-decode.ts` for the two directions and on no platform call that makes bytes, because
 * there is none that every runtime has.
 *
 * @module
 */

import type { Serializer } from "./serializer.ts";
import { decodeStructured } from "./structured-decode.ts";
import { encodeStructured } from "./structured-encode.ts";

/**
 * Makes a serializer for plain data, undefined, -0, NaN, bigint, Map, Set, Date, RegExp, ArrayBuffer, typed arrays, DataView,
 * the language's own errors, boxed primitives, arrays with holes or properties, objects without a prototype, cycles, shared
 * references, and any text and depth; half a million objects and arrays at most (2^19; a Map, a Date and the like count twice,
 * an error 8 times), and not more than 100 bigints in one Map or Set that differ above their lowest 64 bits alone.
 *
 * It differs from `structuredClone` where that changes a value without a word: instances of other classes (subclasses of the
 * built-in ones included, so also Buffer) are refused instead of losing their class, and errors keep their own properties. As
 * there, an error's stack, a RegExp's `lastIndex`, properties with symbols for keys and non-enumerable ones are not kept;
 * and a view keeps the bytes that it shows, not its whole buffer, so that views of one buffer no longer share it.
 *
 * `encode` throws a CacheError `ERR_SERIALIZE` naming the kind of what cannot be carried, and where; `decode` throws
 * `ERR_ENTRY_CORRUPT` for bytes that `encode` did not make. Neither message holds anything of the value.
 *
 * @example
 * ```ts
 * import { structured } from "cacheme";
 *
 * const bytes = structured().encode(new Map([["seen", new Date(0)]]));
 * ```
 *
 * @see HTML Standard, "StructuredSerialize", for the values; the format is described in `structured-format.ts`.
 */
export function structured(): Serializer {
  const encoder = new TextEncoder();
  const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  return {
    name: "structured",
    encode: (value) => encodeStructured(value, encoder),
    decode: (bytes) => decodeStructured(bytes, decoder),
  };
}
