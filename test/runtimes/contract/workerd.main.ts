/**
 * The Worker without a flag, with the platform's bindings. `lanes.ts` runs it.
 *
 * @module
 */
import { d1, type D1Binding } from "../../../adapters/d1.ts";
import { kv, type KvNamespace } from "../../../adapters/kv.ts";
import { storagesAnywhere } from "./anywhere.ts";
import { clauseHandler, type WorkerEnv } from "./worker.ts";

interface Env extends WorkerEnv {
  readonly KV: KvNamespace;
  readonly DB: D1Binding;
}

export const handle = clauseHandler<Env>((addresses, { DB, KV }) => ({
  ...storagesAnywhere(addresses),
  d1: () => ({ storage: d1({ database: DB }) }),
  // No life is over before 60 s there.
  kv: () => ({ storage: kv({ namespace: KV }), pass: null }),
}));
