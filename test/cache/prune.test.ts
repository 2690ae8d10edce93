/** `cache.prune`: removing expired slots where a storage does not do so by itself. */

import { describe, expect, test } from "vitest";
import { createCache } from "../../src/cache.ts";
import { local } from "../../src/local/local.ts";
import { defineNode } from "../../src/node.ts";
import { memoryStorage } from "../../testing/memory-storage.ts";
import { failure } from "../support/rig.ts";

const SIGNAL = new AbortController().signal;

function aged(count: number) {
  let now = 0;
  const storage = memoryStorage({ clock: { now: () => now } });
  return {
    storage,
    async fill() {
      const bytes = new Uint8Array(8);
      await storage.write(
        Array.from({ length: count }, (_, index) => ({ key: `old${index}`, bytes, ttlMs: 10 })),
        SIGNAL,
      );
      await storage.write([{ key: "lives", bytes, ttlMs: null }], SIGNAL);
      now = 10;
    },
  };
}

describe("prune", () => {
  test("removes at most limit expired slots of each storage that nodes use, and nothing that lives", async () => {
    const [one, two] = [aged(5), aged(3)];
    await one.fill();
    await two.fill();
    defineNode({ name: "Pruned", key: () => "k", load: () => 1, caches: [{ storage: "two", ttl: "1m" }], allowRedefine: true });
    const unused = (): never => {
      throw new Error("no node names it");
    };
    const cache = createCache({ storages: { local: local(), one: one.storage, two: () => two.storage, unused } });
    expect(await cache.prune(4)).toBe(7);
    expect(await cache.prune(4)).toBe(1);
    expect(await cache.prune(4)).toBe(0);
    expect([...one.storage.slots.keys(), ...two.storage.slots.keys()]).toEqual(["lives", "lives"]);
  });

  test("tries all storages, and then says which one failed, without the driver's words", async () => {
    const good = aged(2);
    await good.fill();
    const bad = { ...memoryStorage(), prune: () => Promise.reject(new Error("postgres://user:canary@host")) };
    const cache = createCache({ storages: { bad, good: good.storage } });
    const error = await failure(cache.prune(10));
    expect(error).toMatchObject({ code: "ERR_STORAGE_WRITE", message: expect.stringContaining('"bad"') });
    expect(String(error)).not.toContain("canary");
    expect(good.storage.slots.size).toBe(1);
  });

  test("passes over storages that need no pruning, and refuses a limit that is none", async () => {
    const { prune: _, ...storage } = memoryStorage();
    const cache = createCache({ storages: { storage } });
    expect(await cache.prune(1)).toBe(0);
    for (const limit of [0, -1, 1.5, Number.NaN]) expect(String(await failure(cache.prune(limit)))).toContain(`${limit}`);
    await cache.close();
    expect(await failure(cache.prune(1))).toMatchObject({ code: "ERR_CLOSED" });
  });
});
