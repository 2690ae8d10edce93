/**
 * The servers that the storages of every runtime are run on, each started once; those that were left out on purpose are not.
 *
 * @module
 */
import { createClient } from "@libsql/client/http";
import { createConnection } from "mysql2/promise";
import { schema } from "../../../adapters/sql.ts";
import { startMongo } from "../../servers/ferretdb.ts";
import { startMariadb } from "../../servers/mariadb.ts";
import { startMongoDataApi } from "../../servers/mongo-data-api.ts";
import { startNeonBridge } from "../../servers/neon-bridge.ts";
import { poolPg } from "../../servers/pg.ts";
import { startPlanetscaleBridge } from "../../servers/planetscale-bridge.ts";
import { startPostgres } from "../../servers/postgres.ts";
import { isLeftOut } from "../../servers/process.ts";
import { startRedis } from "../../servers/redis.ts";
import { startSqld } from "../../servers/sqld.ts";
import { startUpstashBridge } from "../../servers/upstash-bridge.ts";
import type { Addresses } from "./protocol.ts";

/** The servers of a run. */
export interface Servers {
  readonly addresses: Addresses;
  stop(): Promise<void>;
}

interface Started {
  readonly addresses: Addresses;
  readonly stops: readonly (() => Promise<void>)[];
}

/** How each server is started, under its name in `CACHEME_TEST_WITHOUT`. */
const STARTS: Readonly<Record<string, () => Promise<Started>>> = {
  async redis() {
    const server = await startRedis();
    const bridge = await startUpstashBridge({ redisPort: server.port });
    return {
      addresses: { redis: { url: server.url }, upstash: { url: bridge.url, token: bridge.token } },
      stops: [() => bridge.stop(), () => server.stop()],
    };
  },
  async postgres() {
    const server = await startPostgres();
    const pool = poolPg({ connectionString: server.url });
    await pool.query(schema("postgres"));
    await pool.end();
    const { connectionString, endpoint, stop } = await startNeonBridge({ postgresUrl: server.url });
    return { addresses: { postgres: { url: server.url }, neon: { connectionString, endpoint } }, stops: [stop, () => server.stop()] };
  },
  async mariadb() {
    const server = await startMariadb();
    const connection = await createConnection({ uri: server.url });
    await connection.query(schema("mysql"));
    await connection.end();
    const { fullUrl, stop } = await startPlanetscaleBridge({ mariadbUrl: server.url });
    return { addresses: { mysql: { url: server.url }, planetscale: { url: fullUrl } }, stops: [stop, () => server.stop()] };
  },
  async sqld() {
    const server = await startSqld();
    const client = createClient({ url: server.url });
    await client.executeMultiple(schema("sqlite"));
    client.close();
    return { addresses: { libsql: { url: server.url } }, stops: [() => server.stop()] };
  },
  async ferretdb() {
    const server = await startMongo();
    const api = await startMongoDataApi({ client: server.client });
    return { addresses: { mongodb: { url: server.url }, mongoDataApi: { url: api.url, ...api.access } }, stops: [() => api.stop(), () => server.stop()] };
  },
};

export async function startServers(): Promise<Servers> {
  const wanted = Object.entries(STARTS).filter(([name]) => !isLeftOut(name));
  const started = await Promise.all(wanted.map(([, start]) => start()));
  return {
    addresses: Object.assign({}, ...started.map(({ addresses }) => addresses)),
    async stop() {
      for (const stop of started.flatMap(({ stops }) => stops)) await stop();
    },
  };
}
