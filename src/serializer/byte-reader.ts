/**
 * A bounded cursor over bytes for `structured-decode.ts`: whatever it is asked for, it reads no byte past the end and allocates
 * no more than is left. It knows numbers, text and bytes, and nothing of tags.
 *
 * @module
 */

import { CacheError } from "../errors.ts";

/** Reads bytes from the first to the last. Every method throws a CacheError `ERR_ENTRY_CORRUPT` where too few are left. */
export interface ByteReader {
  /** Bytes that are left. */
  left(): number;
  /** One byte. */
  byte(): number;
  /** A safe integer from 0 up, in LEB128. */
  count(): number;
  /** 8 bytes, little-endian. */
  float(): number;
  /** A copy of the next bytes. */
  raw(length: number): Uint8Array<ArrayBuffer>;
  /** UTF-8 text; corrupt if it is not well-formed. */
  text(length: number): string;
  /** UTF-16 units, little-endian. */
  units(length: number): string;
}

/** Up to this length ASCII is read by hand, which is faster than a call of the platform's decoder. */
const SHORT_TEXT = 24;

/** How many arguments `String.fromCharCode` gets at once; some engines overflow at 65,536. */
const UNITS_AT_ONCE = 4_096;

/** Makes a reader at the first of the bytes; it keeps no view of them beyond its own life. */
export function byteReader(bytes: Uint8Array, decoder: TextDecoder): ByteReader {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let position = 0;

  /** Moves past the next bytes and answers where they begin, before anything is allocated for them. */
  function take(length: number): number {
    if (length > bytes.length - position) throw corrupt();
    const start = position;
    position += length;
    return start;
  }

  function byte(): number {
    return view.getUint8(take(1));
  }

  function count(): number {
    let value = 0;
    let scale = 1;
    for (let digit = byte(); ; digit = byte()) {
      value += (digit & 0x7f) * scale;
      if (digit < 0x80) break;
      scale *= 0x80;
      if (scale > Number.MAX_SAFE_INTEGER) throw corrupt();
    }
    if (value > Number.MAX_SAFE_INTEGER) throw corrupt();
    return value;
  }

  function raw(length: number): Uint8Array<ArrayBuffer> {
    const start = take(length);
    const copy = new Uint8Array(length);
    copy.set(bytes.subarray(start, start + length));
    return copy;
  }

  function text(length: number): string {
    const start = take(length);
    if (length <= SHORT_TEXT) {
      let ascii = "";
      for (let index = start; index < position; index += 1) {
        const unit = view.getUint8(index);
        if (unit > 0x7f) return decoder.decode(bytes.subarray(start, position));
        ascii += String.fromCharCode(unit);
      }
      return ascii;
    }
    return decoder.decode(bytes.subarray(start, position));
  }

  function units(length: number): string {
    const start = take(length * 2);
    let result = "";
    for (let index = 0; index < length; index += UNITS_AT_ONCE) {
      const size = Math.min(UNITS_AT_ONCE, length - index);
      result += String.fromCharCode(...Array.from({ length: size }, (_, offset) => view.getUint16(start + (index + offset) * 2, true)));
    }
    return result;
  }

  return { left: () => bytes.length - position, byte, count, float: () => view.getFloat64(take(8), true), raw, text, units };
}

/** What every reject is: it says nothing of the bytes. */
export function corrupt(): CacheError {
  return new CacheError("ERR_ENTRY_CORRUPT", "structured() cannot decode these bytes");
}
