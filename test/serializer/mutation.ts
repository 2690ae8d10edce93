/**
 * Bytes that nobody encoded, by the million: made from real ones by a seed, in one buffer that is used again and again, so that
 * a run costs little more than the decoders it is meant for. It relies on nothing.
 *
 * @module
 */

/** How bytes are spoiled. */
export type Spoiling = "generated" | "truncated" | "flipped" | "spliced" | "relengthed";

/** Each way in turn, so that every real payload meets every one. */
export const SPOILINGS: readonly Spoiling[] = ["generated", "truncated", "flipped", "spliced", "relengthed"];

/** What a length, a count, a tag or an offset is replaced by: ends of ranges in LEB128, big-endian and little-endian. */
const LENGTHS: readonly (readonly number[])[] = [
  [0],
  [1],
  [0x7f],
  [0x80, 1],
  [0xff],
  [0xff, 0xff],
  [0x7f, 0xff, 0xff, 0xff],
  [0x80, 0, 0, 0],
  [0xff, 0xff, 0xff, 0xff],
  [0xff, 0xff, 0xff, 0xff, 0x0f],
  [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f],
  [0xff, 0xff, 0xff, 0x7f],
  [0, 0, 1, 0],
];

/** A seeded source of whole numbers. */
export interface Dice {
  /** From 0 up to `limit`, which is at least 1. */
  below(limit: number): number;
}

/** xorshift32; a seed of 0 would give nothing but zeros. */
export function dice(seed: number): Dice {
  let state = seed | 0 || 0x9e3779b9;
  return {
    below(limit) {
      state ^= state << 13;
      state ^= state >>> 17;
      state ^= state << 5;
      return (state >>> 0) % limit;
    },
  };
}

/** Makes spoiled bytes. What it answers is valid until it is called again. */
export type Spoiler = (spoiling: Spoiling, real: Uint8Array, other: Uint8Array, lengthsAt: readonly number[]) => Uint8Array;

/** Makes a spoiler of bytes; `most` is what the two real ones have together, at most, and some. */
export function spoiler({ below }: Dice, most: number): Spoiler {
  const buffer = new Uint8Array(most);
  const put = (bytes: Uint8Array): void => buffer.set(bytes);
  return (spoiling, real, other, lengthsAt) => {
    if (spoiling === "generated") {
      const length = below(80);
      for (let at = 0; at < length; at += 1) buffer[at] = below(256);
      return buffer.subarray(0, length);
    }
    put(real);
    if (spoiling === "truncated") return buffer.subarray(0, below(real.length + 1));
    if (spoiling === "spliced") {
      const at = below(real.length + 1);
      const tail = other.subarray(below(other.length + 1));
      buffer.set(tail, at);
      return buffer.subarray(0, at + tail.length);
    }
    const spoiled = buffer.subarray(0, real.length);
    if (real.length === 0) return spoiled;
    if (spoiling === "flipped") {
      for (let flips = 1 + below(4); flips > 0; flips -= 1) {
        const at = below(real.length);
        spoiled[at] = (spoiled[at] ?? 0) ^ (1 << below(8));
      }
      return spoiled;
    }
    const at = lengthsAt.length > 0 ? (lengthsAt[below(lengthsAt.length)] ?? 0) : below(real.length);
    for (const [offset, byte] of (LENGTHS[below(LENGTHS.length)] ?? []).entries()) if (at + offset < real.length) spoiled[at + offset] = byte;
    return spoiled;
  };
}
