/**
 * The SQL storages when user or server are at fault: wrong credentials, missing rights, a missing table, a disk that is full, a
 * client that is closed, an address that speaks another protocol. All on real servers, through a bridge where the service's
 * protocol is HTTP.
 *
 * @module
 */
import { createClient } from "@libsql/client/http";
import { neon as connectNeon, neonConfig } from "@neondatabase/serverless";
import { createPool } from "mysql2/promise";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { d1 } from "../../adapters/d1.ts";
import { libsql, schema as libsqlSchema } from "../../adapters/libsql.ts";
import { neon } from "../../adapters/neon.ts";
import { planetscale } from "../../adapters/planetscale.ts";
import { schema, sql } from "../../adapters/sql.ts";
import type { Storage } from "../../src/storage.ts";
import { startD1, type D1Server } from "../servers/d1.ts";
import type { HttpGate } from "../servers/http-gate.ts";
import { startMariadb, type MariadbServer } from "../servers/mariadb.ts";
import { startNeonBridge, type NeonBridge } from "../servers/neon-bridge.ts";
import { poolPg, type PgPool } from "../servers/pg.ts";
import { startPlanetscaleBridge, type PlanetscaleBridge } from "../servers/planetscale-bridge.ts";
import { startPostgres, type PostgresServer } from "../servers/postgres.ts";
import { isLeftOut } from "../servers/process.ts";
import { startSqld, startSqldGate, type SqldServer } from "../servers/sqld.ts";
import { expectTrouble, SECRET } from "./misfortune.ts";

const { token, password, user } = SECRET;
const MISSING = "no_such_table";
const signal = new AbortController().signal;
const NO_TABLE = { words: /\(its table is missing: make it, as `setup` says\)/, reason: "table" } as const;
const NO_ENTRY = { words: /\(it refuses the credentials: check user, password or token\)/, reason: "credentials" } as const;
const NO_RIGHTS = { words: /\(its user lacks a right: let it read, write and delete here\)/, reason: "rights" } as const;
const NO_ROOM = { words: /\(it has no room left: raise its limit, prune it or let it evict\)/, reason: "room" } as const;
const CLOSED = { words: /\(its client is closed or lost its connection: give the cache an open one\)/, reason: "closed" } as const;

/** The address of a server, for somebody else. */
function as(url: string, name: string, secret = "", database = ""): string {
  const other = new URL(url);
  other.username = name;
  other.password = secret;
  if (database !== "") other.pathname = `/${database}`;
  return other.href;
}

