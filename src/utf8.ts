/**
 * Text as UTF-8. It relies on the platform's encoder and keeps nothing of what it is given.
 *
 * @module
 */

const encoder = new TextEncoder();

/** A short text is encoded here and copied out: making bytes by `encode` takes several times as long. */
const place = new Uint8Array(1_024);

/** The bytes of a text, in memory of their own; a lone surrogate becomes U+FFFD. */
export function utf8(text: string): Uint8Array {
  // A UTF-16 unit takes at most three bytes.
  if (text.length * 3 > place.length) return encoder.encode(text);
  return place.slice(0, encoder.encodeInto(text, place).written);
}
