/**
 * A proxy on a real socket, between any client and any server that speak over TCP: slow, cut off, silent, half-open, or with
 * another reply than the server's. It is given the host's `net`, so that this package imports no host. It knows no protocol: what
 * a client sends in one piece it takes for one request, and what comes back until the next one for the reply.
 *
 * @module
 */
import { describe } from "../src/duration.ts";
import { optionsOf } from "../src/fields.ts";
import { createFaultPlan, fieldOf, isSpan } from "./fault-plan.ts";
import { createRandom } from "./random.ts";

/** A socket, as far as the proxy uses one. */
export interface ProxySocket {
  on(event: "data", listener: (chunk: Uint8Array) => void): unknown;
  on(event: "error" | "close", listener: () => void): unknown;
  write(chunk: Uint8Array): unknown;
  end(): unknown;
  destroy(): unknown;
  /** Ends the connection with a reset. */
  resetAndDestroy(): unknown;
}

/** A listening server, as far as the proxy uses one. */
export interface ProxyServer {
  on(event: "error", listener: (error: Error) => void): unknown;
  listen(port: number, host: string, listener: () => void): unknown;
  address(): { readonly port: number } | string | null;
  close(listener: () => void): unknown;
}

/** The host's `node:net`, which Node, Bun and Deno have. */
export interface ProxyNet<Socket extends ProxySocket> {
  createServer(options: { readonly noDelay: boolean }, listener: (socket: Socket) => void): ProxyServer;
  connect(options: { readonly port: number; readonly host: string; readonly noDelay: boolean }): ProxySocket;
}

/**
 * What a request can meet:
 *
 * - `"reset"`: the connection is reset before the server sees the request. `"reset-after"`: when its reply arrives.
 * - `"hang"`: the server never sees the request, and no answer comes. `"hang-after"`: the server has done it.
 * - `"half-open"`: as `"hang"`, and the connection stays silent for ever, also once the proxy is healed.
 * - `"garbage"`: the reply is noise of the same length.
 * - `{ truncate }`: so many bytes of the reply, then the end of the connection.
 * - `{ dripMs }`: the reply comes in eight pieces, so many ms apart.
 * - `{ delayMs }`: the request goes on after so many ms.
 * - `{ reply }`: this in place of the server's reply, then the end of the connection. See {@link httpReply}.
 *
 * A connection that lost a request, a reply or the boundary between two cannot be used again: it is reset when the proxy is
 * healed, unless it is half-open.
 */
export type ProxyFault =
  | "reset"
  | "reset-after"
  | "hang"
  | "hang-after"
  | "half-open"
  | "garbage"
  | { readonly truncate: number }
  | { readonly dripMs: number }
  | { readonly delayMs: number }
  | { readonly reply: string };

/** Options of {@link faultProxy}. */
export interface FaultProxyOptions<Socket extends ProxySocket> {
  /** `import net from "node:net"`. */
  readonly net: ProxyNet<Socket>;
  /** Where the real server listens. */
  readonly port: number;
  /** Default: `"127.0.0.1"`. */
  readonly host?: string | undefined;
}

/** A running proxy on 127.0.0.1. */
export interface FaultProxy {
  /** Where clients have to connect. */
  readonly port: number;
  /** Connections and requests so far, and how many requests met a fault. */
  readonly counts: { readonly connections: number; readonly requests: number; readonly faults: number };
  /** The next requests meet these faults, one each, on whatever connection; `"pass"` lets one through. */
  plan(...faults: readonly (ProxyFault | "pass")[]): void;
  /** From now on every request meets this fault, after those that were planned; `undefined`: none. */
  always(fault: ProxyFault | undefined): void;
  /** From now on requests pass. Connections that cannot be used again are reset. */
  heal(): void;
  /** Resets every connection now, as a server that is killed or a network that goes away. */
  cut(): void;
  /** Ends all connections and listens no longer. */
  stop(): Promise<void>;
}

