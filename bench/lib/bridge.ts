/**
 * A process of its own with a real Redis and the Upstash bridge of the tests in front of it, so that what the server spends is
 * not in the client's figures. It adds a delay to each request and counts requests and connections. The parent asks by message;
 * when the parent ends, so do both.
 *
 * @module
 */
import { subscribe } from "node:diagnostics_channel";
import { startRedis } from "../../test/servers/redis.ts";
import { startUpstashBridge } from "../../test/servers/upstash-bridge.ts";

/** Counts since they were last asked for. */
export interface BridgeCounts {
  /** HTTP requests that arrived. */
  readonly requests: number;
  /** Commands they carried. */
  readonly commands: number;
  /** Connections that clients opened. */
  readonly sockets: number;
}

/** What the process says first. */
export interface BridgeAddress {
  readonly url: string;
  readonly token: string;
  readonly redisVersion: string;
}

const delayMs = Number(process.argv[2] ?? 0);
let sockets = 0;
// The bridge's is the only server of this process; it does not tell of its connections.
subscribe("net.server.socket", () => sockets++);
const redis = await startRedis();
const bridge = await startUpstashBridge({ redisPort: redis.port });
bridge.fault = () => ({ delayMs });

async function take(): Promise<BridgeCounts> {
  const requests = bridge.requests.splice(0);
  const counts = { requests: requests.length, commands: requests.reduce((sum, { commands }) => sum + commands.length, 0), sockets };
  sockets = 0;
  await redis.command("FLUSHALL");
  return counts;
}

process.on("message", () => void take().then((counts) => process.send?.(counts)));
process.once("disconnect", () => void Promise.all([bridge.stop(), redis.stop()]).then(() => process.exit()));
const redisVersion = /redis_version:(\S+)/.exec(String(await redis.command("INFO", "server")))?.[1] ?? "unknown";
process.send?.({ url: bridge.url, token: bridge.token, redisVersion } satisfies BridgeAddress);
