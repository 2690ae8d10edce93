/** What `defineNode` and `dynamicNode` infer, and what they refuse. */

import { defineNode, dynamicNode, nodes } from "cacheme";
import type { CacheNode, Duration, LoadContext, MaybePromise, Needs, NodeInfo, Reference, TieredNode, UnknownValue } from "cacheme";
import { caches, db, is } from "./assert.ts";
import type { Equal, User } from "./assert.ts";

type Both = "local" | "redis";

// Parameters come from `key`, the value from `load`, the storages from `caches`.
const UserInfo = defineNode({ name: "UserInfo", version: "v1", key: (userId: number) => `user:${userId}`, load: async (userId) => db.user(userId), caches });
is<Equal<typeof UserInfo, TieredNode<number, User, Both>>>();
const reference = UserInfo(1);
is<Equal<typeof reference, Reference<User, number> & Needs<Both>>>();
is<Equal<typeof reference.params, number>>();
is<Equal<typeof reference.key, string>>();
is<Equal<typeof UserInfo.name, string>>();

// Tiers may be written in place; their names stay literal.
const Inline = defineNode({ name: "Inline", key: (id: number) => `${id}`, load: () => 1, caches: [{ storage: "local", ttl: "30s" }] });
is<Equal<typeof Inline, TieredNode<number, number, "local">>>();

// The order of `key` and `load` does not matter.
const Reversed = defineNode({ caches, load: (id) => db.user(id), key: (id: number) => `user:${id}`, name: "Reversed" });
is<Equal<typeof Reversed, TieredNode<number, User, Both>>>();

// A loader may name its context, in any way, without losing its value.
const WithContext = defineNode({
  name: "WithContext",
  key: (id: number) => ["user", id, true, 1n],
  load: async (id, { signal, env }) => {
    is<Equal<typeof signal, AbortSignal>>();
    is<Equal<typeof env, unknown>>();
    signal.throwIfAborted();
    return db.user(id);
  },
  caches,
});
is<Equal<typeof WithContext, TieredNode<number, User, Both>>>();
const WholeContext = defineNode({
  name: "WholeContext",
  key: (id: number) => `${id}`,
  load: (id, context) => (context.signal.aborted ? null : { id }),
  caches,
});
is<Equal<typeof WholeContext, TieredNode<number, { id: number } | null, Both>>>();

// Synchronous loaders, bare thenables, `undefined` and `null` as values.
const Sync = defineNode({ name: "Sync", key: () => "n", load: () => db.count(), caches });
is<Equal<typeof Sync, TieredNode<void, number, Both>>>();
declare const query: PromiseLike<User[]>;
const Thenable = defineNode({ name: "Thenable", key: () => "n", load: () => query, caches });
is<Equal<typeof Thenable, TieredNode<void, User[], Both>>>();
const Maybe = defineNode({
  name: "Maybe",
  key: (id: number) => `${id}`,
  load: async (id): Promise<User | undefined> => (id > 0 ? db.user(id) : undefined),
  caches,
});
is<Equal<typeof Maybe, TieredNode<number, User | undefined, Both>>>();

// `loadAll`: an `Error` at a position is no value.
const Listed = defineNode({ name: "Listed", key: (id: number) => `${id}`, loadAll: async (ids) => db.users(ids), caches });
is<Equal<typeof Listed, TieredNode<number, User, Both>>>();
const Twice = defineNode({
  name: "Twice",
  key: (id: number) => `${id}`,
  load: async (id) => db.user(id),
  loadAll: async (ids, { signal }) => {
    is<Equal<typeof ids, readonly number[]>>();
    is<Equal<typeof signal, AbortSignal>>();
    return db.users(ids);
  },
  caches,
});
is<Equal<typeof Twice, TieredNode<number, User, Both>>>();

// Arguments: none, one, or an optional one.
const All = defineNode({ name: "All", key: () => "all", load: async () => [1], caches });
All();
const Page = defineNode({ name: "Page", key: (page?: number) => `page:${page ?? 1}`, load: () => 1, caches });
Page();
Page(2);
// @ts-expect-error a node without parameters takes none
All(1);
// @ts-expect-error the parameter is a number
UserInfo("1");
// @ts-expect-error the parameter is missing
UserInfo();
// @ts-expect-error the parameter is no string
Page("2");
const mapped = [1, 2].map(UserInfo);
is<Equal<typeof mapped, (Reference<User, number> & Needs<Both>)[]>>();

// An annotation flows into the call, and gives a node that names no storages.
const Annotated: CacheNode<number, User> = defineNode({ name: "Annotated", key: (id) => `${id.toFixed(0)}`, load: async (id) => db.user(id), caches });
const fromAnnotated = Annotated(1);
is<Equal<typeof fromAnnotated, Reference<User, number>>>();
const Exact: TieredNode<number, User, Both> = defineNode({
  name: "Exact",
  key: (id) => `${id}`,
  load: async (id, { signal }) => (signal.aborted ? db.user(0) : db.user(id)),
  caches,
});
is<Equal<ReturnType<typeof Exact>, Reference<User, number> & Needs<Both>>>();
// @ts-expect-error the loader gives something else than the annotation says
const Lying: CacheNode<number, User> = defineNode({ name: "Lying", key: (id) => `${id}`, load: async () => ({ id: "1" }), caches });

