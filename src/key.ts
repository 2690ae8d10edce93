/**
 * Keys: the node's part made from what `key` returned, the full key, the key that a storage with a length limit sees, the
 * key of a generation, and the digest that events may show. It relies on Web Crypto, for keys that are too long only. It
 * does no escaping between prefix, key and version: two nodes whose full keys coincide are told apart by the envelope.
 *
 * Invariant: a tuple key never equals a string key. A tuple key starts with one U+0002 and a letter (the empty one is that
 * U+0002 alone); a string key that starts with U+0002 gets one more in front.
 *
 * Invariant: no key of an entry starts with U+0001, since prefixes hold no control characters; keys of generations do.
 *
 * @module
 */

import { describe } from "./duration.ts";

const MARK = "\u0002";
const MARK_CODE = 2;

/** Shortest limit for which {@link storedKey} can shorten: a digest of 43 characters and a head worth reading. */
export const MIN_KEY_BYTES = 60;

const LONE_SURROGATE = /\p{Surrogate}/u;
// oxlint-disable-next-line no-control-regex -- finding them is its purpose
const CONTROL = /[\u0000-\u001f\u007f]/;
// ES2024; missing in the compiler's library and in older hosts.
const native: unknown = Reflect.get(String.prototype, "isWellFormed");

/** Whether a string has no lone surrogate, and so survives UTF-8. */
export const isWellFormed: (text: string) => boolean =
  typeof native === "function" ? (text) => native.call(text) === true : (text) => !LONE_SURROGATE.test(text);

/** Whether a string holds a character from U+0000 to U+001F, or U+007F. */
export function hasControl(text: string): boolean {
  return CONTROL.test(text);
}

/**
 * The node's part of a key, from what the node's `key` returned. On the path of every local hit, so a plain string costs
 * one type check and one look at its characters.
 *
 * @throws TypeError naming the node, never the key, if it is neither a string nor a tuple, or not well-formed.
 */
export function nodeKey(raw: unknown, nodeName: string): string {
  if (typeof raw === "string" && isWellFormed(raw)) return raw.charCodeAt(0) === MARK_CODE ? MARK + raw : raw;
  if (typeof raw === "string") throw new TypeError(`node ${describe(nodeName)}: key must be well-formed Unicode, got a lone surrogate`);
  if (!Array.isArray(raw)) throw new TypeError(`node ${describe(nodeName)}: key must be a string or a tuple, got ${kindOf(raw)}`);
  return tupleKey(raw, nodeName);
}

/**
 * A tuple as one string. Each part starts with a letter for its type; a string carries its length, the others end with a
 * semicolon, which none of them contains. So the parts can be read back from left to right, and no two tuples meet.
 */
function tupleKey(parts: readonly unknown[], nodeName: string): string {
  let key = MARK;
  for (let index = 0; index < parts.length; index++) {
    const part = parts[index];
    if (typeof part === "string" && isWellFormed(part)) key += `s${part.length}:${part}`;
    else if (typeof part === "number" && part === part) key += `n${part};`;
    else if (typeof part === "bigint") key += `i${part};`;
    else if (typeof part === "boolean") key += part ? "t;" : "f;";
    else throw new TypeError(`node ${describe(nodeName)}: key[${index}] must be ${wanted(part)}`);
  }
  return key;
}

/** What a refused tuple part should have been. `NaN` is refused because it says that a number could not be read. */
function wanted(part: unknown): string {
  if (typeof part === "string") return "well-formed Unicode, got a lone surrogate";
  return `a string, number, bigint or boolean, got ${typeof part === "number" ? "NaN" : kindOf(part)}`;
}

/** The kind of a value, without the value: what a key is made from stays out of messages. */
function kindOf(value: unknown): string {
  if (value === null || value === undefined) return String(value);
  if (value instanceof Promise) return "a promise";
  return typeof value === "object" ? describe(value) : `a ${typeof value}`;
}

/** The full key. With an empty version it keeps its last colon. */
export function fullKey(prefix: string, key: string, version: string): string {
  return `${prefix}:${key}:${version}`;
}

/**
 * Checks a prefix from outside.
 *
 * @throws TypeError if it is no string, not well-formed, or holds a control character.
 */
export function checkPrefix(prefix: unknown): string {
  if (typeof prefix === "string" && isWellFormed(prefix) && !hasControl(prefix)) return prefix;
  throw new TypeError(`prefix must be well-formed text without control characters, got ${describe(prefix)}`);
}

/** The key of a node's generation. It starts with U+0001, as no entry's key can. */
export function generationKey(prefix: string, nodeName: string): string {
  return `\u0001${prefix}\u0001n\u0001${nodeName}`;
}

/** The key of a tag's generation. The tag comes last, so that no two prefixes and tags meet. */
export function tagKey(prefix: string, tag: string): string {
  return `\u0001${prefix}\u0001t\u0001${tag}`;
}

/**
 * The key under which a storage with a limit keeps a full key: itself if it fits, else its first bytes, cut between two
 * characters, and its SHA-256 in base64url. Only in the second case a promise.
 *
 * Does not promise that two full keys never share a stored key; the envelope's verbatim key makes that safe.
 *
 * @param maxBytes the storage's limit in bytes of UTF-8, at least 60; `undefined` or `Infinity`: no limit.
 * @throws TypeError, at once, if `maxBytes` is below 60 or no number.
 */
export function storedKey(key: string, maxBytes: number | undefined): string | Promise<string> {
  if (maxBytes === undefined) return key;
  if (!(maxBytes >= MIN_KEY_BYTES)) throw new TypeError(`maxKeyBytes must be at least ${MIN_KEY_BYTES}, got ${describe(maxBytes)}`);
  // A UTF-16 unit takes at most three bytes of UTF-8, so most keys need no encoding to be known to fit.
  if (key.length * 3 <= maxBytes) return key;
  const bytes = new TextEncoder().encode(key);
  return bytes.length <= maxBytes ? key : shortened(bytes, Math.floor(maxBytes));
}

const DIGEST_LENGTH = 43;

async function shortened(bytes: Uint8Array<ArrayBuffer>, maxBytes: number): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  let end = maxBytes - DIGEST_LENGTH;
  while (end > 0 && isContinuation(bytes[end])) end--;
  // Without `ignoreBOM` a decoder drops a leading U+FEFF, which is part of the key here.
  const head = new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes.subarray(0, end));
  return head + base64url(digest);
}

function isContinuation(byte: number | undefined): boolean {
  return byte !== undefined && (byte & 0xc0) === 0x80;
}

function base64url(bytes: Uint8Array): string {
  const text = btoa(String.fromCharCode(...bytes));
  return text.replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

/**
 * Eight hexadecimal digits that tell keys apart in events without showing them. Fast, not secret: whoever can guess a key
 * can check the guess. FNV-1a over UTF-16 units, then the finalizer of MurmurHash3, since short keys mix badly without it.
 */
export function keyDigest(key: string): string {
  let hash = 0x811c9dc5;
  for (let index = 0; index < key.length; index++) hash = Math.imul(hash ^ key.charCodeAt(index), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return ((hash ^ (hash >>> 16)) >>> 0).toString(16).padStart(8, "0");
}
