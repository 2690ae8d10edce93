/**
 * Options that no storage can work with: each is refused when it is given, by a TypeError that names the option and shows no
 * secret. What shows only when a server is asked is in the files beside this one, on real servers.
 *
 * @module
 */
import { describe, expect, test } from "vitest";
import * as d1Module from "../../adapters/d1.ts";
import { kv } from "../../adapters/kv.ts";
import * as libsqlModule from "../../adapters/libsql.ts";
import { mongoDataApiServer } from "../../adapters/mongo-data-api-server.ts";
import { mongoDataApi } from "../../adapters/mongo-data-api.ts";
import { mongodb } from "../../adapters/mongodb.ts";
import * as neonModule from "../../adapters/neon.ts";
import * as planetscaleModule from "../../adapters/planetscale.ts";
import { redis } from "../../adapters/redis.ts";
import * as sqlModule from "../../adapters/sql.ts";
import { analyticsEngineStats } from "../../adapters/stats-analytics-engine.ts";
import { compactKvStats, kvStats, readKvStats } from "../../adapters/stats-kv.ts";
import { upstash } from "../../adapters/upstash.ts";
import { local } from "../../src/local/local.ts";
import type { Storage } from "../../src/storage.ts";
import { counted, failure, rig } from "../support/rig.ts";
import { refusalIn, refusalOf, SECRET } from "./misfortune.ts";

const { token, password, user, host } = SECRET;

type Factory = (options: never, ...more: never[]) => unknown;

/** Calls a factory as plain JavaScript may, past all types. */
function make(factory: Factory, ...args: readonly unknown[]): unknown {
  return Reflect.apply(factory, undefined, args);
}

const anything = (): unknown => undefined;
const binding = { prepare: anything, batch: anything };

/** Every factory that takes a table, with what else it needs, and what makes its schema. */
const TABLED: readonly (readonly [string, (table: unknown) => unknown, (table: unknown) => unknown])[] = [
  ...(["postgres", "mysql", "sqlite"] as const).map(
    (dialect) =>
      [
        `sql() on ${dialect}`,
        (table: unknown) => make(sqlModule.sql, { dialect, query: anything, table }),
        (table: unknown) => Reflect.apply(sqlModule.schema, undefined, [dialect, table]),
      ] as const,
  ),
  [
    "neon()",
    (table) => make(neonModule.neon, { connectionString: `postgres://${user}:${password}@${host}/db`, table }),
    (table) => Reflect.apply(neonModule.schema, undefined, [table]),
  ],
  [
    "planetscale()",
    (table) => make(planetscaleModule.planetscale, { url: `https://${user}:${password}@${host}`, table }),
    (table) => Reflect.apply(planetscaleModule.schema, undefined, [table]),
  ],
  [
    "libsql()",
    (table) => make(libsqlModule.libsql, { url: `libsql://${host}`, authToken: token, table }),
    (table) => Reflect.apply(libsqlModule.schema, undefined, [table]),
  ],
  ["d1()", (table) => make(d1Module.d1, { database: binding, table }), (table) => Reflect.apply(d1Module.schema, undefined, [table])],
];

const NO_TABLES: readonly unknown[] = [
  "",
  " ",
  "a b",
  "a;",
  "a; drop table users",
  'a"',
  "a`",
  "a'",
  "[a]",
  "a--",
  "a\u0000",
  "a\n",
  "1a",
  "ä",
  "a-b",
  "$1",
  "?",
  ".",
  ".a",
  "a.",
  "a.b.c",
  "a.b c",
  "a".repeat(64),
  null,
  5,
  {},
  ["a"],
];

describe.each(TABLED)("%s", (_name, factory, schema) => {
  test.each(NO_TABLES)("refuses the table %j when it is made, and its schema does", (table) => {
    for (const build of [factory, schema]) expect(refusalOf(() => build(table))).toMatch(/^\w+: table must be an identifier or schema\.table, got /);
  });

  test("takes plain ones, and its default", () => {
    for (const table of [undefined, "cacheme", "_x9", "app.cache", "A".repeat(63)]) for (const build of [factory, schema]) expect(build(table)).toBeTruthy();
  });
});

const place = { dataSource: "main", database: "app", collection: "cache" };
const served = { dbName: "app", collectionName: "cache", find: anything, updateOne: anything, deleteMany: anything };

