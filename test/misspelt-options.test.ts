/**
 * Options whose names are wrong, for every factory that takes options: each is refused when it is given, by a TypeError that names
 * the factory, the option and the one that was most likely meant, and shows no value. What a factory does not look into stays free.
 *
 * @module
 */
import { Redis } from "ioredis";
import net from "node:net";
import { describe, expect, test } from "vitest";
import { d1 } from "../adapters/d1.ts";
import { kv } from "../adapters/kv.ts";
import { libsql } from "../adapters/libsql.ts";
import { mongoDataApiServer } from "../adapters/mongo-data-api-server.ts";
import { mongoDataApi } from "../adapters/mongo-data-api.ts";
import { mongodb } from "../adapters/mongodb.ts";
import { msgpack } from "../adapters/msgpack.ts";
import { neon } from "../adapters/neon.ts";
import { planetscale } from "../adapters/planetscale.ts";
import { redis } from "../adapters/redis.ts";
import { sql } from "../adapters/sql.ts";
import { analyticsEngineStats } from "../adapters/stats-analytics-engine.ts";
import { compactKvStats, compactOnSchedule, kvStats, readKvStats } from "../adapters/stats-kv.ts";
import { upstash } from "../adapters/upstash.ts";
import { bloomFilter } from "../src/doorkeeper.ts";
import { adaptive } from "../src/local/adaptive.ts";
import { local } from "../src/local/local.ts";
import { compressed } from "../src/serializer/compressed.ts";
import { json } from "../src/serializer/json.ts";
import { createFleet, faultProxy, faultyFetch, faultyStorage, memoryStorage } from "../testing/index.ts";
import { refusalIn, SECRET } from "./contract/misfortune.ts";

const { token, password, user, host } = SECRET;
const anything = (): unknown => undefined;
const methods = (...names: readonly string[]): object => Object.fromEntries(names.map((name) => [name, anything]));
const kvBinding = { ...methods("get", "put", "delete"), list: async () => ({ keys: [], list_complete: true }) };
const place = { dataSource: "main", database: "app", collection: "cache" };
const served = { dbName: "app", collectionName: "cache", ...methods("find", "updateOne", "deleteMany") };
const redisClient = methods("mgetBuffer", "evalshaBuffer", "evalBuffer", "unlinkBuffer", "pipeline");

interface Case {
  readonly factory: (...args: never[]) => unknown;
  /** What stands before the options. */
  readonly before?: readonly unknown[];
  /** Options that it takes. */
  readonly good: object;
  /** All options that there are. */
  readonly names: readonly string[];
  /** Wrong names, and what is offered for each. */
  readonly wrong: Readonly<Record<string, string | undefined>>;
}