const NAMES: ReadonlySet<unknown> = new Set(["reset", "reset-after", "hang", "hang-after", "half-open", "garbage"]);

function isFault(value: unknown): value is ProxyFault {
  const spans = ["truncate", "dripMs", "delayMs"].map((name) => fieldOf(value, name));
  return NAMES.has(value) || spans.some(isSpan) || typeof fieldOf(value, "reply") === "string";
}

const HOST = "127.0.0.1";
const LAST_PORT = 65_535;
const PIECES = 8;

/**
 * Starts a proxy in front of a server. Until it is told otherwise all passes.
 *
 * It does not promise to tell requests apart where a client sends several at once without waiting: those meet one fault.
 *
 * @param options see {@link FaultProxyOptions}.
 * @throws TypeError naming the option and the value, and whatever `listen` fails with. Its methods throw a TypeError for faults
 * that there are not.
 * @example
 * ```ts
 * import net from "node:net";
 * import { faultProxy, httpReply } from "cacheme/testing";
 *
 * const proxy = await faultProxy({ net, port: 6379 });
 * // a client at `redis://127.0.0.1:${proxy.port}`, then:
 * proxy.plan("reset-after"); // the next command is carried out, and its reply lost
 * proxy.always("hang"); // all after it are never answered
 * proxy.always({ reply: httpReply(503) }); // for clients that speak HTTP
 * proxy.heal();
 * await proxy.stop();
 * ```
 */
export async function faultProxy<Socket extends ProxySocket>(options: FaultProxyOptions<Socket>): Promise<FaultProxy> {
  const { net, port, host = HOST } = optionsOf(options, ["net", "port", "host"], "faultProxy");
  if (typeof net?.createServer !== "function" || typeof net.connect !== "function")
    throw new TypeError(`faultProxy: net must be what node:net exports, got ${describe(net)}`);
  if (!(Number.isInteger(port) && port >= 1 && port <= LAST_PORT))
    throw new TypeError(`faultProxy: port must be a whole number from 1 to ${LAST_PORT}, got ${describe(port)}`);
  if (typeof host !== "string") throw new TypeError(`faultProxy: host must be a string, got ${describe(host)}`);
  const plan = createFaultPlan<ProxyFault, never>({ owner: "faultProxy", isFault }, 1);
  const noise = createRandom(2);
  const counts = { connections: 0, requests: 0, faults: 0 };
  const open = new Set<Connection>();

  const server = net.createServer({ noDelay: true }, (client) => {
    counts.connections += 1;
    const connection = connect(client, net.connect({ port, host, noDelay: true }), {
      next() {
        counts.requests += 1;
        const fault = plan.next();
        if (fault !== undefined) counts.faults += 1;
        return fault;
      },
      noise,
      closed: () => open.delete(connection),
    });
    open.add(connection);
  });
  await new Promise<void>((resolve, reject) => {
    server.on("error", reject);
    server.listen(0, HOST, resolve);
  });
  const address = server.address();
  return {
    port: typeof address === "object" && address !== null ? address.port : 0,
    counts,
    plan: (...planned) => plan.plan(planned),
    always: (fault) => plan.always(fault),
    heal() {
      plan.heal();
      for (const connection of open) if (connection.unusable) connection.reset();
    },
    cut() {
      for (const connection of open) connection.reset();
    },
    async stop() {
      const closed = new Promise<void>((resolve) => void server.close(resolve));
      for (const connection of open) connection.reset();
      await closed;
    },
  };
}

interface Connection {
  /** Whether what it lost leaves it without use. That of one which is half-open nobody tells. */
  readonly unusable: boolean;
  reset(): void;
}

interface Surroundings {
  next(): ProxyFault | undefined;
  noise(): number;
  closed(): void;
}

