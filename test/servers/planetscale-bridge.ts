/**
 * A simulator of PlanetScale's HTTP API in front of a real MariaDB: `Execute` and `CreateSession` with basic
 * authentication, rows as concatenated bytes. Every statement commits by itself: it knows no transactions, no Vitess limits.
 *
 * @module
 */
import { randomUUID } from "node:crypto";
import { createPool, type FieldPacket, type Pool } from "mysql2/promise";
import { startHttpGate, type GateAnswer, type HttpGate } from "./http-gate.ts";

/** A running bridge. */
export interface PlanetscaleBridge extends HttpGate {
  readonly username: string;
  readonly password: string;
  /** The address with both in it, as the driver takes it. */
  readonly fullUrl: string;
}

const USERNAME = "bridge-user";
const PASSWORD = "pscale_pw_bridge_0123456789";

/** Vitess' names for the types of the MySQL protocol, where they are not told apart by their flags. */
const NAMES: Readonly<Record<number, string>> = {
  0: "DECIMAL",
  1: "INT8",
  2: "INT16",
  3: "INT32",
  4: "FLOAT32",
  5: "FLOAT64",
  6: "NULL",
  7: "TIMESTAMP",
  8: "INT64",
  9: "INT24",
  10: "DATE",
  11: "TIME",
  12: "DATETIME",
  13: "YEAR",
  245: "JSON",
  246: "DECIMAL",
};
const UNSIGNED_FLAG = 32;
const BINARY_CHARSET = 63;

/** Starts a bridge to the MariaDB at `mariadbUrl`. */
export async function startPlanetscaleBridge({ mariadbUrl }: { readonly mariadbUrl: string }): Promise<PlanetscaleBridge> {
  const pool = createPool({ uri: mariadbUrl, connectionLimit: 8, charset: "utf8mb4" });
  const wanted = `Basic ${Buffer.from(`${USERNAME}:${PASSWORD}`).toString("base64")}`;
  const gate = await startHttpGate(async ({ method, path, headers, body }) => {
    if (headers.authorization !== wanted) return failure(401, "unauthenticated", "invalid authentication credentials");
    const parsed: unknown = JSON.parse(body);
    const id = sessionOf(parsed) ?? randomUUID();
    if (method === "POST" && path === "/psdb.v1alpha1.Database/CreateSession") return success({ branch: "bridge", session: { id } });
    if (method !== "POST" || path !== "/psdb.v1alpha1.Database/Execute") return failure(404, "not_found", "no such method");
    return execute(pool, id, queryOf(parsed));
  });
  const stop = gate.stop;
  return Object.assign(gate, {
    username: USERNAME,
    password: PASSWORD,
    fullUrl: `http://${USERNAME}:${PASSWORD}@127.0.0.1:${gate.port}`,
    async stop() {
      await stop();
      await pool.end();
    },
  });
}

function sessionOf(value: unknown): string | undefined {
  const session: unknown = typeof value === "object" && value !== null && "session" in value ? value.session : undefined;
  return typeof session === "object" && session !== null && "id" in session ? String(session.id) : undefined;
}

function queryOf(value: unknown): string {
  return typeof value === "object" && value !== null && "query" in value ? String(value.query) : "";
}

async function execute(pool: Pool, id: string, sql: string): Promise<GateAnswer> {
  const began = performance.now();
  try {
    const [result, fields] = await pool.query({ sql, rowsAsArray: true, typeCast: (field) => field.buffer() });
    const timing = (performance.now() - began) / 1000;
    return success({ session: { id }, result: resultOf(result, fields ?? []), timing });
  } catch (error) {
    // A statement that fails is answered with 200.
    const message = error instanceof Error ? error.message : String(error);
    const errno = typeof error === "object" && error !== null && "errno" in error ? String(error.errno) : "1105";
    return success({ session: { id }, error: { code: "UNKNOWN", message: `target: bridge.-.primary: vttablet: rpc error: ${message} (errno ${errno})` } });
  }
}

function resultOf(result: unknown, fields: readonly FieldPacket[]): unknown {
  if (!Array.isArray(result)) {
    const { affectedRows = 0, insertId = 0 } = isHeader(result) ? result : {};
    return { rowsAffected: String(affectedRows), insertId: String(insertId) };
  }
  return { fields: fields.map(fieldOf), rows: result.map(rowOf) };
}

function isHeader(value: unknown): value is { affectedRows: number; insertId: number } {
  return typeof value === "object" && value !== null && "affectedRows" in value && "insertId" in value;
}

function fieldOf(field: FieldPacket): unknown {
  const { name, columnType = 253, characterSet = BINARY_CHARSET } = field;
  const flags = Number(field.flags);
  return { name, type: typeOf(columnType, flags, characterSet), charset: characterSet, flags };
}

function typeOf(type: number, flags: number, charset: number): string {
  const name = NAMES[type];
  if (name !== undefined) return name.startsWith("INT") && (flags & UNSIGNED_FLAG) !== 0 ? `U${name}` : name;
  const binary = charset === BINARY_CHARSET;
  if (type >= 249 && type <= 252) return binary ? "BLOB" : "TEXT";
  return binary ? "VARBINARY" : "VARCHAR";
}

/** All columns one after the other; the length of NULL is -1. */
function rowOf(row: unknown): { lengths: string[]; values: string } {
  const columns: unknown[] = Array.isArray(row) ? row : [];
  const bytes = columns.map((column) => (column instanceof Uint8Array ? column : undefined));
  return {
    lengths: bytes.map((column) => String(column?.length ?? -1)),
    values: Buffer.concat(bytes.filter((column) => column !== undefined)).toString("base64"),
  };
}

function success(body: unknown): GateAnswer {
  return { status: 200, body: JSON.stringify(body) };
}

function failure(status: number, code: string, message: string): GateAnswer {
  return { status, body: JSON.stringify({ error: { code, message } }) };
}
