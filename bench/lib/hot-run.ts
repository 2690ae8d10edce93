/**
 * Hits of one library, in a process of its own: one key, keys of a zipf stream, and many keys in one call, each in slices; and
 * the heap that an entry takes.
 *
 * @module
 */
import type { Row } from "./contestant.ts";
import { jobOf } from "./rounds.ts";
import { rateOf, serveSlices } from "./slices.ts";
import type { Slice } from "./slices.ts";
import { createTiered } from "./tiered.ts";
import type { Tiered, TieredName } from "./tiered.ts";
import { drawBatches, drawStream, seededRandom, zipf } from "./zipf.ts";

/** What the parent passes. */
export interface HotJob {
  readonly name: TieredName;
  readonly entries: number;
}

/** `oneKey` and `zipf` in million hits a second, `batches` in million calls of 20 keys; `bytes` of heap and buffers for each entry, value included. */
export type HotFigure = "oneKey" | "zipf" | "batches" | "bytes";

const KEYS = 10_000;
const BATCH = 20;
/** Length of the pre-drawn orders, a power of two. */
const PICKS = 16_384;
/** Hits between two looks at the clock. */
const CHUNK = 2_048;
const CHUNK_OF_BATCHES = 64;

const { name, entries } = jobOf<HotJob>();
const source = async (uid: number): Promise<Row> => ({ uid });
const draw = zipf(seededRandom(1), { s: 1.001, v: 10, max: KEYS - 1 });
const stream = drawStream(PICKS, draw);
const flat = drawBatches(PICKS / 16, BATCH, draw);
const batches = Array.from({ length: PICKS / 16 }, (_, at) => [...flat.subarray(at * BATCH, (at + 1) * BATCH)]);

const full = await createTiered(name, source, KEYS * 4);
for (let uid = 0; uid < KEYS; uid++) await full.get(uid);
let position = 0;
const uidOfStream = (i: number): number => stream[(position + i) & (PICKS - 1)] ?? 0;
const oneKey = (): Promise<number> => hits(full, () => 7);
const fromStream = async (): Promise<number> => {
  position += CHUNK;
  return hits(full, uidOfStream);
};
const inBatches = (): Promise<number> => manyHits(full);
const figures: Readonly<Record<HotFigure, Slice>> = {
  oneKey: (ms) => rateOf(ms, oneKey),
  zipf: (ms) => rateOf(ms, fromStream),
  batches: (ms) => rateOf(ms, inBatches),
  bytes: bytesPerEntry,
};
serveSlices(figures);

/** Hits one after the other, awaited where the library is called, so that no promise of ours is in the figure. */
async function hits(tiered: Tiered, uidOf: (i: number) => number): Promise<number> {
  for (let i = 0; i < CHUNK; i++) {
    const uid = uidOf(i);
    const row = await tiered.get(uid);
    if (row?.uid !== uid) throw new Error(`asked for ${uid}, got ${JSON.stringify(row)}`);
  }
  return CHUNK;
}

async function manyHits(tiered: Tiered): Promise<number> {
  for (let i = 0; i < CHUNK_OF_BATCHES; i++) {
    const uids = batches[position++ % batches.length] ?? [];
    const rows = await tiered.getMany(uids);
    if (rows.length !== uids.length || rows[3]?.uid !== uids[3]) throw new Error(`a batch was answered wrongly: ${JSON.stringify(rows[3])}`);
  }
  return CHUNK_OF_BATCHES;
}

async function bytesPerEntry(): Promise<number> {
  const { gc } = globalThis;
  if (!gc) throw new Error("the heap is measured under --expose-gc");
  const used = (): number => {
    gc();
    gc();
    const { heapUsed, external } = process.memoryUsage();
    return heapUsed + external;
  };
  // The first fill is for what a library makes once.
  const warm = await createTiered(name, source, entries);
  await warm.get(1);
  const before = used();
  const tiered = await createTiered(name, source, entries);
  for (let uid = 0; uid < entries; uid++) await tiered.get(uid);
  await new Promise((resolve) => setTimeout(resolve, 50));
  const bytes = (used() - before) / entries;
  await tiered.get(1);
  return bytes;
}
