/**
 * A proxy between a Redis client and a real Redis that counts the commands the client sends, by name, and can fail on
 * purpose. Redis' own counters would also count what scripts call. It reads requests whole, so it is exact, not fast.
 *
 * @module
 */
import { connect, createServer, type Socket } from "node:net";
import { listen } from "./process.ts";
import { RespReader } from "./resp.ts";

/** What the proxy does with what it is sent. */
export type ProxyMode =
  /** Passes everything on. */
  | "pass"
  /** Takes requests and never answers. */
  | "hang"
  /** Resets every connection, and every new one. */
  | "reset";

/** A running proxy. */
export interface CountingProxy {
  readonly port: number;
  readonly url: string;
  /** Commands since the last `reset()`, by lower-case name, without those by which a client introduces itself. */
  counts(): Record<string, number>;
  /** All of them added up. */
  total(): number;
  reset(): void;
  /** Connections that are open now are affected as well. */
  setMode(mode: ProxyMode): void;
  stop(): Promise<void>;
}

/** What clients send on their own when they connect. */
const INTRODUCTIONS: ReadonlySet<string> = new Set(["hello", "client", "info", "select", "auth", "command", "ping", "cluster", "readonly"]);

/** Starts a proxy in front of the Redis on `redisPort`. */
export async function startCountingProxy({ redisPort }: { readonly redisPort: number }): Promise<CountingProxy> {
  let counts: Record<string, number> = {};
  let mode: ProxyMode = "pass";
  const clients = new Set<Socket>();
  const server = createServer({ noDelay: true }, (client) => {
    if (mode === "reset") return void client.resetAndDestroy();
    const redis = connect({ port: redisPort, host: "127.0.0.1", noDelay: true });
    const reader = new RespReader();
    clients.add(client);
    client.on("data", (chunk: Buffer) => {
      for (const command of reader.push(chunk)) count(command);
      if (mode === "pass") redis.write(chunk);
    });
    redis.on("data", (chunk: Buffer) => {
      if (mode === "pass") client.write(chunk);
    });
    client
      .on("error", () => undefined)
      .on("close", () => {
        clients.delete(client);
        redis.destroy();
      });
    redis.on("error", () => undefined).on("close", () => client.destroy());
  });
  function count(command: unknown): void {
    const name = Array.isArray(command) ? String(command[0]).toLowerCase() : "not a command";
    if (!INTRODUCTIONS.has(name)) counts[name] = (counts[name] ?? 0) + 1;
  }
  const port = await listen(server);
  return {
    port,
    url: `redis://127.0.0.1:${port}`,
    counts: () => ({ ...counts }),
    total: () => Object.values(counts).reduce((sum, number) => sum + number, 0),
    reset() {
      counts = {};
    },
    setMode(next) {
      mode = next;
      if (mode === "reset") for (const client of clients) client.resetAndDestroy();
    },
    async stop() {
      for (const client of clients) client.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
