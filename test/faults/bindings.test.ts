import type { D1Database, D1PreparedStatement } from "@cloudflare/workers-types";
import { DatabaseSync } from "node:sqlite";
import { afterAll, beforeAll, describe } from "vitest";
import { d1, schema as d1Schema } from "../../adapters/d1.ts";
import { kv, type KvNamespace } from "../../adapters/kv.ts";
import { schema, sql } from "../../adapters/sql.ts";
import { startD1, type D1Server } from "../servers/d1.ts";
import { startKv, type KvServer } from "../servers/kv.ts";
import { CALL_FAULTS, faultyCalls, runFaults } from "./lane.ts";

let kvServer: KvServer;
let d1Server: D1Server;
const sqlite = new DatabaseSync(":memory:");

beforeAll(async () => {
  [kvServer, d1Server] = await Promise.all([startKv(), startD1()]);
  const statements = d1Schema()
    .split(/;\n/)
    .filter((text) => text.trim() !== "");
  await d1Server.database.batch(statements.map((text) => d1Server.database.prepare(text)));
  sqlite.exec(schema("sqlite"));
});

afterAll(async () => {
  sqlite.close();
  await kvServer?.stop();
  await d1Server?.stop();
});

type Around = ReturnType<typeof faultyCalls>["around"];

/** The same binding; what its methods promise meets the faults. */
function faultyNamespace(namespace: KvNamespace, around: Around): KvNamespace {
  return new Proxy(namespace, {
    get(target, property) {
      const member: unknown = Reflect.get(target, property);
      if (typeof member !== "function") return member;
      return (...args: unknown[]): unknown => around(async () => Reflect.apply(member, target, args));
    },
  });
}

const RUNNING: ReadonlySet<PropertyKey> = new Set(["run", "all", "first", "raw"]);

/** The same database; what is sent meets the faults, what is only prepared does not. */
function faultyDatabase(database: D1Database, around: Around): D1Database {
  const inner = new WeakMap<D1PreparedStatement, D1PreparedStatement>();
  function wrap(statement: D1PreparedStatement): D1PreparedStatement {
    const wrapped = new Proxy(statement, {
      get(target, property) {
        if (property === "bind") return (...values: unknown[]) => wrap(target.bind(...values));
        const member: unknown = Reflect.get(target, property);
        if (typeof member !== "function") return member;
        if (!RUNNING.has(property)) return member.bind(target);
        return (...args: unknown[]): unknown => around(async () => Reflect.apply(member, target, args));
      },
    });
    inner.set(wrapped, statement);
    return wrapped;
  }
  return new Proxy(database, {
    get(target, property) {
      if (property === "prepare") return (text: string) => wrap(target.prepare(text));
      if (property === "batch")
        return (statements: D1PreparedStatement[]) => around(() => target.batch(statements.map((statement) => inner.get(statement) ?? statement)));
      const member: unknown = Reflect.get(target, property);
      return typeof member === "function" ? member.bind(target) : member;
    },
  });
}

describe("guarantee 9: bindings and functions", () => {
  runFaults(
    "kv() in miniflare",
    CALL_FAULTS,
    async (fault) => {
      const calls = faultyCalls();
      const storage = kv({ namespace: faultyNamespace(kvServer.namespace, calls.around) });
      return { storage, begin: () => calls.begin(fault), heal: calls.heal, close: () => undefined };
    },
    { secrets: [] },
  );
  runFaults(
    "d1() in miniflare",
    CALL_FAULTS,
    async (fault) => {
      const calls = faultyCalls();
      const storage = d1({ database: faultyDatabase(d1Server.database, calls.around) });
      return { storage, begin: () => calls.begin(fault), heal: calls.heal, close: () => undefined };
    },
    { secrets: [] },
  );
  runFaults(
    "sql() by node:sqlite",
    CALL_FAULTS,
    async (fault) => {
      const calls = faultyCalls();
      const storage = sql({
        dialect: "sqlite",
        query: (text, params) =>
          calls.around(async () =>
            sqlite
              .prepare(text)
              .all(...params)
              .map((row) => ({ ...row })),
          ),
      });
      return { storage, begin: () => calls.begin(fault), heal: calls.heal, close: () => undefined };
    },
    { secrets: [] },
  );
});
