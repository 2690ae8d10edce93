/**
 * MongoDB, its Data API, Workers KV and the two sinks of statistics when user or server are at fault: wrong credentials, a client
 * that is closed, a place that there is not, an address that speaks another protocol, a binding that is gone.
 *
 * @module
 */
import { MongoClient } from "mongodb";
import { createServer, type Server } from "node:http";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { kv } from "../../adapters/kv.ts";
import { mongoDataApiServer } from "../../adapters/mongo-data-api-server.ts";
import { mongoDataApi } from "../../adapters/mongo-data-api.ts";
import { mongodb } from "../../adapters/mongodb.ts";
import { analyticsEngineStats } from "../../adapters/stats-analytics-engine.ts";
import { kvStats, type StatsKvNamespace } from "../../adapters/stats-kv.ts";
import type { StatsSink } from "../../src/stats-batch.ts";
import type { Storage } from "../../src/storage.ts";
import { startMongo, type MongoServer } from "../servers/ferretdb.ts";
import { startKv, type KvServer } from "../servers/kv.ts";
import { isLeftOut, listen } from "../servers/process.ts";
import { counted, rig } from "../support/rig.ts";
import { expectNoSecret, expectTrouble, SECRET } from "./misfortune.ts";

const { token, password, user, host, key } = SECRET;
const API_KEY = `${token}-of-the-api`;
const place = { dataSource: "main", database: "app", collection: "cache" };

describe.skipIf(isLeftOut("ferretdb"))("MongoDB", () => {
  let server: MongoServer;
  let bridge: Server;
  let endpoint: string;
  const heard: unknown[] = [];

  beforeAll(async () => {
    server = await startMongo();
    const collection = server.client.db(place.database).collection(place.collection);
    // A second one whose client is closed: the handler's database is gone while it goes on serving.
    const closed = new MongoClient(server.url, { maxPoolSize: 1 });
    await closed.connect();
    const options = { dataSource: "main", apiKey: API_KEY, onError: (error: unknown) => void heard.push(error) };
    const handlers = {
      open: mongoDataApiServer({ ...options, collection }),
      closed: mongoDataApiServer({ ...options, collection: closed.db(place.database).collection(place.collection) }),
    };
    await closed.close();
    bridge = createServer((incoming, outgoing) => {
      const chunks: Buffer[] = [];
      incoming.on("data", (chunk: Buffer) => void chunks.push(chunk));
      incoming.on("end", () => {
        const headers = Object.entries(incoming.headers).map(([name, value]): [string, string] => [name, String(value)]);
        const request = new Request(`http://127.0.0.1${incoming.url}`, { method: "POST", headers, body: Buffer.concat(chunks) });
        void handlers[incoming.url?.startsWith("/closed") ? "closed" : "open"](request).then(async (response) => {
          outgoing.writeHead(response.status, { "content-type": response.headers.get("content-type") ?? "" });
          outgoing.end(await response.text());
        });
      });
    });
    endpoint = `http://127.0.0.1:${await listen(bridge)}`;
  }, 300_000);
  afterAll(async () => {
    bridge?.closeAllConnections();
    bridge?.close();
    await server?.stop();
  });

  function storageOn(client: MongoClient): Storage {
    return mongodb({ collection: client.db(place.database).collection(place.collection) });
  }

  test("mongodb() with a client that was closed says so", async () => {
    const client = new MongoClient(server.url, { maxPoolSize: 1, retryWrites: false, retryReads: false });
    await client.connect();
    await client.close();
    await expectTrouble(storageOn(client), { words: /MongoNotConnectedError: .*give the cache an open one/, reason: "closed" });
  });

  test("mongodb() with a password that is not taken says so", async () => {
    const url = new URL(server.url);
    url.username = user;
    url.password = password;
    const client = new MongoClient(url.href, { maxPoolSize: 1, retryWrites: false, retryReads: false, serverSelectionTimeoutMS: 1_000 });
    await expectTrouble(storageOn(client), { words: / 18: .*check user, password or token/, reason: "credentials" });
    await client.close();
  });

  test("mongoDataApi() with a wrong key says so", async () => {
    await expectTrouble(mongoDataApi({ ...place, endpoint, apiKey: `${token}-wrong` }), {
      words: /401 \(InvalidKey\).*check user, password or token/,
      reason: "credentials",
    });
  });

  test("mongoDataApi() with a wrong token in its headers says so", async () => {
    await expectTrouble(mongoDataApi({ ...place, endpoint, headers: { authorization: `Bearer ${token}` } }), {
      words: /401 \(InvalidKey\)/,
      reason: "credentials",
    });
  });

  test("mongoDataApi() with a collection that is not served says so", async () => {
    await expectTrouble(mongoDataApi({ ...place, collection: `${host}-other`, endpoint, apiKey: API_KEY }), {
      words: /answered with 400 \(InvalidNamespace\)/,
    });
  });

  test("mongoDataApi() with https: where http: is spoken names what went wrong", async () => {
    await expectTrouble(mongoDataApi({ ...place, endpoint: endpoint.replace("http:", "https:"), apiKey: API_KEY }), {
      words: /TypeError ERR_SSL_\w+: fetch failed/,
    });
  });

  test("mongoDataApiServer() whose own database is gone says no more than that, and tells its owner", async () => {
    heard.length = 0;
    await expectTrouble(mongoDataApi({ ...place, endpoint: `${endpoint}/closed`, apiKey: API_KEY }), { words: /answered with 500 \(InternalError\)/ });
    expect(heard.length).toBeGreaterThan(0);
    expect(String(heard[0])).toContain("MongoNotConnectedError");
  });
});

