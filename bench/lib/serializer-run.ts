/**
 * One serializer with all payloads, in a process of its own when it is the main module.
 *
 * @module
 */
import { deepStrictEqual } from "node:assert";
import { gzipSync } from "node:zlib";
import { deserialize, serialize } from "node:v8";
import { json, structured } from "cacheme";
import { msgpack } from "cacheme/msgpack";
import { createPayload, PAYLOADS } from "./payloads.ts";
import type { PayloadName } from "./payloads.ts";
import { peer } from "./peers.ts";
import { jobOf } from "./rounds.ts";

/** Whom this folder knows, those of this library first. */
export const SERIALIZERS = [
  "json()",
  "structured()",
  "msgpack()",
  "JSON and TextEncoder",
  "node:v8",
  "@msgpack/msgpack",
  "cbor-x",
  "devalue",
  "superjson",
  "seroval",
] as const;

export type SerializerName = (typeof SERIALIZERS)[number];

/** What the parent passes. */
export interface SerializerJob {
  readonly name: SerializerName;
  /** CPU time for each figure, in ms, after half as much for the compiler. */
  readonly ms: number;
}

/** Of one payload; without speed where the round trip was not exact. */
export interface PayloadFigures {
  readonly bytes: number;
  readonly gzipped: number;
  /** Thousands a CPU second. */
  readonly encode: number;
  readonly decode: number;
  /** What went wrong instead: an error's text, or that the value was another one afterwards. */
  readonly fault?: string;
}

export type SerializerFigures = Readonly<Record<PayloadName, PayloadFigures>>;

/** To bytes and back. */
interface Codec {
  encode(value: unknown): Uint8Array | Promise<Uint8Array>;
  decode(bytes: Uint8Array): unknown;
}

const CHUNK = 16;

if (import.meta.main) {
  const { name, ms } = jobOf<SerializerJob>();
  const codec = await codecOf(name);
  const figures: [PayloadName, PayloadFigures][] = [];
  for (const payload of PAYLOADS) figures.push([payload, await measure(codec, createPayload(payload), ms)]);
  console.log(JSON.stringify(Object.fromEntries(figures)));
}

async function codecOf(name: SerializerName): Promise<Codec> {
  const encoder = new TextEncoder();
  const decoder = new TextDecoder();
  const text = (stringify: (value: unknown) => string, parse: (text: string) => unknown): Codec => ({
    encode: (value) => encoder.encode(stringify(value)),
    decode: (bytes) => parse(decoder.decode(bytes)),
  });
  switch (name) {
    case "json()":
      return json();
    case "structured()":
      return structured();
    case "msgpack()":
      return msgpack();
    case "JSON and TextEncoder":
      return text((value) => JSON.stringify(value), JSON.parse);
    case "node:v8":
      return { encode: serialize, decode: deserialize };
    case "@msgpack/msgpack": {
      const { encode, decode } = await peer<Codec>("@msgpack/msgpack");
      return { encode: (value) => encode(value), decode: (bytes) => decode(bytes) };
    }
    case "cbor-x": {
      const { encode, decode } = await peer<Codec>("cbor-x");
      return { encode: (value) => encode(value), decode: (bytes) => decode(bytes) };
    }
    case "devalue": {
      const { stringify, parse } = await peer<{ stringify(value: unknown): string; parse(text: string): unknown }>("devalue");
      return text(
        (value) => stringify(value),
        (body) => parse(body),
      );
    }
    case "superjson": {
      const superjson = await peer<{ stringify(value: unknown): string; parse(text: string): unknown }>("superjson");
      return text(
        (value) => superjson.stringify(value),
        (body) => superjson.parse(body),
      );
    }
    case "seroval": {
      const { toJSON, fromJSON } = await peer<{ toJSON(value: unknown): unknown; fromJSON(tree: unknown): unknown }>("seroval");
      return text(
        (value) => JSON.stringify(toJSON(value)),
        (body) => fromJSON(JSON.parse(body)),
      );
    }
  }
}

async function measure({ encode, decode }: Codec, value: unknown, ms: number): Promise<PayloadFigures> {
  try {
    // Some hand out a view of a pool that the next call writes over.
    const bytes = (await encode(value)).slice();
    deepStrictEqual(await decode(bytes), value);
    const sizes = { bytes: bytes.length, gzipped: gzipSync(bytes).length };
    return { ...sizes, encode: await rateOf(() => encode(value), ms), decode: await rateOf(() => decode(bytes), ms) };
  } catch (error) {
    const lines = error instanceof Error ? error.message : String(error);
    const fault = error instanceof Error && error.name === "AssertionError" ? "not equal afterwards" : (lines.split("\n")[0] ?? "");
    return { bytes: Number.NaN, gzipped: Number.NaN, encode: Number.NaN, decode: Number.NaN, fault };
  }
}

/** Thousand calls a CPU second. What answers at once is not awaited. */
async function rateOf(call: () => unknown, ms: number): Promise<number> {
  const spend = async (budgetMs: number): Promise<number> => {
    let calls = 0;
    const before = process.threadCpuUsage();
    for (;;) {
      for (let i = 0; i < CHUNK; i++) {
        const result = call();
        if (result instanceof Promise) await result;
      }
      calls += CHUNK;
      const { user, system } = process.threadCpuUsage(before);
      if (user + system >= budgetMs * 1_000) return (calls / (user + system)) * 1_000;
    }
  };
  await spend(ms / 2);
  return spend(ms);
}
