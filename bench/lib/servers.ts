/**
 * The servers of a run: a throw-away `redis-server` from PATH and the counting proxy in front of it, both on free ports of
 * 127.0.0.1, both ended by `stop`. It relies on the real server; nothing is kept on disk.
 *
 * @module
 */
import { fork, spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Redis } from "ioredis";

/** How often each command was sent, by name in capitals. */
export type CommandCounts = Readonly<Record<string, number>>;

/** A Redis with a proxy in front. */
export interface Servers {
  /** Port of the proxy: where the client under test connects. */
  readonly port: number;
  readonly redisVersion: string;
  /** Empties Redis and sets all counters to 0. */
  reset(): Promise<void>;
  /** Commands that came through the proxy since `reset`; throws if Redis counted its MGET, EVAL or EVALSHA otherwise. */
  commands(): Promise<CommandCounts>;
  /** CPU seconds that the Redis process has used since `reset`. */
  redisCpu(): Promise<number>;
  stop(): Promise<void>;
}

/** Starts both; rejects with what to install where there is no `redis-server`. */
export async function startServers(): Promise<Servers> {
  const folder = await mkdtemp(join(tmpdir(), "cacheme-bench-"));
  const redisPort = await freePort();
  const redis = await startRedis(redisPort, folder);
  const admin = new Redis({ port: redisPort, host: "127.0.0.1", maxRetriesPerRequest: null, retryStrategy: (attempt) => (attempt > 100 ? null : 50) });
  // Refused connections are expected until the server listens; when retries run out, the ping below rejects.
  admin.on("error", () => {});
  await admin.ping();
  const proxy = fork(new URL("proxy.ts", import.meta.url), [String(redisPort), String(redis.pid)]);
  const { port } = await nextMessage<{ port: number }>(proxy);
  const info = async (section: string): Promise<string> => admin.info(section);
  const cpu = async (): Promise<number> => field(await info("cpu"), "used_cpu_sys") + field(await info("cpu"), "used_cpu_user");
  const take = async (): Promise<CommandCounts> => {
    const answer = nextMessage<CommandCounts>(proxy);
    proxy.send("counts");
    return answer;
  };
  let cpuAtReset = 0;
  return {
    port,
    redisVersion: /redis_version:(\S+)/.exec(await info("server"))?.[1] ?? "unknown",
    async reset() {
      await admin.flushall();
      await admin.config("RESETSTAT");
      await take();
      cpuAtReset = await cpu();
    },
    async commands() {
      const counts = await take();
      const stats = await info("commandstats");
      for (const name of ["MGET", "EVAL", "EVALSHA"]) {
        const calls = Number(new RegExp(`cmdstat_${name.toLowerCase()}:calls=(\\d+)`).exec(stats)?.[1] ?? 0);
        if (calls !== (counts[name] ?? 0)) throw new Error(`the proxy counted ${counts[name] ?? 0} ${name}, Redis ${calls}`);
      }
      return counts;
    },
    redisCpu: async () => (await cpu()) - cpuAtReset,
    async stop() {
      admin.disconnect();
      const ended = once(redis, "exit");
      // The proxy takes its Redis with it.
      proxy.disconnect();
      await ended;
      await rm(folder, { recursive: true, force: true });
    },
  };
}

async function startRedis(port: number, folder: string): Promise<ChildProcess> {
  const redis = spawn("redis-server", ["--port", String(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", folder], {
    stdio: "ignore",
  });
  process.once("exit", () => redis.kill());
  try {
    await once(redis, "spawn");
  } catch (error) {
    throw new Error("redis-server is not on PATH; on Debian: apt-get install redis-server", { cause: error });
  }
  return redis;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  if (typeof address !== "object" || address === null) throw new Error("no free port on 127.0.0.1");
  return address.port;
}

async function nextMessage<Message>(child: ChildProcess): Promise<Message> {
  const [message] = await once(child, "message");
  return message;
}

function field(info: string, name: string): number {
  return Number(new RegExp(`${name}:([\\d.]+)`).exec(info)?.[1] ?? Number.NaN);
}
