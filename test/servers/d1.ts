/**
 * A real D1 binding as miniflare runs it: with the limits that miniflare enforces, seen from Node. Calls can be
 * counted: each `batch`, and each statement that is run alone, is one round trip on the platform.
 *
 * @module
 */
import type { D1Database, D1PreparedStatement } from "@cloudflare/workers-types";
import { Miniflare } from "miniflare";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A running database. */
export interface D1Server {
  readonly database: D1Database;
  /** The same database; `calls` counts what goes through it. */
  readonly counted: D1Database;
  calls: number;
  stop(): Promise<void>;
}

/** Starts miniflare with one empty database. */
export async function startD1(): Promise<D1Server> {
  // Every commit is synced to disk; where there is a file system in memory, that costs nothing.
  const directory = mkdtempSync(join(existsSync("/dev/shm") ? "/dev/shm" : tmpdir(), "cacheme-d1-"));
  const miniflare = new Miniflare({
    modules: true,
    script: "export default { fetch: () => new Response() }",
    compatibilityDate: "2026-06-01",
    d1Databases: ["DB"],
    d1Persist: directory,
    host: "127.0.0.1",
    port: 0,
  });
  const database = await miniflare.getD1Database("DB");
  const server: D1Server = {
    database,
    counted: counting(database, () => (server.calls += 1)),
    calls: 0,
    async stop() {
      await miniflare.dispose();
      rmSync(directory, { recursive: true, force: true });
    },
  };
  return server;
}

const RUNNING: ReadonlySet<PropertyKey> = new Set(["run", "all", "first", "raw"]);

function counting(database: D1Database, count: () => void): D1Database {
  const inner = new WeakMap<D1PreparedStatement, D1PreparedStatement>();
  function wrap(statement: D1PreparedStatement): D1PreparedStatement {
    const wrapped = new Proxy(statement, {
      get(target, property) {
        if (property === "bind") return (...values: unknown[]) => wrap(target.bind(...values));
        if (RUNNING.has(property)) count();
        const value: unknown = Reflect.get(target, property);
        return typeof value === "function" ? value.bind(target) : value;
      },
    });
    inner.set(wrapped, statement);
    return wrapped;
  }
  return new Proxy(database, {
    get(target, property) {
      if (property === "prepare") return (sql: string) => wrap(target.prepare(sql));
      if (property === "batch") {
        return (statements: D1PreparedStatement[]) => {
          count();
          return target.batch(statements.map((statement) => inner.get(statement) ?? statement));
        };
      }
      if (property === "exec") count();
      const value: unknown = Reflect.get(target, property);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}
