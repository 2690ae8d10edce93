/**
 * A simulator of Neon's SQL over HTTP in front of a real PostgreSQL: `POST /sql` with one query or with several in one
 * transaction, values as the raw text of PostgreSQL. It knows no WebSockets and no tokens but the connection string.
 *
 * @module
 */
import { startHttpGate, type GateAnswer, type HttpGate } from "./http-gate.ts";
import { poolPg, type PgClient, type PgResult } from "./pg.ts";

/** A running bridge. */
export interface NeonBridge extends HttpGate {
  /** What a client of this bridge has to be given; its host leads nowhere but to the bridge. */
  readonly connectionString: string;
  /** Where such a client has to send its requests. */
  readonly endpoint: string;
}

interface Statement {
  readonly query: string;
  readonly params?: readonly unknown[];
}

const PASSWORD = "neon-password-0123456789";

/** Values go out as they came from the server. */
const RAW = { getTypeParser: () => (text: string) => text };

/** Fields of an error that go out, as Neon names them. */
const ERROR_FIELDS = ["code", "severity", "detail", "hint", "position", "where", "schema", "table", "column", "dataType", "constraint", "routine"];

/** Starts a bridge to the PostgreSQL at `postgresUrl`. */
export async function startNeonBridge({ postgresUrl }: { readonly postgresUrl: string }): Promise<NeonBridge> {
  const pool = poolPg({ connectionString: postgresUrl, max: 8 });
  // A connection that breaks while idle is replaced by the next one.
  pool.on("error", () => undefined);
  const gate = await startHttpGate(async ({ method, path, headers, body }) => {
    if (method !== "POST" || path !== "/sql") return { status: 404, body: '{"message":"not found"}' };
    if (!String(headers["neon-connection-string"]).includes(PASSWORD))
      return failure({ message: "password authentication failed for user 'cacheme'", code: "28P01" });
    const parsed: unknown = JSON.parse(body);
    const client = await pool.connect();
    try {
      const answer = isStatement(parsed) ? outcome(await run(client, parsed)) : { results: await runAll(client, statementsOf(parsed), headers) };
      return { status: 200, body: JSON.stringify(answer) };
    } catch (error) {
      return failure(error);
    } finally {
      client.release();
    }
  });
  const stop = gate.stop;
  return Object.assign(gate, {
    connectionString: `postgresql://cacheme:${PASSWORD}@ep-bridge.localtest.me/cache`,
    endpoint: `${gate.url}/sql`,
    async stop() {
      await stop();
      await pool.end();
    },
  });
}

function isStatement(value: unknown): value is Statement {
  return typeof value === "object" && value !== null && "query" in value && typeof value.query === "string";
}

function statementsOf(value: unknown): readonly Statement[] {
  const queries: unknown = typeof value === "object" && value !== null && "queries" in value ? value.queries : undefined;
  if (!Array.isArray(queries) || !queries.every(isStatement)) throw new Error("neither a query nor a list of them");
  return queries;
}

function run(client: PgClient, { query, params = [] }: Statement): Promise<PgResult> {
  return client.query({ text: query, values: params, rowMode: "array", types: RAW });
}

async function runAll(client: PgClient, statements: readonly Statement[], headers: Readonly<Record<string, unknown>>): Promise<unknown[]> {
  const level = String(headers["neon-batch-isolation-level"] ?? "ReadCommitted").replace(/(?<=[a-z])(?=[A-Z])/g, " ");
  await client.query(`begin isolation level ${level}${headers["neon-batch-read-only"] === "true" ? " read only" : ""}`);
  try {
    const results: unknown[] = [];
    for (const statement of statements) results.push(outcome(await run(client, statement)));
    await client.query("commit");
    return results;
  } catch (error) {
    await client.query("rollback");
    throw error;
  }
}

function outcome({ command, rowCount, fields, rows }: PgResult): unknown {
  return { command, rowCount, rowAsArray: true, fields, rows };
}

function failure(error: unknown): GateAnswer {
  const fields = Object.entries(typeof error === "object" && error !== null ? error : {}).filter(([name]) => ERROR_FIELDS.includes(name));
  const message = error instanceof Error ? error.message : String(typeof error === "object" && error !== null && "message" in error ? error.message : error);
  return { status: 400, body: JSON.stringify({ message, ...Object.fromEntries(fields) }) };
}