const CASES: Readonly<Record<string, Case>> = {
  libsql: {
    factory: libsql,
    good: { url: `libsql://${host}` },
    names: ["client", "url", "authToken", "table"],
    wrong: { token: "authToken", authtoken: "authToken", tabel: "table", syncUrl: undefined },
  },
  upstash: {
    factory: upstash,
    good: { url: `https://${host}`, token },
    names: ["client", "url", "token"],
    wrong: { retry: undefined, tokn: "token", readOnlyToken: undefined },
  },
  neon: {
    factory: neon,
    good: { connectionString: `postgres://${user}:${password}@${host}/db` },
    names: ["client", "connectionString", "table"],
    wrong: { connectionstring: "connectionString", tableName: undefined },
  },
  planetscale: {
    factory: planetscale,
    good: { host, username: user, password },
    names: ["client", "url", "host", "username", "password", "fetch", "table"],
    wrong: { user: "username", pasword: "password", database: undefined },
  },
  sql: {
    factory: sql,
    good: { dialect: "postgres", query: anything },
    names: ["dialect", "query", "table", "scope"],
    wrong: { dialekt: "dialect", scpoe: "scope" },
  },
  d1: { factory: d1, good: { database: methods("prepare", "batch") }, names: ["database", "table"], wrong: { tables: "table" } },
  kv: { factory: kv, good: { namespace: kvBinding }, names: ["namespace"], wrong: { namespase: "namespace", minTtl: undefined } },
  redis: { factory: redis, good: { client: redisClient }, names: ["client", "encoding"], wrong: { encodng: "encoding", prefix: undefined } },
  mongodb: {
    factory: mongodb,
    good: { collection: methods("find", "bulkWrite", "deleteMany") },
    names: ["collection"],
    wrong: { colection: "collection", database: undefined },
  },
  mongoDataApi: {
    factory: mongoDataApi,
    good: { ...place, endpoint: `https://${host}/v1`, apiKey: token },
    names: ["endpoint", "apiKey", "headers", "dataSource", "database", "collection"],
    wrong: { apikey: "apiKey", source: "dataSource", url: undefined },
  },
  mongoDataApiServer: {
    factory: mongoDataApiServer,
    good: { collection: served, dataSource: "main", apiKey: `${token}-0123456789` },
    names: ["collection", "dataSource", "apiKey", "maxBodyBytes", "onError"],
    wrong: { maxBodyByte: "maxBodyBytes", onerror: "onError" },
  },
  kvStats: { factory: kvStats, before: [kvBinding], good: {}, names: ["prefix", "expirationTtl"], wrong: { perfix: "prefix", ttl: undefined } },
  readKvStats: { factory: readKvStats, before: [kvBinding], good: {}, names: ["prefix", "from", "to"], wrong: { form: "from", until: undefined } },
  compactKvStats: {
    factory: compactKvStats,
    before: [kvBinding],
    good: {},
    names: ["prefix", "expirationTtl", "limit", "settleMs", "now"],
    wrong: { limits: "limit", settle: "settleMs" },
  },
  compactOnSchedule: {
    factory: compactOnSchedule,
    before: [anything],
    good: {},
    names: ["prefix", "expirationTtl", "limit", "settleMs"],
    wrong: { limits: "limit", now: undefined },
  },
  analyticsEngineStats: {
    factory: analyticsEngineStats,
    before: [methods("writeDataPoint")],
    good: {},
    names: ["maxPoints", "label"],
    wrong: { maxpoint: "maxPoints", index: undefined },
  },
  msgpack: { factory: msgpack, good: {}, names: [], wrong: { useRecords: undefined } },
  local: {
    factory: local,
    good: {},
    names: ["policy", "maxEntries", "maxBytes", "weigh", "clock"],
    wrong: { maxEntrys: "maxEntries", max: undefined, ttl: undefined, weight: "weigh" },
  },
  compressed: { factory: compressed, before: [json()], good: {}, names: ["minBytes", "maxBytes"], wrong: { minbytes: "minBytes", level: undefined } },
  bloomFilter: {
    factory: bloomFilter,
    good: { capacity: 10 },
    names: ["capacity", "falsePositiveRate", "guards"],
    wrong: { falsePositivRate: "falsePositiveRate", guard: "guards" },
  },
  memoryStorage: { factory: memoryStorage, good: {}, names: ["name", "clock", "traits"], wrong: { nam: "name", trait: "traits" } },
  faultyStorage: { factory: faultyStorage, before: [memoryStorage()], good: {}, names: ["seed", "rates", "clock"], wrong: { rate: "rates", seeds: "seed" } },
  faultyFetch: { factory: faultyFetch, before: [anything], good: {}, names: ["seed", "rates", "dripMs", "clock"], wrong: { rate: "rates", drip: "dripMs" } },
  faultProxy: { factory: faultProxy, good: { net, port: 1 }, names: ["net", "port", "host"], wrong: { prot: "port", hostname: undefined } },
  createFleet: {
    factory: createFleet,
    good: { isolates: 1, seed: 1 },
    names: ["isolates", "seed", "storages", "skewMs", "faults", "guard", "prefix"],
    wrong: { isolate: "isolates", skew: "skewMs", fault: "faults" },
  },
};

/** What became of a call past all types, whether it threw or rejected: its error, or `undefined`. */
async function errorOf({ factory, before = [] }: Case, ...options: readonly unknown[]): Promise<unknown> {
  try {
    const made: unknown = await Reflect.apply(factory, undefined, [...before, ...options]);
    if (typeof made === "object" && made !== null && "stop" in made && typeof made.stop === "function") await made.stop();
    return undefined;
  } catch (error) {
    return error;
  }
}

