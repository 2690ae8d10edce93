import { randomUUID } from "node:crypto";
import { afterAll, beforeAll } from "vitest";
import { kv } from "../../adapters/kv.ts";
import { startKv, type KvServer } from "../servers/kv.ts";
import { runContract } from "./run-contract.ts";

let server: KvServer | undefined;

beforeAll(async () => {
  server = await startKv();
});

afterAll(async () => {
  await server?.stop();
});

runContract("kv in miniflare", ["conditional", "pass", "plantForeign", "plantText"], () => {
  if (server === undefined) throw new Error("miniflare did not start");
  return { storage: kv({ namespace: server.namespace }), unique: randomUUID() };
});
