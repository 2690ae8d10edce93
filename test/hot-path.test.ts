/**
 * What a fresh local hit costs beside time, which is for the benchmarks: the memory it takes and how often it looks at the clock.
 * Memory is the growth of the heap over many calls, so few that nothing is collected meanwhile, beside that of the promise alone.
 *
 * @module
 */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { describe, expect, test } from "vitest";
import { createCache, defineNode, local } from "../src/index.ts";
import type { LocalOptions } from "../src/index.ts";

const CALLS = 20_000;
const WARM_UP = 100_000;
const KEYS = 50;

setFlagsFromString("--expose-gc");
const collect: () => void = runInNewContext("gc");

let nodes = 0;

function rig(options: LocalOptions = {}) {
  const cache = createCache({ storages: { near: local(options) } });
  const Item = defineNode({
    name: `hot-${++nodes}`,
    key: (id: number) => `item:${id}`,
    load: (id: number) => ({ id }),
    caches: [{ storage: "near", ttl: "1h" }],
  });
  const references: [ReturnType<typeof Item>, ...ReturnType<typeof Item>[]] = [Item(0)];
  for (let id = 1; id < KEYS; id++) references.push(Item(id));
  return { cache, references };
}

/** Where answers go, so that no compiler can leave out what is not looked at. */
let answer: unknown;

/** The bytes that a call takes, the least of some tries, since whatever else runs in the process takes some as well. */
function bytesOf(call: (index: number) => unknown): number {
  for (let index = 0; index < WARM_UP; index++) answer = call(index % KEYS);
  let least = Number.POSITIVE_INFINITY;
  for (let round = 0; round < 5; round++) {
    collect();
    const before = process.memoryUsage().heapUsed;
    for (let index = 0; index < CALLS; index++) answer = call(index % KEYS);
    least = Math.min(least, (process.memoryUsage().heapUsed - before) / CALLS);
  }
  return answer === undefined ? Number.NaN : least;
}

describe.each(["w-tinylfu", "lru"] as const)("a fresh local hit with %s", (policy) => {
  test("takes one promise by get, and nothing by peek", async () => {
    const { cache, references } = rig({ policy });
    const values = await cache.getAll(references);
    const promise = bytesOf((index) => Promise.resolve(values[index]));
    expect(promise).toBeGreaterThan(8);
    const [first] = references;
    expect(bytesOf((index) => cache.get(references[index] ?? first))).toBeLessThan(promise + 4);
    expect(bytesOf((index) => cache.peek(references[index] ?? first))).toBeLessThan(4);
  });
});

test("the clock is read once by get, by getAll of hits and by peek", async () => {
  let reads = 0;
  const clock = {
    monotonic: () => {
      reads++;
      return 1_000;
    },
    now: () => {
      reads++;
      return 1_700_000_000_000;
    },
  };
  const cache = createCache({ clock, storages: { near: local() } });
  const Item = defineNode({ name: "hot-clock", key: (id: number) => `item:${id}`, load: (id: number) => id, caches: [{ storage: "near", ttl: "1h" }] });
  await cache.getAll([Item(1), Item(2), Item(3)]);
  for (const [name, call] of Object.entries({
    get: () => cache.get(Item(1)),
    peek: () => cache.peek(Item(1)),
    getAll: () => cache.getAll([Item(1), Item(2), Item(3)]),
  })) {
    reads = 0;
    await call();
    expect(reads, name).toBeLessThanOrEqual(1);
  }
});
