/**
 * A batch whose values together are more than a service answers at once was refused whole, every time: all of it was loaded
 * again, and the breaker opened. Such a batch is read in halves.
 */

import { createClient } from "@libsql/client/http";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { kv, type KvNamespace } from "../../adapters/kv.ts";
import { libsql, schema } from "../../adapters/libsql.ts";
import { compactKvStats, kvStats, readKvStats, type StatsKvNamespace } from "../../adapters/stats-kv.ts";
import { inHalves } from "../../adapters/halves.ts";
import { createCache } from "../../src/cache.ts";
import type { CacheEvent } from "../../src/events.ts";
import { defineNode } from "../../src/node.ts";
import { createCounters } from "../../src/stats.ts";
import type { StatsBatch } from "../../src/stats-batch.ts";
import type { Storage } from "../../src/storage.ts";
import { startKv, type KvServer } from "../servers/kv.ts";
import { isLeftOut } from "../servers/process.ts";
import { startSqld, startSqldGate, type SqldServer } from "../servers/sqld.ts";
import { freshName } from "../support/rig.ts";

const signal = new AbortController().signal;
const NEVER = (): boolean => false;

/** A hundred values of 300 kB through a cache, stored and then read twice by another cache. */
async function storedAndReadBack(storage: Storage): Promise<{ readonly loads: number; readonly trouble: readonly CacheEvent[] }> {
  const trouble: CacheEvent[] = [];
  const name = freshName();
  const ids = Array.from({ length: 100 }, (_, id) => id);
  const text = (id: number): string => `${id}:${"x".repeat(300_000)}`;
  let loads = 0;
  const Large = defineNode({
    name,
    key: (id: number) => `${name}:${id}`,
    load(id) {
      loads++;
      return text(id);
    },
    caches: [{ storage: "far", ttl: "1h" }],
    writes: "await",
  });
  const cache = createCache({ storages: { far: storage }, guard: { timeout: "60s" }, onEvent: (event) => void trouble.push(event) });
  await cache.getAll(ids.map(Large));
  expect([loads, trouble]).toEqual([100, []]);
  loads = 0;
  for (let time = 0; time < 2; time++) expect((await cache.getAll(ids.map(Large))).every((value, id) => value === text(id))).toBe(true);
  return { loads, trouble };
}

describe("on Workers KV, which answers 25 MB", () => {
  let server: KvServer;
  beforeAll(async () => {
    server = await startKv();
  });
  afterAll(async () => {
    await server.stop();
  });

  test("a hundred values of 300 kB are read back, and nothing failed", { timeout: 120_000 }, async () => {
    const asked: number[] = [];
    const { namespace } = server;
    const counting: KvNamespace = {
      get(keys, type) {
        asked.push(keys.length);
        return namespace.get(keys, type);
      },
      put: (key, value, options) => namespace.put(key, value, options),
      delete: (key) => namespace.delete(key),
    };
    expect(await storedAndReadBack(kv({ namespace: counting }))).toEqual({ loads: 0, trouble: [] });
    expect(asked).toEqual([100, 100, 50, 50, 100, 50, 50]);
  });

  test("no half is asked for once the signal is aborted", async () => {
    const controller = new AbortController();
    let calls = 0;
    const namespace: KvNamespace = {
      async get() {
        calls++;
        controller.abort();
        throw new Error("KV GET_BULK failed: 413 Total size of request exceeds the limit of 25MB");
      },
      put: async () => undefined,
      delete: async () => undefined,
    };
    await expect(kv({ namespace }).read(["a", "b"], [], controller.signal)).rejects.toThrow(/abort/);
    expect(calls).toBe(1);
  });

  test("any other refusal is thrown after one call", async () => {
    for (const message of ["KV GET_BULK failed: 429 Too Many Requests", "KV GET_BULK failed: 400 413", "413"]) {
      let calls = 0;
      const namespace: KvNamespace = {
        async get() {
          calls++;
          throw new Error(message);
        },
        put: async () => undefined,
        delete: async () => undefined,
      };
      await expect(kv({ namespace }).read(["a", "b"], [], signal)).rejects.toThrow(message);
      expect(calls).toBe(1);
    }
  });

  test("statistics of more than 25 MB are added up and compacted", { timeout: 120_000 }, async () => {
    const { namespace } = server;
    if (!isStatsKv(namespace)) throw new Error("miniflare gave no KV namespace with list");
    const at = 1_800_000_000_000;
    // A name as long as this stands for many nodes.
    const node = "n".repeat(1_200_000);
    const sink = kvStats(namespace, { prefix: "large" });
    for (let sequence = 0; sequence < 30; sequence++) await sink.write(batchOf(node, sequence, at));
    const read = await readKvStats(namespace, { prefix: "large" });
    expect([read.batches, read.nodes[node]?.hitCount]).toEqual([30, 30]);
    expect(await compactKvStats(namespace, { prefix: "large", now: at + 3 * 3_600_000 })).toMatchObject({ summed: 30, more: false });
    expect((await readKvStats(namespace, { prefix: "large" })).nodes[node]?.hitCount).toBe(30);
  });
});

