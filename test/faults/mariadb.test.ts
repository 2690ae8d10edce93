import { createPool } from "mysql2/promise";
import { afterAll, beforeAll, describe } from "vitest";
import { planetscale } from "../../adapters/planetscale.ts";
import { schema, sql, type SqlAnswer } from "../../adapters/sql.ts";
import { startMariadb, type MariadbServer } from "../servers/mariadb.ts";
import { startPlanetscaleBridge, type PlanetscaleBridge } from "../servers/planetscale-bridge.ts";
import { isLeftOut } from "../servers/process.ts";
import { HTTP_FAULTS, runFetched, runProxied, TCP_FAULTS, type Client } from "./lane.ts";

const PASSWORD = "canary-password-0123";

let server: MariadbServer;
let bridge: PlanetscaleBridge;

beforeAll(async () => {
  if (isLeftOut("mariadb")) return;
  server = await startMariadb();
  bridge = await startPlanetscaleBridge({ mariadbUrl: server.url });
  const admin = createPool({ uri: server.url, connectionLimit: 1 });
  await admin.query(schema("mysql"));
  await admin.query(`create user 'app'@'127.0.0.1' identified by '${PASSWORD}'`);
  await admin.query("grant all on test.* to 'app'@'127.0.0.1'");
  await admin.end();
});

afterAll(async () => {
  await bridge?.stop();
  await server?.stop();
});

function answerOf([answer]: readonly unknown[]): SqlAnswer {
  if (Array.isArray(answer)) return answer;
  return { affectedRows: typeof answer === "object" && answer !== null && "affectedRows" in answer ? Number(answer.affectedRows) : undefined };
}

async function overSocket(port: number): Promise<Client> {
  const pool = createPool({ uri: `mysql://app:${PASSWORD}@127.0.0.1:${port}/test`, connectionLimit: 6, connectTimeout: 1_000 });
  return {
    storage: sql({ dialect: "mysql", query: async (text, params) => answerOf(await pool.query(text, params)) }),
    // It waits for connections on which a call still hangs.
    close: () => void pool.end().catch(() => undefined),
  };
}

async function overHttp(port: number): Promise<Client> {
  return { storage: planetscale({ url: bridge.fullUrl.replace(String(bridge.port), String(port)) }), close: () => undefined };
}

describe.skipIf(isLeftOut("mariadb"))("guarantee 9: MariaDB", () => {
  const secrets = [PASSWORD, "pscale_pw_bridge_0123456789"];
  // The client has no time limit for a connection on which it hears nothing: its end has to come from the host.
  const cutting = ["a half-open connection"];
  runProxied("sql() by mysql2", TCP_FAULTS, () => server.port, overSocket, { secrets, cutting });
  runProxied("planetscale()", HTTP_FAULTS, () => bridge.port, overHttp, { secrets });
  runFetched("planetscale()", () => bridge.port, overHttp, { secrets });
});
