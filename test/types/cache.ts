/** What the calls of a cache take and give. */

import { createCache, defineNode, dynamicNode } from "cacheme";
import type {
  Cache,
  CacheEvent,
  InvalidationToken,
  LocalTier,
  Lookup,
  LookupResult,
  Memoized,
  NodeInfo,
  NodeStats,
  Reference,
  Storage,
  TierStats,
} from "cacheme";
import { Annotated, caches, db, is } from "./assert.ts";
import type { Equal, User } from "./assert.ts";

declare const storage: Storage;
declare const tier: LocalTier;

const cache = createCache({ prefix: "shop", storages: { local: tier, redis: () => storage } });
is<Equal<typeof cache, Cache<"local" | "redis", undefined>>>();

const UserInfo = defineNode({ name: "UserInfo", key: (id: number) => `user:${id}`, load: (id) => db.user(id), caches });
const All = defineNode({ name: "All", key: () => "all", load: async () => [1], caches });
const Maybe = defineNode({ name: "Maybe", key: () => "m", load: async (): Promise<string | undefined> => undefined, caches });
const Memo = defineNode({ name: "Memo", key: (id: number) => `memo:${id}`, caches });
const Bar = dynamicNode<string>({ name: "Bar", caches });
const Typo = defineNode({ name: "Typo", key: (id: number) => `${id}`, load: () => 1, caches: [{ storage: "reids", ttl: 5 }] });

// get
const user = await cache.get(UserInfo(1));
is<Equal<typeof user, User>>();
const maybe = await cache.get(Maybe());
is<Equal<typeof maybe, string | undefined>>();
const annotated = await cache.get(Annotated(1));
is<Equal<typeof annotated, User>>();
const bar = await cache.get(Bar("bar:1"));
is<Equal<typeof bar, string>>();
const withOptions = await cache.get(UserInfo(1), { signal: AbortSignal.timeout(5), bypass: true, maxAge: "5s" });
is<Equal<typeof withOptions, User>>();
const withNothing = await cache.get(UserInfo(1), { signal: undefined, bypass: undefined, maxAge: undefined, load: undefined });
is<Equal<typeof withNothing, User>>();
// @ts-expect-error a node is no reference
void cache.get(UserInfo);
// @ts-expect-error the cache has no such storage
void cache.get(Typo(1));
// @ts-expect-error unknown option
void cache.get(UserInfo(1), { maxAgeMs: 5 });
// @ts-expect-error not a duration
void cache.get(UserInfo(1), { maxAge: "5sec" });

// get with a loader for this call
const loaded = await cache.get(UserInfo(1), { load: () => db.user(2), maxAge: 5 });
is<Equal<typeof loaded, User>>();
const memoLoaded = await cache.get(Memo(1), { load: async () => "text" });
is<Equal<typeof memoLoaded, string>>();
const dynamicLoaded = await cache.get(dynamicNode({ name: "Free", caches })("k"), { load: () => 1 as const });
is<Equal<typeof dynamicLoaded, 1>>();
declare const perhaps: (() => Promise<User>) | undefined;
const perhapsLoaded = await cache.get(UserInfo(1), { load: perhaps });
is<Equal<typeof perhapsLoaded, User>>();
// @ts-expect-error the loader gives something else
void cache.get(UserInfo(1), { load: () => ({ id: "1" }) });

// getAll: a tuple for a tuple, a list for a list
const pair = await cache.getAll([UserInfo(1), All()]);
is<Equal<typeof pair, [User, number[]]>>();
const many = await cache.getAll([1, 2, 3].map(UserInfo));
is<Equal<typeof many, User[]>>();
const fixed = await cache.getAll([UserInfo(1), Maybe()] as const);
is<Equal<typeof fixed, [User, string | undefined]>>();
const none = await cache.getAll([]);
is<Equal<typeof none, []>>();
declare const mixed: readonly (Reference<User, number> | Reference<User, string>)[];
const fromMixed = await cache.getAll(mixed);
is<Equal<typeof fromMixed, User[]>>();
// @ts-expect-error one of the storages is unknown
void cache.getAll([UserInfo(1), Typo(1)]);
// @ts-expect-error one of them is a node
void cache.getAll([UserInfo(1), All]);

// lookup, lookupAll, peek
const found = await cache.lookup(UserInfo(1));
is<Equal<typeof found, Lookup<User, "local" | "redis">>>();
is<Equal<typeof found.source, "local" | "redis" | "load">>();
is<Equal<typeof found.ttlMs, number | null>>();
const foundAll = await cache.lookupAll([UserInfo(1), All()]);
is<Equal<typeof foundAll, [LookupResult<User, "local" | "redis">, LookupResult<number[], "local" | "redis">]>>();
for (const result of foundAll) {
  if ("error" in result) is<Equal<typeof result.error, unknown>>();
  else is<Equal<typeof result.value, User | number[]>>();
}
const peeked = cache.peek(UserInfo(1));
is<Equal<typeof peeked, User | undefined>>();
// @ts-expect-error the cache has no such storage
void cache.lookup(Typo(1));
// @ts-expect-error the cache has no such storage
cache.peek(Typo(1));

