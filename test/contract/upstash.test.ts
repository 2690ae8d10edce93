import { randomUUID } from "node:crypto";
import { Redis as UpstashRedis } from "@upstash/redis";
import { Redis } from "ioredis";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { redis } from "../../adapters/redis.ts";
import { upstash } from "../../adapters/upstash.ts";
import type { Storage, WriteEntry } from "../../src/storage.ts";
import type { ContractSubject } from "../../testing/index.ts";
import { isLeftOut } from "../servers/process.ts";
import { startRedis, type RedisServer } from "../servers/redis.ts";
import { startUpstashBridge, type UpstashBridge } from "../servers/upstash-bridge.ts";
import { startIndependentUpstash, type IndependentUpstash } from "../servers/upstash-independent.ts";
import { runContract } from "./run-contract.ts";

let server: RedisServer | undefined;
let bridge: UpstashBridge | undefined;
let independent: IndependentUpstash | undefined;
let tcp: Redis | undefined;
let storages: Readonly<Record<"own" | "given" | "tcp" | "independent", Storage>> | undefined;
const signal = new AbortController().signal;

beforeAll(async () => {
  if (isLeftOut("redis")) return;
  server = await startRedis();
  bridge = await startUpstashBridge({ redisPort: server.port });
  independent = await startIndependentUpstash({ redisUrl: server.url });
  tcp = new Redis(server.url);
  const { url, token } = bridge;
  const client = new UpstashRedis({ url, token, enableAutoPipelining: false, automaticDeserialization: false, responseEncoding: false, retry: { retries: 0 } });
  storages = {
    own: upstash({ url, token }),
    given: upstash({ client }),
    tcp: redis({ client: tcp, encoding: "base64" }),
    independent: upstash({ url: independent.url, token: independent.token }),
  };
});

afterAll(async () => {
  tcp?.disconnect();
  await bridge?.stop();
  await independent?.stop();
  await server?.stop();
});

function storageOf(name: "own" | "given" | "tcp" | "independent"): Storage {
  if (storages === undefined) throw new Error("the servers did not start");
  return storages[name];
}

function subject(name: "own" | "given" | "independent"): ContractSubject {
  return {
    storage: storageOf(name),
    unique: randomUUID(),
    pass: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
    async plantForeign(key) {
      await server?.command("RPUSH", key, "an item");
    },
    async plantText(key, text) {
      await server?.command("SET", key, text);
    },
  };
}

describe.skipIf(isLeftOut("redis"))("upstash()", () => {
  runContract("upstash by url and token", [], () => subject("own"));
  runContract("upstash by a client of the default entry", [], () => subject("given"));
  runContract("upstash through a server that somebody else wrote", [], () => subject("independent"));

  test("a server whose scripts were flushed is given them again, through either server", async () => {
    for (const name of ["own", "independent"] as const) {
      await server?.command("SCRIPT", "FLUSH");
      const entry = { key: randomUUID(), bytes: Uint8Array.of(1), ttlMs: 60_000, ifStamp: null };
      expect(await storageOf(name).write([entry], signal)).toEqual([true]);
    }
  });

  test("shares a database with redis() in base64: slots, stamps and generations", async () => {
    const http = storageOf("own");
    const socket = storageOf("tcp");
    const unique = randomUUID();
    for (const [writer, reader] of [
      [http, socket],
      [socket, http],
    ] as const) {
      const generation = `\u0001${unique}${writer.name}`;
      const made = await writer.ensure?.([generation], signal);
      const entries: WriteEntry[] = Array.from({ length: 50 }, (_, length) => ({
        key: `${unique}:${writer.name}:${length}`,
        bytes: Uint8Array.from({ length }, (_item, index) => (index * 37 + length) & 0xff),
        ttlMs: 60_000,
        ifStamp: null,
      }));
      expect(new Set(await writer.write(entries, signal))).toEqual(new Set([true]));
      const read = await reader.read(
        entries.map(({ key }) => key),
        [generation],
        signal,
      );
      expect(read.slots.map((slot) => slot?.bytes)).toEqual(entries.map(({ bytes }) => bytes));
      expect(read.generations).toEqual(made);
      const again = entries.map((entry) => ({ ...entry, ifStamp: entry.bytes.subarray(0, 8) }));
      expect(new Set(await reader.write(again, signal))).toEqual(new Set([true]));
    }
  });
});
