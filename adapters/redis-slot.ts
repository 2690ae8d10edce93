/**
 * The hash slot of a key in Redis Cluster, by the cluster specification: CRC-16/XMODEM of the key, or of its hash tag,
 * modulo 16384. It is here because ioredis takes a pipeline only for keys of one owner and does not say who that is.
 *
 * @module
 */

const SLOTS = 16_384;

/** The slot of a key, 0 to 16383. If a `{` is followed by a `}` further on, only what lies between them counts. */
export function hashSlot(key: string): number {
  const open = key.indexOf("{");
  const close = open < 0 ? -1 : key.indexOf("}", open + 1);
  const hashed = close > open + 1 ? key.slice(open + 1, close) : key;
  return crc16(new TextEncoder().encode(hashed)) % SLOTS;
}

function crc16(bytes: Uint8Array): number {
  let crc = 0;
  for (const byte of bytes) {
    // The polynomial x^16 + x^12 + x^5 + 1, eight bits in one step.
    let step = (crc >> 8) ^ byte;
    step ^= step >> 4;
    crc = ((crc << 8) ^ (step << 12) ^ (step << 5) ^ step) & 0xffff;
  }
  return crc;
}
