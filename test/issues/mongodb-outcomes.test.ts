/**
 * `mongodb().write` told the outcomes of a batch by the places of the documents that were made. FerretDB 1.x counts those
 * among the made ones, MongoDB among the batch: behind a refused entry, one that was stored was told to be refused, and the
 * refused one to be stored.
 *
 * @module
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { mongodb } from "../../adapters/mongodb.ts";
import { startMongo, type MongoServer } from "../servers/ferretdb.ts";
import { isLeftOut } from "../servers/process.ts";

describe.skipIf(isLeftOut("ferretdb"))("the outcomes of a batch on MongoDB", () => {
  let server: MongoServer;
  const signal = new AbortController().signal;
  const entry = (key: string, byte: number) => ({ key, bytes: new Uint8Array(9).fill(byte), ttlMs: null, ifStamp: null });

  beforeAll(async () => {
    server = await startMongo();
  }, 300_000);
  afterAll(async () => {
    await server.stop();
  });

  test("are those of their own entries, whether what was refused stands before or after what was made", async () => {
    const storage = mongodb({ collection: server.client.db("cacheme").collection("outcomes") });
    expect(await storage.write([entry("standing", 1)], signal)).toEqual([true]);
    const keys = ["first", "standing", "second", "standing", "third"];
    expect(
      await storage.write(
        keys.map((key) => entry(key, 2)),
        signal,
      ),
    ).toEqual([true, false, true, false, true]);
    expect(
      await storage.write(
        ["standing", "fourth", "fourth"].map((key, index) => entry(key, 3 + index)),
        signal,
      ),
    ).toEqual([false, true, false]);
    const { slots } = await storage.read(["first", "standing", "second", "third", "fourth"], [], signal);
    expect(slots.map((slot) => slot?.bytes[0])).toEqual([2, 1, 2, 2, 4]);
  });

  test("are told alike where the server counts the places of what was made in its own way", async () => {
    // What MongoDB answers and what FerretDB does; only one of the two runs here.
    const made = (upsertedIds: Record<number, string>) => {
      const bulkWrite = async () => ({ matchedCount: 1, upsertedIds });
      return mongodb({ collection: { find: () => ({ toArray: async () => [] }), bulkWrite, deleteMany: async () => ({ deletedCount: 0 }) } });
    };
    for (const upsertedIds of [{ 2: "new" }, { 0: "new" }]) {
      expect(await made(upsertedIds).write([entry("standing", 1), entry("new", 1)], signal)).toEqual([false, true]);
    }
  });
});
