/**
 * Asks the planner of each dialect how it would run a statement, and boils the answer down to whether it reads the table
 * whole and whether it uses an index.
 *
 * @module
 */
import type { SqlParam } from "../../adapters/sql.ts";
import type { PgPool } from "../servers/pg.ts";

/** What a plan comes to. */
export interface Plan {
  /** Reads the whole table, or the whole of an index. */
  readonly scans: boolean;
  /** Looks something up by an index of the table. */
  readonly index: boolean;
}

/** A function that runs `explain …` and answers its rows. */
export type Explain = (text: string, params: readonly SqlParam[]) => Promise<readonly Readonly<Record<string, unknown>>[]>;

/** The plan of a statement for PostgreSQL. */
export async function explainPostgres(client: Pick<PgPool, "query">, text: string, params: readonly unknown[]): Promise<Plan> {
  const { rows } = await client.query(`explain ${text}`, params);
  const plan = rows.map((row) => String(row["QUERY PLAN"])).join("\n");
  return { scans: /Seq Scan on/.test(plan), index: /(Index (Only )?Scan|Bitmap Index Scan)/.test(plan) };
}

/** The plan of a statement for MySQL and MariaDB. */
export async function explainMysql(explain: Explain, text: string, params: readonly SqlParam[]): Promise<Plan> {
  const rows = (await explain(`explain ${text}`, params)).filter((row) => row["table"] !== null);
  return {
    scans: rows.some((row) => ["ALL", "index"].includes(String(row["type"]))),
    index: rows.some((row) => row["key"] !== null),
  };
}

/** The plan of a statement for SQLite. */
export async function explainSqlite(explain: Explain, text: string, params: readonly SqlParam[]): Promise<Plan> {
  const steps = (await explain(`explain query plan ${text}`, params)).map((row) => String(row["detail"]));
  return {
    scans: steps.some((step) => step.startsWith("SCAN") && !step.includes("json_each") && !step.includes("CONSTANT ROW")),
    index: steps.some((step) => step.startsWith("SEARCH") && step.includes("INDEX")),
  };
}
