import { randomUUID } from "node:crypto";
import type { Collection } from "mongodb";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { mongodb, ttlIndex, type MongoCollection } from "../../adapters/mongodb.ts";
import { createCache, defineNode, type CacheEvent } from "../../src/index.ts";
import type { WriteEntry } from "../../src/storage.ts";
import type { ContractSubject } from "../../testing/index.ts";
import { startMongo, type MongoServer } from "../servers/ferretdb.ts";
import { isLeftOut } from "../servers/process.ts";
import { FOREVER, foreignDocuments, plantText, type Keyed } from "./mongo-kit.ts";
import { runContract } from "./run-contract.ts";

let server: MongoServer | undefined;
let calls: string[] = [];
const signal = new AbortController().signal;

beforeAll(async () => {
  if (!isLeftOut("ferretdb")) server = await startMongo();
}, 300_000);

afterAll(async () => {
  await server?.stop();
});

function collectionOf(name: string): Collection<Keyed> {
  if (server === undefined) throw new Error("the server did not start");
  return server.client.db("cacheme").collection<Keyed>(name);
}

function subjectOn(collection: Collection<Keyed>): ContractSubject {
  return {
    storage: mongodb({ collection }),
    unique: randomUUID(),
    pass: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
    plantText: (key, text) => plantText(collection, key, text),
  };
}

/** The same collection, with every call to the server counted. */
function counted(collection: Collection<Keyed>): MongoCollection {
  return new Proxy(collection, {
    get(target, name) {
      const member: unknown = Reflect.get(target, name);
      if (typeof member !== "function") return member;
      return (...args: unknown[]): unknown => {
        calls.push(String(name));
        return Reflect.apply(member, target, args);
      };
    },
  });
}

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

