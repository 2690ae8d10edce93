/**
 * The program for Bun, with the clients that Bun itself brings where it brings one. Their types and those of Node exclude each
 * other, so what is used of them is described here. `lanes.ts` runs it.
 *
 * @module
 */
import { redis, type BunRedisLike } from "../../../adapters/redis.ts";
import { schema, sql } from "../../../adapters/sql.ts";
import { given, storagesAnywhere } from "./anywhere.ts";
import { main } from "./process.ts";
import type { Opened } from "./run.ts";
import { storagesOverSockets } from "./sockets.ts";

interface BunClient extends BunRedisLike {
  connect(): Promise<void>;
  close(): void;
}

interface BunDatabase {
  run(sql: string): unknown;
  query(sql: string): { all(...params: unknown[]): Record<string, unknown>[] };
  close(): void;
}

async function openRedis({ url }: { readonly url: string }): Promise<Opened> {
  const bun: unknown = Reflect.get(globalThis, "Bun");
  if (!isModule<{ RedisClient: new (url: string) => BunClient }>(bun, "RedisClient")) throw new Error("this program runs in Bun");
  const client = new bun.RedisClient(url);
  await client.connect();
  return { storage: redis({ client }), close: () => client.close() };
}

async function openSqlite(): Promise<Opened> {
  // Not a literal, so that neither the compiler nor the bundler looks for it.
  const name = "bun:sqlite";
  const sqlite: unknown = await import(name);
  if (!isModule<{ Database: new (path: string) => BunDatabase }>(sqlite, "Database")) throw new Error("this program runs in Bun");
  const database = new sqlite.Database(":memory:");
  database.run(schema("sqlite"));
  const storage = sql({ dialect: "sqlite", query: async (text, params) => database.query(text).all(...params) });
  return { storage, close: () => database.close() };
}

function isModule<Module extends object>(value: unknown, member: keyof Module): value is Module {
  return typeof value === "object" && value !== null && member in value;
}

await main(`Bun ${process.versions["bun"]}`, (addresses) => ({
  ...storagesAnywhere(addresses),
  ...storagesOverSockets(addresses),
  redis: given(addresses.redis, openRedis),
  "sql, sqlite": openSqlite,
}));
