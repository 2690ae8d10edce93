import { randomUUID } from "node:crypto";
import { createServer, type IncomingMessage, type Server } from "node:http";
import type { Collection } from "mongodb";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { mongoDataApiServer } from "../../adapters/mongo-data-api-server.ts";
import { mongoDataApi } from "../../adapters/mongo-data-api.ts";
import { mongodb } from "../../adapters/mongodb.ts";
import type { Storage } from "../../src/storage.ts";
import { startMongo, type MongoServer } from "../servers/ferretdb.ts";
import { isLeftOut, listen } from "../servers/process.ts";
import { runContract } from "./run-contract.ts";

interface Document {
  readonly _id: string;
}

const apiKey = "a-key-of-the-tests-0123456789";
const signal = new AbortController().signal;
const handlers = new Map<string, (request: Request) => Promise<Response>>();
const errors: unknown[] = [];
let requests: string[] = [];
let server: MongoServer | undefined;
let bridge: Server | undefined;
let origin = "";

beforeAll(async () => {
  if (isLeftOut("ferretdb")) return;
  server = await startMongo();
  bridge = createServer((incoming, outgoing) => {
    void serve(incoming).then(async (response) => {
      outgoing.writeHead(response.status, { "content-type": response.headers.get("content-type") ?? "" });
      outgoing.end(new Uint8Array(await response.arrayBuffer()));
    });
  });
  origin = `http://127.0.0.1:${await listen(bridge)}`;
}, 300_000);

beforeEach(() => {
  requests = [];
});

afterAll(async () => {
  bridge?.closeAllConnections();
  bridge?.close();
  await server?.stop();
});

async function serve(incoming: IncomingMessage): Promise<Response> {
  const path = incoming.url ?? "/";
  requests.push(path.slice(path.lastIndexOf("/") + 1));
  const chunks: Uint8Array[] = [];
  for await (const chunk of incoming) if (chunk instanceof Uint8Array) chunks.push(chunk);
  const headers = Object.entries(incoming.headers).map(([name, value]): [string, string] => [name, String(value)]);
  const handler = handlers.get(path.split("/")[1] ?? "");
  return handler?.(new Request(origin + path, { method: "POST", headers, body: Buffer.concat(chunks) })) ?? new Response(null, { status: 404 });
}

function collectionOf(name: string): Collection<Document> {
  if (server === undefined) throw new Error("the server did not start");
  return server.client.db("cacheme").collection<Document>(name);
}

/** A storage and its handler on a collection of their own. */
function storageOn(name: string): Storage {
  const collection = collectionOf(name);
  handlers.set(name, mongoDataApiServer({ collection, dataSource: "main", apiKey, onError: (error) => errors.push(error) }));
  return mongoDataApi({ endpoint: `${origin}/${name}`, apiKey, dataSource: "main", database: "cacheme", collection: name });
}

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

