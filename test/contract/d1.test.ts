import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { d1, schema } from "../../adapters/d1.ts";
import type { Storage } from "../../src/storage.ts";
import { startD1, type D1Server } from "../servers/d1.ts";
import { runContract } from "./run-contract.ts";
import { runSqlChecks } from "./sql-checks.ts";
import { pass } from "./sql-kit.ts";

let server: D1Server;
let storage: Storage;
let broken: Storage;
const signal = new AbortController().signal;

beforeAll(async () => {
  server = await startD1();
  const statements = schema()
    .split(/;\n/)
    .filter((text) => text.trim() !== "");
  await server.database.batch(statements.map((text) => server.database.prepare(text)));
  storage = d1({ database: server.counted });
  broken = d1({ database: server.counted, table: "no_such_table" });
});

afterAll(async () => {
  await server?.stop();
});

async function plantText(key: string, text: string): Promise<void> {
  const upsert = "on conflict (k) do update set v = excluded.v, n = null, expires = null";
  await server.database.prepare(`insert into cacheme (k, v) values (?, ?) ${upsert}`).bind(Buffer.from(key), Buffer.from(text)).run();
}

const rows = async (): Promise<number> => Number(await server.database.prepare("select count(*) n from cacheme").first("n"));

describe("d1() in miniflare", () => {
  runContract("d1", ["plantForeign"], () => ({ storage, unique: randomUUID(), pass, plantText }));
  runSqlChecks("d1()", () => ({ storage, broken, trips: () => server.calls, rows }));

  test("a batch above what one statement can bind is all or nothing, also where one of its slots is refused", async () => {
    const keys = Array.from({ length: 1000 }, () => randomUUID());
    const stood = keys[500] ?? "";
    await storage.write([{ key: stood, bytes: Uint8Array.of(9), ttlMs: null }], signal);
    const before = server.calls;
    const outcomes = await storage.write(
      keys.map((key) => ({ key, bytes: Uint8Array.of(1), ttlMs: 60_000, ifStamp: null })),
      signal,
    );
    expect(server.calls - before).toBe(1);
    expect(outcomes.map((outcome, index) => (outcome === true ? "" : `${index} ${outcome}`)).filter((text) => text !== "")).toEqual(["500 false"]);
  });
});
