/**
 * The storages that `bench:storages` measures: each on its real server, through its official driver, with the driver's calls
 * recorded. Neon's and PlanetScale's and Upstash's protocols are spoken by simulators in front of real servers. KV is left
 * out: seen from Node, one and the same call of miniflare's binding takes between 1 and 6 ms, so that no ratio could be trusted.
 *
 * @module
 */
import { createClient } from "@libsql/client/http";
import { neon as connectNeon, neonConfig } from "@neondatabase/serverless";
import { Client as PlanetscaleClient } from "@planetscale/database";
import { Redis as UpstashRedis } from "@upstash/redis";
import { d1, schema as d1Schema } from "cacheme/d1";
import { libsql } from "cacheme/libsql";
import { mongodb } from "cacheme/mongodb";
import { neon } from "cacheme/neon";
import { planetscale } from "cacheme/planetscale";
import { redis } from "cacheme/redis";
import { schema, sql } from "cacheme/sql";
import type { SqlParam } from "cacheme/sql";
import { upstash } from "cacheme/upstash";
import { Redis } from "ioredis";
import { MongoClient } from "mongodb";
import { createPool } from "mysql2/promise";
import { DatabaseSync } from "node:sqlite";
import { startD1, type D1Server } from "../../test/servers/d1.ts";
import { startMongo } from "../../test/servers/ferretdb.ts";
import { startNeonBridge } from "../../test/servers/neon-bridge.ts";
import { poolPg } from "../../test/servers/pg.ts";
import { startPlanetscaleBridge } from "../../test/servers/planetscale-bridge.ts";
import { startRedis } from "../../test/servers/redis.ts";
import { startUpstashBridge } from "../../test/servers/upstash-bridge.ts";
import type { Recorder } from "./recorder.ts";
import { SQL_SERVERS } from "./sql-servers.ts";
import type { SqlStorage } from "./sql-servers.ts";

/** A storage with its driver connected. */
export interface Connected {
  readonly storage: SqlStorage;
  close(): Promise<void> | void;
}

/** Connects a driver to a port, with its calls recorded. */
export type Connect = (port: number, recorder: Recorder) => Connected;

/** A storage to be measured. */
export interface Subject {
  readonly name: string;
  /** The port of the server or of the simulator; 0 where there is no wire. */
  readonly port: number;
  readonly connect: Connect;
  /** Why a write that is made again is no measure. */
  readonly readsOnly?: string;
}

/** A server with the storages that reach it. */
export interface Backend {
  readonly versions: Readonly<Record<string, string>>;
  readonly subjects: readonly Subject[];
  stop(): Promise<void>;
}

function at(url: string, port: number): string {
  const moved = new URL(url);
  moved.port = String(port);
  return moved.href;
}

/** How each backend is started. */
export const BACKENDS: Readonly<Record<string, () => Promise<Backend>>> = {
  async postgres() {
    const server = await start("postgres");
    const bridge = await startNeonBridge({ postgresUrl: server.url });
    return {
      versions: { [server.name]: server.version },
      subjects: [
        { name: "sql(), PostgreSQL by pg", port: Number(new URL(server.url).port), connect: (port, recorder) => byPg(at(server.url, port), recorder) },
        { name: "neon(), simulator on PostgreSQL", port: bridge.port, connect: (port, recorder) => byNeon(bridge.connectionString, port, recorder) },
      ],
      stop: () => inOrder(bridge.stop, server.stop),
    };
  },
  async mariadb() {
    const server = await start("mariadb");
    const bridge = await startPlanetscaleBridge({ mariadbUrl: server.url });
    return {
      versions: { [server.name]: server.version },
      subjects: [
        { name: "sql(), MariaDB by mysql2", port: Number(new URL(server.url).port), connect: (port, recorder) => byMysql2(at(server.url, port), recorder) },
        { name: "planetscale(), simulator on MariaDB", port: bridge.port, connect: (port, recorder) => byPlanetscale(at(bridge.fullUrl, port), recorder) },
      ],
      stop: () => inOrder(bridge.stop, server.stop),
    };
  },
  async sqlite() {
    const server = await startD1();
    const statements = d1Schema()
      .split(/;\n/)
      .filter((text) => text.trim() !== "");
    await server.database.batch(statements.map((text) => server.database.prepare(text)));
    return {
      versions: { SQLite: process.versions["sqlite"] ?? "unknown" },
      subjects: [
        { name: "sql(), SQLite by node:sqlite", port: 0, connect: (_, recorder) => bySqlite(recorder) },
        {
          name: "d1(), miniflare",
          port: 0,
          connect: (_, recorder) => byD1(server.database, recorder),
        },
      ],
      stop: () => server.stop(),
    };
  },
  async sqld() {
    const server = await start("sqld");
    return {
      versions: { [server.name]: server.version },
      subjects: [{ name: "libsql(), sqld", port: Number(new URL(server.url).port), connect: (port, recorder) => byLibsql(at(server.url, port), recorder) }],
      stop: () => server.stop(),
    };
  },
  async mongodb() {
    const server = await startMongo();
    const { version } = await server.client.db("admin").command({ buildInfo: 1 });
    return {
      versions: { [server.kind]: String(version) },
      subjects: [
        {
          name: `mongodb(), ${server.kind}`,
          port: server.port,
          connect: byMongodb,
          readsOnly: "FerretDB did not answer when a write was made again",
        },
      ],
      stop: () => server.stop(),
    };
  },
  async redis() {
    const server = await startRedis();
    const bridge = await startUpstashBridge({ redisPort: server.port });
    return {
      versions: { Redis: /redis_version:(\S+)/.exec(String(await server.command("INFO", "server")))?.[1] ?? "unknown" },
      subjects: [
        { name: "redis(), ioredis", port: server.port, connect: (port, recorder) => byIoredis(port, recorder) },
        {
          name: "upstash(), simulator on Redis",
          port: Number(new URL(bridge.url).port),
          connect: (port, recorder) => byUpstash(at(bridge.url, port), bridge.token, recorder),
        },
      ],
      stop: () => inOrder(bridge.stop, server.stop),
    };
  },
};

