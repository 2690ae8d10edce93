import { Redis } from "ioredis";
import net from "node:net";
import { createClient } from "redis";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { redis } from "../../adapters/redis.ts";
import { upstash } from "../../adapters/upstash.ts";
import { createCache, defineNode } from "../../src/index.ts";
import { faultProxy } from "../../testing/index.ts";
import { isLeftOut } from "../servers/process.ts";
import { startRedis, type RedisServer } from "../servers/redis.ts";
import { startUpstashBridge, type UpstashBridge } from "../servers/upstash-bridge.ts";
import { HTTP_FAULTS, runFetched, runProxied, TCP_FAULTS, type Client } from "./lane.ts";

const PASSWORD = "canary-password-0123";
const TOKEN = "bridge-token-0123456789";

let server: RedisServer;
let guarded: RedisServer;
let bridge: UpstashBridge;

beforeAll(async () => {
  if (isLeftOut("redis")) return;
  [server, guarded] = await Promise.all([startRedis(), startRedis({ args: ["--requirepass", PASSWORD] })]);
  bridge = await startUpstashBridge({ redisPort: server.port, token: TOKEN });
});

afterAll(async () => {
  await bridge?.stop();
  await Promise.all([server?.stop(), guarded?.stop()]);
});

async function nodeRedis(port: number): Promise<Client> {
  const client = createClient({ password: PASSWORD, socket: { port, host: "127.0.0.1", reconnectStrategy: 50 } });
  client.on("error", () => undefined);
  await client.connect();
  return { storage: redis({ client }), close: () => client.destroy() };
}

async function ioRedis(port: number): Promise<Client> {
  // A half-open connection is the client's to notice: the cache gives up calls, not connections.
  const client = new Redis({ port, host: "127.0.0.1", password: PASSWORD, retryStrategy: () => 50, socketTimeout: 2_000 });
  client.on("error", () => undefined);
  await client.ping();
  return { storage: redis({ client }), close: () => client.disconnect() };
}

async function overHttp(port: number): Promise<Client> {
  return { storage: upstash({ url: `http://127.0.0.1:${port}`, token: TOKEN }), close: () => undefined };
}

describe.skipIf(isLeftOut("redis"))("guarantee 9: Redis", () => {
  const secrets = [PASSWORD, TOKEN];
  // node-redis has no time limit that ends a connection on which it writes and hears nothing: its end has to come from the host.
  const cutting = ["a half-open connection"];
  runProxied("redis() by node-redis", TCP_FAULTS, () => guarded.port, nodeRedis, { secrets, cutting });
  test("10,000 callers of 2,000 keys, NUL among them, get their values while Redis is silent, each key by one load", async () => {
    const proxy = await faultProxy({ net, port: guarded.port });
    const client = await nodeRedis(proxy.port);
    let loads = 0;
    const Row = defineNode({
      name: "faults-many",
      key: (id: number) => `${id}\u0000`,
      load: (id) => ((loads += 1), `row ${id}`),
      caches: [{ storage: "shared", ttl: "1h" }],
    });
    const cache = createCache({ storages: { shared: client.storage }, guard: { timeout: 300, breaker: { failures: 3, coolDown: "1m" } } });
    try {
      proxy.always("hang");
      const began = performance.now();
      const values = await Promise.all(Array.from({ length: 10_000 }, (_, caller) => cache.get(Row(caller % 2_000))));
      expect(performance.now() - began).toBeLessThan(10_000);
      expect(values.every((value, caller) => value === `row ${caller % 2_000}`)).toBe(true);
      expect(loads).toBe(2_000);
    } finally {
      await client.close();
      await proxy.stop();
    }
  });

  runProxied("redis() by ioredis", TCP_FAULTS, () => guarded.port, ioRedis, { secrets });
  runProxied("upstash()", HTTP_FAULTS, () => Number(new URL(bridge.url).port), overHttp, { secrets });
  runFetched("upstash()", () => Number(new URL(bridge.url).port), overHttp, { secrets });
});
