/**
 * What the edge runtime's test runs inside the runtime: a cache as the condition `edge-light` makes it, over a local tier
 * and a storage in memory. It is evaluated as a script; the exports become properties of one global.
 *
 * @module
 */
import { createCache, defineNode, json, local } from "../../../src/index.ts";
import { memoryStorage } from "../../../testing/memory-storage.ts";

/** What a run found, as plain data that can leave the runtime. */
export interface Findings {
  readonly single: unknown;
  readonly many: unknown;
  readonly source: string;
  readonly afterInvalidate: unknown;
  readonly loads: number;
  /** Keys in the shared storage at the moment in which the first `get` had answered. */
  readonly storedAtAnswer: number;
  /** Promises handed to `waitUntil`. */
  readonly keptAlive: number;
  readonly events: readonly string[];
}

/** Runs the cache's main calls, with a `waitUntil` or without. */
export async function run(withWaitUntil: boolean): Promise<string> {
  const events: string[] = [];
  const kept: Promise<unknown>[] = [];
  let loads = 0;
  const memory = memoryStorage();
  // A storage that takes its time, so that background writes can be told from awaited ones.
  const shared = { ...memory, write: (...args: Parameters<typeof memory.write>) => pause(20).then(() => memory.write(...args)) };
  const cache = createCache({
    storages: { local: local(), shared },
    ...(withWaitUntil ? { waitUntil: (promise: Promise<unknown>) => void kept.push(promise) } : {}),
    onEvent: ({ type }) => void events.push(type),
  });
  const Square = defineNode({
    name: "Square",
    allowRedefine: true,
    key: (n: number) => ["square", n],
    load: async (n: number) => ({ n, square: n * n, load: ++loads }),
    caches: [
      { storage: "local", ttl: "1m" },
      { storage: "shared", ttl: "1h" },
    ],
    serializer: json(),
  });
  const single = await cache.get(Square(3));
  const storedAtAnswer = memory.slots.size;
  const many = await cache.getAll([Square(3), Square(4), Square(4), Square(5)]);
  const { source } = await cache.lookup(Square(5));
  await cache.invalidate(Square(3));
  const afterInvalidate = await cache.get(Square(3));
  await Promise.all(kept);
  const findings: Findings = { single, many, source, afterInvalidate, loads, storedAtAnswer, keptAlive: kept.length, events };
  return JSON.stringify(findings);
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
