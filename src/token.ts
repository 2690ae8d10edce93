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

/** A token for full keys. */
export function createToken(fullKeys: readonly string[]): InvalidationToken {
  const keys = [...new Set(fullKeys)];
  return keys.length > MOST ? `${FORMAT}.*` : `${FORMAT}.${keys.map(digest).join("")}`;
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
