/**
 * A slow source on the loopback device: it answers the version of a key that stood when the request came in, after as many
 * milliseconds as the request asks for. It remembers how often each key was asked for, and which loads were cut off.
 *
 * @module
 */
import { createServer } from "node:http";
import { listen } from "../servers/process.ts";

/** What the source answers. */
export interface OriginValue {
  readonly key: string;
  /** 0 until the key was committed for the first time. */
  readonly version: number;
  /** Counts the loads of this source. */
  readonly load: number;
  /** When the version was read, Unix ms. */
  readonly at: number;
}

/** A running source. */
export interface Origin {
  readonly url: string;
  /** Loads begun, by key. */
  readonly loads: Map<string, number>;
  /** Loads whose client went away before the answer. */
  cutOff: number;
  /** Loads that have not been answered yet. */
  open: number;
  /** Raises a key's version and answers the new one. */
  commit(key: string): number;
  total(): number;
  stop(): Promise<void>;
}

/** Starts the source: `GET /?key=…&ms=…`. */
export async function startOrigin(): Promise<Origin> {
  const versions = new Map<string, number>();
  let count = 0;
  // An idle connection that is closed just when a slow client uses it again is a request lost: none is closed.
  const server = createServer({ keepAliveTimeout: 0 }, (request, response) => {
    const query = new URL(request.url ?? "/", "http://origin").searchParams;
    const key = query.get("key") ?? "";
    origin.loads.set(key, (origin.loads.get(key) ?? 0) + 1);
    origin.open++;
    count++;
    const value: OriginValue = { key, version: versions.get(key) ?? 0, load: count, at: Date.now() };
    response.once("close", () => {
      origin.open--;
      if (!response.writableFinished) origin.cutOff++;
    });
    setTimeout(
      () => {
        if (response.destroyed) return;
        response.setHeader("content-type", "application/json");
        response.end(JSON.stringify(value));
      },
      Number(query.get("ms") ?? 0),
    );
  });
  const origin: Origin = {
    url: `http://127.0.0.1:${await listen(server)}`,
    loads: new Map(),
    cutOff: 0,
    open: 0,
    commit(key) {
      const version = (versions.get(key) ?? 0) + 1;
      versions.set(key, version);
      return version;
    },
    total: () => count,
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return origin;
}
