import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { schema, sql, type SqlParam } from "../../adapters/sql.ts";
import type { Storage } from "../../src/storage.ts";
import { connectPg, poolPg, type PgClient, type PgPool } from "../servers/pg.ts";
import { startPostgres, type PostgresServer } from "../servers/postgres.ts";
import { isLeftOut } from "../servers/process.ts";
import { explainPostgres } from "./sql-explain.ts";
import { runContract } from "./run-contract.ts";
import { runSqlChecks } from "./sql-checks.ts";
import { fill, pass, plannedCalls } from "./sql-kit.ts";

let server: PostgresServer | undefined;
let client: PgClient;
let single: PgPool;
let pool: PgPool;
let storage: Storage;
let pooled: Storage;
let broken: Storage;
let trips = 0;
const sent: [text: string, params: SqlParam[]][] = [];
const signal = new AbortController().signal;

beforeAll(async () => {
  if (isLeftOut("postgres")) return;
  server = await startPostgres();
  client = await connectPg(server.url);
  // Each round trip ends with the server being ready for the next.
  single = poolPg({ connectionString: server.url, max: 1, idleTimeoutMillis: 0 });
  single.on("connect", ({ connection }) => connection.on("readyForQuery", () => (trips += 1)));
  pool = poolPg({ connectionString: server.url, max: 6 });
  for (const table of ["cacheme", "public.Other"]) await client.query(schema("postgres", table));
  const query = async (text: string, params: SqlParam[]) => {
    sent.push([text, params]);
    return (await single.query(text, params)).rows;
  };
  storage = sql({ dialect: "postgres", query });
  broken = sql({ dialect: "postgres", query, table: "no_such_table" });
  pooled = sql({ dialect: "postgres", query: async (text, params) => (await pool.query(text, params)).rows, table: "public.Other" });
});

afterAll(async () => {
  await client?.end();
  await single?.end();
  await pool?.end();
  await server?.stop();
});

function plantText(table: string) {
  return async (key: string, text: string): Promise<void> => {
    await client.query(`insert into ${table} (k, v) values ($1, $2) on conflict (k) do update set v = excluded.v, n = null, expires = null`, [
      Buffer.from(key),
      Buffer.from(text),
    ]);
  };
}

describe.skipIf(isLeftOut("postgres"))("sql() on PostgreSQL by pg", () => {
  runContract("one connection", ["plantForeign"], () => ({ storage, unique: randomUUID(), pass, plantText: plantText("cacheme") }));
  runContract("a pool, a table in a schema", ["plantForeign"], () => ({ storage: pooled, unique: randomUUID(), pass, plantText: plantText('public."Other"') }));
  const rows = (table: string) => async (): Promise<number> => Number((await client.query(`select count(*)::int n from ${table}`)).rows[0]?.["n"]);
  runSqlChecks("sql() on PostgreSQL, one connection", () => ({ storage, broken, trips: () => trips, rows: rows("cacheme") }));

  test("reads, writes, removals and prunes find their rows by an index", async () => {
    await fill(storage);
    await client.query("analyze cacheme");
    expect(await explainPostgres(client, "select k from cacheme where stamp = ''", [])).toEqual({ scans: true, index: false });
    for (const [name, call] of plannedCalls(storage)) {
      sent.length = 0;
      await call();
      expect([name, sent.length > 0]).toEqual([name, true]);
      for (const [text, params] of sent.splice(0)) {
        expect([text, await explainPostgres(client, text, params)]).toEqual([text, { scans: false, index: true }]);
      }
    }
  });

  test("many clients raise, ensure and write under terms at once, and each new generation is told to all alike", async () => {
    const generation = `\u0001${randomUUID()}`;
    const made = await Promise.all(Array.from({ length: 30 }, async () => (await pooled.ensure?.([generation], signal))?.[0]));
    expect(new Set(made).size).toBe(1);
    const key = randomUUID();
    const won = await Promise.all(
      Array.from({ length: 30 }, (_, writer) => pooled.write([{ key, bytes: Uint8Array.of(writer), ttlMs: 60_000, ifStamp: null }], signal)),
    );
    expect(won.flat().filter((outcome) => outcome === true).length).toBe(1);
    await pooled.write([{ key, bytes: Uint8Array.of(1), ttlMs: 60_000 }], signal);
    const raced = await Promise.all(
      Array.from({ length: 30 }, (_, writer) => pooled.write([{ key, bytes: Uint8Array.of(2, writer), ttlMs: 60_000, ifStamp: Uint8Array.of(1) }], signal)),
    );
    expect(raced.flat().filter((outcome) => outcome === true).length).toBe(1);
  });

  test("a pool that was closed, or a server that is gone, is an error of every call, at once", async () => {
    const closed = poolPg({ connectionString: server?.url ?? "" });
    await closed.end();
    const gone = poolPg({ connectionString: "postgres://nobody@127.0.0.1:1/none" });
    for (const dead of [closed, gone]) {
      const on = sql({ dialect: "postgres", query: async (text, params) => (await dead.query(text, params)).rows });
      await expect(on.read(["k"], [], signal)).rejects.toThrow(/end|ECONNREFUSED/);
      await expect(on.write([{ key: "k", bytes: Uint8Array.of(1), ttlMs: null }], signal)).rejects.toThrow(/end|ECONNREFUSED/);
    }
    await gone.end();
  });

  test("a read that finds nothing, of 10,000 keys at once, is answered", async () => {
    const { slots } = await storage.read(
      Array.from({ length: 10_000 }, (_, index) => `nothing ${index}`),
      [],
      signal,
    );
    expect([slots.length, slots.some((slot) => slot !== undefined)]).toEqual([10_000, false]);
  });
});
