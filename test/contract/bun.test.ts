import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { isLeftOut } from "../servers/process.ts";
import { startRedis, type RedisServer } from "../servers/redis.ts";
import { clausesOf } from "./clauses.ts";

const root = new URL("../../", import.meta.url).pathname;
let server: RedisServer | undefined;
const outcomes = new Map<string, string | null>();

async function runInBun(port: number, encoding: string): Promise<void> {
  const args = ["test/contract/bun-client.ts", String(port), encoding];
  const { stdout } = await promisify(execFile)(`${root}node_modules/.bin/bun`, args, { cwd: root, timeout: 100_000 });
  for (const line of stdout.trim().split("\n")) {
    const outcome: { name: string; error: string | null } = JSON.parse(line);
    outcomes.set(`${encoding}: ${outcome.name}`, outcome.error);
  }
}

beforeAll(async () => {
  if (isLeftOut("redis")) return;
  server = await startRedis();
  await Promise.all([runInBun(server.port, "bytes"), runInBun(server.port, "base64")]);
});

afterAll(async () => {
  await server?.stop();
});

describe.skipIf(isLeftOut("redis"))("redis() with Bun's client, in Bun", () => {
  for (const encoding of ["bytes", "base64"]) {
    describe(`the storage contract, ${encoding}`, () => {
      for (const { name } of clausesOf([])) {
        test(name, () => expect(outcomes.get(`${encoding}: ${name}`)).toBe(null));
      }
    });
  }
});