describe("Workers KV in miniflare", () => {
  test("kv() whose binding is gone is reported, and readers have their values", async () => {
    const server: KvServer = await startKv();
    const storage = kv({ namespace: server.namespace });
    await server.stop();
    await expectTrouble(storage, { words: /poisoned stub/ });
  });
});

describe("a sink of statistics", () => {
  /** What is seen of a cache that counts into a sink which refuses. */
  async function expectSink(sink: StatsSink, words: RegExp): Promise<void> {
    const { cache, clock, events, seen } = rig({ stats: { sink, window: "10s" } });
    const Item = counted<string>({ load: (asked) => `${SECRET.value} of ${asked}` });
    for (let window = 0; window < 3; window++) {
      expect(await cache.get(Item(`${key} ${window}`))).toBe(`${SECRET.value} of ${key} ${window}`);
      await clock.advance(10_000);
    }
    // One for each window at most: the batch is kept, and offered again with the next one.
    expect(seen("stats-failed").length).toBeGreaterThan(0);
    expect(seen("stats-failed").length).toBeLessThanOrEqual(3);
    for (const event of seen("stats-failed"))
      expect(event).toMatchObject({ sink: sink.name, error: { code: "ERR_STORAGE_WRITE", message: expect.stringMatching(words) } });
    await cache.flush();
    await cache.close();
    expectNoSecret(events, cache.stats());
  }

  test("kvStats() whose binding is gone is reported once a window, and readers have their values", async () => {
    const server = await startKv();
    const namespace: unknown = server.namespace;
    if (!isStatsKv(namespace)) throw new Error("miniflare gave no KV namespace");
    const sink = kvStats(namespace);
    await server.stop();
    await expectSink(sink, /poisoned stub/);
  });

  test("analyticsEngineStats() on a dataset that refuses is reported once a window, and readers have their values", async () => {
    // There is no local Analytics Engine that checks anything; this is what the platform says of a point too many.
    const dataset = {
      writeDataPoint(): void {
        throw new Error(`too many data points, wrote "${token}"`);
      },
    };
    await expectSink(analyticsEngineStats(dataset), /too many data points/);
  });
});

function isStatsKv(value: unknown): value is StatsKvNamespace {
  return typeof value === "object" && value !== null && "list" in value;
}
