import { randomUUID } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterAll, describe, expect, test } from "vitest";
import { schema, sql, type SqlParam, type SqlRow } from "../../adapters/sql.ts";
import { runContract } from "./run-contract.ts";
import { explainSqlite } from "./sql-explain.ts";
import { runSqlChecks } from "./sql-checks.ts";
import { fill, pass, plannedCalls } from "./sql-kit.ts";

const directory = mkdtempSync(join(tmpdir(), "cacheme-sqlite-"));
const memory = new DatabaseSync(":memory:");
const file = new DatabaseSync(join(directory, "cache.db"));
let trips = 0;
const sent: [text: string, params: SqlParam[]][] = [];

function run(database: DatabaseSync, text: string, params: readonly SqlParam[] = []): SqlRow[] {
  trips += 1;
  return database
    .prepare(text)
    .all(...params)
    .map((row) => ({ ...row }));
}

memory.exec(schema("sqlite"));
file.exec("pragma journal_mode = wal");
file.exec(schema("sqlite", "main.Other"));

const query = async (text: string, params: SqlParam[]): Promise<SqlRow[]> => {
  sent.push([text, params]);
  return run(memory, text, params);
};
const storage = sql({ dialect: "sqlite", query });
const broken = sql({ dialect: "sqlite", query, table: "no_such_table" });
const onDisk = sql({ dialect: "sqlite", query: async (text, params) => run(file, text, params), table: "main.Other" });

afterAll(() => {
  memory.close();
  file.close();
  rmSync(directory, { recursive: true });
});

function plantText(database: DatabaseSync, table: string) {
  return async (key: string, text: string): Promise<void> => {
    const statement = `insert into ${table} (k, v) values (?, ?) on conflict (k) do update set v = excluded.v, n = null, expires = null`;
    run(database, statement, [Buffer.from(key), Buffer.from(text)]);
  };
}

const rows = async (): Promise<number> => Number(memory.prepare("select count(*) n from cacheme").get()?.["n"]);

describe("sql() on SQLite by node:sqlite", () => {
  runContract("in memory", ["plantForeign"], () => ({ storage, unique: randomUUID(), pass, plantText: plantText(memory, "cacheme") }));
  runContract("a file, a table in a schema", ["plantForeign"], () => ({
    storage: onDisk,
    unique: randomUUID(),
    pass,
    plantText: plantText(file, "main.Other"),
  }));
  runSqlChecks("sql() on SQLite", () => ({ storage, broken, trips: () => trips, rows }));

  test("reads, writes, removals and prunes find their rows by an index", async () => {
    await fill(storage);
    memory.exec("analyze");
    const explain = async (text: string, params: readonly SqlParam[]): Promise<SqlRow[]> => run(memory, text, params);
    expect(await explainSqlite(explain, "select k from cacheme where stamp = x''", [])).toEqual({ scans: true, index: false });
    for (const [name, call] of plannedCalls(storage)) {
      sent.length = 0;
      await call();
      expect([name, sent.length > 0]).toEqual([name, true]);
      for (const [text, params] of sent.splice(0)) {
        expect([text, await explainSqlite(explain, text, params)]).toEqual([text, { scans: false, index: true }]);
      }
    }
  });
});
