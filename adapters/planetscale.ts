/**
 * The storage on PlanetScale's MySQL over HTTP, through the official driver. It relies on the statements for MySQL. It
 * neither retries nor keeps anything between calls, so one storage serves all requests of an isolate.
 *
 * @module
 */
import { Client } from "@planetscale/database";
import type { Storage, StorageTraits } from "../src/storage.ts";
import { mysqlSchema, mysqlStatements } from "./sql-mysql.ts";
import { checkMethods, optionsOf, textOption, urlOf } from "./options.ts";
import type { SqlAnswer, SqlParam } from "./sql-statements.ts";
import { inTurn, sqlStorage } from "./sql-storage.ts";
import { DEFAULT_TABLE } from "./sql-table.ts";

/** What is used of an answer. */
export interface PlanetscaleResult {
  readonly headers: readonly string[];
  readonly rows: readonly Record<string, unknown>[];
  readonly rowsAffected: number;
}

/** The one method of a `Client` of `@planetscale/database` that is used. */
export interface PlanetscaleClient {
  execute(
    query: string,
    args: SqlParam[],
    options: { as: "object"; cast: (field: { name: string }, value: string | null) => unknown },
  ): Promise<PlanetscaleResult>;
}

/** A function like the platform's `fetch`, as far as the driver calls it. */
export type PlanetscaleFetch = (url: string, init: RequestInit) => Promise<Response>;

interface Shared {
  /** Default `"cacheme"`. */
  readonly table?: string | undefined;
}

/** Options of {@link planetscale}: where the database is, or a client that is ready. */
export type PlanetscaleOptions =
  | (Shared & { readonly url: string; readonly fetch?: PlanetscaleFetch | undefined; readonly client?: undefined })
  | (Shared & {
      readonly host: string;
      readonly username: string;
      readonly password: string;
      readonly fetch?: PlanetscaleFetch | undefined;
      readonly client?: undefined;
      readonly url?: undefined;
    })
  | (Shared & { readonly client: PlanetscaleClient });

const TRAITS: StorageTraits = {
  conditional: true,
  consistency: "strong",
  maxBatch: 1000,
  maxKeyBytes: 1_500,
  maxValueBytes: 7_000_000,
  roundTrips: "1; 2 where a generation is new, and to prune; a batch to write above 7 MB goes out in parts",
};

/** A packet has 16 MB; base64 takes a third more. */
const MAX_BYTES = 7_000_000;

/**
 * A storage on a PlanetScale database: every call is one HTTP request with one statement in it (two, one after the other,
 * where a generation is new, and to prune).
 *
 * MySQL cannot say which rows of a batch an upsert refused, so a write under a stamp is answered by `undefined`; that an
 * old value is refused holds all the same.
 *
 * With `url`, or `host`, `username` and `password`, a call that runs out of its time budget ends its request. With `client`
 * such a call only stops waiting; give it a `new Client()`, since all calls of a `connect()` share one session.
 *
 * @param options.url `https://user:password@host`; what the driver cannot decode (percent-encoded parts) goes by `host`.
 * @param options.fetch used in place of the platform's.
 * @param options.table default `"cacheme"`; made with {@link schema}.
 * @throws TypeError naming the option without its value, if one is wrong or there is none of its name.
 * @example
 * ```ts
 * import { createCache, local } from "cacheme";
 * import { planetscale } from "cacheme/planetscale";
 *
 * declare const env: { DATABASE_URL: string };
 * const cache = createCache({ storages: { local: local(), db: planetscale({ url: env.DATABASE_URL }) } });
 * ```
 * @see https://planetscale.com/docs/vitess/tutorials/planetscale-serverless-driver
 */
export function planetscale(options: PlanetscaleOptions): Storage {
  const checked = optionsOf<PlanetscaleOptions>(options, ["client", "url", "host", "username", "password", "fetch", "table"], "planetscale");
  const { table = DEFAULT_TABLE } = checked;
  const clientFor = "client" in checked && checked.client !== undefined ? givenClient(checked.client) : ownClient(checked);
  return sqlStorage({
    name: "planetscale",
    setup: schema(table),
    traits: TRAITS,
    statements: mysqlStatements(table),
    most: { keys: Infinity, entries: Infinity, bytes: MAX_BYTES },
    run: inTurn(async ({ text, params }, signal): Promise<SqlAnswer> => {
      const { headers, rows, rowsAffected } = await clientFor(signal).execute(text, [...params], { as: "object", cast });
      return headers.length > 0 ? rows : { affectedRows: rowsAffected };
    }),
  });
}

