/**
 * The operations of a simulation as calls of the API. What they answer is handed to an audience, which judges it.
 *
 * @module
 */
import type { CacheNode } from "../../src/node-types.ts";
import type { Cache, InvalidationToken, Lookup, LookupResult } from "../../src/types.ts";
import { UNTOLD } from "./judge.ts";
import type { Path } from "./judge.ts";
import { OTHER_TAG, TAG } from "./world.ts";
import type { Op, Version } from "./world.ts";

/** Who hears what comes of an operation. */
export interface Audience {
  answered(op: Op, key: number, value: Version, path: Path): void;
  resolved(op: Op, replaced: ReadonlyMap<number, number>, token?: InvalidationToken): void;
  fail(what: string): void;
}

/** A key that no property is about: asking for it pushes others out of small tables. */
export const OTHER_KEY = 2;

/** Performs an operation; `x` chooses among its variants. Rejects as the call does. */
export async function perform(op: Op, cache: Cache<string, undefined>, node: CacheNode<number, Version>, x: number, audience: Audience): Promise<void> {
  const [key = 0] = op.keys;
  const version = op.versions.get(key) ?? 0;
  const told = (found: Lookup<Version> | LookupResult<Version>, row: number): void => lookedUp(op, row, found, audience);
  switch (op.kind) {
    case "get":
      if (x < 2) audience.answered(op, key, await cache.get(node(key)), UNTOLD);
      else told(await cache.lookup(node(key)), key);
      return;
    case "after": {
      const view = op.view?.cache ?? cache;
      if (x % 3 === 0) audience.answered(op, key, await view.get(node(key)), UNTOLD);
      else told(await view.lookup(node(key)), key);
      return;
    }
    case "getAll": {
      const asked = x < 2 ? [0, 1, 0] : [0, 1];
      const references = asked.map((row) => node(row));
      if (x % 2 === 0) for (const [at, value] of (await cache.getAll(references)).entries()) audience.answered(op, asked[at] ?? -1, value, UNTOLD);
      else for (const [at, found] of (await cache.lookupAll(references)).entries()) told(found, asked[at] ?? -1);
      return;
    }
    case "inv":
      return audience.resolved(op, op.versions, await cache.invalidate(op.keys.map((row) => node(row))));
    case "node":
      return audience.resolved(op, op.versions, await cache.invalidateNode(node));
    case "tag":
      return audience.resolved(op, op.versions, await cache.invalidateTags(TAG));
    case "other":
      if (x < 3) await cache.invalidateTags(OTHER_TAG);
      else await cache.get(node(OTHER_KEY));
      return;
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
  audience.answered(op, key, found.value, { ...found, stale: found.state === "stale" });
}
