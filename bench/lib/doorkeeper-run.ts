/**
 * One Bloom filter, in a process of its own when it is the main module.
 *
 * @module
 */
import { bloomFilter } from "cacheme";
import { peer } from "./peers.ts";
import { jobOf } from "./rounds.ts";

/** Whom this folder knows, this library first. */
export const FILTERS = ["cacheme", "mnemonist", "bloomfilter"] as const;

export type FilterName = (typeof FILTERS)[number];

/** What the parent passes. */
export interface FilterJob {
  readonly name: FilterName;
  readonly keys: number;
}

/** What a run gives. */
export interface FilterFigures {
  /** Million first arrivals a CPU second, from empty to full: a question and an addition. */
  readonly arrivals: number;
  /** Million additions that ask nothing; a doorkeeper has no such call, and its arrivals stand here as well. */
  readonly additions: number;
  /** Million arrivals of keys that are in, in a filter that is half full. */
  readonly known: number;
  /** Share of strangers that a filter full to its capacity takes for known. */
  readonly falsePositives: number;
}

interface Filter {
  /** Asks whether a key has been there, and adds it. */
  arrive(key: string): boolean;
  add(key: string): void;
}

const RATE = 0.01;
const WARM_UPS = 3;
const ROUNDS = 7;
/** Strangers are asked in the last twentieth of a filter's capacity, since asking a doorkeeper adds. */
const STRANGERS = 20;

if (import.meta.main) {
  const { name, keys } = jobOf<FilterJob>();
  const create = await factory(name, keys);
  const figures: FilterFigures = {
    arrivals: rateOf(
      () => keysOf(keys, 0),
      create,
      (filter, key) => filter.arrive(key),
    ),
    additions: rateOf(
      () => keysOf(keys, 0),
      create,
      (filter, key) => filter.add(key),
    ),
    known: rateOf(
      () => keysOf(keys >> 1, 0),
      (names) => {
        const filter = create();
        for (const key of names) filter.add(key);
        return filter;
      },
      (filter, key) => filter.arrive(key),
    ),
    falsePositives: falsePositives(create, keys),
  };
  console.log(JSON.stringify(figures));
}

async function factory(name: FilterName, keys: number): Promise<() => Filter> {
  if (name === "cacheme") {
    return () => {
      const doorkeeper = bloomFilter({ capacity: keys, falsePositiveRate: RATE });
      return { arrive: (key) => doorkeeper.admit("UserInfo", key), add: (key) => void doorkeeper.admit("UserInfo", key) };
    };
  }
  interface Published {
    add(key: string): void;
    test(key: string): boolean;
  }
  const make = name === "mnemonist" ? await mnemonist(keys) : await bloomfilter(keys);
  return () => {
    const filter = make();
    return {
      arrive(key) {
        const known = filter.test(key);
        filter.add(key);
        return known;
      },
      add: (key) => filter.add(key),
    };
  };
  async function mnemonist(capacity: number): Promise<() => Published> {
    const { BloomFilter } = await peer<{ BloomFilter: new (options: object) => Published }>("mnemonist");
    return () => new BloomFilter({ capacity, errorRate: RATE });
  }
  async function bloomfilter(capacity: number): Promise<() => Published> {
    const { BloomFilter } = await peer<{ BloomFilter: new (bits: number, hashes: number) => Published }>("bloomfilter");
    // The textbook's size for that rate.
    const bits = Math.ceil((capacity * Math.log2(1 / RATE)) / Math.LN2);
    return () => new BloomFilter(bits, Math.round((bits / capacity) * Math.LN2));
  }
}

/** Millions a CPU second; the keys are new strings each time, so that no hash is remembered with them. */
function rateOf(names: () => string[], create: (names: readonly string[]) => Filter, call: (filter: Filter, key: string) => unknown): number {
  let calls = 0;
  let micros = 0;
  for (let round = -WARM_UPS; round < ROUNDS; round++) {
    const filter = create(names());
    const keys = names();
    const before = process.threadCpuUsage();
    for (const key of keys) call(filter, key);
    const { user, system } = process.threadCpuUsage(before);
    if (round < 0) continue;
    calls += keys.length;
    micros += user + system;
  }
  return calls / micros;
}

function falsePositives(create: () => Filter, keys: number): number {
  const strangers = Math.floor(keys / STRANGERS);
  let taken = 0;
  for (let turn = 0; turn < STRANGERS; turn++) {
    const filter = create();
    const names = keysOf(keys, turn + 1);
    for (const [at, key] of names.entries()) {
      if (at < keys - strangers) filter.add(key);
      else if (filter.arrive(key)) taken++;
    }
  }
  return taken / (strangers * STRANGERS);
}

/** Flat strings: one that was just put together is flattened by whoever reads it first. */
function keysOf(count: number, set: number): string[] {
  return Array.from({ length: count }, (_, at) => Buffer.from(`user:${set}:${at * 7919}:profile`).toString("latin1"));
}
