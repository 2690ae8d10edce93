import { randomUUID } from "node:crypto";
import type { Collection } from "mongodb";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { mongoDataApi } from "../../adapters/mongo-data-api.ts";
import { mongodb } from "../../adapters/mongodb.ts";
import type { Storage, WriteEntry } from "../../src/storage.ts";
import { startMongo, type MongoServer } from "../servers/ferretdb.ts";
import { startMongoDataApi, type MongoDataApi } from "../servers/mongo-data-api.ts";
import { isLeftOut } from "../servers/process.ts";
import { runHttpChecks } from "./http-checks.ts";
import { foreignDocuments, plantText, type Keyed } from "./mongo-kit.ts";
import { runContract } from "./run-contract.ts";

let server: MongoServer | undefined;
let api: MongoDataApi | undefined;
const signal = new AbortController().signal;

beforeAll(async () => {
  if (isLeftOut("ferretdb")) return;
  server = await startMongo();
  api = await startMongoDataApi({ client: server.client });
}, 300_000);

afterAll(async () => {
  await api?.stop();
  await server?.stop();
});

function collectionOf(name: string): Collection<Keyed> {
  if (server === undefined) throw new Error("the server did not start");
  return server.client.db("cacheme").collection<Keyed>(name);
}

function servedBy(): MongoDataApi {
  if (api === undefined) throw new Error("the server did not start");
  return api;
}

function storageOn(name: string): Storage {
  return mongoDataApi(servedBy().optionsFor(name));
}

/** The verbs that were asked for since this was asked last. */
function requested(): string[] {
  return servedBy()
    .requests.splice(0)
    .map(({ path }) => path.slice(path.lastIndexOf("/") + 1));
}

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

describe.skipIf(isLeftOut("ferretdb"))("mongoDataApi() through mongoDataApiServer() on a real server", () => {
  // No document refuses a write on no terms, so the clause about a key of another type has no subject; its own test is below.
  runContract("mongo-data-api", ["plantForeign"], () => {
    const name = randomUUID();
    return {
      storage: storageOn(name),
      unique: randomUUID(),
      pass: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
      plantText: (key, text) => plantText(collectionOf(name), key, text),
    };
  });

  runHttpChecks("mongoDataApi()", () => ({ storage: storageOn("gated"), gate: servedBy() }));

  test("a document that somebody else put there is absent, and gives way to a write", async () => {
    const storage = storageOn("foreign");
    for (const ifStamp of [undefined, null]) {
      const foreign = foreignDocuments().map((fields, index) => ({ _id: `foreign ${index} ${ifStamp}`, ...fields }));
      await collectionOf("foreign").insertMany(foreign);
      const keys = foreign.map(({ _id: key }) => key);
      expect((await storage.read(keys, [], signal)).slots).toEqual(keys.map(() => undefined));
      const entries = keys.map((key): WriteEntry => ({ key, bytes: bytes("a new value"), ttlMs: null, ifStamp }));
      expect(await storage.write(entries, signal)).toEqual(keys.map(() => true));
      expect((await storage.read(keys, [], signal)).slots.map((slot) => slot?.bytes)).toEqual(keys.map(() => bytes("a new value")));
    }
  });

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
    requested();
    await storage.read(keys, ["\u0001g"], signal);
    expect(requested()).toEqual(["find"]);
    await storage.remove(keys, signal);
    expect(requested()).toEqual(["deleteMany"]);
    const entry = { bytes: bytes("stamp--1"), ttlMs: null };
    await storage.write(
      [
        { key: "a", ...entry },
        { key: "b", ...entry, ifStamp: null },
        { key: "b2", ...entry, ifStamp: bytes("stamp--0") },
      ],
      signal,
    );
    expect(requested()).toEqual(["updateOne", "updateOne", "updateOne"]);
    await storage.write([{ key: "a", ...entry, ifStamp: null }], signal);
    expect(requested()).toEqual(["updateOne", "updateOne"]);
    await storage.ensure?.(["\u0001g"], signal);
    expect(requested()).toEqual(["updateOne", "find"]);
    await storage.raise(["\u0001g"], signal);
    expect(requested()).toEqual(["updateOne", "updateOne", "updateOne", "updateOne"]);
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
    const options = servedBy().optionsFor("guarded");
    const wrongKey = mongoDataApi({ ...options, apiKey: "another-key-that-is-wrong" });
    await expect(wrongKey.read(["k"], [], signal)).rejects.toMatchObject({ message: "find was answered with 401 (InvalidKey)", code: "InvalidKey" });
    await expect(mongoDataApi({ ...options, collection: "users" }).read(["k"], [], signal)).rejects.toThrow("find was answered with 400 (InvalidNamespace)");
    await expect(mongoDataApi({ ...options, endpoint: `${servedBy().url}/none` }).read(["k"], [], signal)).rejects.toThrow("find was answered with 404");
  });

  test("the server met no error of the database in all this", () => {
    expect(servedBy().errors).toEqual([]);
  });
});

describe("mongoDataApi() without a server", () => {
  const good = { endpoint: "https://data.example.com/v1", apiKey: "a-secret-key", dataSource: "main", database: "app", collection: "cache" };
  const wrong: readonly [change: object, sentence: string][] = [
    [{ endpoint: "ftp://data.example.com" }, "mongoDataApi: endpoint must be like https://data.example.com/v1, got one with ftp:"],
    [{ endpoint: "https://user:a-secret@data.example.com" }, "mongoDataApi: endpoint must have no user name, password, query or fragment"],
    [{ endpoint: undefined }, "got undefined"],
    [{ apiKey: "" }, "mongoDataApi: apiKey must be text without blanks, got an empty one"],
    [{ apiKey: "a secret" }, "mongoDataApi: apiKey must be text without blanks, got other text"],
    [{ apiKey: undefined }, "mongoDataApi: either apiKey or headers must be given, got neither"],
    [{ headers: {} }, "mongoDataApi: either apiKey or headers must be given, got both"],
    [{ apiKey: undefined, headers: { authorization: "a\nsecret" } }, 'got another value for "authorization"'],
    [{ dataSource: "" }, "mongoDataApi: dataSource must be a name, got an empty one"],
    [{ database: 7 }, "mongoDataApi: database must be a name, got number"],
    [{ collection: undefined }, "mongoDataApi: collection must be a name, got undefined"],
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
