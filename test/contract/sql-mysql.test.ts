import { randomUUID } from "node:crypto";
import { createPool, type Pool } from "mysql2/promise";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { schema, sql, type SqlAnswer, type SqlParam } from "../../adapters/sql.ts";
import type { Storage } from "../../src/storage.ts";
import { startMariadb, type MariadbServer } from "../servers/mariadb.ts";
import { isLeftOut } from "../servers/process.ts";
import { runContract } from "./run-contract.ts";
import { explainMysql } from "./sql-explain.ts";
import { runSqlChecks } from "./sql-checks.ts";
import { fill, pass, plannedCalls } from "./sql-kit.ts";
import { telling } from "./telling.ts";

let server: MariadbServer | undefined;
let pool: Pool;
/** Looks at the server without being counted. */
let admin: Pool;
let looks = 0;
let storage: Storage;
let executed: Storage;
let broken: Storage;
const sent: [text: string, params: SqlParam[]][] = [];
const signal = new AbortController().signal;

beforeAll(async () => {
  if (isLeftOut("mariadb")) return;
  server = await startMariadb();
  pool = createPool({ uri: server.url, connectionLimit: 6 });
  admin = createPool({ uri: server.url, connectionLimit: 1 });
  await admin.query(schema("mysql"));
  const query = async (text: string, params: SqlParam[]): Promise<SqlAnswer> => {
    sent.push([text, params]);
    return answerOf(await pool.query(text, params));
  };
  storage = sql({ dialect: "mysql", query });
  broken = sql({ dialect: "mysql", query, table: "no_such_table" });
  executed = sql({ dialect: "mysql", query: async (text, params) => answerOf(await pool.execute(text, params)) });
});

afterAll(async () => {
  await pool?.end();
  await admin?.end();
  await server?.stop();
});

function answerOf([answer]: readonly unknown[]): SqlAnswer {
  if (Array.isArray(answer)) return answer;
  return { affectedRows: typeof answer === "object" && answer !== null && "affectedRows" in answer ? Number(answer.affectedRows) : undefined };
}

async function rowsOf(text: string, params: readonly unknown[] = []): Promise<readonly Readonly<Record<string, unknown>>[]> {
  const [rows] = await admin.query(text, [...params]);
  return Array.isArray(rows) ? rows.map((row) => Object.fromEntries(Object.entries(row))) : [];
}

/** What the server was asked, without our own looks at its counter. */
async function trips(): Promise<number> {
  looks += 1;
  const [status] = await rowsOf("show global status like 'Questions'");
  return Number(status?.["Value"]) - looks;
}

async function rows(): Promise<number> {
  looks += 1;
  return Number((await rowsOf("select count(*) n from cacheme"))[0]?.["n"]);
}

async function plantText(key: string, text: string): Promise<void> {
  await rowsOf("insert into cacheme (k, v) values (?, ?) on duplicate key update v = values(v), n = null, expires = null", [
    Buffer.from(key),
    Buffer.from(text),
  ]);
}

describe.skipIf(isLeftOut("mariadb"))("sql() on MariaDB by mysql2", () => {
  runContract("query, refused writes seen by a look afterwards", ["plantForeign"], () => ({
    storage: telling(storage),
    unique: randomUUID(),
    pass,
    plantText,
  }));
  runContract("execute, refused writes seen by a look afterwards", ["plantForeign"], () => ({
    storage: telling(executed),
    unique: randomUUID(),
    pass,
    plantText,
  }));
  runSqlChecks("sql() on MariaDB", () => ({ storage, broken, trips, rows }), { ensure: 2 });

  test("a write under terms answers that it cannot tell, one without terms that it is stored", async () => {
    const entry = { key: randomUUID(), bytes: Uint8Array.of(1), ttlMs: null };
    const other = { ...entry, key: randomUUID(), ifStamp: null };
    expect(await storage.write([entry, other, { ...other, key: randomUUID(), ifStamp: Uint8Array.of(9) }], signal)).toEqual([true, undefined, undefined]);
  });

  test("reads, writes, removals and prunes find their rows by an index", async () => {
    await fill(storage);
    await rowsOf("analyze table cacheme");
    expect(await explainMysql(rowsOf, "select k from cacheme where stamp = ''", [])).toEqual({ scans: true, index: false });
    for (const [name, call] of plannedCalls(storage)) {
      sent.length = 0;
      await call();
      expect([name, sent.length > 0]).toEqual([name, true]);
      for (const [text, params] of sent.splice(0)) {
        expect([text, await explainMysql(rowsOf, text, params)]).toEqual([text, { scans: false, index: true }]);
      }
    }
  });

  test("of many clients that write under the same terms at once, one is stored, whole", async () => {
    const key = randomUUID();
    await Promise.all(
      Array.from({ length: 30 }, (_, writer) => storage.write([{ key, bytes: Uint8Array.of(writer, writer), ttlMs: 60_000, ifStamp: null }], signal)),
    );
    const first = (await storage.read([key], [], signal)).slots[0]?.bytes ?? new Uint8Array();
    await Promise.all(
      Array.from({ length: 30 }, (_, writer) => storage.write([{ key, bytes: Uint8Array.of(100 + writer), ttlMs: 60_000, ifStamp: first }], signal)),
    );
    const second = (await storage.read([key], [], signal)).slots[0]?.bytes ?? new Uint8Array();
    await storage.write([{ key, bytes: Uint8Array.of(1), ttlMs: 60_000, ifStamp: first }], signal);
    expect([first.length, first[0], second.length]).toEqual([2, first[1], 1]);
    expect((await storage.read([key], [], signal)).slots[0]?.bytes).toEqual(second);
  });
});