/** One connection. A fault holds from the request that met it to the next one. */
function connect(client: ProxySocket, upstream: ProxySocket, around: Surroundings): Connection {
  /** Once it has lost something, it is silent. */
  let state: "sound" | "silent" | "half-open" = "sound";
  let noisy = false;
  let fault: ProxyFault | undefined;
  let left = 0;
  let ended = false;
  // What is late keeps what comes after it waiting, either way.
  let sending: Promise<void> = Promise.resolve();
  let answering: Promise<void> = Promise.resolve();

  const reset = (): void => {
    ended = true;
    client.resetAndDestroy();
    upstream.destroy();
  };
  const finish = (): void => {
    ended = true;
    client.end();
    upstream.destroy();
  };
  function request(chunk: Uint8Array): void {
    if (ended || state !== "sound") return;
    fault = around.next();
    if (fault === "reset") return reset();
    if (fault === "hang") state = "silent";
    else if (fault === "half-open") state = "half-open";
    else if (typeof fault === "object" && "reply" in fault) {
      client.write(new TextEncoder().encode(fault.reply));
      finish();
    } else {
      if (typeof fault === "object" && "truncate" in fault) left = fault.truncate;
      const ms = typeof fault === "object" && "delayMs" in fault ? fault.delayMs : 0;
      sending = after(sending, ms, () => void upstream.write(chunk));
    }
  }
  function reply(chunk: Uint8Array): void {
    if (ended || state === "half-open") return;
    if (fault === "reset-after") return reset();
    if (fault === "hang-after") state = "silent";
    if (state !== "sound") return;
    if (typeof fault === "object" && "truncate" in fault) return cut(chunk);
    if (typeof fault === "object" && "dripMs" in fault) return drip(chunk, fault.dripMs);
    if (fault === "garbage") noisy = true;
    const bytes = fault === "garbage" ? chunk.map(() => Math.floor(around.noise() * 256)) : chunk;
    answering = after(answering, 0, () => void client.write(bytes));
  }
  function cut(chunk: Uint8Array): void {
    const part = chunk.subarray(0, left);
    left -= part.length;
    if (part.length > 0) client.write(part);
    if (left === 0) finish();
  }
  function drip(chunk: Uint8Array, ms: number): void {
    const size = Math.ceil(chunk.length / PIECES);
    for (let at = 0; at < chunk.length; at += size) {
      const piece = chunk.subarray(at, at + size);
      answering = after(answering, at === 0 ? 0 : ms, () => void (ended || client.write(piece)));
    }
  }

  client.on("data", request);
  upstream.on("data", reply);
  client.on("error", () => undefined);
  upstream.on("error", () => {
    if (!ended && state !== "half-open") reset();
  });
  client.on("close", () => {
    ended = true;
    upstream.destroy();
    around.closed();
  });
  // A half-open connection is one whose end nobody tells.
  upstream.on("close", () => {
    if (!ended && state !== "half-open") answering = after(answering, 0, () => void client.end());
  });
  return {
    get unusable() {
      return noisy || state === "silent";
    },
    reset,
  };
}

async function after(before: Promise<void>, ms: number, run: () => void): Promise<void> {
  await before;
  if (ms > 0) await new Promise<void>((resolve) => void setTimeout(resolve, ms));
  run();
}

/**
 * A whole reply of HTTP/1.1, for `faultProxy`'s `{ reply }`: by default with JSON that names no reason.
 *
 * @param status from 200 to 599.
 * @param body text, sent as UTF-8.
 * @param type its media type.
 * @example
 * ```ts
 * import { httpReply } from "cacheme/testing";
 *
 * const page = httpReply(200, "<!doctype html><p>One moment", "text/html");
 * ```
 */
export function httpReply(status: number, body: string = '{"message":"failed on purpose"}', type: string = "application/json"): string {
  const { length } = new TextEncoder().encode(body);
  return `HTTP/1.1 ${status} On purpose\r\ncontent-type: ${type}\r\ncontent-length: ${length}\r\nconnection: close\r\n\r\n${body}`;
}
