/**
 * Redis over TCP and Upstash over HTTP when user or server are at fault: wrong credentials, missing rights, a store that is full,
 * a client that is closed, an address that speaks another protocol.
 *
 * @module
 */
import { Redis as UpstashRedis } from "@upstash/redis";
import { Redis, type RedisOptions } from "ioredis";
import { createClient } from "redis";
import { afterAll, beforeAll, describe, test } from "vitest";
import { redis } from "../../adapters/redis.ts";
import { upstash } from "../../adapters/upstash.ts";
import { isLeftOut } from "../servers/process.ts";
import { startRedis, type RedisServer } from "../servers/redis.ts";
import { startUpstashBridge, type UpstashBridge } from "../servers/upstash-bridge.ts";
import { expectTrouble, SECRET } from "./misfortune.ts";

const { token, password, user } = SECRET;
const closing: (() => unknown)[] = [];
let locked: RedisServer;
let full: RedisServer;
let bridge: UpstashBridge;

beforeAll(async () => {
  if (isLeftOut("redis")) return;
  [locked, full] = await Promise.all([startRedis({ args: ["--requirepass", password] }), startRedis({ args: ["--maxmemory-policy", "noeviction"] })]);
  const admin = ioredis({ port: locked.port, password });
  await admin.call("ACL", "SETUSER", user, "on", `>${password}`, "~*", "+@connection", "+info");
  // Below what an empty server takes: nothing that needs memory is done any more.
  await full.command("CONFIG", "SET", "maxmemory", "1");
  bridge = await startUpstashBridge({ redisPort: full.port, token });
});

afterAll(async () => {
  for (const close of closing) await close();
  await bridge?.stop();
  await locked?.stop();
  await full?.stop();
});

function ioredis(options: RedisOptions): Redis {
  const client = new Redis({ host: "127.0.0.1", retryStrategy: () => 5, ...options });
  // What the driver says beside its answers is the user's to hear.
  client.on("error", () => undefined);
  closing.push(() => client.disconnect());
  return client;
}

async function nodeRedis(url: string) {
  const client = createClient({ url });
  client.on("error", () => undefined);
  closing.push(() => client.destroy());
  await client.connect();
  return client;
}

describe.skipIf(isLeftOut("redis"))("redis()", () => {
  test("with a wrong password says so", async () => {
    const client = ioredis({ port: locked.port, password: `${password}-wrong` });
    await expectTrouble(redis({ client }), { words: /WRONGPASS .*check user, password or token/, reason: "credentials" });
  });

  test("without a password says so", async () => {
    const client = ioredis({ port: locked.port });
    await expectTrouble(redis({ client }), { words: /NOAUTH .*check user, password or token/, reason: "credentials" });
  });

  test("with a user who may do nothing says so", async () => {
    const client = ioredis({ port: locked.port, username: user, password });
    await expectTrouble(redis({ client }), { words: /NOPERM .*let it read, write and delete/, reason: "rights" });
  });

  test.each(["bytes", "base64"] as const)("on a server that is full and evicts nothing says so (ioredis, %s)", async (encoding) => {
    const client = ioredis({ port: full.port });
    await expectTrouble(redis({ client, encoding }), { words: /OOM .*raise its limit/, reason: "room", succeeds: ["read"] });
  });

  test("on a server that is full and evicts nothing says so (node-redis)", async () => {
    const client = await nodeRedis(full.url);
    await expectTrouble(redis({ client }), { words: /OOM .*raise its limit/, reason: "room", succeeds: ["read"] });
  });

  test("with a client that was closed says so (ioredis)", async () => {
    const client = ioredis({ port: full.port });
    client.disconnect();
    await expectTrouble(redis({ client }), { words: /Connection is closed.*give the cache an open one/, reason: "closed" });
  });

  test("with a client that was closed says so (node-redis)", async () => {
    const client = await nodeRedis(full.url);
    await client.close();
    closing.pop();
    await expectTrouble(redis({ client }), { words: /client is closed.*give the cache an open one/, reason: "closed" });
  });
});

describe.skipIf(isLeftOut("redis"))("upstash()", () => {
  const settings = { enableAutoPipelining: false, automaticDeserialization: false, responseEncoding: false, retry: { retries: 0 } } as const;

  test("with a wrong token says so", async () => {
    await expectTrouble(upstash({ url: bridge.url, token: `${token}-wrong` }), { words: /Unauthorized.*check user, password or token/, reason: "credentials" });
  });

  test("with a client that has a wrong token says so", async () => {
    const client = new UpstashRedis({ url: bridge.url, token: `${token}-wrong`, ...settings });
    await expectTrouble(upstash({ client }), { words: /Unauthorized.*check user, password or token/, reason: "credentials" });
  });

  test("on a database that is full and evicts nothing says so", async () => {
    await expectTrouble(upstash({ url: bridge.url, token }), { words: /OOM .*raise its limit/, reason: "room", succeeds: ["read"] });
  });

  test("with https: where http: is spoken names what went wrong", async () => {
    await expectTrouble(upstash({ url: bridge.url.replace("http:", "https:"), token }), { words: /fetch failed/ });
    await expectTrouble(upstash({ url: bridge.url.replace("http:", "https:"), token }), { words: /ERR_SSL/ });
  });
});
