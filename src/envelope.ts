/**
 * Entries as bytes. Any byte string decodes to an entry, a tombstone or a typed reject: never to a throw, nor to an
 * allocation that the input's length does not justify. An entry names its node, version and full key verbatim, so that a
 * swapped reply or a key collision is a miss and never somebody else's value.
 *
 * Layout, big-endian, format version 1:
 *
 * ```text
 *  0  8  stamp                      28  8  expiresAt, f64 Unix ms (Infinity: no end)
 *  8  1  magic 0xCA                 36  4  load cost in ms, f32
 *  9  1  format version             40  2  bytes of node name
 * 10  1  flags                      42  2  bytes of node version
 * 11  1  number of generations      44  4  bytes of full key
 * 12  8  createdAt, f64 Unix ms     48  4  bytes of the key's prefix
 * 20  8  freshUntil, f64            52  4  bytes of payload
 * 56  8 each: generations, f64; then node name, node version, full key, payload
 * ```
 *
 * @module
 */

import { ownRoom } from "./byte-room.ts";
import type { ByteRoom } from "./byte-room.ts";
import type { EntryTimes } from "./entry.ts";
import { writeStamp } from "./stamp.ts";
import { utf8 } from "./utf8.ts";

const MAGIC = 0xca;
const FORMAT = 1;
const HEADER_BYTES = 56;
const TOMBSTONE = 1;
const NULL = 2;
const UNDEFINED = 4;

/** Largest payload that is decoded, in bytes. */
export const MAX_PAYLOAD_BYTES: number = 16 * 1024 * 1024;

/** Who an entry belongs to, as far as it is the same for all keys of a node under one prefix. */
export interface Owner {
  readonly node: string;
  readonly version: string;
  readonly prefix: string;
  readonly nodeBytes: Uint8Array;
  readonly versionBytes: Uint8Array;
  readonly prefixBytes: number;
}

/** An entry about to be stored. A payload of `null` or `undefined` is that very value. */
export interface NewEntry extends EntryTimes {
  readonly costMs: number;
  readonly generations: readonly number[];
  readonly payload: Uint8Array | null | undefined;
}

/** What bytes turned out to be. */
export type Decoded =
  | {
      readonly kind: "entry";
      readonly times: EntryTimes;
      readonly costMs: number;
      readonly generations: readonly number[];
      /** A view into the input; `null` and `undefined` are the values themselves. */
      readonly payload: Uint8Array | null | undefined;
    }
  | { readonly kind: "tombstone" }
  | { readonly kind: "foreign"; readonly node: string }
  | { readonly kind: "corrupt"; readonly reason: string };

// A key may begin with U+FEFF, which a decoder drops unless told to keep it.
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
const NO_BYTES = new Uint8Array(0);

/** The fixed part of a node's entries. */
export function createOwner(node: string, version: string, prefix: string): Owner {
  return { node, version, prefix, nodeBytes: utf8(node), versionBytes: utf8(version), prefixBytes: utf8(prefix).length };
}

/** An entry's bytes, under a new stamp. */
export function encodeEntry(owner: Owner, fullKey: string, entry: NewEntry, room: ByteRoom = ownRoom): Uint8Array {
  const flags = entry.payload === null ? NULL : entry.payload === undefined ? UNDEFINED : 0;
  return encode(owner, fullKey, flags, entry, entry.payload ?? NO_BYTES, room);
}

const NO_TIMES = { createdAt: 0, freshUntil: 0, expiresAt: 0, costMs: 0, generations: [] };

/** A tombstone's bytes, under a new stamp: a slot without a value. */
export function encodeTombstone(owner: Owner, fullKey: string): Uint8Array {
  return encode(owner, fullKey, TOMBSTONE, NO_TIMES, NO_BYTES, ownRoom);
}

