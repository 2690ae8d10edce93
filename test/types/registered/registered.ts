/** What changes once an application has registered its env and its storage names. */

import { createCache, defineNode } from "cacheme";
import type { CacheNode, LocalTier, RegisteredEnv, RegisteredStorage, Storage } from "cacheme";
import { db, is } from "../assert.ts";
import type { Equal, User } from "../assert.ts";

interface Env {
  readonly DB: string;
}

declare module "cacheme" {
  interface Register {
    env: Env;
    storages: "local" | "redis";
  }
}

declare const storages: { readonly local: LocalTier; readonly redis: Storage };

is<Equal<RegisteredEnv, Env>>();
is<Equal<RegisteredStorage, "local" | "redis">>();

// Every context has the env, and no node asks the cache for it.
const Plain = defineNode({
  name: "Plain",
  key: (id: number) => `${id}`,
  load: async (id, { env }) => {
    is<Equal<typeof env, Env>>();
    return { id, from: env.DB };
  },
  caches: [{ storage: "local", ttl: "30s" }],
});
const cache = createCache({ storages });
const value = await cache.get(Plain(1));
is<Equal<typeof value, { id: number; from: string }>>();

// A misspelt storage is an error at the tier, for annotated nodes too.
// @ts-expect-error no such storage
defineNode({ name: "Typo", key: () => "k", load: () => 1, caches: [{ storage: "reids", ttl: 5 }] });
// @ts-expect-error no such storage
export const Annotated: CacheNode<number, User> = defineNode({ name: "A", key: (id) => `${id}`, load: db.user, caches: [{ storage: "x", ttl: 5 }] });

// @ts-expect-error an env of another type
void cache.with({ env: { DB: 5 } });
