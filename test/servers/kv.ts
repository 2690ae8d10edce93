/**
 * A real Workers KV binding as miniflare runs it: in memory, with the platform's limits, seen from Node.
 *
 * @module
 */
import { Miniflare } from "miniflare";
import type { KvNamespace } from "../../adapters/kv.ts";

/** A running namespace. */
export interface KvServer {
  readonly namespace: KvNamespace;
  /** When a key expires, in Unix seconds; `undefined` if never, or if there is no such key. */
  expirationOf(key: string): Promise<number | undefined>;
  stop(): Promise<void>;
}

/** Starts miniflare with one empty namespace. */
export async function startKv(): Promise<KvServer> {
  const miniflare = new Miniflare({
    modules: true,
    script: "export default { fetch: () => new Response() }",
    compatibilityDate: "2026-06-01",
    kvNamespaces: ["CACHE"],
    kvPersist: false,
    host: "127.0.0.1",
    port: 0,
  });
  const namespace = await miniflare.getKVNamespace("CACHE");
  const asPort: unknown = namespace;
  if (!isKv(asPort)) throw new Error("miniflare gave no KV namespace");
  return {
    namespace: asPort,
    async expirationOf(key) {
      const { keys } = await namespace.list({ prefix: key });
      return keys.find(({ name }) => name === key)?.expiration;
    },
    stop: () => miniflare.dispose(),
  };
}

function isKv(value: unknown): value is KvNamespace {
  return typeof value === "object" && value !== null && "get" in value && "put" in value && "delete" in value;
}
