/**
 * A program for Bun: runs the storage contract with Bun's own Redis client and prints one JSON line a case. Its arguments
 * are the port of a Redis and the encoding. It is no test of its own; `bun.test.ts` runs it.
 *
 * @module
 */
import { redis, type BunRedisLike } from "../../adapters/redis.ts";
import { connectRedis } from "../servers/resp.ts";
import { clausesOf } from "./clauses.ts";

interface BunClient extends BunRedisLike {
  connect(): Promise<void>;
  close(): void;
}

/** Bun's global is not declared here, because its types and those of Node exclude each other. */
function openClient(url: string): BunClient {
  const bun: unknown = Reflect.get(globalThis, "Bun");
  if (!hasRedisClient(bun)) throw new Error("this program runs in Bun");
  return new bun.RedisClient(url);
}

function hasRedisClient(value: unknown): value is { RedisClient: new (url: string) => BunClient } {
  return typeof value === "object" && value !== null && "RedisClient" in value;
}

const [port = "", encoding = ""] = process.argv.slice(2);
const client = openClient(`redis://127.0.0.1:${port}`);
await client.connect();
const server = connectRedis(Number(port));
const subject = {
  storage: redis({ client, encoding: encoding === "base64" ? "base64" : "bytes" }),
  unique: crypto.randomUUID(),
  pass: (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms)),
  async plantForeign(key: string): Promise<void> {
    await server.command(["RPUSH", key, "an item"]);
  },
  async plantText(key: string, text: string): Promise<void> {
    await server.command(["SET", key, text]);
  },
};
for (const { name, run } of clausesOf([])) {
  const error = await run(subject).then(
    () => null,
    (reason: unknown) => String(reason),
  );
  process.stdout.write(`${JSON.stringify({ name, error })}\n`);
}
client.close();
server.close();
