/**
 * The storage on Neon's Postgres over HTTP, through the official driver. It relies on the statements for Postgres and sends
 * bytes as base64, because the driver writes them as hexadecimal text. It neither retries nor keeps anything between calls,
 * so one storage serves all requests of an isolate.
 *
 * @module
 */
import { neon as connect } from "@neondatabase/serverless";
import type { Storage, StorageTraits } from "../src/storage.ts";
import { checkMethods, optionsOf, urlOf } from "./options.ts";
import { postgresSchema, postgresStatements } from "./sql-postgres.ts";
import type { SqlParam, SqlRow } from "./sql-statements.ts";
import { inTurn, sqlStorage } from "./sql-storage.ts";
import { DEFAULT_TABLE } from "./sql-table.ts";

/** The one method of what `neon()` of `@neondatabase/serverless` answers that is used. */
export interface NeonClient {
  query(
    text: string,
    params: SqlParam[],
    options: { arrayMode: false; fullResults: false; fetchOptions: { signal: AbortSignal } },
  ): Promise<readonly Record<string, unknown>[]>;
}

/** Options of {@link neon}: where the database is, or a client that is ready. */
export type NeonOptions = {
  /** `table` or `schema.table`. Default `"cacheme"`. */
  readonly table?: string | undefined;
} & ({ readonly connectionString: string; readonly client?: undefined } | { readonly client: NeonClient; readonly connectionString?: undefined });

const TRAITS: StorageTraits = {
  conditional: true,
  consistency: "strong",
  maxBatch: 1000,
  // An index entry has room for 2,704 bytes.
  maxKeyBytes: 2_000,
  maxValueBytes: 7_000_000,
  roundTrips: "1; a batch to write above 7 MB, or to read above 64 MB, goes out in parts",
};

/** A request may have 10 MB; what lies above this is left for base64 and keys. */
const MAX_BYTES = 7_000_000;

/**
 * A storage on a Neon database: every call is one HTTP request with one statement in it. A call that runs out of its time
 * budget ends its request; the driver has no retries. Give it the address of the primary: a read replica does not know of
 * an `invalidate` yet.
 *
 * Neon answers a request with at most 64 MB and refuses more. A batch of large values is then read in halves, one after the
 * other, which is no failure.
 *
 * @param options.connectionString `postgresql://user:password@host/database`.
 * @param options.client what `neon(connectionString)` answers, in place of it.
 * @param options.table default `"cacheme"`; made with {@link schema}.
 * @throws TypeError naming the option without its value, if one is wrong or there is none of its name.
 * @example
 * ```ts
 * import { createCache, local } from "cacheme";
 * import { neon } from "cacheme/neon";
 *
 * declare const env: { DATABASE_URL: string };
 * const cache = createCache({ storages: { local: local(), neon: neon({ connectionString: env.DATABASE_URL }) } });
 * ```
 * @see https://neon.com/docs/serverless/serverless-driver
 */
export function neon(options: NeonOptions): Storage {
  const { client: given, connectionString, table = DEFAULT_TABLE } = optionsOf<NeonOptions>(options, ["client", "connectionString", "table"], "neon");
  const client = given === undefined ? ownClient(connectionString) : givenClient(given);
  return sqlStorage({
    name: "neon",
    setup: schema(table),
    traits: TRAITS,
    statements: postgresStatements(table, "base64"),
    most: { keys: Infinity, entries: Infinity, bytes: MAX_BYTES },
    isTooLarge,
    run: inTurn(({ text, params }, signal) => client.query(text, [...params], { arrayMode: false, fullResults: false, fetchOptions: { signal } })),
  });
}

/**
 * The statements that make the table of {@link neon}. It is unlogged: a restart of the database may empty it.
 *
 * @param table default `"cacheme"`.
 * @throws TypeError if it is no plain name.
 */
export function schema(table: string = DEFAULT_TABLE): string {
  return postgresSchema(table, "neon");
}

/** As the proxy says it: `response is too large (max is 67108864 bytes)`; the driver may put a status before it. */
function isTooLarge(error: unknown): boolean {
  return error instanceof Error && /\bresponse is too large \(max is \d+ bytes\)/.test(error.message);
}

/** Checked beforehand, because what the driver throws shows the connection string. */
function ownClient(connectionString: unknown): NeonClient {
  const option = "neon: connectionString";
  const wanted = "like postgresql://user:password@host/database";
  const url = urlOf(connectionString, option, ["postgres:", "postgresql:"], wanted);
  if (url.username === "" || url.hostname === "" || url.pathname.length < 2) throw new TypeError(`${option} must be ${wanted}, got one that lacks a part`);
  const client = connect(String(connectionString), { disableWarningInBrowsers: true });
  return { query: (query, params, options): Promise<readonly SqlRow[]> => client.query(query, params, options) };
}

function givenClient(client: NeonClient): NeonClient {
  checkMethods(client, ["query"], "neon: client", "what neon() of @neondatabase/serverless answers");
  return client;
}
