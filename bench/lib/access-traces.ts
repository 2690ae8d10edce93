/**
 * The request streams on which hit ratios are compared: recorded ones, read from a folder that is not part of the project, and
 * made ones, which everybody can repeat from their seed. A stream is a list of key numbers; it knows nothing of caches.
 *
 * A recorded stream is `NAME.u32.gz`: little-endian 32-bit key numbers, one for each request, gzipped.
 *
 * @module
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { seededRandom, zipf } from "./zipf.ts";

/** One stream, with the capacities at which it is measured. */
export interface AccessTrace {
  readonly name: string;
  readonly keys: Uint32Array;
  /** Distinct keys are below this number. */
  readonly keyCount: number;
  readonly capacities: readonly number[];
}

/** Recorded streams: where they come from is told in the README of the folder that holds them. */
const RECORDED: Readonly<Record<string, readonly number[]>> = {
  oltp: [256, 1000, 2000, 5000, 10_000],
  p3: [25_000, 50_000, 100_000],
  "scarab-recs": [25_000, 50_000, 100_000],
  corda: [512, 1024, 4096],
  web07: [500, 1000, 2000],
  "lirs-gli": [500, 1000, 2000],
  "lirs-sprite": [200, 500, 1000],
  "lirs-2_pools": [100, 200, 450],
  "lirs-loop": [256, 512, 900],
  "cdn-adaptsize": [500, 2000, 8000],
};
const MADE_CAPACITIES = [1000, 10_000] as const;
const MADE_REQUESTS = 1_000_000;
const MADE_KEYS = 100_000;
/** Of 1,000 requests, so many are a scan of keys that never come again, in one go. */
const SCAN_BURST = 250;
const MADE_SEED = 1;

/** A stream and how to get it: streams are large, so that only one at a time should be in memory. */
export interface TraceSource {
  readonly name: string;
  load(): AccessTrace;
}

/** The streams of a folder, and those that are made; without a folder the latter alone. */
export function traceSources(folder: string | undefined): TraceSource[] {
  const recorded = folder === undefined ? [] : Object.entries(RECORDED).map(([name, capacities]) => sourceOf(name, capacities, () => read(folder, name)));
  const mix = folder === undefined ? [] : [sourceOf("corda+loop", [512], () => cordaAroundLoop(folder))];
  const skewed = [0.8, 0.99, 1.001].map((exponent) => sourceOf(`zipf${exponent}`, MADE_CAPACITIES, () => zipfStream(exponent)));
  return [...recorded, ...mix, ...skewed, sourceOf("scan-zipf0.99", MADE_CAPACITIES, scanStream)];
}

function sourceOf(name: string, capacities: readonly number[], keysOf: () => Uint32Array): TraceSource {
  return {
    name,
    load() {
      const keys = keysOf();
      let last = 0;
      for (const key of keys) last = Math.max(last, key);
      return { name, keys, keyCount: last + 1, capacities };
    },
  };
}

function read(folder: string, name: string): Uint32Array {
  const bytes = gunzipSync(readFileSync(join(folder, `${name}.u32.gz`)));
  // A copy is aligned, which a piece of a pooled buffer need not be.
  return new Uint32Array(Uint8Array.from(bytes).buffer);
}

/** Traffic where only recency counts, then a loop larger than the cache, then the first again: whoever cannot adapt loses one of them. */
function cordaAroundLoop(folder: string): Uint32Array {
  const corda = read(folder, "corda");
  let offset = 0;
  for (const key of corda) offset = Math.max(offset, key + 1);
  const loop = read(folder, "lirs-loop").map((key) => key + offset);
  return joined([corda, loop, corda]);
}

function joined(parts: readonly Uint32Array[]): Uint32Array {
  const whole = new Uint32Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

function zipfStream(exponent: number): Uint32Array {
  const draw = zipf(seededRandom(MADE_SEED), { s: exponent, v: 1, max: MADE_KEYS - 1 });
  return Uint32Array.from({ length: MADE_REQUESTS }, draw);
}

function scanStream(): Uint32Array {
  const draw = zipf(seededRandom(MADE_SEED), { s: 0.99, v: 1, max: MADE_KEYS - 1 });
  let scanned = MADE_KEYS;
  return Uint32Array.from({ length: MADE_REQUESTS }, (_, at) => (at % 1000 < SCAN_BURST ? scanned++ : draw()));
}
