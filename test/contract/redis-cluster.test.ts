import { randomUUID } from "node:crypto";
import { Cluster } from "ioredis";
import { createCluster } from "redis";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { hashSlot } from "../../adapters/redis-slot.ts";
import { redis } from "../../adapters/redis.ts";
import type { Storage } from "../../src/storage.ts";
import type { ContractSubject } from "../../testing/index.ts";
import { isLeftOut } from "../servers/process.ts";
import { startRedisCluster, type RedisCluster } from "../servers/redis.ts";
import { runContract } from "./run-contract.ts";

let cluster: RedisCluster | undefined;
const closing: (() => unknown)[] = [];
let clients: Readonly<Record<string, Cluster>> = {};
let storages: Readonly<Record<string, Storage>> = {};
const signal = new AbortController().signal;

beforeAll(async () => {
  if (isLeftOut("redis")) return;
  cluster = await startRedisCluster();
  const rootNodes = cluster.ports.map((port) => ({ url: `redis://127.0.0.1:${port}` }));
  const startup = cluster.ports.map((port) => ({ host: "127.0.0.1", port }));
  const ioredis = new Cluster(startup);
  const prefixed = new Cluster(startup, { keyPrefix: "{pre" });
  const nodeRedis = createCluster({ rootNodes });
  await nodeRedis.connect();
  closing.push(
    () => ioredis.disconnect(),
    () => prefixed.disconnect(),
    () => nodeRedis.destroy(),
  );
  clients = { "ioredis Cluster": ioredis, "ioredis Cluster with a key prefix": prefixed };
  storages = {
    "ioredis Cluster": redis({ client: ioredis }),
    "ioredis Cluster with a key prefix": redis({ client: prefixed }),
    "ioredis Cluster, base64": redis({ client: ioredis, encoding: "base64" }),
    "node-redis cluster": redis({ client: nodeRedis }),
  };
});

afterAll(async () => {
  for (const close of closing) close();
  await cluster?.stop();
});

/** Sends a command about one key to the node that owns it. */
async function onOwner(key: string, ...command: readonly string[]): Promise<void> {
  const index = Math.floor(hashSlot(key) / Math.ceil(16_384 / 3));
  await cluster?.nodes[index]?.command(...command);
}

function storageOf(name: string): Storage {
  const storage = storages[name];
  if (storage === undefined) throw new Error("the cluster did not start");
  return storage;
}

function subject(name: string): ContractSubject {
  return {
    storage: storageOf(name),
    unique: randomUUID(),
    pass: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
    plantForeign: (key) => onOwner(key, "RPUSH", key, "an item"),
    plantText: (key, text) => onOwner(key, "SET", key, text),
  };
}

describe.skipIf(isLeftOut("redis"))("redis() on a cluster", () => {
  for (const name of ["ioredis Cluster", "ioredis Cluster, base64", "node-redis cluster"]) {
    runContract(name, [], () => subject(name));
  }
  runContract("ioredis Cluster with a key prefix", ["plantForeign", "plantText"], () => ({
    ...subject("ioredis Cluster with a key prefix"),
    plantForeign: undefined,
    plantText: undefined,
  }));

  test("the slot of a key is the one the server computes", async () => {
    const keys = ["", "a", "{a}b", "a{b}c", "{}a", "a{", "a}{b", "{{a}}", "é", "\u{1f600}", "\u0000", "\u0001generation", "x".repeat(300)];
    for (const key of keys) expect([key, hashSlot(key)]).toEqual([key, await cluster?.nodes[0]?.command("CLUSTER", "KEYSLOT", key)]);
  });

  test("ioredis sends one pipeline for each node, also where it prefixes keys", async () => {
    for (const name of ["ioredis Cluster", "ioredis Cluster with a key prefix"]) {
      const client = clients[name];
      if (client === undefined) throw new Error("the cluster did not start");
      const [pipelines, singles] = [vi.spyOn(client, "pipeline"), vi.spyOn(client, "mgetBuffer")];
      await storageOf(name).read(
        Array.from({ length: 100 }, () => randomUUID()),
        [],
        signal,
      );
      expect([name, pipelines.mock.calls.length, singles.mock.calls.length]).toEqual([name, 3, 0]);
      vi.restoreAllMocks();
    }
  });

  test("a cluster that lost its scripts gets each of them again, and nothing is written twice", async () => {
    for (const name of ["ioredis Cluster", "node-redis cluster"]) {
      for (const node of cluster?.nodes ?? []) await node.command("SCRIPT", "FLUSH");
      const entries = Array.from({ length: 200 }, () => ({ key: randomUUID(), bytes: Uint8Array.of(1), ttlMs: null, ifStamp: null }));
      expect(new Set(await storageOf(name).write(entries, signal))).toEqual(new Set([true]));
    }
  });

  test("a slot that has moved to another node is served there, and harms no other key", async () => {
    const [from, to] = cluster?.nodes ?? [];
    const keys = Array.from({ length: 600 }, () => randomUUID());
    const moving = [...new Set(keys.map(hashSlot))].filter((slot) => slot < 5_000).slice(0, 60);
    const newOwner = String(await to?.command("CLUSTER", "MYID"));
    for (const [index, name] of ["ioredis Cluster", "node-redis cluster"].entries()) {
      for (const node of cluster?.nodes ?? []) await node.command("FLUSHALL");
      for (const slot of moving.slice(index * 30, index * 30 + 30)) {
        for (const node of [to, from]) await node?.command("CLUSTER", "SETSLOT", String(slot), "NODE", newOwner);
      }
      const storage = storageOf(name);
      const entries = keys.map((key, at) => ({ key: `${key}{${key}}${name}`, bytes: Uint8Array.of(at & 0xff), ttlMs: null, ifStamp: null }));
      expect(new Set(await storage.write(entries, signal))).toEqual(new Set([true]));
      const { slots } = await storage.read(
        entries.map(({ key }) => key),
        [],
        signal,
      );
      expect(slots.map((slot) => slot?.bytes[0])).toEqual(keys.map((_, at) => at & 0xff));
    }
    expect(moving.length).toBe(60);
  });
});
