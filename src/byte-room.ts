/**
 * Room for the bytes of many slots, read or to be written. Making a `Uint8Array` with memory of its own costs several times as
 * much as filling it with a kilobyte, so the small ones of one call lie side by side in a few buffers. It knows neither slots nor
 * text.
 *
 * @module
 */

/** Hands out zeroed bytes that nobody else has. */
export type ByteRoom = (length: number) => Uint8Array;

/** All that is held on to by whoever keeps one small slot; a socket's buffer would be four times as much. */
const BUFFER_BYTES = 16 * 1024;

/** Room for about `count` byte arrays of about the same length; one by itself, or one that is large, gets a buffer that fits. */
export function byteRoom(count: number): ByteRoom {
  let buffer = new ArrayBuffer(0);
  let used = 0;
  let left = count;
  return (length) => {
    if (used + length > buffer.byteLength) {
      buffer = new ArrayBuffer(Math.max(length, Math.min(BUFFER_BYTES, length * left)));
      used = 0;
    }
    const bytes = new Uint8Array(buffer, used, length);
    used += length;
    left -= 1;
    return bytes;
  };
}

/** Memory of its own for every length. */
export const ownRoom: ByteRoom = (length) => new Uint8Array(length);

/**
 * Bytes that a driver answered, to keep. It hands out slices of larger buffers, which it may fill anew and which a copy lets
 * go; bytes that have a buffer to themselves were made for this answer.
 */
export function kept(bytes: Uint8Array, room: ByteRoom): Uint8Array {
  if (bytes.length === bytes.buffer.byteLength) return bytes.constructor === Uint8Array ? bytes : new Uint8Array(bytes.buffer);
  const copy = room(bytes.length);
  copy.set(bytes);
  return copy;
}
