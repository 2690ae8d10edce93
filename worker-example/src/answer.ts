/**
 * What a route gives back, and how that becomes a response: JSON or the page, with `Cache-Status` and `Server-Timing`.
 *
 * @module
 */

import { BYPASS } from "./cache-status.ts";

/** The outcome of a route. */
export interface Answer {
  /** An object or array is sent as JSON, a string as HTML. */
  readonly body: object | string;
  readonly status?: number;
  readonly cacheStatus?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** The request is at fault; `message` says what it should have been. */
export class BadRequest extends Error {}

/** The page brings its own style and script and talks to nobody but this Worker. */
const PAGE_POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'";

/** An error that a client is told about. */
export function failure(status: number, error: string, more: Partial<Answer> = {}): Answer {
  return { status, body: { error }, ...more };
}

/** The response. `no-store`, because browsers must not hide from the reader what this cache does. */
export function toResponse({ body, status = 200, cacheStatus = BYPASS, headers = {} }: Answer, elapsedMs: number): Response {
  const isPage = typeof body === "string";
  return new Response(isPage ? body : `${JSON.stringify(body, null, 2)}\n`, {
    status,
    headers: {
      "Content-Type": isPage ? "text/html; charset=utf-8" : "application/json; charset=utf-8",
      "Cache-Control": "no-store",
      "Cache-Status": cacheStatus,
      "Server-Timing": `handler;dur=${elapsedMs}`,
      "X-Content-Type-Options": "nosniff",
      ...(isPage ? { "Content-Security-Policy": PAGE_POLICY } : {}),
      ...headers,
    },
  });
}
