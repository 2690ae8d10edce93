/**
 * The source of truth, in the test's own process, so that its moments are by the test's clock: one counter for each key. A
 * load gets the version that stands when its request comes in, and gets it late. It remembers which operation asked.
 *
 * @module
 */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { listen } from "../../servers/process.ts";
import type { Versioned, Wanted } from "./protocol.ts";

/** A running source. */
export interface Source {
  readonly url: string;
  /** Which operation asked for a value, by the value's `from`. */
  readonly askedBy: Map<string, number>;
  /** 0 until the key is committed for the first time. */
  version(name: string): number;
  /** Raises a key's version and answers the new one. */
  commit(name: string): number;
  stop(): Promise<void>;
}

/** Starts a source. */
export async function startSource(): Promise<Source> {
  const versions = new Map<string, number>();
  const askedBy = new Map<string, number>();

  function load({ name, by }: Wanted): Versioned {
    const from = `load ${askedBy.size + 1} by ${by}`;
    askedBy.set(from, by);
    return { name, version: source.version(name), from };
  }
  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Uint8Array[] = [];
    for await (const chunk of request) if (chunk instanceof Uint8Array) chunks.push(chunk);
    const list: Wanted[] = JSON.parse(Buffer.concat(chunks).toString());
    const text = JSON.stringify(list.map(load));
    setTimeout(() => response.end(text), Math.max(...list.map(({ ms }) => ms)));
  }

  const server = createServer((request, response) => {
    answer(request, response).catch((error: unknown) => response.destroy(error instanceof Error ? error : undefined));
  });
  // A connection that is closed while it is taken up again would be a failing load.
  server.keepAliveTimeout = 0;
  const source: Source = {
    url: `http://127.0.0.1:${await listen(server)}`,
    askedBy,
    version: (name) => versions.get(name) ?? 0,
    commit(name) {
      const version = source.version(name) + 1;
      versions.set(name, version);
      return version;
    },
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return source;
}
