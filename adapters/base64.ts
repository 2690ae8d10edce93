/**
 * Bytes as base64 text, for stores that carry text only. It uses the platform's own conversion where there is one (ECMAScript
 * 2026's, else `Buffer`'s) and tables elsewhere; all of them give the same answers. It does not know what the bytes mean.
 *
 * @module
 */
import { ownRoom, type ByteRoom } from "../src/byte-room.ts";
import { hostBuffer } from "./host-buffer.ts";

const LETTERS = Uint8Array.from("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", (letter) => letter.charCodeAt(0));
const PAD = 0x3d;
const ascii = new TextDecoder();

/** What `Buffer` reads as base64 although it is none; it also takes each wide character for its low byte. */
const FOREIGN = /[-_\u0100-\uffff]/;

/** Up to here the tables are done before a platform's function has been called. */
const SHORT = 24;

/** Standard base64 with padding, of the bytes from `start` to `end` as far as there are any. */
export function toBase64(bytes: Uint8Array, start = 0, end: number = bytes.length): string {
  const from = Math.min(start, bytes.length);
  const to = Math.min(end, bytes.length);
  const host = hasToBase64(bytes) ? undefined : hostBuffer();
  if (host !== undefined) return host.from(bytes.buffer, bytes.byteOffset + from, to - from).toString("base64");
  const part = bytes.subarray(from, to);
  return hasToBase64(part) ? part.toBase64() : encode(part);
}

/** The bytes of well-formed base64 text, or `undefined` for anything else. */
export function fromBase64(text: string, room: ByteRoom = ownRoom): Uint8Array | undefined {
  const length = lengthOfBase64(text);
  if (length === undefined) return undefined;
  const bytes = room(length);
  return decodeBase64(text, bytes) ? bytes : undefined;
}

/** How many bytes a text has if it is base64; `undefined` if it cannot be. */
export function lengthOfBase64(text: string): number | undefined {
  if (text.length % 4 !== 0) return undefined;
  const padding = text.endsWith("==") ? 2 : text.endsWith("=") ? 1 : 0;
  return (text.length / 4) * 3 - padding;
}

/**
 * Decodes into bytes of exactly {@link lengthOfBase64}; answers whether the text was well-formed. If not, the bytes may hold
 * part of it.
 */
export function decodeBase64(text: string, bytes: Uint8Array): boolean {
  if (text.length <= SHORT) return decode(text, bytes);
  // Whatever each of them skips, white space for instance, leaves the bytes too short.
  if (hasSetFromBase64(bytes)) return decodeByPlatform(text, bytes);
  const host = hostBuffer();
  if (host === undefined) return decode(text, bytes);
  return !FOREIGN.test(text) && host.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).write(text, "base64") === bytes.length;
}

function encode(bytes: Uint8Array): string {
  const text = new Uint8Array(Math.ceil(bytes.length / 3) * 4);
  let to = 0;
  for (let from = 0; from < bytes.length; from += 3) {
    const left = bytes.length - from;
    const three = ((bytes[from] ?? 0) << 16) | ((bytes[from + 1] ?? 0) << 8) | (bytes[from + 2] ?? 0);
    text[to++] = LETTERS[three >> 18] ?? 0;
    text[to++] = LETTERS[(three >> 12) & 63] ?? 0;
    text[to++] = left > 1 ? (LETTERS[(three >> 6) & 63] ?? 0) : PAD;
    text[to++] = left > 2 ? (LETTERS[three & 63] ?? 0) : PAD;
  }
  return ascii.decode(text);
}

const NO_LETTER = 64;

/** The six bits of each letter, by its code. */
const BITS = Uint8Array.from({ length: 128 }, (_, code) => {
  const bits = LETTERS.indexOf(code);
  return bits < 0 ? NO_LETTER : bits;
});

function decode(text: string, bytes: Uint8Array): boolean {
  const { length } = bytes;
  const whole = length - (length % 3);
  let seen = 0;
  let from = 0;
  for (let to = 0; to < whole; to += 3, from += 4) {
    const [a, b, c, d] = [bitsAt(text, from), bitsAt(text, from + 1), bitsAt(text, from + 2), bitsAt(text, from + 3)];
    seen |= a | b | c | d;
    const three = (a << 18) | (b << 12) | (c << 6) | d;
    bytes[to] = three >> 16;
    bytes[to + 1] = three >> 8;
    bytes[to + 2] = three;
  }
  if (whole < length) {
    const [a, b, c] = [bitsAt(text, from), bitsAt(text, from + 1), length - whole === 2 ? bitsAt(text, from + 2) : 0];
    seen |= a | b | c;
    bytes[whole] = (a << 2) | (b >> 4);
    if (length - whole === 2) bytes[whole + 1] = (b << 4) | (c >> 2);
  }
  return seen < NO_LETTER;
}

function bitsAt(text: string, index: number): number {
  return BITS[text.charCodeAt(index)] ?? NO_LETTER;
}

function hasToBase64(bytes: Uint8Array): bytes is Uint8Array & { toBase64(): string } {
  return "toBase64" in bytes;
}

interface Decoding {
  /** Throws a `SyntaxError` for most of what is no base64. */
  setFromBase64(text: string): { readonly read: number; readonly written: number };
}

function hasSetFromBase64(bytes: Uint8Array): bytes is Uint8Array & Decoding {
  return "setFromBase64" in bytes;
}

function decodeByPlatform(text: string, bytes: Uint8Array & Decoding): boolean {
  try {
    const { read, written } = bytes.setFromBase64(text);
    return read === text.length && written === bytes.length;
  } catch {
    return false;
  }
}
