/**
 * The three SQL servers as the benchmarks of storages use them: started with throw-away data, with the table made, and with a
 * storage on it. It relies on the servers of the tests.
 *
 * @module
 */
import { createClient } from "@libsql/client/http";
import { schema, sql } from "cacheme/sql";
import type { SqlAnswer, SqlParam } from "cacheme/sql";
import { createPool } from "mysql2/promise";
import { startMariadb } from "../../test/servers/mariadb.ts";
import { poolPg } from "../../test/servers/pg.ts";
import { startPostgres } from "../../test/servers/postgres.ts";
import { startSqld } from "../../test/servers/sqld.ts";

/** The kind of storage that `sql` makes. */
export type SqlStorage = ReturnType<typeof sql>;

/** A server with a storage. */
export interface SqlServer {
  readonly name: string;
  readonly version: string;
  readonly storage: SqlStorage;
  /** Where clients of the same database find it. */
  readonly url: string;
  /** Runs a statement besides the storage. */
  run(text: string, params?: readonly SqlParam[]): Promise<SqlAnswer>;
  /** Makes `count` rows that have expired, of 100 bytes each, in one go. */
  fillExpired(count: number): Promise<void>;
  stop(): Promise<void>;
}

/** How each is started. */
export const SQL_SERVERS: Readonly<Record<string, () => Promise<SqlServer>>> = {
  async postgres() {
    const server = await startPostgres();
    const pool = poolPg({ connectionString: server.url, max: 8 });
    const run = async (text: string, params: readonly SqlParam[] = []): Promise<SqlAnswer> => (await pool.query(text, params)).rows;
    await run(schema("postgres"));
    return {
      name: "PostgreSQL",
      version: await versionOf(run, "select current_setting('server_version') as v"),
      storage: sql({ dialect: "postgres", query: run }),
      url: server.url,
      run,
      async fillExpired(count) {
        await run(
          `insert into cacheme (k, v, expires) select convert_to('dead ' || i, 'UTF8'), decode(repeat('ab', 100), 'hex'), i from generate_series(1, ${count}) i`,
        );
        await run("analyze cacheme");
      },
      async stop() {
        await pool.end();
        await server.stop();
      },
    };
  },
  async mariadb() {
    const server = await startMariadb({ args: ["--innodb-buffer-pool-size=1G"] });
    const pool = createPool({ uri: server.url, connectionLimit: 8 });
    const run = async (text: string, params: readonly SqlParam[] = []): Promise<SqlAnswer> => {
      const [answer] = await pool.query(text, [...params]);
      return Array.isArray(answer) ? answer.map((row) => Object.fromEntries(Object.entries(row))) : { affectedRows: answer.affectedRows };
    };
    await run(schema("mysql"));
    return {
      name: "MariaDB",
      version: await versionOf(run, "select version() as v"),
      storage: sql({ dialect: "mysql", query: run }),
      url: server.url,
      run,
      async fillExpired(count) {
        await run(`insert into cacheme (k, v, expires) select concat('dead ', seq), repeat('a', 100), seq from seq_1_to_${count}`);
        await run("analyze table cacheme");
      },
      async stop() {
        await pool.end();
        await server.stop();
      },
    };
  },
  async sqld() {
    const server = await startSqld();
    const client = createClient({ url: server.url });
    const run = async (text: string, params: readonly SqlParam[] = []): Promise<SqlAnswer> =>
      (await client.execute({ sql: text, args: [...params] })).rows.map((row) => ({ ...row }));
    for (const statement of schema("sqlite")
      .split(/;\n/)
      .filter((part) => part.trim() !== ""))
      await run(statement);
    return {
      name: "sqld",
      version: await versionOf(run, "select sqlite_version() as v"),
      storage: sql({ dialect: "sqlite", query: run }),
      url: server.url,
      run,
      async fillExpired(count) {
        const numbers = `with recursive n(i) as (select 1 union all select i + 1 from n where i < ${count})`;
        await run(`${numbers} insert into cacheme (k, v, expires) select cast('dead ' || i as blob), zeroblob(100), i from n`);
      },
      async stop() {
        client.close();
        await server.stop();
      },
    };
  },
};

async function versionOf(run: SqlServer["run"], text: string): Promise<string> {
  const answer = await run(text);
  return Array.isArray(answer) ? String(answer[0]?.["v"]) : "unknown";
}
