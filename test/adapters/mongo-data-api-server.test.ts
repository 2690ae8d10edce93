import { describe, expect, test } from "vitest";
import { mongoDataApiServer } from "../../adapters/mongo-data-api-server.ts";

const apiKey = "a-key-of-the-tests-0123456789";
const place = { dataSource: "main", database: "app", collection: "cache" };
const now = { $date: { $numberLong: "1764082800000" } };
const end = { $date: { $numberLong: "253402300799999" } };
const stamp = { $binary: { base64: "AQIDBAUGBwg=", subType: "00" } };
const value = { $binary: { base64: "AQIDBAUGBwgJ", subType: "00" } };
const projection = { v: 1, exp: 1, g: 1 };
const slot = { v: value, s: stamp, exp: end };

/** A collection that writes down what reaches it. */
function stage(failure?: Error): { calls: unknown[][]; errors: unknown[]; serve: (request: Request) => Promise<Response> } {
  const calls: unknown[][] = [];
  const errors: unknown[] = [];
  const reply = async <T>(result: T, ...call: unknown[]): Promise<T> => {
    calls.push(call);
    if (failure) throw failure;
    return result;
  };
  const collection = {
    dbName: "app",
    collectionName: "cache",
    find: (...args: unknown[]) => ({ toArray: () => reply<unknown[]>([{ _id: "k", exp: new Date(5), v: Uint8Array.of(1) }], "find", ...args) }),
    updateOne: (...args: unknown[]) => reply({ matchedCount: 1, modifiedCount: 1, upsertedId: null }, "updateOne", ...args),
    deleteMany: (...args: unknown[]) => reply({ deletedCount: 2 }, "deleteMany", ...args),
  };
  const serve = mongoDataApiServer({ collection, dataSource: "main", apiKey, maxBodyBytes: 4096, onError: (error) => errors.push(error) });
  return { calls, errors, serve };
}

function request(action: string, body: unknown, init: { key?: string; type?: string; method?: string } = {}): Request {
  const { key = apiKey, type = "application/ejson", method = "POST" } = init;
  const text = typeof body === "string" ? body : JSON.stringify(body);
  return new Request(`http://127.0.0.1/v1/action/${action}`, {
    method,
    headers: { apiKey: key, "content-type": type },
    ...(method === "POST" && { body: text }),
  });
}

const find = { ...place, filter: { _id: { $in: ["k"] }, exp: { $gt: now } }, projection, limit: 1 };

