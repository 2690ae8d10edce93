/**
 * A serializer around another one: gzip by the platform's own streams, where it pays. It relies on `CompressionStream` and
 * `DecompressionStream`, makes none before it needs one (workerd refuses that at module scope), and never trusts a length that
 * stands in the data.
 *
 * A payload begins with a byte that tells whether the rest is as the inner serializer made it or in gzip.
 *
 * @module
 */

import { describe } from "../duration.ts";
import { CacheError } from "../errors.ts";
import type { Serializer } from "./serializer.ts";

/** Options of {@link compressed}. */
export interface CompressedOptions {
  /** Payloads of up to this many bytes stay as they are. A whole number, default 2048. */
  readonly minBytes?: number | undefined;
  /** Largest payload before compression, in bytes; a larger one is refused in both directions. Default 16 MiB. */
  readonly maxBytes?: number | undefined;
}

const AS_IT_IS = 0;
const GZIP = 1;

/** How much gzip is fed at once: it expands at most 1,032 times, so a bomb is seen before it has taken 5 MB. */
const SLICE_BYTES = 4_096;

/**
 * Makes a serializer that compresses what another one makes, above `minBytes` and only when it gets smaller.
 *
 * Small payloads stay synchronous; compressed ones are promised. Which bytes gzip makes is up to the runtime, and any runtime
 * reads them.
 *
 * @throws TypeError at construction for wrong options, and where the runtime has no CompressionStream.
 *
 * `encode` rejects with what the inner serializer throws, and with a CacheError `ERR_SERIALIZE` above `maxBytes`; `decode` with
 * `ERR_ENTRY_CORRUPT` for bytes that `encode` did not make, or that expand beyond `maxBytes`.
 *
 * @example
 * ```ts
 * import { compressed, json } from "cacheme";
 *
 * const serializer = compressed(json(), { minBytes: 1024 });
 * ```
 *
 * @see RFC 1952 (gzip) and the Compression Standard of WHATWG.
 */
export function compressed(serializer: Serializer, options: CompressedOptions = {}): Serializer {
  const { minBytes = 2_048, maxBytes = 16 * 1_024 * 1_024 } = options;
  checkCount("minBytes", minBytes, 0);
  checkCount("maxBytes", maxBytes, 1);
  if (typeof serializer?.encode !== "function" || typeof serializer.decode !== "function") {
    throw new TypeError(`compressed() needs a serializer, got ${describe(serializer)}`);
  }
  if (typeof CompressionStream === "undefined" || typeof DecompressionStream === "undefined") {
    throw new TypeError("compressed() needs CompressionStream, which this runtime does not have: use the inner serializer alone");
  }
  return {
    name: `compressed(${serializer.name})`,
    encode: (value) => {
      const payload = serializer.encode(value);
      return payload instanceof Promise ? payload.then((bytes) => pack(bytes, minBytes, maxBytes)) : pack(payload, minBytes, maxBytes);
    },
    decode: (bytes) => {
      const rest = bytes.subarray(1);
      if (bytes[0] === AS_IT_IS && rest.length <= maxBytes) return serializer.decode(rest);
      if (bytes[0] !== GZIP) throw corrupt();
      return gunzip(rest, maxBytes).then((payload) => serializer.decode(payload));
    },
  };
}

function checkCount(option: string, value: number, least: number): void {
  if (Number.isSafeInteger(value) && value >= least) return;
  throw new TypeError(`${option} of compressed() must be a whole number of bytes, at least ${least}, got ${describe(value)}`);
}

function corrupt(): CacheError {
  return new CacheError("ERR_ENTRY_CORRUPT", "compressed() cannot decode these bytes");
}

function pack(payload: Uint8Array, minBytes: number, maxBytes: number): Uint8Array | Promise<Uint8Array> {
  if (payload.length > maxBytes) {
    throw new CacheError("ERR_SERIALIZE", `compressed() cannot carry ${payload.length} bytes (maxBytes is ${maxBytes})`);
  }
  if (payload.length <= minBytes) return join(AS_IT_IS, [payload], payload.length);
  return gzip(payload);
}

async function gzip(payload: Uint8Array): Promise<Uint8Array> {
  const stream = new CompressionStream("gzip");
  const chunks: Uint8Array[] = [];
  let size = 0;
  await pump(stream, payload, payload.length, (chunk) => {
    chunks.push(chunk);
    size += chunk.length;
  });
  return size < payload.length ? join(GZIP, chunks, size) : join(AS_IT_IS, [payload], payload.length);
}
