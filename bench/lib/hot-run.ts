/**
 * Hits of one library, in a process of its own: one key, keys of a zipf stream, and many keys in one call; and the heap that an
 * entry takes. Rates are by CPU time of the thread, because on a busy machine wall time says more about the neighbours.
 *
 * @module
 */
import type { Row } from "./contestant.ts";
import { jobOf } from "./rounds.ts";
import { createTiered } from "./tiered.ts";
import type { Tiered, TieredName } from "./tiered.ts";
import { drawBatches, drawStream, seededRandom, zipf } from "./zipf.ts";

/** What the parent passes. */
export interface HotJob {
  readonly name: TieredName;
  /** CPU time to spend on each figure, in ms, after as much again for the compiler. */
  readonly ms: number;
  readonly entries: number;
}

/** What a run gives. */
export interface HotFigures {
  /** Million hits a CPU second. */
  readonly oneKey: number;
  readonly zipf: number;
  /** Thousand calls of 20 keys a CPU second. */
  readonly batches: number;
  /** Bytes of heap and buffers for each entry, value included, key strings too where the library makes its own. */
  readonly bytes: number;
}

const KEYS = 10_000;
const BATCH = 20;
/** Length of the pre-drawn orders, a power of two. */
const PICKS = 16_384;
/** Hits between two looks at the clock. */
const CHUNK = 4_096;

const { name, ms, entries } = jobOf<HotJob>();
const source = async (uid: number): Promise<Row> => ({ uid });
const draw = zipf(seededRandom(1), { s: 1.001, v: 10, max: KEYS - 1 });
const stream = drawStream(PICKS, draw);
const flat = drawBatches(PICKS / 16, BATCH, draw);
const batches = Array.from({ length: PICKS / 16 }, (_, at) => [...flat.subarray(at * BATCH, (at + 1) * BATCH)]);

const full = await createTiered(name, source, KEYS * 4);
for (let uid = 0; uid < KEYS; uid++) await full.get(uid);
const figures: HotFigures = {
  oneKey: (await rateOf(() => hits(full, () => 7))) / 1e6,
  zipf: (await rateOf((at) => hits(full, (i) => stream[(at + i) & (PICKS - 1)] ?? 0))) / 1e6,
  batches: (await rateOf((at) => manyHits(full, at))) / 1e3,
  bytes: await bytesPerEntry(),
};
console.log(JSON.stringify(figures));
process.exit();

/** Hits one after the other, awaited where the library is called, so that no promise of ours is in the figure. */
async function hits(tiered: Tiered, uidOf: (i: number) => number): Promise<number> {
  for (let i = 0; i < CHUNK; i++) {
    const uid = uidOf(i);
    const row = await tiered.get(uid);
    if (row?.uid !== uid) throw new Error(`asked for ${uid}, got ${JSON.stringify(row)}`);
  }
  return CHUNK;
}

async function manyHits(tiered: Tiered, at: number): Promise<number> {
  const calls = CHUNK >> 5;
  for (let i = 0; i < calls; i++) {
    const uids = batches[(at + i) % batches.length] ?? [];
    const rows = await tiered.getMany(uids);
    if (rows.length !== uids.length || rows[3]?.uid !== uids[3]) throw new Error(`a batch was answered wrongly: ${JSON.stringify(rows[3])}`);
  }
  return calls;
}

/** Calls a CPU second; `some` makes some and says how many. As much CPU time before is for the compiler. */
async function rateOf(some: (at: number) => Promise<number>): Promise<number> {
  const spend = async (): Promise<number> => {
    let calls = 0;
    const before = process.threadCpuUsage();
    for (;;) {
      calls += await some(calls);
      const { user, system } = process.threadCpuUsage(before);
      if (user + system >= ms * 1_000) return calls / ((user + system) / 1e6);
    }
  };
  await spend();
  return spend();
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
