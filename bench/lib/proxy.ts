/**
 * A process of its own between client and Redis that passes every byte on and counts the client's commands by name: Redis
 * itself also counts what scripts call inside. It is forked by `servers.ts`, with port and process id of Redis as its
 * arguments, and answers each message with the counts since the last one.
 *
 * @module
 */
import { createServer, connect } from "node:net";
import type { AddressInfo } from "node:net";
import { createCommandCounter } from "./command-counter.ts";

const [redisPort, redisPid] = process.argv.slice(2).map(Number);
if (!redisPort || !redisPid) throw new TypeError("usage: proxy.ts PORT PID");
let counts: Record<string, number> = {};

function count(name: string): void {
  counts[name] = (counts[name] ?? 0) + 1;
}

const server = createServer({ noDelay: true }, (client) => {
  const redis = connect({ port: redisPort, host: "127.0.0.1", noDelay: true });
  const counter = createCommandCounter(count);
  client.on("data", counter);
  client.pipe(redis).pipe(client);
  // Either side's end is the other's; a reset needs no report, the client under test sees it.
  client.on("error", () => redis.destroy());
  redis.on("error", () => client.destroy());
});

server.listen(0, "127.0.0.1", () => {
  const { port } = server.address() as AddressInfo;
  process.send?.({ port });
});
process.on("message", () => {
  process.send?.(counts);
  counts = {};
});
// The benchmark may be killed without a word; neither the proxy nor its Redis must outlive it.
process.on("disconnect", () => {
  process.kill(redisPid);
  process.exit();
});
