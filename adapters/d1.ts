/**
 * The storage on Cloudflare D1. It relies on the binding and on the statements for SQLite. It neither retries nor keeps
 * anything between calls.
 *
 * @module
 */
import type { Storage, StorageTraits } from "../src/storage.ts";
import { checkMethods, optionsOf } from "./options.ts";
import { sqliteSchema, sqliteStatements } from "./sql-sqlite.ts";
import { isRow } from "./sql-statements.ts";
import { sqlStorage } from "./sql-storage.ts";
import { DEFAULT_TABLE } from "./sql-table.ts";

/** A prepared statement of D1, as far as it is used. */
export interface D1Statement {
  bind(...values: unknown[]): D1Statement;
}

/** The few methods of a `D1Database` that are used. */
export interface D1Binding {
  prepare(query: string): D1Statement;
  // A method, and `never`, so that a binding whose statements have more methods fits.
  batch(statements: never[]): Promise<readonly { readonly results?: readonly unknown[] | undefined }[]>;
}

/** Options of {@link d1}. */
export interface D1Options {
  /** The binding, as in `env.DB`. */
  readonly database: D1Binding;
  /** Default `"cacheme"`. */
  readonly table?: string | undefined;
}

const TRAITS: StorageTraits = {
  conditional: true,
  consistency: "strong",
  maxBatch: 1000,
  maxKeyBytes: 8 * 1024,
  // A row has at most 2,000,000 bytes; what lies above this is left for the key and the stamp.
  maxValueBytes: 1_900_000,
  roundTrips: "1; one statement in it for each 100 keys to read and each 25 slots to write",
};

/** A statement takes 100 parameters, and a slot needs 4. */
const MOST = { keys: 100, entries: 25, bytes: Infinity };

/**
 * A storage on a D1 database: every call is one `batch()`, which is one round trip and one transaction.
 *
 * It asks the primary, so it is strong; it uses no sessions, by which replicas would answer. A call that runs out of its
 * time budget only stops waiting, because the binding knows no signal.
 *
 * @param options.database a D1 binding.
 * @param options.table default `"cacheme"`; made with {@link schema}, in a migration for instance.
 * @throws TypeError if `database` is no D1 binding or `table` no plain name, or for an option that there is not.
 * @example
 * ```ts
 * import { createCache, local } from "cacheme";
 * import { d1, type D1Binding } from "cacheme/d1";
 *
 * declare const env: { DB: D1Binding }; // import { env } from "cloudflare:workers"
 * const cache = createCache({ storages: { local: local(), d1: () => d1({ database: env.DB }) } });
 * ```
 * @see https://developers.cloudflare.com/d1/worker-api/d1-database/
 */
export function d1(options: D1Options): Storage {
  const { database, table = DEFAULT_TABLE } = optionsOf(options, ["database", "table"], "d1");
  checkMethods(database, ["prepare", "batch"], "d1: database", "a D1 binding");
  return sqlStorage({
    name: "d1",
    setup: schema(table),
    traits: TRAITS,
    statements: sqliteStatements(table),
    most: MOST,
    async run(statements, signal) {
      signal.throwIfAborted();
      const prepared = statements.map(({ text, params }) => database.prepare(text).bind(...params));
      const answers = await database.batch(prepared as never[]);
      return answers.map(({ results = [] }) => results.filter(isRow));
    },
  });
}

/**
 * The statements that make the table of {@link d1}.
 *
 * @param table default `"cacheme"`.
 * @throws TypeError if it is no plain name.
 */
export function schema(table: string = DEFAULT_TABLE): string {
  return sqliteSchema(table, "d1");
}