describe.skipIf(isLeftOut("ferretdb"))("mongoDataApi() through mongoDataApiServer() on a real server", () => {
  runContract("mongo-data-api", ["plantForeign", "plantText"], () => ({
    storage: storageOn(randomUUID()),
    unique: randomUUID(),
    pass: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
  }));

  test("shares a collection with mongodb(): slots, stamps and generations", async () => {
    const http = storageOn("shared");
    const socket = mongodb({ collection: collectionOf("shared") });
    for (const [writer, reader] of [
      [http, socket],
      [socket, http],
    ] as const) {
      const generation = `\u0001${writer.name}`;
      const made = await writer.ensure?.([generation], signal);
      const entries = Array.from({ length: 20 }, (_, length) => ({
        key: `${writer.name}:${length}`,
        bytes: Uint8Array.from({ length }, (_item, index) => (index * 37 + length) & 0xff),
        ttlMs: 60_000,
        ifStamp: null,
      }));
      expect(new Set(await writer.write(entries, signal))).toEqual(new Set([true]));
      const keys = entries.map(({ key }) => key);
      const read = await reader.read(keys, [generation], signal);
      expect(read.slots.map((slot) => slot?.bytes)).toEqual(entries.map((entry) => entry.bytes));
      expect(read.generations).toEqual(made);
      const again = entries.map((entry) => ({ ...entry, ifStamp: entry.bytes.subarray(0, 8) }));
      expect(new Set(await reader.write(again, signal))).toEqual(new Set([true]));
    }
  });

  test("takes the requests that it states: one to read or remove many, one to write each", async () => {
    const storage = storageOn("counted");
    const keys = Array.from({ length: 500 }, (_, index) => `k${index}`);
    await storage.read(keys, ["\u0001g"], signal);
    expect(requests.splice(0)).toEqual(["find"]);
    await storage.remove(keys, signal);
    expect(requests.splice(0)).toEqual(["deleteMany"]);
    const entry = { bytes: bytes("stamp--1"), ttlMs: null };
    await storage.write(
      [
        { key: "a", ...entry },
        { key: "b", ...entry, ifStamp: null },
        { key: "b2", ...entry, ifStamp: bytes("stamp--0") },
      ],
      signal,
    );
    expect(requests.splice(0)).toEqual(["updateOne", "updateOne", "updateOne"]);
    await storage.write([{ key: "a", ...entry, ifStamp: null }], signal);
    expect(requests.splice(0)).toEqual(["updateOne", "updateOne"]);
    await storage.ensure?.(["\u0001g"], signal);
    expect(requests.splice(0)).toEqual(["updateOne", "find"]);
    await storage.raise(["\u0001g"], signal);
    expect(requests.splice(0)).toEqual(["updateOne", "updateOne", "updateOne", "updateOne"]);
  });

  test("a generation that is no number is made anew", async () => {
    const storage = storageOn("healed");
    await collectionOf("healed").insertOne(Object.assign({ _id: "\u0001g" }, { g: "text" }));
    expect((await storage.read([], ["\u0001g"], signal)).generations).toEqual([undefined]);
    const made = await storage.ensure?.(["\u0001g"], signal);
    expect(made?.[0]).toBeGreaterThan(0);
    expect((await storage.read([], ["\u0001g"], signal)).generations).toEqual(made);
  });

  test("a value as large as the storage says goes through the server's default limit", async () => {
    const storage = storageOn("large");
    const large = new Uint8Array(storage.traits.maxValueBytes ?? 0).fill(0xa5);
    expect(await storage.write([{ key: "k".repeat(16_384), bytes: large, ttlMs: null }], signal)).toEqual([true]);
    expect(Buffer.compare((await storage.read(["k".repeat(16_384)], [], signal)).slots[0]?.bytes ?? new Uint8Array(), large)).toBe(0);
  });

  test("a wrong key and another collection are errors with a code and no secret", async () => {
    storageOn("guarded");
    const options = { endpoint: `${origin}/guarded`, apiKey, dataSource: "main", database: "cacheme", collection: "guarded" };
    const wrongKey = mongoDataApi({ ...options, apiKey: "another-key-that-is-wrong" });
    await expect(wrongKey.read(["k"], [], signal)).rejects.toMatchObject({ message: "find was answered with 401 (InvalidKey)", code: "InvalidKey" });
    await expect(mongoDataApi({ ...options, collection: "users" }).read(["k"], [], signal)).rejects.toThrow("find was answered with 400 (InvalidNamespace)");
    await expect(mongoDataApi({ ...options, endpoint: `${origin}/none` }).read(["k"], [], signal)).rejects.toThrow("find was answered with 404");
  });

  test("ends its request when the signal is aborted", async () => {
    const name = "aborted";
    const storage = storageOn(name);
    handlers.set(name, () => new Promise(() => undefined));
    const controller = new AbortController();
    const read = storage.read(["k"], [], controller.signal);
    controller.abort(new Error("out of time"));
    await expect(read).rejects.toThrow("out of time");
  });

  test("the server met no error of the database in all this", () => {
    expect(errors).toEqual([]);
  });
});

describe("mongoDataApi() without a server", () => {
  const good = { endpoint: "https://data.example.com/v1", apiKey: "a-secret-key", dataSource: "main", database: "app", collection: "cache" };
  const wrong: readonly [change: object, sentence: string][] = [
    [{ endpoint: "ftp://data.example.com" }, "endpoint must be an http(s) URL without user name, password, query, fragment or blanks, got other text"],
    [{ endpoint: "https://user:a-secret@data.example.com" }, "endpoint must be an http(s) URL"],
    [{ endpoint: undefined }, "got undefined"],
    [{ apiKey: "" }, "apiKey must be text without blanks, got an empty one"],
    [{ apiKey: "a secret" }, "apiKey must be text without blanks, got other text"],
    [{ apiKey: undefined }, "either apiKey or headers must be given, got neither"],
    [{ headers: {} }, "either apiKey or headers must be given, got both"],
    [{ apiKey: undefined, headers: { authorization: "a\nsecret" } }, 'got another value for "authorization"'],
    [{ dataSource: "" }, "dataSource must be a name, got an empty one"],
    [{ database: 7 }, "database must be a name, got number"],
    [{ collection: undefined }, "collection must be a name, got undefined"],
  ];
  for (const [change, sentence] of wrong) {
    test(`refuses ${JSON.stringify(change)} without a secret in the error`, () => {
      const make = (): unknown => Reflect.apply(mongoDataApi, undefined, [{ ...good, ...change }]);
      expect(make).toThrow(TypeError);
      expect(make).toThrow(sentence);
      expect(make).not.toThrow(/secret/);
    });
  }
});
