/**
 * Measures the memory of one contestant in a process of its own. Started by `local-tier.ts` with the job as its argument and with
 * the garbage collector exposed; prints its figures as its only line.
 *
 * @module
 */
import { contestantNamed } from "./local-contestants.ts";
import type { LocalContestant, MakeContestant } from "./local-contestants.ts";
import { keysFrom } from "./local-keys.ts";
import type { LocalJob } from "./local-run.ts";
import { jobOf } from "./rounds.ts";

/** What comes back: nothing if the contestant's package is missing. */
export type MemoryFigures = Readonly<Record<string, number>>;

const { name, capacity } = jobOf<LocalJob>();
const make = await contestantNamed(name);
const figures: MemoryFigures = make === undefined ? {} : memoryOf(make);
console.log(JSON.stringify(figures));

/** Bytes of each entry of a cache that was filled once, and of one that has evicted two for each it holds; keys and the value excluded. */
function memoryOf(create: MakeContestant): MemoryFigures {
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
  if (held.some((cache) => cache.get(keys[3 * capacity - 1] ?? "") !== value)) throw new Error(`${name}: the last entry is not held`);
  return { "bytes, filled": filled / entries, "bytes, after evictions": churned / entries };
}

function bytesInUse(): number {
  if (globalThis.gc === undefined) throw new Error("needs --expose-gc");
  globalThis.gc();
  globalThis.gc();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}
