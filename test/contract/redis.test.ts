import { randomUUID } from "node:crypto";
import { Redis } from "ioredis";
import { createClient, createClientPool } from "redis";
import { afterAll, beforeAll, describe } from "vitest";
import { redis } from "../../adapters/redis.ts";
import type { ContractSubject } from "../../testing/index.ts";
import type { Storage } from "../../src/storage.ts";
import { isLeftOut } from "../servers/process.ts";
import { startRedis, type RedisServer } from "../servers/redis.ts";
import { runContract } from "./run-contract.ts";

const servers: RedisServer[] = [];
const closing: (() => unknown)[] = [];
let storages: Readonly<Record<string, Storage>> = {};

beforeAll(async () => {
  if (isLeftOut("redis")) return;
  const server = await startRedis();
  servers.push(server);
  const ioredis = new Redis(server.url);
  const nodeRedis = createClient({ url: server.url });
  // Every setting of the user's that could change a command or a reply.
  const odd = new Redis(server.url, { enableAutoPipelining: true, stringNumbers: true, keyPrefix: "app:" });
  const pool = createClientPool({ url: server.url, RESP: 2, commandOptions: { typeMapping: { 58: String } } });
  await nodeRedis.connect();
  await pool.connect();
  closing.push(
    () => ioredis.disconnect(),
    () => nodeRedis.destroy(),
    () => odd.disconnect(),
    () => pool.destroy(),
  );
  storages = {
    "ioredis, bytes": redis({ client: ioredis }),
    "ioredis, base64": redis({ client: ioredis, encoding: "base64" }),
    "ioredis, pipelining by itself, with numbers as text": redis({ client: odd }),
    "a pool of node-redis, RESP 2, with numbers as text": redis({ client: pool }),
    "node-redis, bytes": redis({ client: nodeRedis }),
    "node-redis, base64": redis({ client: nodeRedis, encoding: "base64" }),
  };
});

afterAll(async () => {
  for (const close of closing) close();
  for (const server of servers) await server.stop();
});

function subject(name: string): ContractSubject {
  const [server] = servers;
  const storage = storages[name];
  if (server === undefined || storage === undefined) throw new Error("the server did not start");
  return {
    storage,
    unique: randomUUID(),
    pass: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
    async plantForeign(key) {
      await server.command("RPUSH", key, "an item");
    },
    async plantText(key, text) {
      await server.command("SET", key, text);
    },
  };
}

describe.skipIf(isLeftOut("redis"))("redis()", () => {
  for (const name of ["ioredis, bytes", "ioredis, base64", "node-redis, bytes", "node-redis, base64"]) {
    runContract(name, [], () => subject(name));
  }
  runContract("a pool of node-redis, RESP 2, with numbers as text", [], () => subject("a pool of node-redis, RESP 2, with numbers as text"));
  runContract("ioredis, pipelining by itself, with a prefix and numbers as text", ["plantForeign", "plantText"], () => ({
    ...subject("ioredis, pipelining by itself, with numbers as text"),
    plantForeign: undefined,
    plantText: undefined,
  }));
});
