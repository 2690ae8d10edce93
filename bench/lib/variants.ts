/**
 * What is measured: the variants with their exact parameters, the figures others have published for them, and the goals.
 * Parameters and published figures are those of the Python cacheme (`benchmarks/trace.py` and README of
 * github.com/Yiling-J/cacheme); plain data, no code beyond building the list.
 *
 * @module
 */
import type { RedisPeerName } from "./redis-peers.ts";

/** Who answers the requests. */
export type ContestantName = "cacheme" | "reference" | RedisPeerName;

/** One run, in a process of its own. */
export interface Variant {
  /** `contestant/kind/tiers/workers`, for `--only`. */
  readonly id: string;
  readonly contestant: ContestantName;
  /** Entries of the local tier; 0: there is none. */
  readonly local: number;
  readonly workers: number;
  /** Calls in the stream, and distinct keys in each; 1 means `get`, more means `getAll`. */
  readonly calls: number;
  readonly batch: number;
}

/** A row of a published table; writes, CPU and memory were not published. */
export interface PublishedRow {
  readonly label: string;
  readonly wallS: number;
  readonly reads: number;
  readonly loads: number;
}

/** Most commands that the client may send. */
export interface Goal {
  readonly reads: number;
  readonly writes?: number;
}

export const LOCAL_ENTRIES = 3_000;
export const BATCH_SIZE = 20;
export const LOAD_MS = 100;
export const SINGLE_ZIPF: { readonly s: number; readonly v: number; readonly max: number } = { s: 1.001, v: 10, max: 200_000 };
export const BATCH_ZIPF: { readonly s: number; readonly v: number; readonly max: number } = { s: 1.0001, v: 10, max: 200_000 };

const SINGLE_CALLS = 200_000;
const BATCH_CALLS = [10_000, 20_000];
const WORKERS = [1_000, 10_000, 100_000];

/** All variants of a contestant; `scale` divides the number of calls, for a quick look. */
export function variantsOf(contestant: ContestantName, scale: number): Variant[] {
  const variants: Variant[] = [];
  const add = (calls: number, batch: number, local: number, workers: number): void => {
    const kind = batch === 1 ? "get" : `batch-${short(calls)}`;
    const id = [contestant, kind, local === 0 ? "redis" : "local+redis", short(workers)].join("/");
    variants.push({ id, contestant, calls: calls / scale, batch, local, workers });
  };
  for (const workers of WORKERS) for (const local of [0, LOCAL_ENTRIES]) add(SINGLE_CALLS, 1, local, workers);
  // 100,000 workers would be the same run: there are fewer calls than that.
  for (const calls of BATCH_CALLS) for (const workers of WORKERS.slice(0, 2)) for (const local of [0, LOCAL_ENTRIES]) add(calls, BATCH_SIZE, local, workers);
  return variants;
}

/** `10_000` as `"10k"`. */
export function short(count: number): string {
  return count % 1_000 === 0 ? `${count / 1_000}k` : String(count);
}

function row(label: string, wallS: number, reads: number, loads: number): PublishedRow {
  return { label, wallS, reads, loads };
}

const SINGLE_ROWS: Readonly<Record<number, readonly PublishedRow[]>> = {
  1_000: [
    row("cacheme (Python), [redis]", 25, 166_454, 55_579),
    row("cacheme (Python), [local 3000, redis]", 20, 90_681, 55_632),
    row("aiocache cached", 46, 200_000, 56_367),
    row("aiocache cached_stampede", 63, 256_492, 55_417),
    row("cashews", 51, 200_000, 56_920),
    row("cashews lock", 134, 200_000, 55_450),
  ],
  10_000: [
    row("cacheme (Python), [redis]", 25, 123_704, 56_736),
    row("cacheme (Python), [local 3000, redis]", 19, 83_750, 56_635),
    row("aiocache cached", 67, 200_000, 62_568),
    row("aiocache cached_stampede", 113, 263_195, 55_507),
    row("cashews", 68, 200_000, 66_036),
    row("cashews lock", 175, 200_000, 55_709),
  ],
  100_000: [
    row("cacheme (Python), [redis]", 24, 60_990, 56_782),
    row("cacheme (Python), [local 3000, redis]", 22, 55_762, 55_588),
    row("aiocache cached", 80, 200_000, 125_085),
    row("aiocache cached_stampede", 178, 326_417, 65_598),
    row("cashews", 88, 200_000, 87_894),
    row("cashews lock", 236, 200_000, 55_647),
  ],
};

// The 10,000-worker row has fewer loads than its stream has keys: its process still held futures of the run before.
const BATCH_ROWS: Readonly<Record<number, readonly PublishedRow[]>> = {
  1_000: [row("cacheme (Python), [redis]", 12, 9_996, 55_902)],
  10_000: [row("cacheme (Python), [redis]", 11, 9_908, 42_894)],
};

/** What others published for the same parameters, on machines and draws of their own; nothing for another number of calls. */
export function publishedFor({ batch, calls, workers }: Variant): readonly PublishedRow[] {
  if (batch === 1) return calls === SINGLE_CALLS ? (SINGLE_ROWS[workers] ?? []) : [];
  return calls === BATCH_CALLS[0] ? (BATCH_ROWS[workers] ?? []) : [];
}

const GOALS: Readonly<Record<string, Goal>> = {
  "cacheme/get/local+redis/1k": { reads: 5_000, writes: 6_000 },
  "cacheme/get/local+redis/10k": { reads: 500, writes: 600 },
  "cacheme/get/local+redis/100k": { reads: 200, writes: 250 },
  "cacheme/batch-10k/redis/1k": { reads: 1_000 },
  "cacheme/batch-10k/local+redis/1k": { reads: 1_000 },
  "cacheme/batch-20k/redis/1k": { reads: 1_000 },
  "cacheme/batch-20k/local+redis/1k": { reads: 1_000 },
};

/** The goal that a variant has, if any; a shortened stream has none. */
export function goalOf({ id, batch, calls }: Variant): Goal | undefined {
  const whole = batch === 1 ? calls === SINGLE_CALLS : BATCH_CALLS.includes(calls);
  return whole ? GOALS[id] : undefined;
}
