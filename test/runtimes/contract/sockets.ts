/**
 * The storages over clients that open sockets or files, as Node has them, and Deno and Bun by way of what they take over from
 * Node.
 *
 * @module
 */
import { createPool, type ResultSetHeader, type RowDataPacket } from "mysql2/promise";
import { createClient } from "redis";
import { redis } from "../../../adapters/redis.ts";
import { sql, type SqlParam } from "../../../adapters/sql.ts";
import { poolPg } from "../../servers/pg.ts";
import { given } from "./anywhere.ts";
import { openMongo } from "./mongo-driver.ts";
import type { Addresses } from "./protocol.ts";
import type { Opened, Openers } from "./run.ts";
import { telling } from "../../contract/telling.ts";

interface Address {
  readonly url: string;
}

export function storagesOverSockets({ redis: redisServer, postgres, mysql, mongodb: mongoServer }: Addresses): Openers {
  return {
    redis: given(redisServer, openRedis),
    "sql, postgres": given(postgres, openPostgres),
    "sql, mysql": given(mysql, openMysql),
    mongodb: given(mongoServer, openMongo),
  };
}

async function openRedis({ url }: Address): Promise<Opened> {
  const client = createClient({ url });
  await client.connect();
  return { storage: redis({ client }), close: () => client.destroy() };
}

function openPostgres({ url: connectionString }: Address): Opened {
  const pool = poolPg({ connectionString, max: 4 });
  const storage = sql({ dialect: "postgres", query: async (text, params) => (await pool.query(text, params)).rows });
  return { storage, close: () => pool.end() };
}

function openMysql({ url: uri }: Address): Opened {
  const pool = createPool({ uri, connectionLimit: 4, charset: "utf8mb4" });
  const query = async (text: string, params: SqlParam[]) => (await pool.query<RowDataPacket[] | ResultSetHeader>(text, params))[0];
  return { storage: telling(sql({ dialect: "mysql", query })), close: () => pool.end() };
}
