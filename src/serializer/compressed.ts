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
import { optionsOf } from "../fields.ts";
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

/** Deflate expands at most this many times. */
const MOST_EXPANSION = 1_032;

/**
 * How much a decompressor is fed at once. Runtimes expand what they are given whether or not anybody reads, so a bomb that
 * lies about its size costs at most this much expanded (34 MB) before it is seen.
 */
const SLICE_BYTES = 32_768;

/** The shortest gzip: a header of 10 bytes, an empty block of 2, and a trailer of 8 that ends with the decoded size. */
const LEAST_GZIP = 20;

/** Taken at once, so that a test that replaces the timers does not stop a decoder. */
const nextTurn: typeof setTimeout = setTimeout;

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
  const { minBytes = 2_048, maxBytes = 16 * 1_024 * 1_024 } = optionsOf(options, ["minBytes", "maxBytes"], "compressed");
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
      return "then" in payload ? payload.then((bytes) => pack(bytes, minBytes, maxBytes)) : pack(payload, minBytes, maxBytes);
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
  const chunks: Uint8Array[] = [];
  let size = 0;
  await pump(new CompressionStream("gzip"), payload, payload.length, (chunk) => {
    chunks.push(chunk);
    size += chunk.length;
  });
  return size < payload.length ? join(GZIP, chunks, size) : join(AS_IT_IS, [payload], payload.length);
}

function join(marker: number, chunks: readonly Uint8Array[], size: number): Uint8Array {
  const bytes = new Uint8Array(size + 1);
  bytes[0] = marker;
  let position = 1;
  for (const chunk of chunks) {
    bytes.set(chunk, position);
    position += chunk.length;
  }
  return bytes;
}

async function gunzip(bytes: Uint8Array, maxBytes: number): Promise<Uint8Array> {
  const declared = declaredSize(bytes);
  if (declared > maxBytes || declared > bytes.length * MOST_EXPANSION) throw corrupt();
  const payload = new Uint8Array(declared);
  let size = 0;
  try {
    await pump(new DecompressionStream("gzip"), bytes, SLICE_BYTES, (chunk) => {
      // Throws a RangeError for a chunk that goes beyond what was declared.
      payload.set(chunk, size);
      size += chunk.length;
    });
  } catch {
    throw corrupt();
  }
  // Some runtimes neither miss a cut end nor mind what follows it; both bring a wrong size.
  if (size !== declared) throw corrupt();
  return payload;
}

/** The decoded size modulo 2^32 by the last 4 bytes of gzip; infinite for bytes too short to be gzip. */
function declaredSize(bytes: Uint8Array): number {
  if (bytes.length < LEAST_GZIP) return Infinity;
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getUint32(bytes.length - 4, true);
}

/** Sends bytes through a stream and hands over what comes out; rejects with what the stream or `take` throws. */
async function pump(stream: CompressionStream | DecompressionStream, bytes: Uint8Array, sliceBytes: number, take: (chunk: Uint8Array) => void): Promise<void> {
  const reader = stream.readable.getReader();
  const feeding = feed(stream.writable.getWriter(), bytes, sliceBytes);
  // It is awaited only if nothing else fails first.
  feeding.catch(ignore);
  try {
    for (let result = await reader.read(); !result.done; result = await reader.read()) take(result.value);
  } catch (error) {
    // Ends the feeding too.
    reader.cancel().catch(ignore);
    throw error;
  }
  await feeding;
}

async function feed(writer: WritableStreamDefaultWriter<BufferSource>, bytes: Uint8Array, sliceBytes: number): Promise<void> {
  for (let start = 0; start < bytes.length; start += sliceBytes) {
    // A turn of the event loop is what it takes until everything that came out has been read.
    if (start > 0) await new Promise<void>((resolve) => void nextTurn(resolve, 0));
    await writer.write(bytes.slice(start, start + sliceBytes));
  }
  await writer.close();
}

function ignore(): void {}
