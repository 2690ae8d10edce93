/**
 * The Worker: one request runs one clause with one storage, because a request may make only so many calls. Storages are made
 * once an isolate, as users make them.
 *
 * @module
 */
import { d1, type D1Binding } from "../../../adapters/d1.ts";
import { kv, type KvNamespace } from "../../../adapters/kv.ts";
import { storagesAnywhere } from "./anywhere.ts";
import type { Addresses } from "./protocol.ts";
import { runClause, type Opened, type Openers } from "./run.ts";

interface Env {
  readonly ADDRESSES: string;
  readonly KV: KvNamespace;
  readonly DB: D1Binding;
}

const opened = new Map<string, Promise<Opened>>();

function openersFor(env: Env): Openers {
  const addresses: Addresses = JSON.parse(env.ADDRESSES);
  return {
    ...storagesAnywhere(addresses),
    d1: () => ({ storage: d1({ database: env.DB }) }),
    // No life is over before 60 s there.
    kv: () => ({ storage: kv({ namespace: env.KV }), pass: null }),
  };
}

/** Answers what was broken, or nothing. */
export async function handle(request: Request, env: Env): Promise<Response> {
  const { storage, clause }: { storage: string; clause: string } = JSON.parse(await request.text());
  const open = openersFor(env)[storage];
  if (open === undefined) return new Response(`there is no storage ${storage}`);
  const under = opened.get(storage) ?? Promise.resolve(open());
  opened.set(storage, under);
  return new Response(await runClause(await under, clause).catch(String));
}
