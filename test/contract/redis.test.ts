import { randomUUID } from "node:crypto";
import { Redis } from "ioredis";
import { createClient } from "redis";
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
  await nodeRedis.connect();
  closing.push(
    () => ioredis.disconnect(),
    () => nodeRedis.destroy(),
  );
  storages = {
    "ioredis, bytes": redis({ client: ioredis }),
    "ioredis, base64": redis({ client: ioredis, encoding: "base64" }),
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
});
