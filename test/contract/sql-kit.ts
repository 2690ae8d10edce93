/**
 * What the checks of the SQL family are made of: keys, nodes to read through a cache, enough rows for a planner, the calls
 * whose plans matter. It declares no test.
 *
 * @module
 */
import { randomBytes, randomUUID } from "node:crypto";
import { createCache, defineNode } from "../../src/index.ts";
import type { Storage } from "../../src/storage.ts";

const signal = new AbortController().signal;

/** Lets time pass on a server, whose clock cannot be replaced. */
export const pass = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Parts of keys that are easily taken for one another. */
export const KINDS: readonly string[] = [
  "",
  "|",
  "||",
  "a",
  "A",
  "é",
  "e\u0301",
  "É",
  "a ",
  "a  ",
  "a\u0000",
  "\u0000",
  "😀",
  "😁",
  "%",
  "_",
  ":",
  "*",
  "\\",
  "\\'",
  "'",
  '"',
  "$1",
  "?",
  "\ufeff",
  "\n",
  "ß",
  "ss",
];

/** Pads with characters that do not compress, to an exact length in bytes. */
export function keyOf(start: string, bytes: number): string {
  return (
    start +
    randomBytes(bytes)
      .toString("base64url")
      .slice(0, bytes - Buffer.byteLength(start))
  );
}

let nodes = 0;

/** A node whose item `n` has the n-th of these keys, and isolates to read it in. */
export function itemsOf(keys: readonly string[]) {
  let loads = 0;
  nodes += 1;
  const prefix = randomUUID();
  const Item = defineNode({
    name: `sql-checks-${nodes}`,
    key: (index: number) => keys[index] ?? "none",
    loadAll(indices: readonly number[]) {
      loads += indices.length;
      return indices.map((index) => `value ${index}`);
    },
    maxLoadBatch: 1000,
    caches: [{ storage: "sql", ttl: "1m" }],
  });
  return { Item, loads: () => loads, open: (sql: Storage) => createCache({ prefix, storages: { sql }, guard: { timeout: "10s" } }) };
}

/** Each kind of statement whose plan matters. */
export function plannedCalls(storage: Storage): [name: string, call: () => Promise<unknown> | undefined][] {
  const keys = Array.from({ length: 20 }, (_, index) => `fill ${index}`);
  return [
    ["read", () => storage.read(keys, ["\u0001g"], signal)],
    ["remove", () => storage.remove(["none", "nor this"], signal)],
    ["prune", () => storage.prune?.(10, signal)],
  ];
}

/** Puts enough rows into the table that a planner has a reason to use an index: a third each expired, alive and without end. */
export async function fill(storage: Storage, count = 6000): Promise<void> {
  const lives = [1, 600_000, null];
  const most = Math.min(storage.traits.maxBatch ?? 500, 500);
  for (let start = 0; start < count; start += most) {
    const length = Math.min(most, count - start);
    await storage.write(
      Array.from({ length }, (_, at) => ({ key: `fill ${start + at}`, bytes: new Uint8Array(100), ttlMs: lives[(start + at) % 3] ?? null })),
      signal,
    );
  }
  await pass(5);
}
