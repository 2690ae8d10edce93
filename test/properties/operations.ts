/**
 * The operations of a simulation as calls of the API. What they answer is handed to an audience, which judges it.
 *
 * @module
 */
import type { Cache, Lookup, LookupResult } from "../../src/types.ts";
import { UNTOLD } from "./judge.ts";
import type { Path } from "./judge.ts";
import type { Plan } from "./plan.ts";
import type { Op, Version } from "./world.ts";

/** Who hears what comes of an operation. */
export interface Audience {
  answered(op: Op, key: number, value: Version, path: Path): void;
  resolved(op: Op, replaced: ReadonlyMap<number, number>): void;
  fail(what: string): void;
}

/** Performs an operation; `x` chooses among its variants. Rejects as the call does. */
export async function perform(op: Op, cache: Cache<string, undefined>, node: Plan["node"], x: number, audience: Audience): Promise<void> {
  const [key = 0] = op.keys;
  const version = op.versions.get(key) ?? 0;
  switch (op.kind) {
    case "get":
      if (x % 2 === 0) audience.answered(op, key, await cache.get(node(key)), UNTOLD);
      else lookedUp(op, key, await cache.lookup(node(key)), audience);
      return;
    case "getAll": {
      const asked = x < 2 ? [0, 1, 0] : [0, 1];
      const references = asked.map((row) => node(row));
      if (x % 2 === 0) for (const [at, value] of (await cache.getAll(references)).entries()) audience.answered(op, asked[at] ?? -1, value, UNTOLD);
      else for (const [at, found] of (await cache.lookupAll(references)).entries()) lookedUp(op, asked[at] ?? -1, found, audience);
      return;
    }
    case "inv":
      await cache.invalidate(op.keys.map((row) => node(row)));
      return audience.resolved(op, op.versions);
    case "set":
      await cache.set(node(key), { key, version, by: op.index, how: "set" }, x === 5 ? { ttl: 3_000 } : undefined);
      return audience.resolved(op, op.versions);
    case "refresh":
    case "bypass": {
      const value = await (op.kind === "refresh" ? cache.refresh(node(key)) : cache.get(node(key), { bypass: true }));
      if (value.version < version && !op.dead) audience.fail(`${op.name} gave v${value.version}, loaded before it began`);
      audience.answered(op, key, value, UNTOLD);
      return audience.resolved(op, new Map([[key, value.version]]));
    }
    default:
      throw new Error(`no operation ${op.kind}`);
  }
}

function lookedUp(op: Op, key: number, found: Lookup<Version> | LookupResult<Version>, audience: Audience): void {
  if ("error" in found) throw found.error;
  audience.answered(op, key, found.value, found);
}