/**
 * The statement that makes the table of {@link planetscale}.
 *
 * @param table default `"cacheme"`.
 * @throws TypeError if it is no plain name.
 */
export function schema(table: string = DEFAULT_TABLE): string {
  return mysqlSchema(table, "planetscale");
}

/** Columns of bytes come with a character for each byte; the driver's own conversion is several times slower. */
function cast({ name }: { readonly name: string }, value: string | null): unknown {
  if (value === null || (name !== "k" && name !== "v")) return value;
  const bytes = new Uint8Array(value.length);
  for (let index = 0; index < value.length; index += 1) bytes[index] = value.charCodeAt(index);
  return bytes;
}

type ClientFor = (signal: AbortSignal) => PlanetscaleClient;

/**
 * A client for each call, which costs nothing but the object: the driver knows no signal, and one `fetch` for all calls
 * could not tell them apart.
 */
function ownClient(options: Exclude<PlanetscaleOptions, { client: PlanetscaleClient }>): ClientFor {
  const place = placeOf(options);
  const send = options.fetch;
  if (send !== undefined && typeof send !== "function") throw new TypeError(`planetscale: fetch must be a function, got ${typeof send}`);
  return (signal) => {
    const client = new Client({
      ...place,
      async fetch(url, request) {
        // The driver's `cache` is left out: it is unknown to Workers of an old compatibility date.
        const init = { method: "POST", headers: request?.headers ?? {}, body: request?.body ?? "", signal };
        return withCheck(await (send === undefined ? fetch(url, init) : send(url, init)));
      },
    });
    return {
      execute: (query, args, { cast: own }): Promise<PlanetscaleResult> => client.execute(query, args, { as: "object", cast: own }),
    };
  };
}

/** What of a response the driver uses. The driver takes any JSON for a result without rows: a write that was never made would pass for done. */
function withCheck(response: Response): Pick<Response, "ok" | "status" | "statusText" | "headers" | "text"> {
  const { ok, status, statusText, headers } = response;
  async function text(): Promise<string> {
    const body = await response.text();
    if (ok && !/"(?:session|result|error)"/.test(body)) throw new TypeError("the answer has neither a result nor an error");
    return body;
  }
  return { ok, status, statusText, headers, text };
}

interface Place {
  readonly url?: unknown;
  readonly host?: unknown;
  readonly username?: unknown;
  readonly password?: unknown;
}

function placeOf({ url, host, username, password }: Place): { url: string } | { host: string; username: string; password: string } {
  if (url !== undefined) return { url: checkedUrl(url) };
  if ([host, username, password].every((part) => part === undefined))
    throw new TypeError("planetscale: url must be like https://user:password@host, got undefined; host, username and password do as well, or client");
  const name = textOption(host, "planetscale: host");
  if (/[/@?#]/.test(name)) throw new TypeError("planetscale: host must be a host name, got a URL or a part of one");
  return { host: name, username: textOption(username, "planetscale: username"), password: textOption(password, "planetscale: password") };
}

function checkedUrl(value: unknown): string {
  const option = "planetscale: url";
  const wanted = "like https://user:password@host";
  const { username, password } = urlOf(value, option, ["https:", "http:", "mysql:"], wanted);
  if (username === "" || password === "") throw new TypeError(`${option} must be ${wanted}, got one that lacks a part`);
  if (/%/.test(username + password))
    throw new TypeError(`${option} must have no encoded characters in user or password, which the driver sends as they are: use host, username and password`);
  return String(value);
}

function givenClient(client: PlanetscaleClient): ClientFor {
  checkMethods(client, ["execute"], "planetscale: client", "a Client of @planetscale/database");
  return (signal) => {
    signal.throwIfAborted();
    return client;
  };
}
