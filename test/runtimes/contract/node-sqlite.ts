/**
 * The storage on the SQLite that Node brings, and Deno too.
 *
 * @module
 */
import { DatabaseSync } from "node:sqlite";
import { schema, sql } from "../../../adapters/sql.ts";
import type { Opened } from "./run.ts";

export function openNodeSqlite(): Opened {
  const database = new DatabaseSync(":memory:");
  database.exec(schema("sqlite"));
  const storage = sql({ dialect: "sqlite", query: async (text, params) => database.prepare(text).all(...params) });
  return { storage, close: () => database.close() };
}