/** What is refused, as a factory, its arguments, and what the message has to say. */
const REFUSED: readonly (readonly [string, Factory, readonly unknown[], RegExp])[] = [
  // A binding that is not there, as where its name in wrangler.toml is another one.
  ["kv() without its binding", kv, [{ namespace: undefined }], /^kv: namespace must be a KV binding, got undefined/],
  ["kv() with a secret in place of its binding", kv, [{ namespace: token }], /^kv: namespace must be a KV binding, got string/],
  ["kv() with a D1 binding", kv, [{ namespace: binding }], /^kv: namespace must be a KV binding, got object without get/],
  ["kv() with no options", kv, [], /^kv takes an object of options, got undefined/],
  ["d1() without its binding", d1Module.d1, [{ database: undefined }], /^d1: database must be a D1 binding, got undefined/],
  ["d1() with a KV binding", d1Module.d1, [{ database: { get: anything } }], /^d1: database must be a D1 binding, got object without prepare/],
  ["d1() with no options", d1Module.d1, [], /^d1 takes an object of options, got undefined/],
  ["kvStats() without its binding", kvStats, [undefined], /^kvStats: binding must be a KV binding, got undefined/],
  ["kvStats() with a secret in place of its binding", kvStats, [token], /^kvStats: binding must be a KV binding, got string/],
  ["analyticsEngineStats() without its binding", analyticsEngineStats, [undefined], /^analyticsEngineStats: binding must be .*, got undefined/],
  ["analyticsEngineStats() with a KV binding", analyticsEngineStats, [{ put: anything }], /^analyticsEngineStats: binding must be .*, got object/],

  // Addresses that a driver would not take, or would take for another one.
  [
    "upstash() with Redis' own address",
    upstash,
    [{ url: `rediss://${user}:${password}@${host}:6379`, token }],
    /^upstash: url must be the REST URL, like https:\/\/NAME\.upstash\.io, got one with rediss:$/,
  ],
  ["upstash() with a host", upstash, [{ url: host, token }], /^upstash: url must be the REST URL, like https:\/\/NAME\.upstash\.io, got text that is no URL$/],
  // What stands before the first colon may be a name, or a password.
  ["upstash() with a user and a password", upstash, [{ url: `${user}:${password}@${host}`, token }], /^upstash: url must .*, got text that is no URL$/],
  ["upstash() with a password and a port", upstash, [{ url: `${password}:443`, token }], /^upstash: url must .*, got text that is no URL$/],
  ["libsql() with a token for its url", libsqlModule.libsql, [{ url: token }], /^libsql: url must .*, got text that is no URL$/],
  ["planetscale() with a user and a host", planetscaleModule.planetscale, [{ url: `${user}:${password}@${host}` }], /got text that is no URL$/],
  [
    "planetscale() with nothing",
    planetscaleModule.planetscale,
    [{}],
    /^planetscale: url must be like .*, got undefined; host, username and password do as well/,
  ],
  ["planetscale() without its host", planetscaleModule.planetscale, [{ username: user, password }], /^planetscale: host must be text .*, got undefined$/],
  ["libsql() with nothing", libsqlModule.libsql, [{}], /^libsql: url must be like libsql:\/\/NAME\.turso\.io or https:\/\/host, got undefined$/],
  ["upstash() with a password in the address", upstash, [{ url: `https://${user}:${password}@${host}`, token }], /^upstash: url must have no user name/],
  ["upstash() with the token in the address", upstash, [{ url: `https://${host}?_token=${token}`, token }], /^upstash: url must have no user name/],
  [
    "neon() with http:",
    neonModule.neon,
    [{ connectionString: `http://${user}:${password}@${host}/db` }],
    /^neon: connectionString must be like postgresql:\/\/user:password@host\/database, got one with http:$/,
  ],
  ["neon() with https:", neonModule.neon, [{ connectionString: `https://${user}:${password}@${host}/db` }], /got one with https:/],
  [
    "neon() without a user",
    neonModule.neon,
    [{ connectionString: `postgres://${host}/db` }],
    /^neon: connectionString must be like .*, got one that lacks a part/,
  ],
  [
    "planetscale() with another scheme",
    planetscaleModule.planetscale,
    [{ url: `postgres://${user}:${password}@${host}` }],
    /^planetscale: url must be like https:\/\/user:password@host, got one with postgres:$/,
  ],
  [
    "planetscale() with a URL for its host",
    planetscaleModule.planetscale,
    [{ host: `https://${host}`, username: user, password }],
    /^planetscale: host must be a host name/,
  ],
  ["libsql() with ws:", libsqlModule.libsql, [{ url: `ws://${host}`, authToken: token }], /^libsql: url must be like libsql:.*, got one with ws:$/],
  ["libsql() with a file", libsqlModule.libsql, [{ url: `file:${host}.db` }], /got one with file:/],
  ["libsql() with the token in the address", libsqlModule.libsql, [{ url: `libsql://${host}?authToken=${token}` }], /^libsql: url must have no user name/],
  [
    "mongoDataApi() with MongoDB's own address",
    mongoDataApi,
    [{ ...place, endpoint: `mongodb+srv://${user}:${password}@${host}`, apiKey: token }],
    /^mongoDataApi: endpoint must be like https:\/\/data\.example\.com\/v1, got one with mongodb\+srv:$/,
  ],
  [
    "mongoDataApi() with a password in the address",
    mongoDataApi,
    [{ ...place, endpoint: `https://${user}:${password}@${host}/v1`, apiKey: token }],
    /^mongoDataApi: endpoint must have no user name/,
  ],

  // Credentials that cannot be any.
  ["upstash() without a token", upstash, [{ url: `https://${host}` }], /^upstash: token must be text without blanks, got undefined/],
  [
    "upstash() with a line break in the token",
    upstash,
    [{ url: `https://${host}`, token: `${token}\n` }],
    /^upstash: token must be text without blanks, got one with blanks/,
  ],
  [
    "planetscale() with a blank in the password",
    planetscaleModule.planetscale,
    [{ host, username: user, password: ` ${password}` }],
    /^planetscale: password must be text without blanks, got one with blanks/,
  ],
  [
    "libsql() with a line break in the token",
    libsqlModule.libsql,
    [{ url: `libsql://${host}`, authToken: `${token}\n` }],
    /^libsql: authToken must be text without blanks/,
  ],
  [
    "mongoDataApi() without a key",
    mongoDataApi,
    [{ ...place, endpoint: `https://${host}` }],
    /^mongoDataApi: either apiKey or headers must be given, got neither/,
  ],
  [
    "mongoDataApi() with a line break in a header",
    mongoDataApi,
    [{ ...place, endpoint: `https://${host}`, headers: { authorization: `Bearer ${token}\n` } }],
    /^mongoDataApi: headers must be names and ASCII text/,
  ],
  [
    "mongoDataApiServer() with a key that is short",
    mongoDataApiServer,
    [{ collection: served, dataSource: "main", apiKey: token }],
    /^mongoDataApiServer: apiKey must be at least 16 characters/,
  ],
  [
    "mongoDataApiServer() without a key",
    mongoDataApiServer,
    [{ collection: served, dataSource: "main" }],
    /^mongoDataApiServer: apiKey must be text of at least 16 characters, got undefined/,
  ],

  // Clients that are none: a connection string in their place would be a secret.
  ["redis() with an address", redis, [{ client: `redis://${user}:${password}@${host}` }], /^redis: client must be a client of ioredis 5.*, got string/],
  ["redis() with no client", redis, [{ client: undefined }], /^redis: client must be .*, got undefined/],
  ["redis() with no options", redis, [], /^redis takes an object of options, got undefined/],
  ["upstash() with no options", upstash, [], /^upstash takes an object of options, got undefined/],
  ["neon() with an address for its client", neonModule.neon, [{ client: `postgres://${user}:${password}@${host}/db` }], /^neon: client must be .*, got string/],
  [
    "planetscale() with an address for its client",
    planetscaleModule.planetscale,
    [{ client: `https://${user}:${password}@${host}` }],
    /^planetscale: client must be .*, got string/,
  ],
  [
    "libsql() with an address for its client",
    libsqlModule.libsql,
    [{ client: `libsql://${host}?authToken=${token}` }],
    /^libsql: client must be .*, got string/,
  ],
  [
    "sql() with an address for its query",
    sqlModule.sql,
    [{ dialect: "postgres", query: `postgres://${user}:${password}@${host}` }],
    /^sql: query must be a function, got string/,
  ],
  ["sql() with another dialect", sqlModule.sql, [{ dialect: "oracle", query: anything }], /^sql: dialect must be .*, got "oracle"/],
  ["mongodb() with an address", mongodb, [{ collection: `mongodb://${user}:${password}@${host}` }], /^mongodb: collection must be a Collection.*, got string/],
  ["mongodb() without a collection", mongodb, [{ collection: undefined }], /^mongodb: collection must be a Collection.*, got undefined/],
  ["mongodb() with no options", mongodb, [], /^mongodb takes an object of options, got undefined/],
  ["mongoDataApi() with no options", mongoDataApi, [], /^mongoDataApi takes an object of options, got undefined/],
  [
    "mongoDataApiServer() without a collection",
    mongoDataApiServer,
    [{ collection: undefined, dataSource: "main", apiKey: `${token}-0123456789` }],
    /^mongoDataApiServer: collection must be a Collection.*, got undefined/,
  ],
  ["mongoDataApiServer() with no options", mongoDataApiServer, [], /^mongoDataApiServer takes an object of options, got undefined/],
];