describe.skipIf(isLeftOut("sqld"))("on sqld as it starts, which answers 10 MB", () => {
  let server: SqldServer;
  beforeAll(async () => {
    server = await startSqld();
    await createClient({ url: server.url }).executeMultiple(schema());
  });
  afterAll(async () => {
    await server.stop();
  });

  test("a hundred values of 300 kB are read back, and nothing failed", { timeout: 120_000 }, async () => {
    const gate = await startSqldGate(server);
    try {
      const own = libsql({ url: gate.url });
      expect(await storedAndReadBack(own)).toEqual({ loads: 0, trouble: [] });
      expect(await storedAndReadBack(libsql({ client: createClient({ url: server.url }) }))).toEqual({ loads: 0, trouble: [] });
      const keys = Array.from({ length: 50 }, (_, index) => `plain:${index}`);
      const bytes = new Uint8Array(300_000).fill(7);
      await own.write(
        keys.map((key) => ({ key, bytes, ttlMs: null })),
        signal,
      );
      const made = await own.ensure?.(["\u0001one", "\u0001two"], signal);
      gate.requests.length = 0;
      const { slots, generations } = await own.read([...keys, "missing", keys[0] ?? ""], ["\u0001one", "\u0001none", "\u0001two"], signal);
      expect(slots.map((slot) => slot?.bytes.length)).toEqual([...keys.map(() => 300_000), undefined, 300_000]);
      expect(generations).toEqual([made?.[0], undefined, made?.[1]]);
      expect(gate.requests.length).toBe(3);
    } finally {
      await gate.stop();
    }
  });
});

describe("halves", () => {
  test("are asked for one after the other until each fits, and answers keep their order", async () => {
    const asked: string[] = [];
    let open = 0;
    const items = Array.from("abcdefgh");
    const answers = await inHalves(
      items,
      async (some) => {
        asked.push(some.join(""));
        expect(++open).toBe(1);
        await Promise.resolve();
        open--;
        if (some.length > 3) throw new Error("too large");
        return some.join("");
      },
      (error) => error instanceof Error && error.message === "too large",
    );
    expect(answers.join("")).toBe("abcdefgh");
    expect(asked).toEqual(["abcdefgh", "abcd", "ab", "cd", "efgh", "ef", "gh"]);
  });

  test("of a single item there are none: its refusal is an error", async () => {
    const asked: string[] = [];
    const read = async (some: readonly string[]): Promise<string> => {
      asked.push(some.join(""));
      if (some.includes("c")) throw new Error("too large");
      return some.join("");
    };
    await expect(inHalves(Array.from("abcd"), read, () => true)).rejects.toThrow("too large");
    expect(asked).toEqual(["abcd", "ab", "cd", "c"]);
    await expect(inHalves(Array.from("cd"), read, NEVER)).rejects.toThrow("too large");
    expect(asked.at(-1)).toBe("cd");
  });
});

function batchOf(node: string, sequence: number, at: number): StatsBatch {
  const nodes = [{ node, ...createCounters(), hitCount: 1, loadTimes: [], tiers: [] }];
  return { format: 1, isolate: "00112233aabbccdd", sequence, from: at - 10_000, to: at, failedWrites: 0, nodes };
}

function isStatsKv(value: unknown): value is StatsKvNamespace {
  return typeof value === "object" && value !== null && "list" in value && "get" in value;
}