async function start(name: string): ReturnType<(typeof SQL_SERVERS)[string]> {
  const starting = SQL_SERVERS[name];
  if (starting === undefined) throw new Error(`no server is called ${name}`);
  return starting();
}

async function inOrder(...stops: readonly (() => Promise<void>)[]): Promise<void> {
  for (const stop of stops) await stop();
}

function byPg(connectionString: string, recorder: Recorder): Connected {
  const pool = poolPg({ connectionString, max: 2 });
  const query = recorder.wrap(async (text: string, params: SqlParam[]) => (await pool.query(text, params)).rows);
  return { storage: sql({ dialect: "postgres", query }), close: () => pool.end() };
}

function byNeon(connectionString: string, port: number, recorder: Recorder): Connected {
  neonConfig.fetchEndpoint = `http://127.0.0.1:${port}/sql`;
  return { storage: neon({ client: recorder.watch(connectNeon(connectionString), "query") }), close: () => undefined };
}

function byMysql2(uri: string, recorder: Recorder): Connected {
  const pool = createPool({ uri, connectionLimit: 2 });
  const query = recorder.wrap(async (text: string, params: SqlParam[]) => {
    const [answer] = await pool.query(text, params);
    return Array.isArray(answer) ? answer : {};
  });
  return { storage: sql({ dialect: "mysql", query: query as Parameters<typeof sql>[0]["query"] }), close: () => pool.end() };
}

function byPlanetscale(url: string, recorder: Recorder): Connected {
  return { storage: planetscale({ client: recorder.watch(new PlanetscaleClient({ url }), "execute") }), close: () => undefined };
}

function bySqlite(recorder: Recorder): Connected {
  const database = new DatabaseSync(":memory:");
  database.exec(schema("sqlite"));
  const query = recorder.wrap(async (text: string, params: SqlParam[]) => database.prepare(text).all(...params));
  return { storage: sql({ dialect: "sqlite", query }), close: () => database.close() };
}

/** Preparing and binding are the driver's work too: they are done anew with every batch, on both sides. */
function byD1(database: D1Server["database"], recorder: Recorder): Connected {
  const batch = recorder.wrap(async (statements: readonly Unprepared[]) =>
    database.batch(statements.map(({ text, values }) => database.prepare(text).bind(...values))),
  );
  const prepare = (text: string, values: readonly unknown[] = []): Unprepared => ({ text, values, bind: (...bound) => prepare(text, bound) });
  return { storage: d1({ database: { prepare, batch } }), close: () => undefined };
}

interface Unprepared {
  readonly text: string;
  readonly values: readonly unknown[];
  bind(...values: unknown[]): Unprepared;
}

function byLibsql(url: string, recorder: Recorder): Connected {
  const client = createClient({ url });
  return { storage: libsql({ client: recorder.watch(client, "execute") }), close: () => client.close() };
}

/** One connection, as the server asks for; a cursor is the driver's, so what is noted is a `find` with its `toArray`. */
function byMongodb(port: number, recorder: Recorder): Connected {
  const client = new MongoClient(`mongodb://127.0.0.1:${port}/`, { maxPoolSize: 1, retryWrites: false, retryReads: false });
  const collection = client.db("bench").collection<{ readonly _id: string }>("cache");
  const toArray = recorder.wrap(async (filter: object, options?: object) => collection.find(filter, options).toArray());
  return {
    storage: mongodb({
      collection: {
        find: (filter, options) => ({ toArray: () => toArray(filter, options) }),
        bulkWrite: recorder.wrap(async (operations: readonly object[], options?: object) => collection.bulkWrite(operations as never, options)),
        deleteMany: (filter) => collection.deleteMany(filter),
      },
    }),
    close: () => client.close(),
  };
}

function byIoredis(port: number, recorder: Recorder): Connected {
  const client = new Redis({ port, host: "127.0.0.1" });
  return { storage: redis({ client: recorder.watch(client, "mgetBuffer", "evalshaBuffer", "evalBuffer", "unlinkBuffer") }), close: () => client.disconnect() };
}

function byUpstash(url: string, token: string, recorder: Recorder): Connected {
  const client = new UpstashRedis({ url, token, enableAutoPipelining: false, automaticDeserialization: false, responseEncoding: false, retry: { retries: 0 } });
  return { storage: upstash({ client: recorder.watch(client, "mget", "evalsha", "eval", "unlink") }), close: () => undefined };
}
