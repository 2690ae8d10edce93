import { neon as connectNeon, neonConfig } from "@neondatabase/serverless";
import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { neon, schema } from "../../adapters/neon.ts";
import { sql } from "../../adapters/sql.ts";
import type { Storage } from "../../src/storage.ts";
import type { GateRequest } from "../servers/http-gate.ts";
import { startNeonBridge, type NeonBridge } from "../servers/neon-bridge.ts";
import { poolPg, type PgPool } from "../servers/pg.ts";
import { startPostgres, type PostgresServer } from "../servers/postgres.ts";
import { isLeftOut } from "../servers/process.ts";
import { runHttpChecks } from "./http-checks.ts";
import { runContract } from "./run-contract.ts";
import { runSqlChecks } from "./sql-checks.ts";
import { fill, pass, plannedCalls } from "./sql-kit.ts";
import { explainPostgres } from "./sql-explain.ts";

let server: PostgresServer | undefined;
let bridge: NeonBridge;
let pool: PgPool;
let storages: Readonly<Record<"own" | "given" | "broken" | "socket", Storage>>;
const signal = new AbortController().signal;

beforeAll(async () => {
  if (isLeftOut("postgres")) return;
  server = await startPostgres();
  bridge = await startNeonBridge({ postgresUrl: server.url });
  pool = poolPg({ connectionString: server.url, max: 2 });
  neonConfig.fetchEndpoint = bridge.endpoint;
  for (const table of ["cacheme", "public.other"]) await pool.query(schema(table));
  const { connectionString } = bridge;
  storages = {
    own: neon({ connectionString }),
    // Settings of the user's that change what an answer looks like.
    given: neon({ client: connectNeon(connectionString, { arrayMode: true, fullResults: true }), table: "public.other" }),
    broken: neon({ connectionString, table: "no_such_table" }),
    socket: sql({ dialect: "postgres", query: async (text, params) => (await pool.query(text, params)).rows }),
  };
});

afterAll(async () => {
  await pool?.end();
  await bridge?.stop();
  await server?.stop();
});

async function plantText(key: string, text: string): Promise<void> {
  const upsert = "on conflict (k) do update set v = excluded.v, n = null, expires = null";
  for (const table of ["cacheme", "other"]) await pool.query(`insert into ${table} (k, v) values ($1, $2) ${upsert}`, [Buffer.from(key), Buffer.from(text)]);
}

const rows = async (): Promise<number> => Number((await pool.query("select count(*)::int n from cacheme")).rows[0]?.["n"]);

describe.skipIf(isLeftOut("postgres"))("neon(), by a simulator of its protocol on PostgreSQL", () => {
  runContract("by a connection string", ["plantForeign"], () => ({ storage: storages.own, unique: randomUUID(), pass, plantText }));
  runContract("by a client with settings of its own", ["plantForeign"], () => ({ storage: storages.given, unique: randomUUID(), pass, plantText }));
  runSqlChecks("neon()", () => ({ storage: storages.own, broken: storages.broken, trips: () => bridge.requests.length, rows }));
  runHttpChecks("neon()", () => ({ storage: storages.own, gate: bridge }));

  test("what the service refuses to answer at once is read in halves, and a single key of that kind is an error", async () => {
    const keys = Array.from({ length: 8 }, () => randomUUID());
    await storages.own.write(
      keys.map((key, index) => ({ key, bytes: Uint8Array.of(index), ttlMs: 60_000 })),
      signal,
    );
    const refusal = { status: 507, body: '{"message":"response is too large (max is 67108864 bytes)"}' };
    const most = (count: number) => (request: GateRequest) => ((request.body.match(/\$\d+/g)?.length ?? 0) > count ? refusal : undefined);
    bridge.requests.length = 0;
    bridge.fault = most(3);
    const { slots } = await storages.own.read(keys, [], signal);
    expect(slots.map((slot) => slot?.bytes[0])).toEqual(keys.map((_, index) => index));
    expect(bridge.requests.length).toBe(7);
    bridge.fault = most(0);
    await expect(storages.own.read(keys, [], signal)).rejects.toThrow(/too large/);
    bridge.fault = () => undefined;
  });

  test("shares a table with sql() over a socket: slots, stamps and generations", async () => {
    const { own, socket } = storages;
    for (const [writer, reader] of [
      [own, socket],
      [socket, own],
    ] as const) {
      const [key, generation] = [randomUUID(), `\u0001${randomUUID()}`];
      const bytes = Uint8Array.from({ length: 256 }, (_, index) => index);
      const made = await writer.ensure?.([generation], signal);
      await writer.write([{ key, bytes, ttlMs: 60_000 }], signal);
      const read = await reader.read([key], [generation], signal);
      expect([read.slots[0]?.bytes, read.generations]).toEqual([bytes, made]);
      expect(await reader.write([{ key, bytes, ttlMs: 60_000, ifStamp: bytes.subarray(0, 8) }], signal)).toEqual([true]);
    }
  });

  test("reads, removals and prunes find their rows by an index", async () => {
    await fill(storages.own);
    await pool.query("analyze cacheme");
    for (const [name, call] of plannedCalls(storages.own)) {
      bridge.requests.length = 0;
      await call();
      const { query, params }: { query: string; params: unknown[] } = JSON.parse(bridge.requests.at(-1)?.body ?? "{}");
      expect([name, await explainPostgres(pool, query, params)]).toEqual([name, { scans: false, index: true }]);
    }
  });

  test("a byte of a value costs at most 1.4 bytes on the wire, either way", async () => {
    const key = randomUUID();
    const bytes = crypto.getRandomValues(new Uint8Array(60_000));
    [bridge.bytesIn, bridge.bytesOut] = [0, 0];
    await storages.own.write([{ key, bytes, ttlMs: 60_000 }], signal);
    const written = bridge.bytesIn / bytes.length;
    bridge.bytesOut = 0;
    await storages.own.read([key], [], signal);
    expect(written).toBeLessThan(1.4);
    expect(bridge.bytesOut / bytes.length).toBeLessThan(1.4);
  });
});