// Without a loader the value is unknown until `memoize`, `get(ref, { load })` or an annotation says.
const Memo = defineNode({ name: "Memo", key: (id: number) => `${id}`, caches });
is<Equal<typeof Memo, TieredNode<number, UnknownValue, Both>>>();
const AnnotatedMemo: CacheNode<number, User> = defineNode({ name: "AnnotatedMemo", key: (id) => `${id}`, caches });
is<Equal<ReturnType<typeof AnnotatedMemo>, Reference<User, number>>>();

// Every option takes `undefined`.
defineNode({
  name: "Undefined",
  version: undefined,
  allowRedefine: undefined,
  key: (id: number) => `${id}`,
  load: undefined,
  loadAll: undefined,
  maxLoadBatch: undefined,
  loadConcurrency: undefined,
  caches,
  serializer: undefined,
  doorkeeper: undefined,
  clone: undefined,
  writes: undefined,
  storeWithin: undefined,
  hardTimeout: undefined,
});

// A wrapper of one's own that fills in the tiers.
function hourly<Params, Value>(name: string, key: (params: Params) => string, load: (params: Params) => MaybePromise<Value>): CacheNode<Params, Value> {
  return defineNode<Params, Value>({ name, key, load, caches: [{ storage: "local", ttl: "1h" }] });
}
const Hourly = hourly(
  "Hourly",
  (id: number) => `${id}`,
  (id) => db.user(id),
);
is<Equal<typeof Hourly, CacheNode<number, User>>>();

// Lists of different nodes are lists of `NodeInfo`.
const list: NodeInfo[] = [UserInfo, All, Annotated, Memo];
is<Equal<ReturnType<typeof nodes>, readonly NodeInfo[]>>();
void list;

// Dynamic nodes take their key.
const Bar = dynamicNode({ name: "Bar", version: "v1", caches });
is<Equal<typeof Bar, TieredNode<string, unknown, Both>>>();
const TypedBar = dynamicNode<User>({ name: "TypedBar", caches, serializer: undefined, doorkeeper: undefined });
is<Equal<typeof TypedBar, TieredNode<string, User, never>>>();
Bar("bar:1");
// @ts-expect-error a key is a string
Bar(1);
// @ts-expect-error a dynamic node has no loader
dynamicNode({ name: "Loading", caches, load: () => 1 });

// Durations: numbers, and decimals with a unit.
const durations: Duration[] = [0, 250, Infinity, "250ms", "30s", "1.5m", "2h", "10d"];
void durations;
// @ts-expect-error not a unit
const seconds: Duration = "30sec";
// @ts-expect-error no unit
const bare: Duration = "30";
// @ts-expect-error two units
const two: Duration = "1h30m";
void [seconds, bare, two];

// @ts-expect-error the name is missing
defineNode({ key: () => "k", load: () => 1, caches });
// @ts-expect-error the tiers are missing
defineNode({ name: "NoTiers", key: () => "k", load: () => 1 });
// @ts-expect-error a key is a string or a tuple
defineNode({ name: "NumberKey", key: (id: number) => id, load: () => 1, caches });
// @ts-expect-error a key is not a promise
defineNode({ name: "AsyncKey", key: async (id: number) => `${id}`, load: () => 1, caches });
// @ts-expect-error a tuple holds no objects
defineNode({ name: "ObjectKey", key: (id: number) => [{ id }], load: () => 1, caches });
// @ts-expect-error the loader takes what the key takes
defineNode({ name: "OtherParams", key: (id: number) => `${id}`, load: (id: string) => id, caches });
// @ts-expect-error the tier's life is no duration
defineNode({ name: "BadTtl", key: () => "k", load: () => 1, caches: [{ storage: "local", ttl: "30sec" }] });
// @ts-expect-error unknown option
defineNode({ name: "Unknown", key: () => "k", load: () => 1, caches, hardTimeOut: "1s" });
// @ts-expect-error unknown word
defineNode({ name: "BadClone", key: () => "k", load: () => 1, caches, clone: "deep" });
// @ts-expect-error the second parameter of a loader is the context
defineNode({ name: "BadContext", key: (id: number) => `${id}`, load: (id: number, options: { retries: number }) => options.retries + id, caches });
// @ts-expect-error the annotated context differs from the real one
defineNode({ name: "BadSignal", key: () => "k", load: (_: void, context: LoadContext & { readonly extra: 1 }) => context.extra, caches });
// @ts-expect-error nodes are read-only
UserInfo.version = "v2";
// @ts-expect-error references are read-only in the types
reference.key = "other";
