/**
 * Bytes as base64 text, for stores that carry text only. It uses the platform's own conversion where there is one and
 * `btoa` elsewhere; it does not know what the bytes mean.
 *
 * @module
 */

/** More arguments than this overflow the stack of some engines. */
const CHUNK = 0x8000;

/** Standard base64 with padding. */
export function toBase64(bytes: Uint8Array): string {
  if (hasToBase64(bytes)) return bytes.toBase64();
  let binary = "";
  for (let start = 0; start < bytes.length; start += CHUNK) {
    binary += String.fromCharCode(...bytes.subarray(start, start + CHUNK));
  }
  return btoa(binary);
}

/** The bytes of well-formed base64 text, or `undefined` for anything else. */
export function fromBase64(text: string): Uint8Array | undefined {
  if (text.length % 4 !== 0 || !/^[A-Za-z0-9+/]*={0,2}$/.test(text)) return undefined;
  const binary = atob(text);
  const bytes = new Uint8Array(binary.length);
  for (let index = 0; index < binary.length; index += 1) bytes[index] = binary.charCodeAt(index);
  return bytes;
}

function hasToBase64(bytes: Uint8Array): bytes is Uint8Array & { toBase64(): string } {
  return "toBase64" in bytes;
}
