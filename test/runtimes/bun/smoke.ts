/**
 * What the test under Bun runs in a Bun process: the cache over a local tier and a storage in memory. Prints one line of
 * JSON.
 *
 * @module
 */
import { createCache, defineNode, local } from "../../../src/index.ts";
import { memoryStorage } from "../../../testing/memory-storage.ts";

let loads = 0;
const shared = memoryStorage();
const cache = createCache({ storages: { local: local(), shared } });
const Square = defineNode({
  name: "Square",
  key: (n: number) => ["square", n],
  load: async (n: number) => ({ n, square: n * n, load: ++loads }),
  caches: [
    { storage: "local", ttl: "1m" },
    { storage: "shared", ttl: "1h" },
  ],
});

const first = await Promise.all(Array.from({ length: 100 }, () => cache.get(Square(2))));
const many = await cache.getAll([Square(2), Square(3), Square(3), Square(4)]);
await cache.invalidate([Square(2), Square(3)]);
const after = await cache.getAll([Square(2), Square(3), Square(4)]);
await cache.refresh(Square(4));
await cache.flush();
console.log(
  JSON.stringify({
    runtime: "Bun" in globalThis ? "Bun" : "another one",
    one: new Set(first.map(({ load }) => load)).size,
    many: many.map(({ square }) => square),
    after: after.map(({ load }) => load),
    loads,
    reads: shared.calls.read,
    stats: cache.stats(Square),
  }),
);
await cache.close();
