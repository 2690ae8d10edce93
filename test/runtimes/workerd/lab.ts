/**
 * A laboratory around the Worker under test: a real Redis, the Upstash bridge, a slow source, and one or more bare workerd
 * processes that reach them over sockets. It starts them, sends orders, and stops everything.
 *
 * @module
 */
import { join } from "node:path";
import { fetchOnce, type HttpOutcome } from "../../servers/http-client.ts";
import { startRedis, type RedisServer } from "../../servers/redis.ts";
import { startUpstashBridge, type UpstashBridge } from "../../servers/upstash-bridge.ts";
import { startWorkerd, workerdBinary, type WorkerdServer } from "../../servers/workerd.ts";
import { bundleWorker } from "../bundle.ts";
import { startOrigin, type Origin } from "../origin.ts";
import type { Order, RemoteSettings, Reply, Settings, State } from "./protocol.ts";

/** Which workerd, and as of when. */
export interface Lane {
  readonly name: string;
  readonly runtime: "miniflare" | "wrangler";
  readonly date: string;
}

/**
 * The runtimes of the proofs: the oldest date that is of use, the first one on which a promise may be settled from another
 * request, and a present one, on the workerd of miniflare; then the newer workerd of wrangler, which rejects promises of
 * requests that have ended.
 */
export const LANES: readonly Lane[] = [
  { name: "workerd of July 2026, date 2022-01-01", runtime: "miniflare", date: "2022-01-01" },
  { name: "workerd of July 2026, date 2024-10-14", runtime: "miniflare", date: "2024-10-14" },
  { name: "workerd of July 2026, date 2026-07-01", runtime: "miniflare", date: "2026-07-01" },
  { name: "workerd of November 2026, date 2026-11-17", runtime: "wrangler", date: "2026-11-17" },
];

/** What the Workers reach. */
export interface Lab {
  /** One for each remote tier. */
  readonly redises: readonly RedisServer[];
  readonly origin: Origin;
  /** One in front of each Redis. */
  readonly bridges: readonly UpstashBridge[];
  /** Settings of a remote tier. */
  remote(index: number, ttlMs: number, more?: Partial<RemoteSettings>): RemoteSettings;
  /** Starts one more Worker, in an isolate of its own. */
  worker(lane: Lane, settings: Omit<Settings, "origin">): Promise<Isolate>;
  stop(): Promise<void>;
}

/** One Worker in one isolate. */
export interface Isolate {
  readonly server: WorkerdServer;
  /** Sends an order and says what became of it. */
  send(order: Order, options?: { readonly resetAfterMs?: number; readonly timeoutMs?: number }): Promise<HttpOutcome>;
  /** Sends an order that has to be answered. */
  ask(order: Order): Promise<Reply>;
  state(): Promise<State>;
  reset(): Promise<void>;
}

/** Starts Redis, bridges and source. */
export async function startLab(remotes = 1): Promise<Lab> {
  const redises = await Promise.all(Array.from({ length: remotes }, () => startRedis()));
  const bridges = await Promise.all(redises.map(({ port }) => startUpstashBridge({ redisPort: port })));
  const origin = await startOrigin();
  const code = await bundleWorker(join(import.meta.dirname, "cache.worker.ts"));
  const isolates: Isolate[] = [];
  return {
    redises,
    origin,
    bridges,
    remote(index, ttlMs, more) {
      const bridge = bridges[index];
      if (!bridge) throw new Error(`the lab has no bridge ${index}`);
      return { url: bridge.url, token: bridge.token, ttlMs, ...more };
    },
    async worker(lane, settings) {
      const isolate = await startIsolate(lane, code, { ...settings, origin: origin.url });
      isolates.push(isolate);
      return isolate;
    },
    async stop() {
      await Promise.all(isolates.map(({ server }) => server.stop()));
      await Promise.all(bridges.map((bridge) => bridge.stop()));
      await Promise.all(redises.map((one) => one.stop()));
      await origin.stop();
    },
  };
}

async function startIsolate({ runtime, date }: Lane, code: string, settings: Settings): Promise<Isolate> {
  const server = await startWorkerd({
    modules: { "worker.js": code },
    compatibilityDate: date,
    // For ctx.abort, which stands in for a limit that the platform enforces.
    compatibilityFlags: ["experimental"],
    bindings: { SETTINGS: JSON.stringify(settings) },
    binary: workerdBinary(runtime),
  });
  const send: Isolate["send"] = (order, options = {}) => fetchOnce(server.url, { method: "POST", body: JSON.stringify(order), ...options });
  async function ask<Answer>(order: Order): Promise<Answer> {
    const outcome = await send(order);
    if (outcome.kind !== "answer" || outcome.status !== 200) throw new Error(`${order.op}: ${JSON.stringify(outcome)}\n${server.log().slice(-2_000)}`);
    return JSON.parse(outcome.body);
  }
  return {
    server,
    send,
    ask: (order) => ask<Reply>(order),
    state: () => ask<State>({ op: "state" }),
    async reset() {
      await ask({ op: "reset" });
    },
  };
}
