/**
 * What a run needs: a store on a real server behind its bridge, the source, and two Workers, each in a workerd process of its
 * own and of another age. The way to the store is made slow, and lossy, by a seed.
 *
 * @module
 */
import { request as httpRequest } from "node:http";
import { join } from "node:path";
import { schema } from "../../../adapters/neon.ts";
import { createRandom } from "../../../testing/random.ts";
import { startNeonBridge } from "../../servers/neon-bridge.ts";
import { poolPg } from "../../servers/pg.ts";
import { startPostgres } from "../../servers/postgres.ts";
import { startRedis } from "../../servers/redis.ts";
import { startUpstashBridge, type BridgeFault } from "../../servers/upstash-bridge.ts";
import { startWorkerd, workerdBinary, type WorkerdServer } from "../../servers/workerd.ts";
import { bundleWorker } from "../bundle.ts";
import type { Order, Reply, Settings, StoreAddress } from "./protocol.ts";
import { startSource, type Source } from "./source.ts";

/** A store that is reached by way of a bridge. */
export interface Store {
  readonly address: StoreAddress;
  readonly bridge: { fault: (request: never) => BridgeFault | undefined; readonly requests: { length: number } };
  stop(): Promise<void>;
}

/** The stores, under the names of their servers in `CACHEME_TEST_WITHOUT`. */
export const STORES: Readonly<Record<"redis" | "postgres", () => Promise<Store>>> = {
  async redis() {
    const server = await startRedis();
    const bridge = await startUpstashBridge({ redisPort: server.port });
    const { url, token } = bridge;
    return { address: { kind: "upstash", url, token }, bridge, stop: () => bridge.stop().then(() => server.stop()) };
  },
  async postgres() {
    const server = await startPostgres();
    const pool = poolPg({ connectionString: server.url });
    await pool.query(schema());
    await pool.end();
    const bridge = await startNeonBridge({ postgresUrl: server.url });
    const { connectionString, endpoint } = bridge;
    return { address: { kind: "neon", connectionString, endpoint }, bridge, stop: () => bridge.stop().then(() => server.stop()) };
  },
};

/** A Worker in a process of its own. */
export interface Worker {
  readonly server: WorkerdServer;
  /** Sends an order; resolves when it has been answered. */
  send(order: Order): Promise<Answer>;
  /** Back-fills, sets and refreshes that were refused. */
  refused(): Promise<number>;
}

/** An answer and its moments, by `performance.now()`. */
export interface Answer {
  readonly reply: Reply;
  readonly at: number;
  /** When the writes that the order set in motion had landed. */
  readonly landedAt: Promise<number>;
}

/** A store, a source and what starts Workers on them. */
export interface Lab {
  readonly source: Source;
  /** Starts two Workers with empty local tiers, on a part of the store that nobody has used. */
  pair(settings: Pick<Settings, "localTtlMs" | "flaw">, seed: number): Promise<readonly [Worker, Worker]>;
  stop(): Promise<void>;
}

const RUNTIMES = [
  { binary: "miniflare", compatibilityDate: "2026-07-01" },
  { binary: "wrangler", compatibilityDate: "2026-11-17" },
] as const;

/** Starts a store and a source. */
export async function startLab(name: keyof typeof STORES): Promise<Lab> {
  const code = await bundleWorker(join(import.meta.dirname, "cache.worker.ts"));
  const source = await startSource();
  const store = await STORES[name]();
  const workers: Worker[] = [];
  let pairs = 0;

  async function start(number: 0 | 1, settings: Settings): Promise<Worker> {
    const { binary, compatibilityDate } = RUNTIMES[number];
    const bindings = { SETTINGS: JSON.stringify({ ...settings, seed: settings.seed + number }) };
    const server = await startWorkerd({ modules: { "worker.js": code }, compatibilityDate, bindings, binary: workerdBinary(binary) });
    const worker: Worker = {
      server,
      send: (order) => send(server, order),
      refused: async () => (await send(server, { id: 0, op: "stats", places: [], loadMs: 0 })).reply.refused ?? 0,
    };
    workers.push(worker);
    return worker;
  }
  return {
    source,
    async pair({ localTtlMs, flaw }, seed) {
      slowDown(store, seed);
      const settings = { source: source.url, store: store.address, prefix: `pair${++pairs}`, localTtlMs, seed, flaw };
      return Promise.all([start(0, settings), start(1, settings)]);
    },
    async stop() {
      await Promise.all(workers.map(({ server }) => server.stop()));
      await store.stop();
      await source.stop();
    },
  };
}

/** Requests reach the store late, some so late that others overtake them; some are lost, and of some the answer. */
function slowDown({ bridge }: Store, seed: number): void {
  const random = createRandom(seed);
  bridge.fault = () => {
    // What came in before is of no interest here, and would only grow.
    bridge.requests.length = 0;
    const [luck, loss] = [random(), random()];
    const cut = loss < 0.005 ? "before" : loss < 0.01 ? "after" : undefined;
    return { delayMs: luck < 0.9 ? random() * 8 : 10 + random() * 50, ...(cut ? { cut } : {}) };
  };
}

/** One request on a socket of its own. Rejects if there is no answer to speak of. */
function send({ url, log }: WorkerdServer, order: Order): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const failed = (reason: string): void => reject(new Error(`${order.op}#${order.id}: ${reason}\n${log().slice(-2_000)}`));
    const request = httpRequest(url, { method: "POST", agent: false }, (response) => {
      let text = "";
      let answered = false;
      const landedAt = new Promise<number>((landed) => response.once("close", () => landed(performance.now())));
      response.setEncoding("utf8");
      response.on("error", (error) => failed(`status ${response.statusCode}, ${error.message} after ${JSON.stringify(text)}`));
      response.on("data", (chunk: string) => {
        text += chunk;
        if (answered || response.statusCode !== 200 || !chunk.endsWith("\n")) return;
        answered = true;
        resolve({ reply: JSON.parse(text), at: performance.now(), landedAt });
      });
      response.on("close", () => {
        if (!answered) failed(`status ${response.statusCode}, ${text}`);
      });
    });
    request.on("error", (error) => failed(error.message));
    request.end(JSON.stringify(order));
  });
}
