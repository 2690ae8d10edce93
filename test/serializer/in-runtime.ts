/**
 * A bundle's entry: the same round trips wherever it runs. It is bundled by `runtimes.test.ts` for runtimes that are not Node,
 * so it may use nothing of Node.
 *
 * @module
 */
import { msgpack } from "../../adapters/msgpack.ts";
import { isCacheError } from "../../src/errors.ts";
import { compressed } from "../../src/serializer/compressed.ts";
import { json } from "../../src/serializer/json.ts";
import type { Serializer } from "../../src/serializer/serializer.ts";
import { structured } from "../../src/serializer/structured.ts";
import { PLAIN } from "./plain-values.ts";

const PLAIN_AND_MORE: Readonly<Record<string, unknown>> = {
  ...PLAIN,
  date: new Date(1_234),
  bytes: Uint8Array.of(1, 0xc1),
  bigint: 2n ** 63n,
  nan: [Number.NaN],
};
const RICH: Readonly<Record<string, unknown>> = {
  ...PLAIN_AND_MORE,
  map: new Map<unknown, unknown>([["a", new Set([1, { b: -0 }])]]),
  error: new TypeError("text", { cause: [undefined] }),
  pattern: /a/g,
  floats: Float64Array.of(0.1),
  surrogate: "\ud800",
};

/** A text that tells values apart; equal values have equal texts. */
function describe(value: unknown): string {
  if (Object.is(value, -0)) return "-0";
  if (typeof value !== "object" || value === null) return `${typeof value} ${String(value)}`;
  if (value instanceof Map) return `Map ${describe([...value])}`;
  if (value instanceof Set) return `Set ${describe([...value])}`;
  if (value instanceof Date) return `Date ${value.getTime()}`;
  if (value instanceof RegExp) return `RegExp ${String(value)}`;
  if (value instanceof Error) return `Error ${String(value)} ${describe(value.cause)}`;
  if (ArrayBuffer.isView(value)) return `${value.constructor.name} ${new Uint8Array(value.buffer, value.byteOffset, value.byteLength).join()}`;
  if (Array.isArray(value)) return `[${value.map(describe).join(", ")}]`;
  return `{${Object.entries(value)
    .map(([key, member]) => `${JSON.stringify(key)}: ${describe(member)}`)
    .join(", ")}}`;
}

async function failuresOf(make: () => Serializer, values: Readonly<Record<string, unknown>>): Promise<string[]> {
  const failures: string[] = [];
  const serializer = make();
  for (const [name, value] of Object.entries(values)) {
    try {
      const bytes = await serializer.encode(value);
      if (bytes.buffer.byteLength !== bytes.length) failures.push(`${serializer.name}, ${name}: does not own its buffer`);
      const back: unknown = await serializer.decode(bytes);
      if (describe(back) !== describe(value)) failures.push(`${serializer.name}, ${name}: not equal`);
    } catch (error) {
      failures.push(`${serializer.name}, ${name}: ${String(error)}`);
    }
  }
  return failures;
}

/** Feeds bytes that are none of its own; what is not a typed reject is a failure. */
async function hostile(make: () => Serializer, count: number): Promise<string[]> {
  const serializer = make();
  const payload = (await serializer.encode([{ a: 1, b: ["text", null] }, "x".repeat(100)])).slice();
  const failures: string[] = [];
  for (let round = 0; round < count; round += 1) {
    const bytes = payload.slice(0, round % 7 === 0 ? round % payload.length : payload.length);
    if (bytes.length > 0) bytes[(round * 31) % bytes.length] = (round * 97) & 0xff;
    try {
      await serializer.decode(bytes);
    } catch (error) {
      if (!isCacheError(error, "ERR_ENTRY_CORRUPT")) failures.push(`${serializer.name}: ${String(error)}`);
    }
  }
  return failures;
}

/** What fails in this runtime, in words; empty if nothing does. */
export async function failures(): Promise<string[]> {
  const lists = await Promise.all([
    failuresOf(json, PLAIN),
    failuresOf(msgpack, PLAIN_AND_MORE),
    failuresOf(structured, RICH),
    hostile(json, 500),
    hostile(msgpack, 500),
    hostile(structured, 500),
  ]);
  return lists.flat();
}

/** Decodes anything, so that what is rejected was rejected by `compressed()`. */
const anyBytes: Serializer = { name: "bytes", encode: () => new Uint8Array(0), decode: (bytes) => bytes };

// At module scope, where Workers refuse much: construction has to work here, or to say what is missing.
let squeezed: Serializer | undefined;
let unpacking: Serializer | undefined;
let refusal = "";
try {
  squeezed = compressed(structured(), { minBytes: 10 });
  unpacking = compressed(anyBytes);
} catch (error) {
  refusal = String(error);
}

/** As {@link failures}, for `compressed()`; one line with its words if it could not be made. */
export async function compressedFailures(): Promise<string[]> {
  const made = squeezed;
  if (made === undefined) return [refusal];
  const lists = await Promise.all([failuresOf(() => made, RICH), hostile(() => made, 200)]);
  return lists.flat();
}

/** Whether `compressed()` rejects a gzip, and how many of its bytes it gave to the runtime before. */
async function unpack(gzip: Uint8Array): Promise<{ rejected: boolean; fed: number }> {
  const Original = DecompressionStream;
  const outcome = { rejected: false, fed: 0 };
  function Counting(): { readable: unknown; writable: unknown } {
    const { readable, writable } = new Original("gzip");
    const writer = writable.getWriter();
    const write = async (chunk: Uint8Array<ArrayBuffer>): Promise<void> => {
      outcome.fed += chunk.length;
      await writer.write(chunk);
    };
    return { readable, writable: { getWriter: () => ({ write, close: () => writer.close() }) } };
  }
  Reflect.set(globalThis, "DecompressionStream", Counting);
  try {
    const bytes = new Uint8Array(gzip.length + 1);
    bytes[0] = 1;
    bytes.set(gzip, 1);
    await unpacking?.decode(bytes);
  } catch (error) {
    outcome.rejected = isCacheError(error, "ERR_ENTRY_CORRUPT");
  }
  Reflect.set(globalThis, "DecompressionStream", Original);
  return outcome;
}

export const worker: { fetch(request: Request): Promise<Response> } = {
  async fetch(request) {
    if (request.method === "POST") return Response.json(await unpack(new Uint8Array(await request.arrayBuffer())));
    return Response.json({ failures: await failures(), compressed: await compressedFailures() });
  },
};
