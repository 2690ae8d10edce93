/**
 * What this Worker caches: three nodes, each with its key, its loader, its tiers and their lives in one place. They rely on
 * the queries in `source.ts`; where the tiers really are is said in `cache.ts`.
 *
 * @module
 */

import { defineNode } from "cacheme";
import { msgpack } from "cacheme/msgpack";
import { env } from "cloudflare:workers";
import { fold } from "./fold.ts";
import { citiesByIds, listCountries } from "./source.ts";

/** The right-hand tier: Upstash when both of its variables are set, Workers KV otherwise. */
export const remote = env.UPSTASH_REDIS_REST_URL && env.UPSTASH_REDIS_REST_TOKEN ? "upstash" : "kv";

/**
 * A city by its id, `null` if there is none: that answer is cached too. Local D1 finds a row in about 1 ms, so this node
 * saves little here; it shows single keys, and what it takes to load a hundred of them with one query.
 */
export const CityById = defineNode({
  name: "City",
  version: "v1",
  key: (id: number) => `city:${id}`,
  loadAll: (ids) => citiesByIds(ids),
  caches: [
    { storage: "local", ttl: "30s" },
    { storage: remote, ttl: "1h" },
  ],
});

/** Cities whose name contains a text. Spellings that find the same share one key. It has no loader: `routes.ts` memoizes one. */
export const Search = defineNode({
  name: "Search",
  version: "v1",
  key: (text: string) => ["search", fold(text)],
  caches: [
    { storage: "local", ttl: "1m" },
    { storage: remote, ttl: "10m" },
  ],
  serializer: msgpack(),
});

/**
 * All countries with their sums: the dearest query, for a list that everybody sees alike. Nobody waits for it but the first:
 * a list past its ttl is served while a new one is loaded, and also while the source is down.
 */
export const Countries = defineNode({
  name: "Countries",
  version: "v1",
  key: () => "countries",
  load: () => listCountries(),
  caches: [
    { storage: "local", ttl: "5m" },
    { storage: remote, ttl: "1d" },
  ],
  serializer: msgpack(),
  staleWhileRevalidate: "1h",
  staleIfError: "7d",
});
