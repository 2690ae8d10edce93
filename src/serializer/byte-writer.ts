/**
 * A growing byte array for `structured-encode.ts`. It knows numbers, text and bytes, and nothing of tags.
 *
 * @module
 */

/** Appends to bytes that it owns. */
export interface ByteWriter {
  /** One byte, 0 to 255. */
  byte(value: number): void;
  /** A safe integer from 0 up, in LEB128. */
  count(value: number): void;
  /** 8 bytes, little-endian. */
  float(value: number): void;
  /** Bytes as they are, without their length. */
  raw(bytes: Uint8Array): void;
  /** The UTF-16 units of a text, little-endian, without their count. */
  units(text: string): void;
  /** A byte, then length and bytes of an ASCII text; `false`, and nothing appended, if it is none or longer than 127. */
  shortAscii(before: number, text: string): boolean;
  /** A bigint from 0 up: its length in bytes, then the bytes, highest first. */
  magnitude(value: bigint): void;
  /** Everything appended, in a buffer of its own. */
  finish(): Uint8Array;
}

/** Makes an empty writer. */
export function byteWriter(): ByteWriter {
  let bytes = new Uint8Array(256);
  let position = 0;

  function reserve(size: number): void {
    if (position + size <= bytes.length) return;
    const grown = new Uint8Array(Math.max(bytes.length * 2, position + size));
    grown.set(bytes);
    bytes = grown;
  }

  function byte(value: number): void {
    reserve(1);
    bytes[position] = value;
    position += 1;
  }

  function count(value: number): void {
    let rest = value;
    while (rest >= 0x80) {
      byte((rest % 0x80) + 0x80);
      rest = Math.floor(rest / 0x80);
    }
    byte(rest);
  }

  function float(value: number): void {
    reserve(8);
    new DataView(bytes.buffer).setFloat64(position, value, true);
    position += 8;
  }

  function raw(source: Uint8Array): void {
    reserve(source.length);
    bytes.set(source, position);
    position += source.length;
  }

  function units(text: string): void {
    for (let index = 0; index < text.length; index += 1) {
      const unit = text.charCodeAt(index);
      byte(unit & 0xff);
      byte(unit >> 8);
    }
  }

  function shortAscii(before: number, text: string): boolean {
    if (text.length > 0x7f) return false;
    reserve(text.length + 2);
    for (let index = 0; index < text.length; index += 1) {
      const unit = text.charCodeAt(index);
      if (unit > 0x7f) return false;
      bytes[position + 2 + index] = unit;
    }
    bytes[position] = before;
    bytes[position + 1] = text.length;
    position += text.length + 2;
    return true;
  }

  function magnitude(value: bigint): void {
    const digits = value.toString(16);
    const padded = digits.length % 2 === 0 ? digits : `0${digits}`;
    count(padded.length / 2);
    for (let index = 0; index < padded.length; index += 2) byte(Number.parseInt(padded.slice(index, index + 2), 16));
  }

  return { byte, count, float, raw, units, shortAscii, magnitude, finish: () => bytes.slice(0, position) };
}