test.each(REFUSED)("%s is refused by name", (_name, factory, args, message) => {
  expect(refusalOf(() => make(factory, ...args))).toMatch(message);
});

test("a binding that is missing when its storage is made at first use is told to whoever asks first, and to the next", async () => {
  const env: { readonly CACHE?: never } = {};
  const { cache, inFlight } = rig({ storages: { local: local(), far: () => make(kv, { namespace: env.CACHE }) as Storage } });
  const Item = counted({
    caches: [
      { storage: "local", ttl: "1m" },
      { storage: "far", ttl: "1m" },
    ],
  });
  for (let call = 0; call < 2; call++)
    expect(refusalIn(await failure(cache.get(Item(SECRET.key))))).toMatch(
      /^storage "far" could not be made: TypeError: kv: namespace must be a KV binding, got undefined/,
    );
  expect([Item.loads.length, inFlight()]).toEqual([0, 0]);
});

test("what reads and compacts statistics refuses a binding that is missing, too", async () => {
  for (const read of [readKvStats, compactKvStats]) {
    const error: unknown = await Promise.resolve(Reflect.apply(read, undefined, [undefined])).catch((reason: unknown) => reason);
    expect(refusalIn(error)).toMatch(/^(?:read|compact)KvStats: binding must be a KV binding, got undefined/);
  }
});
