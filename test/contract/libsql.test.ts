import { createClient, type Client } from "@libsql/client/http";
import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { libsql, schema } from "../../adapters/libsql.ts";
import type { Storage } from "../../src/storage.ts";
import type { HttpGate } from "../servers/http-gate.ts";
import { isLeftOut } from "../servers/process.ts";
import { startSqld, startSqldGate, type SqldServer } from "../servers/sqld.ts";
import { runHttpChecks } from "./http-checks.ts";
import { runContract } from "./run-contract.ts";
import { explainSqlite } from "./sql-explain.ts";
import { runSqlChecks } from "./sql-checks.ts";
import { fill, pass, plannedCalls } from "./sql-kit.ts";

let server: SqldServer | undefined;
let gate: HttpGate;
let admin: Client;
let storages: Readonly<Record<"own" | "given" | "broken", Storage>>;
const signal = new AbortController().signal;

beforeAll(async () => {
  if (isLeftOut("sqld")) return;
  server = await startSqld();
  gate = await startSqldGate(server);
  admin = createClient({ url: server.url });
  for (const table of ["cacheme", "Other"]) await admin.executeMultiple(schema(table));
  const { url } = gate;
  storages = {
    own: libsql({ url }),
    given: libsql({ client: createClient({ url, intMode: "bigint" }), table: "Other" }),
    broken: libsql({ url, table: "no_such_table" }),
  };
});

afterAll(async () => {
  admin?.close();
  await gate?.stop();
  await server?.stop();
});

async function plantText(key: string, text: string): Promise<void> {
  const upsert = "on conflict (k) do update set v = excluded.v, n = null, expires = null";
  for (const table of ["cacheme", "Other"]) {
    await admin.execute({ sql: `insert into ${table} (k, v) values (?, ?) ${upsert}`, args: [Buffer.from(key), Buffer.from(text)] });
  }
}

const rows = async (): Promise<number> => Number((await admin.execute("select count(*) n from cacheme")).rows[0]?.["n"]);

describe.skipIf(isLeftOut("sqld"))("libsql() on sqld", () => {
  runContract("by a url", ["plantForeign"], () => ({ storage: storages.own, unique: randomUUID(), pass, plantText }));
  runContract("by a client that reads integers as bigint", ["plantForeign"], () => ({ storage: storages.given, unique: randomUUID(), pass, plantText }));
  runSqlChecks("libsql()", () => ({ storage: storages.own, broken: storages.broken, trips: () => gate.requests.length, rows }));
  runHttpChecks("libsql()", () => ({ storage: storages.own, gate }));

  test("reads, removals and prunes find their rows by an index", async () => {
    await fill(storages.own);
    for (const [name, call] of plannedCalls(storages.own)) {
      gate.requests.length = 0;
      await call();
      const text = statementOf(gate.requests.at(-1)?.body ?? "");
      const explain = async (query: string) =>
        (await admin.execute({ sql: query, args: Array.from(query.matchAll(/\?/g), () => new Uint8Array(1)) })).rows.map((row) => ({ ...row }));
      expect([name, await explainSqlite(explain, text, [])]).toEqual([name, { scans: false, index: true }]);
    }
  });

  test("a byte of a value costs at most 1.4 bytes on the wire, either way", async () => {
    const key = randomUUID();
    const bytes = crypto.getRandomValues(new Uint8Array(60_000));
    gate.bytesIn = 0;
    await storages.own.write([{ key, bytes, ttlMs: 60_000 }], signal);
    const written = gate.bytesIn / bytes.length;
    gate.bytesOut = 0;
    await storages.own.read([key], [], signal);
    expect(written).toBeLessThan(1.4);
    expect(gate.bytesOut / bytes.length).toBeLessThan(1.4);
  });
});

/** The first statement of a request that reads or changes the table. */
function statementOf(body: string): string {
  const texts = Array.from(body.matchAll(/"sql":("(?:[^"\\]|\\.)*")/g), ([, text = '""']) => String(JSON.parse(text)));
  return texts.find((text) => /cacheme/.test(text)) ?? "";
}
