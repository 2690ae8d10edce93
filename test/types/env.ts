/** `context.env`: unknown unless annotated, and asked of the cache if it is. */

import { createCache, defineNode } from "cacheme";
import type { Cache, LoadAllContext, LoadContext, TieredNode } from "cacheme";
import { caches, db, is } from "./assert.ts";
import type { Equal, User } from "./assert.ts";

interface Env {
  readonly DB: string;
}
declare const env: Env;
declare const storages: { readonly local: import("cacheme").LocalTier; readonly redis: import("cacheme").Storage };

const Plain = defineNode({ name: "Plain", key: (id: number) => `${id}`, load: (id) => db.user(id), caches });
const Asking = defineNode({
  name: "Asking",
  key: (id: number) => `${id}`,
  load: async (id, { env: given }: LoadContext<Env>) => ({ id, from: given.DB }),
  caches,
});
is<Equal<typeof Asking, TieredNode<number, { id: number; from: string }, "local" | "redis", Env>>>();
const AskingAll = defineNode({
  name: "AskingAll",
  key: (id: number) => `${id}`,
  loadAll: async (ids, { env: given }: LoadAllContext<Env>) => ids.map((id) => ({ id, from: given.DB })),
  caches,
});
is<Equal<typeof AskingAll, TieredNode<number, { id: number; from: string }, "local" | "redis", Env>>>();

const cache = createCache({ storages });
const plain = await cache.get(Plain(1));
is<Equal<typeof plain, User>>();
// @ts-expect-error the node asks for an env that the bare cache has not
void cache.get(Asking(1));
// @ts-expect-error in a list as well
void cache.getAll([Plain(1), Asking(1)]);
// @ts-expect-error and for `refresh`
void cache.refresh(Asking(1));

const view = cache.with({ env });
is<Equal<typeof view, Cache<"local" | "redis", Env>>>();
const asked = await view.get(Asking(1));
is<Equal<typeof asked, { id: number; from: string }>>();
await view.getAll([Plain(1), Asking(1), AskingAll(1)]);
// @ts-expect-error another env
void cache.with({ env: { DB: 5 } }).get(Asking(1));

// A view of a view keeps the env.
const tenant = view.with({ prefix: "tenant" });
is<Equal<typeof tenant, Cache<"local" | "redis", Env>>>();

// The env may also come with the cache.
const whole = createCache({ storages, env });
is<Equal<typeof whole, Cache<"local" | "redis", Env>>>();
await whole.get(Asking(1));
