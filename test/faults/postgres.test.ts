import { neonConfig } from "@neondatabase/serverless";
import { afterAll, beforeAll, describe } from "vitest";
import { neon } from "../../adapters/neon.ts";
import { schema, sql } from "../../adapters/sql.ts";
import { startNeonBridge, type NeonBridge } from "../servers/neon-bridge.ts";
import { connectPg, poolPg } from "../servers/pg.ts";
import { startPostgres, type PostgresServer } from "../servers/postgres.ts";
import { isLeftOut } from "../servers/process.ts";
import { HTTP_FAULTS, runFetched, runProxied, TCP_FAULTS, type Client } from "./lane.ts";

const PASSWORD = "canary-password-0123";

let server: PostgresServer;
let bridge: NeonBridge;

beforeAll(async () => {
  if (isLeftOut("postgres")) return;
  server = await startPostgres();
  bridge = await startNeonBridge({ postgresUrl: server.url });
  const client = await connectPg(server.url);
  await client.query(schema("postgres"));
  await client.end();
  // The driver takes one function for all clients: the port of the proxy is in the name of the host.
  neonConfig.fetchEndpoint = (host) => `http://127.0.0.1:${/ep-(\d+)/.exec(host)?.[1]}/sql`;
});

afterAll(async () => {
  await bridge?.stop();
  await server?.stop();
});

async function overSocket(port: number): Promise<Client> {
  const pool = poolPg({ connectionString: `postgres://postgres:${PASSWORD}@127.0.0.1:${port}/postgres`, max: 6 });
  pool.on("error", () => undefined);
  return {
    storage: sql({ dialect: "postgres", query: async (text, params) => (await pool.query(text, params)).rows }),
    // It waits for connections on which a call still hangs.
    close: () => void pool.end(),
  };
}

async function overHttp(port: number): Promise<Client> {
  return { storage: neon({ connectionString: bridge.connectionString.replace("ep-bridge", `ep-${port}`) }), close: () => undefined };
}

describe.skipIf(isLeftOut("postgres"))("guarantee 9: PostgreSQL", () => {
  const secrets = [PASSWORD, "neon-password-0123456789"];
  // The client has no time limit for a connection on which it hears nothing: its end has to come from the host.
  const cutting = ["a half-open connection"];
  runProxied("sql() by pg", TCP_FAULTS, () => server.port, overSocket, { secrets, cutting });
  runProxied("neon()", HTTP_FAULTS, () => bridge.port, overHttp, { secrets });
  runFetched("neon()", () => bridge.port, overHttp, { secrets });
});
