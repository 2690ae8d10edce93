/**
 * What the cache did, as a `Cache-Status` header (RFC 9211): `cacheme-City; hit; ttl=12; detail=local`. One answer comes
 * from one cache, so there is one member, also for a request that asked for many keys.
 *
 * @module
 */

import type { Lookup, NodeInfo } from "cacheme";

/** For an answer that no node was asked for: a page, a bad request. */
export const BYPASS = "cacheme; fwd=bypass";

/** For one lookup. `ttl` is in whole seconds; 0 for a stale value, which the detail tells. */
export function describeLookup(node: NodeInfo, found: Lookup<unknown>): string {
  if (found.source === "load") return `${describeMiss(node)}${found.collapsed ? "; collapsed" : ""}`;
  return `cacheme-${node.name}; hit${ttl([found])}; detail=${found.state === "stale" ? `stale-${found.source}` : found.source}`;
}

/** For many lookups of one node: a hit if nothing had to be loaded, else what came from where, and how often. */
export function describeLookups(node: NodeInfo, found: readonly Lookup<unknown>[]): string {
  const sources = new Map<string, number>();
  for (const { source } of found) sources.set(source, (sources.get(source) ?? 0) + 1);
  const loaded = sources.get("load") ?? 0;
  const outcome = loaded === 0 ? `hit${ttl(found)}` : loaded === found.length ? "fwd=miss; stored" : "fwd=partial; stored";
  const detail = [...sources].map(([source, count]) => `${count} ${source}`).join(", ");
  return `cacheme-${node.name}; ${outcome}; detail="${detail}"`;
}

/** For a value that had to be loaded. */
export function describeMiss(node: NodeInfo): string {
  return `cacheme-${node.name}; fwd=miss; stored`;
}

/** For a value that a tier held, where the caller knows no more than which one. */
export function describeHit(node: NodeInfo, tier: string): string {
  return `cacheme-${node.name}; hit; detail=${tier}`;
}

/** For `refresh`: a fresh copy may have been there, the request did not want it. */
export function describeRefresh(node: NodeInfo): string {
  return `cacheme-${node.name}; fwd=request; stored`;
}

/** For `invalidate`: nothing was read, nothing was forwarded. */
export function describeInvalidation(node: NodeInfo): string {
  return `cacheme-${node.name}; detail=invalidated`;
}

function ttl(found: readonly Lookup<unknown>[]): string {
  const shortest = Math.min(...found.map(({ ttlMs }) => ttlMs ?? Number.POSITIVE_INFINITY));
  return Number.isFinite(shortest) ? `; ttl=${Math.floor(shortest / 1_000)}` : "";
}