describe("mongoDataApiServer()", () => {
  test("serves the storage's requests, built anew", async () => {
    const { calls, serve } = stage();
    const found = await serve(request("find", find));
    expect(await found.json()).toEqual({
      documents: [{ _id: "k", exp: { $date: { $numberLong: "5" } }, v: { $binary: { base64: "AQ==", subType: "00" } } }],
    });
    expect(calls[0]?.slice(0, 2)).toEqual(["find", { _id: { $in: ["k"] }, exp: { $gt: new Date(1_764_082_800_000) } }]);
    const write = { ...place, filter: { _id: "k", s: stamp, exp: { $gt: now } }, update: { $set: slot }, upsert: false };
    expect(await (await serve(request("updateOne", write))).json()).toEqual({ matchedCount: 1, modifiedCount: 1 });
    expect(await (await serve(request("deleteMany", { ...place, filter: { _id: { $in: ["a", "b"] } } }))).json()).toEqual({ deletedCount: 2 });
    expect(calls).toHaveLength(3);
  });

  const id = "k";
  const always = { filter: { _id: id }, update: { $set: slot }, upsert: true };
  const attempts: readonly [name: string, action: string, fields: object][] = [
    ["$where", "find", { ...find, filter: { $where: "sleep(1000)" } }],
    ["$where beside the rest", "find", { ...find, filter: { ...find.filter, $where: "true" } }],
    ["every document", "find", { ...find, filter: {} }],
    ["every id", "find", { ...find, filter: { _id: { $ne: null }, exp: { $gt: now } } }],
    ["a regular expression", "find", { ...find, filter: { _id: { $in: [{ $regularExpression: { pattern: ".*", options: "" } }] }, exp: { $gt: now } } }],
    ["an operator as a time", "find", { ...find, filter: { _id: { $in: [id] }, exp: { $gt: { $date: "never" } } } }],
    ["another field of the document", "find", { ...find, projection: { ...projection, secret: 1 } }],
    ["no projection", "find", { filter: find.filter, limit: 1 }],
    ["another limit", "find", { ...find, limit: 1000 }],
    ["a sort", "find", { ...find, sort: { _id: 1 } }],
    ["no ids", "find", { ...find, filter: { _id: { $in: [] }, exp: { $gt: now } }, limit: 0 }],
    ["an update of any document", "updateOne", { ...always, filter: { _id: { $ne: null } } }],
    ["an update by nothing", "updateOne", { ...always, filter: {} }],
    ["a pipeline as an update", "updateOne", { ...always, update: [{ $set: slot }] }],
    ["another field to set", "updateOne", { ...always, update: { $set: { ...slot, admin: true } } }],
    ["an operator beside $set", "updateOne", { ...always, update: { $set: slot, $rename: { v: "w" } } }],
    ["$unset", "updateOne", { ...always, update: { $unset: { v: "" } } }],
    ["a stamp that is not the value's", "updateOne", { ...always, update: { $set: { ...slot, s: value } } }],
    ["an operator as a stamp", "updateOne", { ...always, filter: { _id: id, s: { $ne: null }, exp: { $gt: now } }, upsert: false }],
    ["$inc of a generation by more than one", "updateOne", { filter: { _id: id }, update: { $inc: { g: 1000 } }, upsert: false }],
    ["an inherited name", "updateOne", { ...always, update: { $set: JSON.parse(`{"__proto__": {"v": 1}, "v": 1, "s": 1}`) } }],
    ["a removal of everything", "deleteMany", { filter: {} }],
    ["a removal by an operator", "deleteMany", { filter: { _id: { $gt: "" } } }],
    ["a removal by more than ids", "deleteMany", { filter: { _id: { $in: [id] }, $where: "1" } }],
  ];
  for (const [name, action, fields] of attempts) {
    test(`refuses ${name} before it reaches the database`, async () => {
      const { calls, errors, serve } = stage();
      const response = await serve(request(action, { ...place, ...fields }));
      expect([response.status, await response.json()]).toEqual([400, { error: "UnsupportedRequest", error_code: "UnsupportedRequest" }]);
      expect([calls, errors]).toEqual([[], []]);
    });
  }

  for (const change of [{ database: "admin" }, { collection: "users" }, { dataSource: "other" }, { database: { $ne: null } }, { collection: undefined }]) {
    test(`refuses the place ${JSON.stringify(change)}`, async () => {
      const { calls, serve } = stage();
      const response = await serve(request("find", { ...find, ...change }));
      expect([response.status, await response.json()]).toMatchObject([400, { error_code: "InvalidNamespace" }]);
      expect(calls).toEqual([]);
    });
  }

  for (const action of ["aggregate", "insertOne", "insertMany", "updateMany", "deleteOne", "findOne", "find/", "../find"]) {
    test(`does not serve ${action}`, async () => {
      const { calls, serve } = stage();
      expect((await serve(request(action, find))).status).toBe(404);
      expect(calls).toEqual([]);
    });
  }

  test("refuses another key, whatever its length, without reading the body", async () => {
    const { calls, serve } = stage();
    for (const key of ["", "a", apiKey.slice(0, -1), `${apiKey}0`, apiKey.toUpperCase(), `${apiKey.slice(0, -1)}0`]) {
      const wrong = request("find", find, { key });
      expect((await serve(wrong)).status).toBe(401);
      expect(wrong.bodyUsed).toBe(false);
    }
    expect(calls).toEqual([]);
  });

  test("refuses other methods and content types", async () => {
    const { calls, serve } = stage();
    expect((await serve(request("find", "", { method: "GET" }))).status).toBe(405);
    expect((await serve(request("find", find, { type: "text/plain" }))).status).toBe(415);
    expect(calls).toEqual([]);
  });

  test("refuses a body above the limit, announced or not", async () => {
    const { calls, serve } = stage();
    expect((await serve(request("find", "x".repeat(5000)))).status).toBe(413);
    let pulled = 0;
    const endless = new ReadableStream<Uint8Array>({
      pull(controller) {
        pulled += 1;
        controller.enqueue(new Uint8Array(1000));
      },
    });
    const init: RequestInit & { duplex: "half" } = { method: "POST", headers: { apiKey, "content-type": "application/json" }, body: endless, duplex: "half" };
    expect((await serve(new Request("http://127.0.0.1/action/find", init))).status).toBe(413);
    expect(pulled).toBeLessThan(10);
    expect(calls).toEqual([]);
  });

  test("refuses what is no JSON object, or too deep", async () => {
    const { calls, serve } = stage();
    for (const body of ["", "{", "null", "[]", "7", '{"filter":'.repeat(100) + "1" + "}".repeat(100), "[".repeat(4000)]) {
      const response = await serve(request("find", body));
      expect([response.status, await response.json()]).toMatchObject([400, {}]);
    }
    expect(calls).toEqual([]);
  });

  test("says nothing of what the database threw, but to its owner", async () => {
    const failure = new Error("mongodb://admin:secret@db failed");
    const { errors, serve } = stage(failure);
    const response = await serve(request("find", find));
    expect([response.status, await response.text()]).toEqual([500, '{"error":"InternalError","error_code":"InternalError"}']);
    expect(errors).toEqual([failure]);
  });

  const served = { dbName: "app", collectionName: "cache", find: () => undefined, updateOne: () => undefined, deleteMany: () => undefined };
  const wrong: readonly [options: object, sentence: string][] = [
    [{ apiKey: undefined }, "mongoDataApiServer: apiKey must be text of at least 16 characters, got undefined"],
    [{ apiKey: "" }, "mongoDataApiServer: apiKey must be at least 16 characters without blanks, got other text"],
    [{ apiKey: "short-secret" }, "mongoDataApiServer: apiKey must be at least 16 characters without blanks, got other text"],
    [{ collection: undefined }, "mongoDataApiServer: collection must be a Collection of mongodb, got undefined without find"],
    [{ collection: { ...served, dbName: undefined } }, "got object without dbName"],
    [{ dataSource: "" }, 'mongoDataApiServer: dataSource must be a name, got ""'],
    [{ maxBodyBytes: 100 }, "mongoDataApiServer: maxBodyBytes must be a whole number from 1024 to 67108864, got 100"],
    [{ maxBodyBytes: Number.NaN }, "got NaN"],
  ];
  for (const [change, sentence] of wrong) {
    test(`does not start with ${JSON.stringify(change)}`, () => {
      const make = (): unknown => Reflect.apply(mongoDataApiServer, undefined, [{ collection: served, dataSource: "main", apiKey, ...change }]);
      expect(make).toThrow(TypeError);
      expect(make).toThrow(sentence);
      expect(make).not.toThrow(/secret/);
    });
  }
});