describe.each(Object.entries(CASES))("%s()", (name, one) => {
  test.each(Object.entries(one.wrong))("refuses %s", async (wrong, meant) => {
    const error = await errorOf(one, { ...one.good, [wrong]: token });
    expect(refusalIn(error)).toBe(`${name}: unknown option "${wrong}"${meant === undefined ? "" : `, did you mean "${meant}"?`}`);
    // Also where it is not given a value: nobody writes a name to leave it out.
    expect(refusalIn(await errorOf(one, { ...one.good, [wrong]: undefined }))).toContain(`unknown option "${wrong}"`);
  });

  test("takes all its options, and undefined for what may be left out", async () => {
    expect(await errorOf(one, one.good)).toBe(undefined);
    const left = Object.fromEntries(one.names.map((option) => [option, undefined]));
    expect(await errorOf(one, { ...left, ...one.good })).toBe(undefined);
  });

  test("takes an instance of a class, and an object without a prototype", async () => {
    class Settings {
      readonly note = "not for you";
    }
    expect(await errorOf(one, Object.assign(new Settings(), one.good))).toBe(undefined);
    expect(await errorOf(one, Object.assign(Object.create(null), one.good))).toBe(undefined);
    expect(refusalIn(await errorOf(one, Object.assign(Object.create(null), one.good, { nonsense: 1 })))).toContain('unknown option "nonsense"');
  });

  test.each([
    ["null", null],
    ["string", `https://${token}`],
    ["number", 500],
    ["function", anything],
    ["an array", [token]],
  ])("says whose options must be an object when given %s", async (kind, options) => {
    expect(refusalIn(await errorOf(one, options))).toBe(`${name} takes an object of options, got ${kind}`);
  });

  test("says so in its own words when given nothing", async () => {
    const error = await errorOf(one);
    if (error !== undefined) expect(refusalIn(error)).toBe(`${name} takes an object of options, got undefined`);
  });
});

test("a driver in place of the options is told which option it belongs to", async () => {
  const client = new Redis({ lazyConnect: true });
  expect(refusalIn(await errorOf({ factory: redis, good: {}, names: [], wrong: {} }, client))).toMatch(/^redis: client must be a client of ioredis 5/);
  client.disconnect();
});

test("what the test kit cannot work with is refused in its own words", async () => {
  const refused: readonly (readonly [(...args: never[]) => unknown, readonly unknown[], string])[] = [
    [faultProxy, [{ port: 6379 }], "faultProxy: net must be what node:net exports, got undefined"],
    [faultProxy, [{ net: {}, port: 6379 }], "faultProxy: net must be what node:net exports, got an object"],
    [faultProxy, [{ net }], "faultProxy: port must be a whole number from 1 to 65535, got undefined"],
    [faultProxy, [{ net, port: 0 }], "faultProxy: port must be a whole number from 1 to 65535, got 0"],
    [faultProxy, [{ net, port: 1, host: 5 }], "faultProxy: host must be a string, got 5"],
    [createFleet, [{}], "createFleet: isolates must be a whole number from 1 to 100, got undefined"],
    [createFleet, [{ isolates: 1, seed: 1, storages: {} }], "createFleet: storages must be a function, got an object"],
    [faultyStorage, [], "faultyStorage: storage must be a storage with read(), got undefined"],
    [faultyFetch, ["fetch"], 'faultyFetch: send must be a function, got "fetch"'],
  ];
  for (const [factory, args, message] of refused) expect(refusalIn(await errorOf({ factory, good: {}, names: [], wrong: {} }, ...args))).toBe(message);
});

test("local({ policy: adaptive }) is told to call it", () => {
  expect(() => Reflect.apply(local, undefined, [{ policy: adaptive }])).toThrow(
    new TypeError('local: policy must be "w-tinylfu", "lru" or a policy object, got a function, did you mean adaptive()?'),
  );
});
