/**
 * The storage on any SQL database for which the user has a client: PostgreSQL, MySQL and MariaDB, SQLite. It relies on the
 * dialects' statements and on one function that runs a statement; it opens, closes and configures nothing.
 *
 * @module
 */
import { onWorkers } from "./workers.ts";
import type { Storage, StorageTraits } from "../src/storage.ts";
import { mysqlSchema, mysqlStatements } from "./sql-mysql.ts";
import { postgresSchema, postgresStatements } from "./sql-postgres.ts";
import { sqliteSchema, sqliteStatements } from "./sql-sqlite.ts";
import { optionsOf } from "./options.ts";
import { isRow, type SqlAnswer, type SqlParam, type SqlStatements } from "./sql-statements.ts";
import { inTurn, sqlStorage } from "./sql-storage.ts";
import { DEFAULT_TABLE } from "./sql-table.ts";

export type { SqlAnswer, SqlParam, SqlRow } from "./sql-statements.ts";

/** The three kinds of SQL. */
export type SqlDialect = "postgres" | "mysql" | "sqlite";

/**
 * Runs one statement and answers its rows: a list of objects by column name. What it answers for a statement without rows
 * does not matter, but that `prune` on MySQL counts by `affectedRows`. Placeholders are `$1`, `$2` in Postgres and `?`
 * elsewhere. A column of bytes may come as a `Uint8Array`, an `ArrayBuffer`, or a list of numbers; an integer as text.
 *
 * It must not retry: a write that is applied twice can undo a later one. It may leave `signal` alone: a call that runs out
 * of its time budget then only stops waiting.
 *
 * @example
 * ```ts
 * import { sql, type SqlParam } from "cacheme/sql";
 *
 * declare const pool: { query(text: string, params: SqlParam[]): Promise<{ rows: object[] }> };
 * declare const postgres: { unsafe(text: string, params: SqlParam[]): Promise<object[]> };
 * declare const mysql: { query(text: string, params: SqlParam[]): Promise<[object, unknown]> };
 * declare const database: { prepare(text: string): { all(...params: SqlParam[]): object[] } };
 *
 * // pg, also through Hyperdrive; postgres.js; mysql2/promise; node:sqlite, better-sqlite3 and bun:sqlite
 * sql({ dialect: "postgres", query: async (text, params) => (await pool.query(text, params)).rows });
 * sql({ dialect: "postgres", query: (text, params) => postgres.unsafe(text, params) });
 * sql({ dialect: "mysql", query: async (text, params) => (await mysql.query(text, params))[0] });
 * sql({ dialect: "sqlite", query: async (text, params) => database.prepare(text).all(...params) });
 * ```
 */
export type SqlQuery = (text: string, params: SqlParam[], signal: AbortSignal) => Promise<object>;

/** Options of {@link sql}. */
export interface SqlOptions {
  readonly dialect: SqlDialect;
  readonly query: SqlQuery;
  /** `table` or `schema.table`. Default `"cacheme"`. */
  readonly table?: string | undefined;
  /** `"request"` if the client holds sockets on Workers. Default: `"request"` on Workers for Postgres and MySQL, else `"isolate"`. */
  readonly scope?: "isolate" | "request" | undefined;
}

interface Dialect {
  readonly schema: (table: string, owner: string) => string;
  readonly statements: (table: string) => SqlStatements;
  readonly traits: StorageTraits;
  /** Most bytes of slots in one statement. */
  readonly bytes: number;
}

const COMMON: StorageTraits = { conditional: true, consistency: "strong", maxBatch: 1000 };

const DIALECTS: Readonly<Record<SqlDialect, Dialect>> = {
  postgres: {
    schema: postgresSchema,
    statements: (table) => postgresStatements(table, "raw"),
    // An index entry has room for 2,704 bytes; a value for 1 GB, of which text forms take the half.
    traits: { ...COMMON, maxKeyBytes: 2_000, maxValueBytes: 256 * 1024 * 1024 },
    bytes: 256 * 1024 * 1024,
  },
  mysql: {
    schema: mysqlSchema,
    statements: mysqlStatements,
    // A packet has 16 MB in MariaDB, 64 MB in MySQL, and base64 takes a third more.
    traits: {
      ...COMMON,
      maxKeyBytes: 1_500,
      maxValueBytes: 10 * 1024 * 1024,
      roundTrips: "1; 2 where a generation is new, and to prune; a batch to write above 10 MB goes out in parts",
    },
    bytes: 10 * 1024 * 1024,
  },
  sqlite: {
    schema: sqliteSchema,
    statements: sqliteStatements,
    traits: { ...COMMON, maxValueBytes: 500_000_000 },
    bytes: Infinity,
  },
};

/**
 * A storage on a SQL table. Every call is one statement (two, one after the other, where MySQL makes a generation or prunes).
 *
 * @throws TypeError naming the option, if one is wrong or there is none of its name.
 * @example
 * ```ts
 * import { createCache, local } from "cacheme";
 * import { sql, type SqlQuery } from "cacheme/sql";
 *
 * declare const query: SqlQuery;
 * const cache = createCache({ storages: { local: local(), db: sql({ dialect: "postgres", query }) } });
 * ```
 */
export function sql(options: SqlOptions): Storage {
  const { dialect, query, table = DEFAULT_TABLE, scope } = optionsOf(options, ["dialect", "query", "table", "scope"], "sql");
  const { statements, traits, bytes } = dialectOf(dialect);
  if (typeof query !== "function") throw new TypeError(`sql: query must be a function, got ${query === null ? "null" : typeof query}`);
  if (scope !== undefined && scope !== "isolate" && scope !== "request") {
    throw new TypeError(`sql: scope must be "isolate" or "request", got ${JSON.stringify(scope)}`);
  }
  return sqlStorage({
    name: "sql",
    setup: schema(dialect, table),
    traits: { ...traits, scope: scope ?? (dialect !== "sqlite" && onWorkers() ? "request" : "isolate") },
    statements: statements(table),
    most: { keys: Infinity, entries: Infinity, bytes },
    run: inTurn(async ({ text, params }, signal) => answerOf(await query(text, [...params], signal))),
  });
}

/**
 * The statements that make the table of {@link sql}, each ended by a semicolon at the end of a line.
 *
 * @param table default `"cacheme"`.
 * @throws TypeError if `dialect` is none, or `table` no plain name.
 */
export function schema(dialect: SqlDialect, table: string = DEFAULT_TABLE): string {
  return dialectOf(dialect).schema(table, "sql");
}

function dialectOf(dialect: unknown): Dialect {
  if (dialect === "postgres" || dialect === "mysql" || dialect === "sqlite") return DIALECTS[dialect];
  throw new TypeError(`sql: dialect must be "postgres", "mysql" or "sqlite", got ${typeof dialect === "string" ? JSON.stringify(dialect) : typeof dialect}`);
}

function answerOf(answer: unknown): SqlAnswer {
  if (Array.isArray(answer)) return answer.every(isRow) ? answer : answer.filter(isRow);
  const affected: unknown = isRow(answer) ? answer["affectedRows"] : undefined;
  return { affectedRows: typeof affected === "number" ? affected : undefined };
}
