import { createClient } from "@libsql/client/http";
import { neon, neonConfig } from "@neondatabase/serverless";
import { connect } from "@planetscale/database";
import { createConnection, type Connection } from "mysql2/promise";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startD1 } from "./d1.ts";
import { startMariadb, type MariadbServer } from "./mariadb.ts";
import { startNeonBridge, type NeonBridge } from "./neon-bridge.ts";
import { connectPg, type PgClient } from "./pg.ts";
import { startPlanetscaleBridge, type PlanetscaleBridge } from "./planetscale-bridge.ts";
import { startPostgres, type PostgresServer } from "./postgres.ts";
import { isLeftOut } from "./process.ts";
import { startSqld, startSqldGate } from "./sqld.ts";

const BYTES = Uint8Array.from({ length: 256 }, (_, index) => index);

describe.skipIf(isLeftOut("postgres"))("PostgreSQL and the simulator of Neon in front of it", () => {
  let server: PostgresServer;
  let bridge: NeonBridge;
  let client: PgClient;
  beforeAll(async () => {
    server = await startPostgres();
    bridge = await startNeonBridge({ postgresUrl: server.url });
    neonConfig.fetchEndpoint = bridge.endpoint;
    client = await connectPg(server.url);
  });
  afterAll(async () => {
    await client.end();
    await bridge.stop();
    await server.stop();
  });

  test("the official drivers read the same values through both", async () => {
    const statement = "select 7::int4 a, 'x'::text b, null::text c, true d, $1::bytea e, 1.5::float8 f";
    const { rows } = await client.query(statement, [Buffer.from(BYTES)]);
    const sql = neon(bridge.connectionString);
    const [row] = await sql.query(statement, [Buffer.from(BYTES)]);
    expect(row).toEqual(rows[0]);
    expect(row).toMatchObject({ a: 7, b: "x", c: null, d: true, f: 1.5 });
    expect([...new Uint8Array(row?.e)]).toEqual([...BYTES]);
  });

  test("an error keeps its code, several statements are one request and one transaction", async () => {
    const sql = neon(bridge.connectionString);
    await expect(sql.query("select * from no_such_table")).rejects.toMatchObject({ code: "42P01" });
    bridge.requests.length = 0;
    await sql.query("create table if not exists batch (a int primary key)");
    await expect(sql.transaction([sql`insert into batch values (1)`, sql`insert into batch values (1)`])).rejects.toMatchObject({ code: "23505" });
    expect(await sql.transaction([sql`insert into batch values (2)`, sql`select a from batch`])).toEqual([[], [{ a: 2 }]]);
    expect(bridge.requests.length).toBe(3);
  });

  test("a wrong password is refused, and faults reach the driver", async () => {
    await expect(neon("postgresql://u:wrong@ep-bridge.localtest.me/cache").query("select 1")).rejects.toMatchObject({ code: "28P01" });
    const sql = neon(bridge.connectionString);
    for (const fault of [{ status: 502, body: "<html>" }, { cut: "before" }, { cut: "after" }] as const) {
      bridge.fault = () => fault;
      await expect(sql.query("select 1")).rejects.toThrow();
    }
    bridge.fault = () => undefined;
    expect(await sql.query("select 1 a")).toEqual([{ a: 1 }]);
  });
});

describe.skipIf(isLeftOut("mariadb"))("MariaDB and the simulator of PlanetScale in front of it", () => {
  let server: MariadbServer;
  let bridge: PlanetscaleBridge;
  let client: Connection;
  beforeAll(async () => {
    server = await startMariadb();
    bridge = await startPlanetscaleBridge({ mariadbUrl: server.url });
    client = await createConnection(server.url);
  });
  afterAll(async () => {
    await client.end();
    await bridge.stop();
    await server.stop();
  });

  test("the official driver reads every type of value", async () => {
    const driver = connect({ url: bridge.fullUrl });
    const { rows } = await driver.execute("select 7 a, 'x' b, null c, '' d, ? e, 1.5e0 f, cast(9007199254740993 as signed) g", [BYTES]);
    expect(rows).toEqual([{ a: 7, b: "x", c: null, d: "", e: BYTES, f: 1.5, g: "9007199254740993" }]);
    const [direct] = await client.query("select 7 a, 'x' b");
    expect(direct).toEqual([{ a: 7, b: "x" }]);
  });

  test("errors and counts reach the driver, a wrong password is refused", async () => {
    const driver = connect({ url: bridge.fullUrl });
    await expect(driver.execute("select * from no_such_table")).rejects.toMatchObject({ status: 400, message: expect.stringContaining("errno 1146") });
    await driver.execute("create table if not exists counted (a int primary key)");
    expect(await driver.execute("insert into counted values (1), (2)")).toMatchObject({ rowsAffected: 2 });
    await expect(connect({ url: bridge.fullUrl.replace("pscale", "other") }).execute("select 1")).rejects.toMatchObject({ status: 401 });
    bridge.fault = () => ({ status: 502, body: "<html>" });
    await expect(driver.execute("select 1")).rejects.toThrow("Expected JSON");
    bridge.fault = () => undefined;
  });
});

describe.skipIf(isLeftOut("sqld"))("sqld and the gate in front of it", () => {
  test("the official driver reads through the gate, which counts and fails on purpose", async () => {
    const server = await startSqld();
    const gate = await startSqldGate(server);
    const client = createClient({ url: gate.url });
    const { rows } = await client.execute({ sql: "select ? a, ? b, null c", args: [BYTES, "x"] });
    expect([new Uint8Array(rows[0]?.a as ArrayBuffer), rows[0]?.b, rows[0]?.c]).toEqual([BYTES, "x", null]);
    expect(gate.requests.length).toBe(1);
    gate.fault = () => ({ cut: "before" });
    await expect(client.execute("select 1")).rejects.toThrow();
    client.close();
    await gate.stop();
    await server.stop();
  });
});

test("miniflare's D1 counts a batch once, and each statement that runs alone", async () => {
  const server = await startD1();
  const { counted } = server;
  const results = await counted.batch([counted.prepare("select ? a").bind("x"), counted.prepare("select 2 b")]);
  expect(results.map(({ results: rows }) => rows)).toEqual([[{ a: "x" }], [{ b: 2 }]]);
  await counted.prepare("select 3 c").bind().all();
  expect(server.calls).toBe(2);
  await server.stop();
}, 180_000);
