/**
 * A proxy that passes bytes on and counts them, so that what a driver puts on the wire is known for every protocol alike,
 * heads and handshakes included.
 *
 * @module
 */
import { connect, createServer } from "node:net";
import type { Socket } from "node:net";
import { listen } from "../../test/servers/process.ts";

/** A running counter. */
export interface ByteCounter {
  readonly port: number;
  /** From the client to the server since `reset`. */
  sent: number;
  /** From the server to the client since `reset`. */
  received: number;
  reset(): void;
  stop(): Promise<void>;
}

/** Starts one in front of `port`. */
export async function startByteCounter(port: number): Promise<ByteCounter> {
  const sockets = new Set<Socket>();
  const server = createServer({ noDelay: true }, (client) => {
    const target = connect({ port, host: "127.0.0.1", noDelay: true });
    for (const [from, to, name] of [
      [client, target, "sent"],
      [target, client, "received"],
    ] as const) {
      sockets.add(from);
      from.on("data", (chunk: Buffer) => {
        counter[name] += chunk.length;
        to.write(chunk);
      });
      from.on("error", () => undefined).on("close", () => to.destroy());
    }
  });
  const counter: ByteCounter = {
    port: await listen(server),
    sent: 0,
    received: 0,
    reset() {
      counter.sent = 0;
      counter.received = 0;
    },
    async stop() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return counter;
}
