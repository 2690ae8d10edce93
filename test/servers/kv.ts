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
  const namespace: unknown = await miniflare.getKVNamespace("CACHE");
  if (!isKv(namespace)) throw new Error("miniflare gave no KV namespace");
  return { namespace, stop: () => miniflare.dispose() };
}

function isKv(value: unknown): value is KvNamespace {
  return typeof value === "object" && value !== null && "get" in value && "put" in value && "delete" in value;
}
