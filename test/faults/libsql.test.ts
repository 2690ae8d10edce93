import { createClient } from "@libsql/client/http";
import { afterAll, beforeAll, describe } from "vitest";
import { libsql, schema } from "../../adapters/libsql.ts";
import { isLeftOut } from "../servers/process.ts";
import { startSqld, type SqldServer } from "../servers/sqld.ts";
import { HTTP_FAULTS, runFetched, runProxied, type Client } from "./lane.ts";

const TOKEN = "canary-token-0123456789";

let server: SqldServer;

beforeAll(async () => {
  if (isLeftOut("guarantee 9: sqld")) return;
  server = await startSqld();
  const admin = createClient({ url: server.url });
  await admin.executeMultiple(schema());
  admin.close();
});

afterAll(() => server?.stop());

async function overHttp(port: number): Promise<Client> {
  return { storage: libsql({ url: `http://127.0.0.1:${port}`, authToken: TOKEN }), close: () => undefined };
}

describe.skipIf(isLeftOut("sqld"))("sqld", () => {
  runProxied("libsql()", HTTP_FAULTS, () => server.port, overHttp, { secrets: [TOKEN] });
  runFetched("libsql()", () => server.port, overHttp, { secrets: [TOKEN] });
});
