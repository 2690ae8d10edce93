/**
 * Measures one contestant in a process of its own, so that no contestant inherits another's heap or compiled code. Started by
 * `local-tier.ts` with the job as its argument and with the garbage collector exposed; prints its figures as its only line.
 *
 * Rates are in million operations for each CPU second of the thread. "zipf 95/5" reads 95 of 100 times and stores what it
 * missed, and writes the rest; "set-new" stores keys that were never there, each of which evicts one.
 *
 * @module
 */
import { contestantNamed } from "./local-contestants.ts";
import type { LocalContestant, MakeContestant } from "./local-contestants.ts";
import { median } from "./table.ts";
import { seededRandom, zipf } from "./zipf.ts";

/** What the parent passes as JSON. */
export interface LocalJob {
  readonly name: string;
  readonly capacity: number;
  /** Measure the memory instead of the speed. */
  readonly memory: boolean;
}

/** What comes back: nothing if the contestant's package is missing. */
export type LocalFigures = Readonly<Record<string, number>>;

const UNIVERSE_FACTOR = 4;
const OPERATIONS = 500_000;
const ROUNDS = 5;
const WARM_UP = 2;
const SEED = 1;
const ROUND_US = 200_000;

const job: LocalJob = JSON.parse(process.argv[2] ?? "{}");
const make = await contestantNamed(job.name);
const figures: LocalFigures = make === undefined ? {} : job.memory ? memoryOf(make, job.capacity) : speedOf(make, job.capacity);
process.stdout.write(JSON.stringify(figures));

/** Flat strings, as keys are that came over a wire: a key built by joining would be flattened at its first use, whoever uses it. */
function keysFrom(first: number, count: number): string[] {
  return Array.from({ length: count }, (_, index) => Buffer.from(`user:${String(first + index).padStart(10, "0")}:page`).toString("latin1"));
}

function speedOf(create: MakeContestant, capacity: number): LocalFigures {
  const random = seededRandom(SEED);
  const universe = keysFrom(0, capacity * UNIVERSE_FACTOR);
  const value = { uid: 1 };
  const resident = Int32Array.from({ length: OPERATIONS }, () => Math.floor(random() * capacity));
  const skewed = Int32Array.from({ length: OPERATIONS }, zipf(random, { s: 0.99, v: 1, max: universe.length - 1 }));
  const writes = Uint8Array.from({ length: OPERATIONS }, () => (random() < 0.05 ? 1 : 0));
  const at = (index: number): string => universe[index] ?? "";
  const filled = (): LocalContestant => {
    const cache = create(capacity);
    for (let index = 0; index < capacity; index++) cache.set(at(index), value);
    return cache;
  };

  const hot = filled();
  const getHit = rateOf(() => {
    let hits = 0;
    for (let i = 0; i < OPERATIONS; i++) if (hot.get(at(resident[i] ?? 0)) === value) hits++;
    if (hits !== OPERATIONS) throw new Error(`${job.name}: ${hits} hits of ${OPERATIONS}`);
  });
  const setExisting = rateOf(() => {
    for (let i = 0; i < OPERATIONS; i++) hot.set(at(resident[i] ?? 0), value);
  });
  const mixed = create(capacity);
  let found = 0;
  let asked = 0;
  const zipfRate = rateOf(() => {
    for (let i = 0; i < OPERATIONS; i++) {
      const key = at(skewed[i] ?? 0);
      if (writes[i] === 1) mixed.set(key, value);
      else {
        asked++;
        if (mixed.get(key) === undefined) mixed.set(key, value);
        else found++;
      }
    }
  });
  const full = filled();
  let next = capacity * UNIVERSE_FACTOR;
  let fresh: string[] = [];
  const setNew = rateOf(
    () => {
      for (const key of fresh) full.set(key, value);
    },
    () => {
      fresh = keysFrom(next, OPERATIONS);
      next += OPERATIONS;
      globalThis.gc?.();
    },
  );
  return { "get-hit": getHit, "set-existing": setExisting, "zipf 95/5": zipfRate, "zipf hit share": found / asked, "set-new": setNew };
}

/**
 * Median over the rounds of million operations for each CPU second of this thread. Some systems count CPU time in steps of 4 ms,
 * so what can be repeated is repeated until a round has taken a while.
 */
function rateOf(run: () => void, prepare?: () => void): number {
  const rates: number[] = [];
  for (let round = -WARM_UP; round < ROUNDS; round++) {
    prepare?.();
    let runs = 0;
    let spent = 0;
    const before = process.threadCpuUsage();
    do {
      run();
      runs++;
      const { user, system } = process.threadCpuUsage(before);
      spent = user + system;
    } while (prepare === undefined && spent < ROUND_US);
    if (round >= 0) rates.push((runs * OPERATIONS) / spent);
  }
  return median(rates);
}

/** Bytes of each entry of a cache that was filled once, and of one that has evicted two for each it holds; keys and the value excluded. */
function memoryOf(create: MakeContestant, capacity: number): LocalFigures {
  const instances = Math.max(1, Math.round(100_000 / capacity));
  const keys = keysFrom(0, capacity * 3);
  const value = { uid: 1 };
  const held: LocalContestant[] = [];
  const before = bytesInUse();
  for (let instance = 0; instance < instances; instance++) {
    const cache = create(capacity);
    for (let index = 0; index < capacity; index++) cache.set(keys[index] ?? "", value);
    held.push(cache);
  }
  const filled = bytesInUse() - before;
  for (const cache of held) for (let index = capacity; index < 3 * capacity; index++) cache.set(keys[index] ?? "", value);
  const churned = bytesInUse() - before;
  const entries = instances * capacity;
  if (held.some((cache) => cache.get(keys[3 * capacity - 1] ?? "") !== value)) throw new Error(`${job.name}: the last entry is not held`);
  return { "bytes, filled": filled / entries, "bytes, after evictions": churned / entries };
}

function bytesInUse(): number {
  if (globalThis.gc === undefined) throw new Error("needs --expose-gc");
  globalThis.gc();
  globalThis.gc();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}
