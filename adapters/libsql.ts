/**
 * The storage on libSQL (Turso, sqld) over HTTP, through the official driver's own HTTP client. It relies on the statements
 * for SQLite. It neither retries nor keeps anything between calls, so one storage serves all requests of an isolate.
 *
 * @module
 */
import { createClient } from "@libsql/client/http";
import type { Storage, StorageTraits } from "../src/storage.ts";
import { bareUrl, checkMethods, optionsOf, textOption } from "./options.ts";
import { sqliteSchema, sqliteStatements } from "./sql-sqlite.ts";
import { isRow, type SqlParam } from "./sql-statements.ts";
import { inTurn, sqlStorage } from "./sql-storage.ts";
import { DEFAULT_TABLE } from "./sql-table.ts";

/** The one method of a client of `@libsql/client` that is used. */
export interface LibsqlClient {
  execute(statement: { sql: string; args: SqlParam[] }): Promise<{ readonly rows: readonly object[] }>;
}

/** Options of {@link libsql}: where the database is, or a client that is ready. */
export type LibsqlOptions = {
  /** Default `"cacheme"`. */
  readonly table?: string | undefined;
} & (
  | { readonly url: string; readonly authToken?: string | undefined; readonly client?: undefined }
  | { readonly client: LibsqlClient; readonly url?: undefined; readonly authToken?: undefined }
);

const TRAITS: StorageTraits = {
  conditional: true,
  consistency: "strong",
  maxBatch: 1000,
  maxKeyBytes: 8 * 1024,
  // The server refuses a value of 5 MB and more.
  maxValueBytes: 4_000_000,
  roundTrips: "1; a batch to write above 4 MB, or to read above 10 MB, goes out in parts",
};

const MAX_BYTES = 4_000_000;

/**
 * A storage on a libSQL database: every call is one HTTP request with one statement in it.
 *
 * It is strong against a primary. An embedded replica, or an address that is answered by a replica, does not know of an
 * `invalidate` yet.
 *
 * A server answers a request with at most 10 MB if it is not told otherwise, and refuses more. A batch of large values is then
 * read in halves, one after the other, which is no failure.
 *
 * With `url` a call that runs out of its time budget ends its request. With `client` such a call only stops waiting; on
 * Workers, a client that all requests share queues behind calls of requests that are gone, so prefer `url` there.
 *
 * @param options.url `libsql://…`, `https://…` or `http://…`; no `ws:`, no `file:`, no token in it.
 * @param options.authToken left out where none is asked for.
 * @param options.table default `"cacheme"`; made with {@link schema}.
 * @throws TypeError naming the option without its value, if one is wrong or there is none of its name.
 * @example
 * ```ts
 * import { createCache, local } from "cacheme";
 * import { libsql } from "cacheme/libsql";
 *
 * declare const env: { TURSO_URL: string; TURSO_TOKEN: string };
 * const turso = libsql({ url: env.TURSO_URL, authToken: env.TURSO_TOKEN });
 * const cache = createCache({ storages: { local: local(), turso } });
 * ```
 * @see https://docs.turso.tech/sdk/ts/reference
 */
export function libsql(options: LibsqlOptions): Storage {
  const { client, url, authToken, table = DEFAULT_TABLE } = optionsOf<LibsqlOptions>(options, ["client", "url", "authToken", "table"], "libsql");
  const clientFor = client === undefined ? ownClient(url, authToken) : givenClient(client);
  return sqlStorage({
    name: "libsql",
    setup: schema(table),
    traits: TRAITS,
    statements: sqliteStatements(table),
    most: { keys: Infinity, entries: Infinity, bytes: MAX_BYTES },
    isTooLarge,
    run: inTurn(async ({ text, params }, signal) => {
      const { rows } = await clientFor(signal).execute({ sql: text, args: [...params] });
      return rows.filter(isRow);
    }),
  });
}

/**
 * The statements that make the table of {@link libsql}.
 *
 * @param table default `"cacheme"`.
 * @throws TypeError if it is no plain name.
 */
export function schema(table: string = DEFAULT_TABLE): string {
  return sqliteSchema(table, "libsql");
}

/** The answer is larger than the server's `--max-response-size`, or than what it has left for all answers under way. */
function isTooLarge(error: unknown): boolean {
  return error instanceof Error && Reflect.get(error, "code") === "RESPONSE_TOO_LARGE";
}

type ClientFor = (signal: AbortSignal) => LibsqlClient;

/**
 * A client for each call, which opens nothing by itself: the driver knows no signal, and a shared client lets 20 calls run
 * at once, also those whose request has died.
 */
function ownClient(url: unknown, authToken: unknown): ClientFor {
  const text = bareUrl(url, "libsql: url", ["libsql:", "https:", "http:"], "like libsql://NAME.turso.io or https://host");
  const token = authToken === undefined ? undefined : textOption(authToken, "libsql: authToken");
  return (signal) =>
    createClient({
      url: text,
      ...(token !== undefined && { authToken: token }),
      fetch: (request: Request) => fetch(request, { signal }),
    });
}

function givenClient(client: LibsqlClient): ClientFor {
  checkMethods(client, ["execute"], "libsql: client", "a client of @libsql/client");
  return (signal) => {
    signal.throwIfAborted();
    return client;
  };
}