// set, setAll
await cache.set(UserInfo(1), { id: 1, name: "Ada" });
await cache.set(UserInfo(1), { id: 1, name: "Ada" }, { ttl: "5s" });
await cache.set(UserInfo(1), { id: 1, name: "Ada" }, { ttl: null });
await cache.set(UserInfo(1), { id: 1, name: "Ada" }, { ttl: undefined });
await cache.set(Maybe(), undefined);
const entries = [
  [UserInfo(1), { id: 1, name: "Ada" }],
  [All(), [1, 2]],
] as const;
await cache.setAll([
  [UserInfo(1), { id: 1, name: "Ada" }],
  [All(), [1]],
]);
await cache.setAll([1, 2].map((id) => [UserInfo(id), { id, name: "Ada" }] as const));
await cache.setAll([]);
void entries;
// @ts-expect-error the value is of another type
void cache.set(UserInfo(1), { id: "1", name: "Ada" });
// @ts-expect-error the value is missing
void cache.set(UserInfo(1));
// @ts-expect-error one of the values is of another type
void cache.setAll([[UserInfo(1), "Ada"]]);
// @ts-expect-error nothing says what the node holds
void cache.set(Memo(1), 1);

// invalidate, refresh
const token = await cache.invalidate(UserInfo(1));
is<Equal<typeof token, InvalidationToken>>();
const text: string = token;
void text;
await cache.invalidate([UserInfo(1), All(), Annotated(1)]);
await cache.invalidate([]);
const refreshed = await cache.refresh(UserInfo(1));
is<Equal<typeof refreshed, User>>();
// @ts-expect-error the cache has no such storage
void cache.invalidate([UserInfo(1), Typo(1)]);

// memoize
const memoized = cache.memoize(UserInfo, (id) => db.user(id));
is<Equal<typeof memoized, Memoized<[params: number], User>>>();
const memoizedText = cache.memoize(
  (id: number, _locale: string) => Memo(id),
  async (id, locale) => `${id.toFixed(0)} ${locale.trim()}`,
);
is<Equal<typeof memoizedText, Memoized<[id: number, _locale: string], string>>>();
const texts = await memoizedText.all([
  [1, "de"],
  [2, "en"],
]);
is<Equal<typeof texts, string[]>>();
const memoText = await memoizedText(1, "de");
is<Equal<typeof memoText, string>>();
const memoToken = await memoizedText.invalidate(1, "de");
is<Equal<typeof memoToken, InvalidationToken>>();
const memoFresh = await memoizedText.refresh(1, "de");
is<Equal<typeof memoFresh, string>>();
// @ts-expect-error the second argument is missing
void memoizedText(1);
// @ts-expect-error the function gives something else than the node holds
cache.memoize(UserInfo, async () => ({ id: "1" }));

// the rest
const nodes = cache.nodes();
is<Equal<typeof nodes, readonly NodeInfo[]>>();
const stats = cache.stats(UserInfo);
is<Equal<typeof stats, NodeStats>>();
is<Equal<(typeof stats.loadLatency)["p99"], number>>();
const ofTier = stats.tiers["local"];
void ofTier;
is<Equal<NodeStats["tiers"], { readonly [storage: string]: TierStats }>>();
const allStats = cache.stats();
is<Equal<typeof allStats, { readonly [node: string]: NodeStats }>>();
cache.setPrefix("other");
const full = cache.keyOf(Typo(1));
is<Equal<typeof full, string>>();
const wider = cache.registerStorage("reids", storage);
is<Equal<typeof wider, Cache<"local" | "redis" | "reids", undefined>>>();
const widerValue = await wider.get(Typo(1));
is<Equal<typeof widerValue, number>>();
const view = cache.with({ waitUntil: (promise) => void promise, prefix: "tenant" });
is<Equal<typeof view, Cache<"local" | "redis", undefined>>>();
await cache.flush();
await cache.close();

// options
const full2 = createCache({
  prefix: undefined,
  storages: { local: tier },
  waitUntil: undefined,
  onEvent: (event) => is<Equal<typeof event, CacheEvent>>(),
  clock: { now: () => 0 },
  guard: { timeout: "1s" },
});
is<Equal<typeof full2, Cache<"local", undefined>>>();
createCache({ storages: {}, onEvent: undefined, clock: undefined, guard: undefined });
createCache({ storages: {}, guard: { timeout: undefined, breaker: undefined } });
createCache({ storages: {}, guard: { breaker: false } });
createCache({ storages: {}, guard: { breaker: { failures: 3, coolDown: "2s" } } });
createCache({ storages: {}, guard: { breaker: { failures: undefined, coolDown: undefined } } });
// @ts-expect-error there is no breaker without rules but false
createCache({ storages: {}, guard: { breaker: true } });
// @ts-expect-error storages are missing
createCache({ prefix: "shop" });
// @ts-expect-error not a storage
createCache({ storages: { local: 5 } });
// @ts-expect-error not a duration
createCache({ storages: {}, guard: { timeout: "1sec" } });

// names known only as `string` are not checked: the run time does it
declare const wide: Record<string, Storage>;
const wideCache = createCache({ storages: wide });
const fromWide = await wideCache.get(Typo(1));
is<Equal<typeof fromWide, number>>();
declare const name: string;
const Wide = defineNode({ name: "Wide", key: () => "k", load: () => 1, caches: [{ storage: name, ttl: 5 }] });
const wideValue = await cache.get(Wide());
is<Equal<typeof wideValue, number>>();

// an annotated cache, as `isolatedDeclarations` wants it
export const annotatedCache: Cache<"local" | "redis"> = createCache({ storages: { local: tier, redis: storage } });
const fromAnnotatedCache = await annotatedCache.get(UserInfo(1));
is<Equal<typeof fromAnnotatedCache, User>>();

// references pass through helpers
async function describe<Value>(reference: Reference<Value>): Promise<Value> {
  return annotatedCache.get(reference);
}
const described = await describe(UserInfo(1));
is<Equal<typeof described, User>>();
