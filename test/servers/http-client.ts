/**
 * Requests over sockets of their own, which can be reset in the middle: a reset is what the runtime takes for a client that
 * went away. A polite end of the connection it does not notice.
 *
 * @module
 */
import { request as httpRequest } from "node:http";

/** What became of a request. It never rejects: a lost request is an outcome to be counted. */
export type HttpOutcome =
  | {
      readonly kind: "answer";
      readonly status: number;
      readonly body: string;
      readonly headers: Readonly<Record<string, string | string[] | undefined>>;
      readonly ms: number;
    }
  /** The connection ended without an answer. */
  | { readonly kind: "lost"; readonly reason: string; readonly ms: number }
  /** No answer within the time given. */
  | { readonly kind: "hung"; readonly ms: number }
  /** Reset by us, as asked for. */
  | { readonly kind: "reset"; readonly ms: number };

/** How to send a request. */
export interface HttpOptions {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  /** Resets the socket so long after the request was sent, unless it has been answered. */
  readonly resetAfterMs?: number;
  /** Default 10 s. */
  readonly timeoutMs?: number;
}

/** Sends one request over a socket of its own. */
export function fetchOnce(url: string, options: HttpOptions = {}): Promise<HttpOutcome> {
  const { method = "GET", headers = {}, body, resetAfterMs, timeoutMs = 10_000 } = options;
  const start = performance.now();
  const elapsed = (): number => Math.round(performance.now() - start);
  return new Promise((resolve) => {
    const timers: NodeJS.Timeout[] = [];
    function settle(outcome: HttpOutcome): void {
      for (const timer of timers) clearTimeout(timer);
      resolve(outcome);
    }
    const request = httpRequest(url, { method, headers: { connection: "close", ...headers }, agent: false }, (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.on("error", (error) => settle({ kind: "lost", reason: error.message, ms: elapsed() }));
      response.on("end", () =>
        settle({ kind: "answer", status: response.statusCode ?? 0, body: Buffer.concat(chunks).toString(), headers: response.headers, ms: elapsed() }),
      );
    });
    request.on("error", (error) => settle({ kind: "lost", reason: error.message, ms: elapsed() }));
    timers.push(
      setTimeout(() => {
        settle({ kind: "hung", ms: elapsed() });
        request.destroy();
      }, timeoutMs),
    );
    if (resetAfterMs !== undefined) {
      timers.push(
        setTimeout(() => {
          request.socket?.resetAndDestroy();
          settle({ kind: "reset", ms: elapsed() });
        }, resetAfterMs),
      );
    }
    request.end(body);
  });
}
