/**
 * What `invalidate` resolves with: a short printable text that names the keys by their digests, so that it can travel in a
 * cookie and tells nothing about them. It relies on nothing.
 *
 * @module
 */

import type { InvalidationToken } from "./types.ts";

const FORMAT = "1";
/** Above this many keys a token stands for all keys; a cookie holds about 4 kB. */
const MOST = 64;

const DIGEST_LENGTH = 16;
const TOKEN = /^1\.(?:\*|(?:[0-9a-f]{16}){0,64})$/;

/** What a token names: full keys and generations of nodes and tags, by their digests, or everything. */
export type Named = ReadonlySet<string> | "all";

/** A token for full keys, or for the generations of a node or of tags. */
export function createToken(names: readonly string[]): InvalidationToken {
  const keys = [...new Set(names)];
  return keys.length > MOST ? `${FORMAT}.*` : `${FORMAT}.${keys.map(digest).join("")}`;
}

/** What a token names; `undefined` for what is no token of ours, as it comes from outside. */
export function parseToken(token: unknown): Named | undefined {
  if (typeof token !== "string" || !TOKEN.test(token)) return undefined;
  const digests = token.slice(FORMAT.length + 1);
  if (digests === "*") return "all";
  return new Set(Array.from({ length: digests.length / DIGEST_LENGTH }, (_, index) => digests.slice(index * DIGEST_LENGTH, (index + 1) * DIGEST_LENGTH)));
}

/** What two tokens name together. */
export function both(one: Named | undefined, other: Named | undefined): Named | undefined {
  if (!one || !other) return one ?? other;
  return one === "all" || other === "all" ? "all" : new Set([...one, ...other]);
}

/** Whether a token names one of these. Digests may coincide, which costs a miss. */
export function isNamed(named: Named, names: readonly string[]): boolean {
  return named === "all" || names.some((name) => named.has(digest(name)));
}

/** 16 hex digits: two 32-bit FNV-1a hashes of the UTF-16 units, with different starts. */
function digest(text: string): string {
  let low = 0x811c9dc5;
  let high = 0x9e3779b9;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    low = Math.imul(low ^ unit, 0x01000193);
    high = Math.imul(high ^ unit, 0x85ebca6b);
    high ^= high >>> 13;
  }
  return [low, high].map((half) => (half >>> 0).toString(16).padStart(8, "0")).join("");
}