describe.skipIf(isLeftOut("postgres"))("on Postgres", () => {
  let server: PostgresServer;
  let bridge: NeonBridge;
  let poorBridge: NeonBridge;
  let admin: PgPool;
  const on = (pool: PgPool, table?: string): Storage =>
    sql({ dialect: "postgres", query: async (text, params) => (await pool.query(text, params)).rows, table });

  beforeAll(async () => {
    server = await startPostgres();
    admin = poolPg({ connectionString: server.url, max: 2 });
    await admin.query(schema("postgres"));
    await admin.query(`create role ${user} login`);
    bridge = await startNeonBridge({ postgresUrl: server.url });
    poorBridge = await startNeonBridge({ postgresUrl: as(server.url, user) });
  });
  afterAll(async () => {
    await admin?.end();
    await bridge?.stop();
    await poorBridge?.stop();
    await server?.stop();
  });

  test("sql() without its table says what to run", async () => {
    await expectTrouble(on(admin, MISSING), NO_TABLE);
  });

  test("sql() as a role without rights says so", async () => {
    const poor = poolPg({ connectionString: as(server.url, user), max: 2 });
    await expectTrouble(on(poor), { ...NO_RIGHTS, words: /permission denied for table cacheme \(its user lacks a right/ });
    await poor.end();
  });

  test("sql() as a role that there is not says so", async () => {
    const stranger = poolPg({ connectionString: as(server.url, `${user}2`, password), max: 2 });
    await expectTrouble(on(stranger), NO_ENTRY);
    await stranger.end();
  });

  test("sql() with more to write to disk than its role may says so", async () => {
    // To fill a disk would fill everybody's. This limit Postgres enforces on files in the same words and ways: a statement that sorts
    // more than its memory holds goes before each of ours.
    await admin.query(`create role limited login superuser`);
    await admin.query(`alter role limited set temp_file_limit = 64`);
    await admin.query(`alter role limited set work_mem = '64kB'`);
    const limited = poolPg({ connectionString: as(server.url, "limited"), max: 2 });
    const sorted = "with big as materialized (select g from generate_series(1, 100000) g order by g desc) select count(*) from big";
    const storage = sql({
      dialect: "postgres",
      query: async (text, params) => {
        const client = await limited.connect();
        try {
          await client.query(sorted);
          return (await client.query(text, params)).rows;
        } finally {
          client.release();
        }
      },
    });
    await expectTrouble(storage, { ...NO_ROOM, words: /53400: temporary file size exceeds temp_file_limit .*\(it has no room left/ });
    await limited.end();
  });

  test("sql() with a pool that was ended says so", async () => {
    const ended = poolPg({ connectionString: server.url, max: 2 });
    await ended.end();
    await expectTrouble(on(ended), CLOSED);
  });

  describe("over HTTP", () => {
    beforeAll(() => {
      neonConfig.fetchEndpoint = bridge.endpoint;
    });
    afterAll(() => {
      neonConfig.fetchEndpoint = bridge.endpoint;
    });

    test("neon() without its table says what to run", async () => {
      await expectTrouble(neon({ connectionString: bridge.connectionString, table: MISSING }), NO_TABLE);
    });

    test.each(["a connection string", "a client"])("neon() with a wrong password in %s says so", async (way) => {
      const connectionString = `postgresql://${user}:${password}@ep-bridge.localtest.me/cache`;
      const storage = way === "a client" ? neon({ client: connectNeon(connectionString) }) : neon({ connectionString });
      await expectTrouble(storage, NO_ENTRY);
    });

    test("neon() as a role without rights says so", async () => {
      neonConfig.fetchEndpoint = poorBridge.endpoint;
      await expectTrouble(neon({ connectionString: poorBridge.connectionString }), NO_RIGHTS);
      neonConfig.fetchEndpoint = bridge.endpoint;
    });

    test("neon() with https: where http: is spoken names what went wrong", async () => {
      neonConfig.fetchEndpoint = bridge.endpoint.replace("http:", "https:");
      await expectTrouble(neon({ connectionString: bridge.connectionString }), { words: /Error connecting to database: TypeError: fetch failed/ });
      neonConfig.fetchEndpoint = bridge.endpoint;
    });
  });
});

describe.skipIf(isLeftOut("mariadb"))("on MariaDB", () => {
  let server: MariadbServer;
  let bridge: PlanetscaleBridge;
  let poorBridge: PlanetscaleBridge;
  const on = (url: string, table?: string): { readonly storage: Storage; readonly end: () => Promise<void> } => {
    const pool = createPool({ uri: url, connectionLimit: 2 });
    return { storage: sql({ dialect: "mysql", query: async (text, params) => (await pool.query(text, params))[0], table }), end: () => pool.end() };
  };

  beforeAll(async () => {
    server = await startMariadb();
    const admin = createPool({ uri: server.url, connectionLimit: 1, multipleStatements: true });
    await admin.query(schema("mysql"));
    // Accounts without a name come before those of any host, and everybody may use what is called test: neither is of use here.
    await admin.query("delete from mysql.global_priv where User = ''; delete from mysql.db where Db like 'test%'; flush privileges");
    await admin.query(`create user '${user}'@'%' identified by '${password}'; create database other; grant select on other.* to '${user}'@'%'`);
    await admin.query(schema("mysql", "other.cacheme"));
    await admin.end();
    bridge = await startPlanetscaleBridge({ mariadbUrl: server.url });
    poorBridge = await startPlanetscaleBridge({ mariadbUrl: as(server.url, user, password, "other") });
  });
  afterAll(async () => {
    await bridge?.stop();
    await poorBridge?.stop();
    await server?.stop();
  });

  test("sql() without its table says what to run", async () => {
    const { storage, end } = on(server.url, MISSING);
    await expectTrouble(storage, NO_TABLE);
    await end();
  });

  test("sql() with a wrong password says so", async () => {
    const { storage, end } = on(as(server.url, user, `${password}2`, "other"));
    await expectTrouble(storage, NO_ENTRY);
    await end();
  });

  test("sql() as a user who may only read says so", async () => {
    const { storage, end } = on(as(server.url, user, password, "other"));
    await expectTrouble(storage, { ...NO_RIGHTS, succeeds: ["read", "prune"] });
    await end();
  });

  test("sql() on a table that is full says so", async () => {
    // An engine in memory with room for a few rows, which really fills up.
    const admin = createPool({ uri: server.url, connectionLimit: 1, multipleStatements: true });
    await admin.query("set max_heap_table_size = 16384");
    await admin.query(
      "create table test.small (k varbinary(200) not null primary key, v varbinary(500), s varbinary(8), n bigint, expires bigint) engine = memory max_rows = 10",
    );
    for (let row = 0; ; row++) {
      const full = await admin.query("insert into test.small (k) values (?)", [`filler ${row}`]).then(
        () => undefined,
        (error: unknown) => String(error),
      );
      if (full === undefined) continue;
      expect(full).toContain("is full");
      break;
    }
    await admin.end();
    const { storage, end } = on(server.url, "test.small");
    await expectTrouble(storage, { ...NO_ROOM, succeeds: ["read", "prune"] });
    await end();
  });

  test("sql() with a pool that was ended says so", async () => {
    const { storage, end } = on(server.url);
    await end();
    await expectTrouble(storage, CLOSED);
  });

  test("planetscale() without its table says what to run", async () => {
    await expectTrouble(planetscale({ url: bridge.fullUrl, table: MISSING }), NO_TABLE);
  });

  test("planetscale() with a wrong password says so", async () => {
    await expectTrouble(planetscale({ url: as(bridge.url, user, password) }), NO_ENTRY);
  });

  test("planetscale() as a user who may only read says so", async () => {
    await expectTrouble(planetscale({ url: poorBridge.fullUrl, table: "other.cacheme" }), { ...NO_RIGHTS, succeeds: ["read", "prune"] });
  });

  test("planetscale() with https: where http: is spoken names what went wrong", async () => {
    await expectTrouble(planetscale({ url: bridge.fullUrl.replace("http:", "https:") }), { words: /TypeError ERR_SSL_\w+: fetch failed/ });
  });
});

describe("on SQLite", () => {
  const directory = mkdtempSync(join(tmpdir(), "cacheme-sqlite-"));
  const on = (database: DatabaseSync, table?: string): Storage =>
    sql({ dialect: "sqlite", query: async (text, params) => database.prepare(text).all(...params), table });

  afterAll(() => rmSync(directory, { recursive: true }));

  test("sql() without its table says what to run", async () => {
    const database = new DatabaseSync(":memory:");
    await expectTrouble(on(database, MISSING), NO_TABLE);
    database.close();
  });

  test("sql() on a database that has as many pages as it may says so", async () => {
    const database = new DatabaseSync(":memory:");
    database.exec(schema("sqlite"));
    database.exec("pragma max_page_count = 8");
    const storage = on(database);
    for (let row = 0, full = false; !full; row++) {
      full = await storage.write([{ key: `filler ${row}`, bytes: new Uint8Array(50), ttlMs: null }], signal).then(
        () => false,
        () => true,
      );
    }
    await expectTrouble(storage, { ...NO_ROOM, words: /database or disk is full \(it has no room left/, succeeds: ["read", "prune"] });
    database.close();
  });

  test("sql() on a file that may only be read says so", async () => {
    const file = join(directory, "read-only.db");
    const writer = new DatabaseSync(file);
    writer.exec(schema("sqlite"));
    const database = new DatabaseSync(file, { readOnly: true });
    await expectTrouble(on(database), { ...NO_RIGHTS, succeeds: ["read"] });
    database.close();
    writer.close();
  });

  test("sql() on a database that was closed says so", async () => {
    const database = new DatabaseSync(":memory:");
    database.exec(schema("sqlite"));
    database.close();
    await expectTrouble(on(database), CLOSED);
  });
});

describe.skipIf(isLeftOut("sqld"))("on sqld", () => {
  let server: SqldServer;
  let gate: HttpGate;

  beforeAll(async () => {
    server = await startSqld();
    gate = await startSqldGate(server);
  });
  afterAll(async () => {
    await gate?.stop();
    await server?.stop();
  });

  test("libsql() without its table says what to run", async () => {
    await expectTrouble(libsql({ url: server.url, authToken: token, table: MISSING }), NO_TABLE);
  });

  test("libsql() with a wrong token says so", async () => {
    // This sqld asks for no token; the gate answers as one that does.
    gate.fault = ({ headers }) => (headers.authorization === `Bearer ${token}` ? { status: 401, body: '{"error":"Unauthorized"}' } : undefined);
    await expectTrouble(libsql({ url: gate.url, authToken: token }), { ...NO_ENTRY, words: /HTTP status 401 \(it refuses the credentials/ });
    gate.fault = () => undefined;
  });

  test("libsql() with a client that was closed says so", async () => {
    const client = createClient({ url: server.url, authToken: token });
    await client.executeMultiple(libsqlSchema());
    client.close();
    await expectTrouble(libsql({ client }), CLOSED);
  });

  test("libsql() with https: where http: is spoken names what went wrong", async () => {
    await expectTrouble(libsql({ url: server.url.replace("http:", "https:"), authToken: token }), { words: /TypeError ERR_SSL_\w+: fetch failed/ });
  });
});

describe("on D1 in miniflare", () => {
  let server: D1Server;

  beforeAll(async () => {
    server = await startD1();
  });
  afterAll(async () => {
    await server?.stop();
  });

  test("d1() without its table says what to run", async () => {
    await expectTrouble(d1({ database: server.database, table: MISSING }), NO_TABLE);
  });

  test("d1() whose binding is gone is reported, and readers have their values", async () => {
    const gone = await startD1();
    const storage = d1({ database: gone.database });
    await gone.stop();
    await expectTrouble(storage, { words: /poisoned stub/ });
  });
});