describe.skipIf(isLeftOut("ferretdb"))("mongodb() on a real server", () => {
  // A collection for each case: FerretDB reads all of a collection for a filter that names more than the id.
  // No document refuses a write on no terms, so the clause about a key of another type has no subject; its own test is below.
  runContract("mongodb", ["plantForeign"], () => subjectOn(collectionOf(randomUUID())));

  runContract("mongodb with a client that promotes nothing", ["plantForeign"], () => {
    if (server === undefined) throw new Error("the server did not start");
    const database = server.client.db("cacheme", { promoteValues: false, promoteLongs: false });
    return subjectOn(database.collection<Keyed>(randomUUID(), { promoteBuffers: true, readPreference: "nearest" }));
  });

  test("a call is one round trip, and two only where some of a batch were refused, where a generation is made and to prune", async () => {
    const storage = mongodb({ collection: counted(collectionOf("counted")) });
    const keys = Array.from({ length: 500 }, (_, index) => `k${index}`);
    const names = ["\u0001a", "\u0001b"];
    calls = [];
    await storage.write(
      keys.map((key) => ({ key, bytes: bytes("stamp--1 "), ttlMs: null })),
      signal,
    );
    expect(calls.splice(0)).toEqual(["bulkWrite"]);
    expect((await storage.read(keys, names, signal)).slots.filter(Boolean)).toHaveLength(500);
    expect(calls.splice(0)).toEqual(["find"]);
    await storage.write([{ key: "k1", bytes: bytes("stamp--2"), ttlMs: null, ifStamp: bytes("stamp--1") }], signal);
    await storage.write([{ key: "k2", bytes: bytes("stamp--2"), ttlMs: null, ifStamp: bytes("stamp--0") }], signal);
    expect(calls.splice(0)).toEqual(["bulkWrite", "bulkWrite"]);
    const two: WriteEntry[] = ["k3", "k1"].map((key) => ({ key, bytes: bytes("stamp--4"), ttlMs: null, ifStamp: bytes("stamp--1") }));
    expect(await storage.write(two, signal)).toEqual([true, false]);
    expect(calls.splice(0)).toEqual(["bulkWrite", "find"]);
    await storage.ensure?.(names, signal);
    expect(calls.splice(0)).toEqual(["bulkWrite", "find"]);
    await storage.raise(names, signal);
    expect(calls.splice(0)).toEqual(["bulkWrite"]);
    await storage.remove(keys, signal);
    expect(calls.splice(0)).toEqual(["deleteMany"]);
    await storage.read([], [], signal);
    await storage.write([], signal);
    await storage.remove([], signal);
    await storage.raise([], signal);
    await storage.ensure?.([], signal);
    expect(calls).toEqual([]);
  });

  test("a document that somebody else put there is absent, harms no other key of its batch, and gives way to a write", async () => {
    const collection = collectionOf("foreign");
    const storage = mongodb({ collection });
    for (const ifStamp of [undefined, null, bytes("stamp--1")]) {
      const foreign = foreignDocuments().map((fields, index) => ({ _id: `foreign ${index} ${ifStamp}`, ...fields }));
      await collection.insertMany(foreign);
      const keys = foreign.flatMap(({ _id: key }) => [`before ${key}`, key, `after ${key}`]);
      const holds = async (): Promise<boolean[]> => (await storage.read(keys, [], signal)).slots.map((slot) => slot !== undefined);
      expect(await holds()).toEqual(keys.map(() => false));
      const entries = keys.map((key): WriteEntry => ({ key, bytes: bytes("a new value"), ttlMs: null, ifStamp: key.startsWith("foreign") ? ifStamp : null }));
      const stored = keys.map((key) => !key.startsWith("foreign") || ifStamp === undefined || ifStamp === null);
      expect(await storage.write(entries, signal)).toEqual(stored);
      expect(await holds()).toEqual(stored);
    }
  });

  test("without its index a collection serves as ever: no event, expired slots invisible, and pruned when asked", async () => {
    const collection = collectionOf("no-index");
    const mongo = mongodb({ collection });
    const events: CacheEvent[] = [];
    const Item = defineNode({ name: "mongo-no-index", key: (id: string) => id, load: (id) => `value ${id}`, caches: [{ storage: "mongo", ttl: "1m" }] });
    const cache = createCache({ storages: { mongo }, onEvent: (event) => events.push(event) });
    expect(await cache.get(Item("a"))).toBe("value a");
    await cache.flush();
    expect((await collection.indexes()).map(({ name }) => name)).toEqual(["_id_"]);
    await mongo.write([{ key: "expired", bytes: bytes("a slot"), ttlMs: 1 }], signal);
    await expect.poll(async () => (await mongo.read(["expired"], [], signal)).slots).toEqual([undefined]);
    expect(await collection.countDocuments({ _id: "expired" })).toBe(1);
    expect(await cache.prune(10)).toBe(1);
    expect(await collection.countDocuments({ _id: "expired" })).toBe(0);
    expect(events).toEqual([]);
  });

  test("a generation that is no number is missing, and made anew", async () => {
    const collection = collectionOf("generations");
    const storage = mongodb({ collection });
    const exp = FOREVER;
    const foreign: object[] = [{}, { g: "12", exp }, { g: 0, exp }, { g: -5, exp }, { g: 2 ** 53, exp }, { g: 12 }];
    // FerretDB hangs up on numbers that are none.
    if (server?.kind === "mongod") foreign.push({ g: Number.NaN, exp }, { g: Infinity, exp });
    for (const [index, fields] of foreign.entries()) {
      for (const make of ["ensure", "raise"]) {
        const name = `\u0001${make} ${index}`;
        await collection.insertOne({ _id: name, ...fields });
        expect((await storage.read([], [name], signal)).generations).toEqual([undefined]);
        if (make === "raise") await storage.raise([name], signal);
        const made = await storage.ensure?.([name], signal);
        expect(made?.[0]).toBeGreaterThan(Date.now() * 1000 - 60_000_000);
        expect((await storage.read([], [name], signal)).generations).toEqual(made);
      }
    }
  });

  test("a raise under a clock that is behind still gives a higher number", async () => {
    const collection = collectionOf("clock");
    const storage = mongodb({ collection });
    const ahead = (Date.now() + 3_600_000) * 1000;
    await collection.insertOne(Object.assign({ _id: "\u0001g" }, { g: ahead, exp: FOREVER }));
    await storage.raise(["\u0001g"], signal);
    expect((await storage.read([], ["\u0001g"], signal)).generations).toEqual([ahead + 1]);
  });

  test("prune deletes expired slots up to its limit, and nothing else", async () => {
    const collection = collectionOf("pruned");
    const storage = mongodb({ collection });
    const write = (key: string, ttlMs: number | null): WriteEntry => ({ key, bytes: bytes("a slot"), ttlMs });
    await storage.write([write("1", 1), write("2", 1), write("3", 1), write("hour", 3_600_000), write("ever", null)], signal);
    await storage.ensure?.(["\u0001g"], signal);
    await expect.poll(async () => (await storage.read(["1", "2", "3"], [], signal)).slots.some(Boolean)).toBe(false);
    expect([await storage.prune?.(2, signal), await storage.prune?.(2, signal), await storage.prune?.(2, signal)]).toEqual([2, 1, 0]);
    expect(await collection.countDocuments()).toBe(3);
  });

  test("the TTL index is one that MongoDB takes; FerretDB says that it has none", async () => {
    const made = collectionOf("indexed").createIndex(ttlIndex.key, ttlIndex.options);
    if (server?.kind === "mongod") expect(await made).toBe("cacheme_exp");
    else await expect(made).rejects.toThrow(/expireAfterSeconds.*not implemented/);
  });
});

describe("mongodb() without a server", () => {
  test("refuses what is no collection and says what is missing", () => {
    for (const [collection, got] of [
      [undefined, "undefined without find()"],
      [null, "got null"],
      ["cache", "string without find()"],
      [{ find: () => undefined }, "object without bulkWrite()"],
    ] as const) {
      expect(() => Reflect.apply(mongodb, undefined, [{ collection }])).toThrow(TypeError);
      expect(() => Reflect.apply(mongodb, undefined, [{ collection }])).toThrow(got);
    }
  });

  test("passes on what the driver threw", async () => {
    const failure = new Error("no primary");
    const storage = mongodb({
      collection: {
        find: () => ({ toArray: () => Promise.reject(failure) }),
        bulkWrite: () => Promise.reject(failure),
        deleteMany: () => Promise.reject(failure),
      },
    });
    await expect(storage.read(["k"], [], signal)).rejects.toBe(failure);
    await expect(storage.write([{ key: "k", bytes: bytes("v"), ttlMs: null }], signal)).rejects.toBe(failure);
    await expect(storage.remove(["k"], signal)).rejects.toBe(failure);
    await expect(storage.raise(["\u0001g"], signal)).rejects.toBe(failure);
    await expect(storage.ensure?.(["\u0001g"], signal)).rejects.toBe(failure);
    await expect(storage.prune?.(1, signal)).rejects.toBe(failure);
  });
});
