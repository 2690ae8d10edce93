/**
 * The part of `bench/growth.ts` with a real Redis: what it holds before many unknown keys are invalidated, right after, and
 * when their tombstones have gone. It relies on `redis-server` from the PATH.
 *
 * @module
 */
import { setTimeout as sleep } from "node:timers/promises";
import { createCache, defineNode } from "cacheme";
import { redis } from "cacheme/redis";
import { Redis } from "ioredis";
import { startServers } from "./servers.ts";
import { markdownTable } from "./table.ts";

/** A tombstone lives for `storeWithin` and a minute more. */
const STORE_WITHIN = "1s";
const GIVE_UP_MS = 180_000;
const AT_ONCE = 100;

/** Invalidates so many unknown keys; answers a table of what Redis held, and its version. */
export async function growthOnRedis(keys: number): Promise<{ readonly text: string; readonly version: string }> {
  const servers = await startServers();
  const client = new Redis({ port: servers.port, host: "127.0.0.1" });
  try {
    const Item = defineNode({
      name: "GrowthOnRedis",
      key: (id: number) => `item:${id}`,
      load: (id) => id,
      caches: [{ storage: "redis", ttl: "1h" }],
      hardTimeout: STORE_WITHIN,
      storeWithin: STORE_WITHIN,
    });
    const cache = createCache({ storages: { redis: redis({ client }) } });
    // Entries that stay, the node's generation, and the script.
    await cache.getAll(Array.from({ length: AT_ONCE }, (_, id) => Item(-id)));
    await cache.flush();
    const look = async (): Promise<{ readonly keys: number; readonly bytes: number }> => {
      const memory = /used_memory:(\d+)/.exec(await client.info("memory"))?.[1];
      return { keys: await client.dbsize(), bytes: Number(memory) };
    };
    const before = await look();
    for (let from = 0; from < keys; from += AT_ONCE) {
      await cache.invalidate(Array.from({ length: AT_ONCE }, (_, index) => Item(from + index)));
    }
    const full = await look();
    const began = performance.now();
    let after = full;
    while (after.keys > before.keys && performance.now() - began < GIVE_UP_MS) {
      await sleep(500);
      after = await look();
    }
    const seconds = (performance.now() - began) / 1_000;
    const row = (when: string, { keys: count, bytes }: typeof before): string[] => [when, count.toLocaleString("en-US"), (bytes / 1e6).toFixed(2)];
    const table = markdownTable([
      ["", "keys", "MB used"],
      row("before", before),
      row(`after ${keys.toLocaleString("en-US")} unknown keys were invalidated`, full),
      row(`${seconds.toFixed(0)} s later`, after),
    ]);
    const verdict = `- goal as many keys as before, once the tombstones have gone: ${after.keys === before.keys ? "reached" : "**missed**"}`;
    const about = `On a real Redis, with \`storeWithin: "${STORE_WITHIN}"\`: a tombstone lives for that and a minute.`;
    return { text: [about, table, verdict].join("\n\n"), version: servers.redisVersion };
  } finally {
    client.disconnect();
    await servers.stop();
  }
}
