/**
 * What the Workers share: one request runs one clause with one storage, because a request may make only so many calls. It
 * relies on the addresses in `env.ADDRESSES`.
 *
 * @module
 */
import type { Addresses } from "./protocol.ts";
import { runClause, type Opened, type Openers } from "./run.ts";

/** What every Worker here is given. */
export interface WorkerEnv {
  readonly ADDRESSES: string;
}

/** The handler of a Worker that has these storages; it answers what was broken, or nothing. */
export function clauseHandler<Env extends WorkerEnv>(openersFor: (addresses: Addresses, env: Env) => Openers) {
  const kept = new Map<string, Opened>();
  return async function handle(request: Request, env: Env): Promise<Response> {
    const { storage, clause }: { storage: string; clause: string } = JSON.parse(await request.text());
    const open = openersFor(JSON.parse(env.ADDRESSES), env)[storage];
    if (open === undefined) return new Response(`there is no storage ${storage}`);
    let opened: Opened | undefined;
    try {
      opened = kept.get(storage) ?? (await open());
      // As users do: one for the isolate, unless its client holds sockets, which belong to the request that opened them.
      if (opened.close === undefined) kept.set(storage, opened);
      return new Response(await runClause(opened, clause));
    } catch (error) {
      return new Response(String(error));
    } finally {
      await opened?.close?.();
    }
  };
}