function encode(
  owner: Owner,
  fullKey: string,
  flags: number,
  head: EntryTimes & { readonly costMs: number; readonly generations: readonly number[] },
  payload: Uint8Array,
  room: ByteRoom,
): Uint8Array {
  const keyBytes = isAscii(fullKey) ? undefined : utf8(fullKey);
  const keyLength = keyBytes ? keyBytes.length : fullKey.length;
  const { generations } = head;
  let at = HEADER_BYTES + generations.length * 8;
  const bytes = room(at + owner.nodeBytes.length + owner.versionBytes.length + keyLength + payload.length);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  writeStamp(bytes);
  bytes[8] = MAGIC;
  bytes[9] = FORMAT;
  bytes[10] = flags;
  bytes[11] = generations.length;
  view.setFloat64(12, head.createdAt);
  view.setFloat64(20, head.freshUntil);
  view.setFloat64(28, head.expiresAt);
  view.setFloat32(36, head.costMs);
  view.setUint16(40, owner.nodeBytes.length);
  view.setUint16(42, owner.versionBytes.length);
  view.setUint32(44, keyLength);
  view.setUint32(48, owner.prefixBytes);
  view.setUint32(52, payload.length);
  for (let i = 0; i < generations.length; i++) view.setFloat64(HEADER_BYTES + i * 8, generations[i] ?? 0);
  bytes.set(owner.nodeBytes, at);
  at += owner.nodeBytes.length;
  bytes.set(owner.versionBytes, at);
  at += owner.versionBytes.length;
  if (keyBytes) bytes.set(keyBytes, at);
  else for (let i = 0; i < keyLength; i++) bytes[at + i] = fullKey.charCodeAt(i);
  bytes.set(payload, at + keyLength);
  return bytes;
}

function isAscii(text: string): boolean {
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) > 0x7f) return false;
  return true;
}

/** What stored bytes are, for the reader that expects `owner`'s entry of `fullKey`. */
export function decodeSlot(bytes: Uint8Array, owner: Owner, fullKey: string): Decoded {
  if (bytes.length < HEADER_BYTES) return { kind: "corrupt", reason: "too short" };
  if (bytes[8] !== MAGIC) return { kind: "corrupt", reason: "no entry of this library" };
  if (bytes[9] !== FORMAT) return { kind: "corrupt", reason: `format version ${bytes[9]}` };
  const flags = bytes[10] ?? 0;
  const count = bytes[11] ?? 0;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const nodeAt = HEADER_BYTES + count * 8;
  const versionAt = nodeAt + view.getUint16(40);
  const keyAt = versionAt + view.getUint16(42);
  const payloadAt = keyAt + view.getUint32(44);
  const payloadLength = view.getUint32(52);
  if (payloadAt + payloadLength !== bytes.length) return { kind: "corrupt", reason: "lengths do not add up" };
  if (payloadLength > MAX_PAYLOAD_BYTES) return { kind: "corrupt", reason: "payload too large" };
  const own =
    view.getUint32(48) === owner.prefixBytes &&
    isText(bytes, nodeAt, versionAt, owner.node) &&
    isText(bytes, versionAt, keyAt, owner.version) &&
    isText(bytes, keyAt, payloadAt, fullKey);
  if (!own) return { kind: "foreign", node: decoder.decode(bytes.subarray(nodeAt, Math.min(versionAt, nodeAt + 200))) };
  if (flags & TOMBSTONE) return { kind: "tombstone" };
  const times = { createdAt: view.getFloat64(12), freshUntil: view.getFloat64(20), expiresAt: view.getFloat64(28) };
  if (Number.isNaN(times.createdAt) || Number.isNaN(times.freshUntil) || Number.isNaN(times.expiresAt)) return { kind: "corrupt", reason: "no times" };
  const generations: number[] = [];
  for (let i = 0; i < count; i++) generations.push(view.getFloat64(HEADER_BYTES + i * 8));
  const payload = flags & NULL ? null : flags & UNDEFINED ? undefined : bytes.subarray(payloadAt);
  return { kind: "entry", times, costMs: view.getFloat32(36), generations, payload };
}

/** Whether stored bytes are a tombstone, whoever's. */
export function isTombstone(bytes: Uint8Array): boolean {
  return bytes.length >= HEADER_BYTES && bytes[8] === MAGIC && bytes[9] === FORMAT && ((bytes[10] ?? 0) & TOMBSTONE) !== 0;
}

/** Whether the bytes from `start` to `end` are the UTF-8 form of `text`; nothing is decoded, as much that is no UTF-8 decodes alike. */
function isText(bytes: Uint8Array, start: number, end: number, text: string): boolean {
  const length = end - start;
  for (let i = 0; i < length; i++) {
    const byte = bytes[start + i] ?? 0;
    if (byte > 0x7f || i >= text.length) return isUtf8(bytes.subarray(start, end), text);
    if (byte !== text.charCodeAt(i)) return false;
  }
  return length === text.length;
}

function isUtf8(bytes: Uint8Array, text: string): boolean {
  const own = utf8(text);
  return own.length === bytes.length && own.every((byte, index) => byte === bytes[index]);
}
