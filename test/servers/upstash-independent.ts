/**
 * Upstash's REST protocol in front of a real Redis as somebody else understands it: the published server
 * `@humanwhocodes/upstash-redis-server`, in a process of its own. It knows single commands and pipelines, no base64 and no
 * transactions, and puts its own words before Redis' errors.
 *
 * @module
 */
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { startProcess, type ServerProcess } from "./process.ts";

/** A running server. */
export interface IndependentUpstash extends ServerProcess {
  readonly url: string;
  readonly token: string;
}

const TOKEN = "independent-token-0123456789";

/** Starts the server in front of the Redis at `redisUrl`. */
export async function startIndependentUpstash({ redisUrl }: { readonly redisUrl: string }): Promise<IndependentUpstash> {
  const program = join(dirname(createRequire(import.meta.url).resolve("@humanwhocodes/upstash-redis-server")), "server.js");
  const settings = (port: number): string[] => [`URS_TOKEN=${TOKEN}`, `PORT=${port}`, `REDIS_URL=${redisUrl}`];
  const server = await startProcess("env", (port) => [...settings(port), process.execPath, program]);
  return { ...server, url: `http://127.0.0.1:${server.port}`, token: TOKEN };
}
