/**
 * The HTTP half of a bridge: it counts and logs requests, makes them slow, wrong or cut off as its owner says, and leaves the
 * answer to a function. What it speaks to, and how, is that function's.
 *
 * @module
 */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { BridgeFault } from "./upstash-bridge.ts";
import { listen } from "./process.ts";

/** A request as it came in. */
export interface GateRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingMessage["headers"];
  readonly body: string;
}

/** What goes back. */
export interface GateAnswer {
  readonly status: number;
  readonly body: string;
  /** Default: JSON. */
  readonly contentType?: string;
}

/** A running gate. */
export interface HttpGate {
  readonly port: number;
  readonly url: string;
  /** Every request so far; empty it to count anew. */
  readonly requests: GateRequest[];
  /** Bodies added up, in bytes; set them to 0 to count anew. */
  bytesIn: number;
  bytesOut: number;
  /** Asked for each request; replace it at will. */
  fault: (request: GateRequest) => BridgeFault | undefined;
  /** Requests whose client went away before the answer. */
  abandoned: number;
  stop(): Promise<void>;
}

/** Starts a gate. An answer that throws is a 500 with its message. */
export async function startHttpGate(respond: (request: GateRequest) => Promise<GateAnswer>): Promise<HttpGate> {
  const server = createServer({ keepAliveTimeout: 0 }, (request, response) => {
    handle(request, response).catch((error: unknown) => {
      if (!response.headersSent && !response.destroyed) send(response, { status: 500, body: JSON.stringify({ message: String(error) }) });
    });
  });
  const port = await listen(server);
  const gate: HttpGate = {
    port,
    url: `http://127.0.0.1:${port}`,
    requests: [],
    bytesIn: 0,
    bytesOut: 0,
    fault: () => undefined,
    abandoned: 0,
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    response.once("close", () => {
      if (!response.writableFinished) gate.abandoned += 1;
    });
    const body = await bodyOf(request);
    const seen: GateRequest = { method: request.method ?? "GET", path: request.url ?? "/", headers: request.headers, body: body.toString("utf8") };
    gate.requests.push(seen);
    gate.bytesIn += body.length;
    const fault = gate.fault(seen) ?? {};
    if (fault.delayMs !== undefined) await new Promise((resolve) => setTimeout(resolve, fault.delayMs));
    if (fault.cut === "never") return;
    if (fault.cut === "before") return cut(request);
    if (fault.status !== undefined) return send(response, { status: fault.status, body: fault.body ?? "" });
    const answer = await respond(seen);
    if (fault.cut === "after") return cut(request);
    const text = fault.mangle?.(answer.body) ?? answer.body;
    gate.bytesOut += Buffer.byteLength(text);
    send(response, { ...answer, body: text });
  }
  return gate;
}

function cut(request: IncomingMessage): void {
  request.socket.resetAndDestroy();
}

function send(response: ServerResponse, { status, body, contentType = "application/json" }: GateAnswer): void {
  response.writeHead(status, { "content-type": contentType });
  response.end(body);
}

async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of request) if (chunk instanceof Uint8Array) chunks.push(chunk);
  return Buffer.concat(chunks);
}
