/**
 * How a slot's bytes lie in Redis: as they are, or as text for clients that carry text only. Either way the script of
 * `redis-script.ts` can compare a stamp with a prefix of what is stored. It does not talk to a server.
 *
 * @module
 */
import { STAMP_BYTES } from "../src/storage.ts";
import { decodeBase64, fromBase64, lengthOfBase64, toBase64 } from "./base64.ts";
import { kept, type ByteRoom } from "../src/byte-room.ts";

/** What a Redis client takes as an argument. */
export type RedisArgument = string | Uint8Array;

/** One of the two forms in which slots are stored. They do not understand each other: a database has one of them. */
export interface RedisCodec {
  /** Index of the last character that belongs to the stamp, as `GETRANGE` counts. */
  readonly last: string;
  encode(bytes: Uint8Array): RedisArgument;
  /** The `=` check of the write script: `=` and the stored form of a stamp. */
  check(stamp: Uint8Array): RedisArgument;
  /** Turns a reply (bytes or text) back into bytes that can be kept; total, as foreign text is no error. */
  decode(reply: unknown, room: ByteRoom): Uint8Array;
}

const EQUALS = 0x3d;

const decoder = new TextDecoder("utf-8", { fatal: false, ignoreBOM: true });

/** Bytes of a reply as text; a byte order mark stays, since the server counts it as well. */
export function textOf(bytes: Uint8Array): string {
  return decoder.decode(bytes);
}

/** The slot's bytes exactly. */
export const bytesCodec: RedisCodec = {
  last: String(STAMP_BYTES - 1),
  encode: (bytes) => bytes,
  check(stamp) {
    const check = new Uint8Array(stamp.length + 1);
    check[0] = EQUALS;
    check.set(stamp, 1);
    return check;
  },
  decode(reply, room) {
    if (reply instanceof Uint8Array) return kept(reply, room);
    if (typeof reply === "string") return new TextEncoder().encode(reply);
    throw new TypeError(`a slot must be bytes, got ${typeof reply}`);
  },
};

/** Base64 of a stamp of 8 bytes, and of 7. */
const STAMP_CHARS = 12;

/**
 * What the base64 of at most 8 bytes looks like, trailing bits zero. `FOREIGN` in the write script is its complement: the
 * two must agree, else a foreign slot would refuse every write for ever.
 */
const STAMP = /^(?:[A-Za-z0-9+/]{4}){0,2}(?:[A-Za-z0-9+/]{2}[AEIMQUYcgkosw048]=|[A-Za-z0-9+/][AQgw]==)?$/;

/**
 * Base64 of the first 8 bytes followed by base64 of the rest. Encoded in one piece, the last character of the stamp would
 * depend on the ninth byte.
 *
 * Invariant: text that no slot begins with decodes to no bytes at all; its stamp is empty, and the write script treats it so.
 */
export const textCodec: RedisCodec = {
  last: String(STAMP_CHARS - 1),
  encode: (bytes) => toBase64(bytes, 0, STAMP_BYTES) + toBase64(bytes, STAMP_BYTES),
  check: (stamp) => `=${toBase64(stamp)}`,
  decode(reply, room) {
    const text = reply instanceof Uint8Array ? textOf(reply) : reply;
    if (typeof text !== "string") throw new TypeError(`a slot must be text, got ${typeof text}`);
    const head = text.slice(0, STAMP_CHARS);
    if (!STAMP.test(head)) return new Uint8Array(0);
    const rest = text.slice(STAMP_CHARS);
    const length = lengthOfBase64(head) === STAMP_BYTES ? lengthOfBase64(rest) : undefined;
    if (length !== undefined) {
      const bytes = room(STAMP_BYTES + length);
      decodeBase64(head, bytes.subarray(0, STAMP_BYTES));
      if (decodeBase64(rest, bytes.subarray(STAMP_BYTES))) return bytes;
    }
    return fromBase64(head) ?? new Uint8Array(0);
  },
};
