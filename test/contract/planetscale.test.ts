import { Client } from "@planetscale/database";
import { createPool, type Pool } from "mysql2/promise";
import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { planetscale, schema } from "../../adapters/planetscale.ts";
import type { Storage } from "../../src/storage.ts";
import { startMariadb, type MariadbServer } from "../servers/mariadb.ts";
import { startPlanetscaleBridge, type PlanetscaleBridge } from "../servers/planetscale-bridge.ts";
import { isLeftOut } from "../servers/process.ts";
import { runHttpChecks } from "./http-checks.ts";
import { runContract } from "./run-contract.ts";
import { runSqlChecks } from "./sql-checks.ts";
import { pass } from "./sql-kit.ts";
import { telling } from "./telling.ts";

let server: MariadbServer | undefined;
let bridge: PlanetscaleBridge;
let pool: Pool;
let storages: Readonly<Record<"own" | "given" | "broken", Storage>>;
const signal = new AbortController().signal;

beforeAll(async () => {
  if (isLeftOut("mariadb")) return;
  server = await startMariadb();
  bridge = await startPlanetscaleBridge({ mariadbUrl: server.url });
  pool = createPool({ uri: server.url, connectionLimit: 2 });
  for (const table of ["cacheme", "test.Other"]) await pool.query(schema(table));
  const url = bridge.fullUrl;
  storages = {
    own: planetscale({ url }),
    given: planetscale({ client: new Client({ url }), table: "test.Other" }),
    broken: planetscale({ url, table: "no_such_table" }),
  };
});

afterAll(async () => {
  await pool?.end();
  await bridge?.stop();
  await server?.stop();
});

async function plantText(key: string, text: string): Promise<void> {
  const upsert = "on duplicate key update v = values(v), n = null, expires = null";
  for (const table of ["cacheme", "Other"]) await pool.query(`insert into ${table} (k, v) values (?, ?) ${upsert}`, [Buffer.from(key), Buffer.from(text)]);
}

async function rows(): Promise<number> {
  const [found] = await pool.query({ sql: "select count(*) from cacheme", rowsAsArray: true });
  return Array.isArray(found) && Array.isArray(found[0]) ? Number(found[0][0]) : Number.NaN;
}

describe.skipIf(isLeftOut("mariadb"))("planetscale(), by a simulator of its protocol on MariaDB", () => {
  runContract("by a url, refused writes seen by a look afterwards", ["plantForeign"], () => ({
    storage: telling(storages.own),
    unique: randomUUID(),
    pass,
    plantText,
  }));
  runContract("by a client, refused writes seen by a look afterwards", ["plantForeign"], () => ({
    storage: telling(storages.given),
    unique: randomUUID(),
    pass,
    plantText,
  }));
  runSqlChecks("planetscale()", () => ({ storage: storages.own, broken: storages.broken, trips: () => bridge.requests.length, rows }), { ensure: 2 });
  runHttpChecks("planetscale()", () => ({ storage: storages.own, gate: bridge }));

  test("a byte of a value costs at most 1.4 bytes on the wire, either way", async () => {
    const key = randomUUID();
    const bytes = crypto.getRandomValues(new Uint8Array(60_000));
    bridge.bytesIn = 0;
    await storages.own.write([{ key, bytes, ttlMs: 60_000 }], signal);
    const written = bridge.bytesIn / bytes.length;
    bridge.bytesOut = 0;
    await storages.own.read([key], [], signal);
    expect(written).toBeLessThan(1.4);
    expect(bridge.bytesOut / bytes.length).toBeLessThan(1.4);
  });
});
