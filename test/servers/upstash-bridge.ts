/**
 * A simulator of Upstash's REST protocol in front of a real Redis: `POST /`, `/pipeline` and `/multi-exec` with a bearer
 * token, replies plain or base64. It knows no streams, no sync tokens that mean anything, and no regions. Hooks count and
 * log requests, and make them slow, wrong or cut off.
 *
 * @module
 */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { listen } from "./process.ts";
import { connectRedis, RespError, type RespConnection, type RespValue } from "./resp.ts";

/** A request as it came in. */
export interface BridgeRequest {
  readonly path: string;
  readonly headers: IncomingMessage["headers"];
  /** The commands it carried; a plain request carries one. */
  readonly commands: readonly (readonly string[])[];
}

/** What is done to a request instead of, or besides, answering it. */
export interface BridgeFault {
  readonly delayMs?: number;
  /** Answers this instead; the commands are not run. */
  readonly status?: number;
  readonly body?: string;
  /** Cuts the connection off, before or after the commands were run. `"never"` keeps it open without an answer. */
  readonly cut?: "before" | "after" | "never";
  /** Changes the answer's text on its way out. */
  readonly mangle?: (body: string) => string;
}

/** A running bridge. */
export interface UpstashBridge {
  readonly url: string;
  readonly token: string;
  /** Every request so far; empty it to count anew. */
  readonly requests: BridgeRequest[];
  /** Asked for each request; replace it at will. */
  fault: (request: BridgeRequest) => BridgeFault | undefined;
  /** Requests whose client went away before the answer. */
  abandoned: number;
  stop(): Promise<void>;
}

const MAX_REQUEST_BYTES = 10_000_000;

/** Starts a bridge to the Redis on `redisPort`. */
export async function startUpstashBridge({
  redisPort,
  token = "bridge-token-0123456789",
}: {
  readonly redisPort: number;
  readonly token?: string;
}): Promise<UpstashBridge> {
  const redis = connectRedis(redisPort);
  const server = createServer({ keepAliveTimeout: 0 }, (request, response) => {
    handle(request, response).catch((error: unknown) => {
      if (!response.headersSent && !response.destroyed) answer(response, 500, JSON.stringify({ error: String(error) }));
    });
  });
  const port = await listen(server);
  const bridge: UpstashBridge = {
    url: `http://127.0.0.1:${port}`,
    token,
    requests: [],
    fault: () => undefined,
    abandoned: 0,
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      redis.close();
    },
  };

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    response.once("close", () => {
      if (!response.writableFinished) bridge.abandoned += 1;
    });
    const text = await bodyOf(request);
    const path = request.url ?? "/";
    const parsed = parse(path, text);
    const seen: BridgeRequest = { path, headers: request.headers, commands: parsed ?? [] };
    bridge.requests.push(seen);
    const fault = bridge.fault(seen) ?? {};
    if (fault.delayMs !== undefined) await new Promise((resolve) => setTimeout(resolve, fault.delayMs));
    if (fault.cut === "never") return;
    if (fault.cut === "before") return cut(request);
    if (fault.status !== undefined) return answer(response, fault.status, fault.body ?? "");
    if (request.headers.authorization !== `Bearer ${token}`) return answer(response, 401, '{"error":"Unauthorized"}');
    if (Buffer.byteLength(text) > MAX_REQUEST_BYTES) return answer(response, 413, '{"error":"ERR max request size exceeded"}');
    if (request.method !== "POST" || parsed === undefined) return answer(response, 400, '{"error":"ERR failed to parse the request"}');
    const [status, body] = await run(redis, path, parsed, request.headers["upstash-encoding"] === "base64");
    if (fault.cut === "after") return cut(request);
    const json = JSON.stringify(body);
    answer(response, fault.status ?? status, fault.mangle?.(json) ?? json);
  }
  return bridge;
}

function cut(request: IncomingMessage): void {
  request.socket.resetAndDestroy();
}

function answer(response: ServerResponse, status: number, body: string): void {
  response.writeHead(status, { "content-type": "application/json", "upstash-sync-token": "a-token" });
  response.end(body);
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of request) if (chunk instanceof Uint8Array) chunks.push(chunk);
  return Buffer.concat(chunks).toString("utf8");
}

function parse(path: string, text: string): string[][] | undefined {
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch {
    return undefined;
  }
  const list: unknown = path === "/" ? [body] : body;
  if (!["/", "/pipeline", "/multi-exec"].includes(path) || !isCommands(list)) return undefined;
  return list.map((command) => command.map(String));
}

function isCommands(list: unknown): list is unknown[][] {
  return Array.isArray(list) && list.every((command) => Array.isArray(command) && command.length > 0);
}

async function run(redis: RespConnection, path: string, commands: string[][], base64: boolean): Promise<[status: number, body: unknown]> {
  if (path === "/multi-exec") {
    const replies = await redis.commands([["MULTI"], ...commands, ["EXEC"]]);
    const results = replies.at(-1) ?? null;
    return Array.isArray(results) ? [200, results.map((value) => wrap(value, base64))] : [400, wrap(results, base64)];
  }
  const replies = await redis.commands(commands);
  if (path === "/pipeline") return [200, replies.map((value) => wrap(value, base64))];
  const [value = null] = replies;
  return [value instanceof RespError ? 400 : 200, wrap(value, base64)];
}

function wrap(value: RespValue, base64: boolean): { result: unknown } | { error: string } {
  return value instanceof RespError ? { error: value.message } : { result: plain(value, base64) };
}

/** The status OK is never encoded; every other text is, where that was asked for. */
function plain(value: RespValue, base64: boolean): unknown {
  if (Array.isArray(value)) return value.map((item) => plain(item, base64));
  if (value instanceof RespError) return value.message;
  if (typeof value === "string") return base64 && value !== "OK" ? Buffer.from(value).toString("base64") : value;
  return value instanceof Uint8Array ? value.toString(base64 ? "base64" : "utf8") : value;
}
