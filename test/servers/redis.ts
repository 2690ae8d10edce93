/**
 * A real `redis-server`, and a real Redis Cluster of three masters, on free ports and without persistence. They come from
 * the PATH.
 *
 * @module
 */
import { connectRedis } from "./resp.ts";
import { startProcess, type ServerProcess } from "./process.ts";

/** A running Redis. */
export interface RedisServer extends ServerProcess {
  readonly url: string;
  /** Sends one command over a connection of its own; rejects with the server's error. */
  command(...args: readonly (string | Uint8Array)[]): Promise<unknown>;
}

/** A running cluster. */
export interface RedisCluster {
  readonly nodes: readonly RedisServer[];
  readonly ports: readonly number[];
  stop(): Promise<void>;
}

/** Starts a Redis without persistence. `port` restarts one where another has been. */
export async function startRedis({ port = 0, args = [] }: { readonly port?: number; readonly args?: readonly string[] } = {}): Promise<RedisServer> {
  const server = await startProcess(
    "redis-server",
    (chosen) => ["--port", String(chosen), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", ...args],
    port,
  );
  const connection = connectRedis(server.port);
  return {
    ...server,
    url: `redis://127.0.0.1:${server.port}`,
    command: (...parts) => connection.command(parts),
    async stop() {
      connection.close();
      await server.stop();
    },
  };
}

const SLOTS = 16_384;

/** Starts three masters that share the slots, and waits until each of them says so. */
export async function startRedisCluster(): Promise<RedisCluster> {
  const args = ["--cluster-enabled", "yes", "--cluster-node-timeout", "5000"];
  // The bus listens at port + 10000: higher ports would have none.
  const nodes = await Promise.all([0, 1, 2].map(() => startLow(args)));
  const [first] = nodes;
  const share = Math.ceil(SLOTS / nodes.length);
  for (const [index, node] of nodes.entries()) {
    await node.command("CLUSTER", "ADDSLOTSRANGE", String(index * share), String(Math.min(SLOTS, (index + 1) * share) - 1));
    await node.command("CLUSTER", "SET-CONFIG-EPOCH", String(index + 1));
    if (first !== undefined && node !== first) await first.command("CLUSTER", "MEET", "127.0.0.1", String(node.port));
  }
  await Promise.all(nodes.map(isUp));
  return {
    nodes,
    ports: nodes.map((node) => node.port),
    async stop() {
      await Promise.all(nodes.map((node) => node.stop()));
    },
  };
}

async function startLow(args: readonly string[]): Promise<RedisServer> {
  for (let attempt = 0; attempt < 20; attempt += 1) {
    // The bus then lies below the ports that the system hands out for connections.
    const port = 10_000 + Math.floor(Math.random() * 12_000);
    try {
      return await startRedis({ port, args });
    } catch (error) {
      if (!String(error).includes("in use")) throw error;
    }
  }
  throw new Error("no free port for a cluster node");
}

async function isUp(node: RedisServer): Promise<void> {
  for (let attempt = 0; attempt < 1000; attempt += 1) {
    const info = String(await node.command("CLUSTER", "INFO"));
    if (info.includes("cluster_state:ok") && info.includes("cluster_known_nodes:3") && info.includes("cluster_slots_ok:16384")) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error("the cluster does not come up");
}
