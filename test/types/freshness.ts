/** What is known of old values, what decides a life, and how keys are grouped. */

import { createCache, defineNode } from "cacheme";
import type {
  CacheNode,
  InvalidationToken,
  LoadAllContext,
  LoadContext,
  LocalTier,
  Reference,
  StandardSchema,
  Stale,
  Storage,
  TieredNode,
  Needs,
} from "cacheme";
import { caches, db, is } from "./assert.ts";
import type { Equal, User } from "./assert.ts";

type Both = "local" | "redis";
declare const userSchema: StandardSchema<User>;
declare const storages: { readonly local: LocalTier; readonly redis: Storage };

// Without more, nothing is known of an old value, and naming the context disturbs nothing.
const Unknown = defineNode({
  name: "Unknown",
  key: (id: number) => `${id}`,
  load: async (id, { stale, unchanged }) => {
    is<Equal<typeof stale, Stale | undefined>>();
    is<Equal<typeof unchanged, () => never>>();
    const age = stale?.ageMs;
    is<Equal<typeof age, number | undefined>>();
    if (age !== undefined && age < 5) return unchanged();
    return db.user(id);
  },
  caches,
});
is<Equal<typeof Unknown, TieredNode<number, User, Both>>>();
// @ts-expect-error an old value of which nothing is known has no properties
defineNode({ name: "Untyped", key: (id: number) => `${id}`, load: (id, { stale }) => ({ id, name: stale?.value.name ?? "" }), caches });

// `unchanged()` is `never`: it takes no part in the inferred value, in whatever form it is returned.
const Either = defineNode({ name: "Either", key: (id: number) => `${id}`, load: (id, { stale, unchanged }) => (stale ? unchanged() : { id }), caches });
is<Equal<typeof Either, TieredNode<number, { id: number }, Both>>>();
const Late = defineNode({
  name: "Late",
  key: (id: number) => `${id}`,
  load: async (id, context) => {
    const response = await db.user(id);
    return context.stale ? context.unchanged() : response;
  },
  caches,
});
is<Equal<typeof Late, TieredNode<number, User, Both>>>();
const Maybe = defineNode({
  name: "Maybe",
  key: (id: number) => `${id}`,
  load: async (id, { unchanged }) => (id === 0 ? unchanged() : id === 1 ? null : db.user(id)),
  caches,
});
is<Equal<typeof Maybe, TieredNode<number, User | null, Both>>>();
const Listed = defineNode({
  name: "Listed",
  key: (id: number) => `${id}`,
  loadAll: async (ids, { stale, unchanged }) => {
    is<Equal<typeof stale, readonly (Stale | undefined)[]>>();
    const users = await db.users(ids);
    return users.map((user, index) => (stale[index] ? unchanged() : user));
  },
  caches,
});
is<Equal<typeof Listed, TieredNode<number, User, Both>>>();

// `validate` says what old values are, and what is served.
const Valid = defineNode({
  name: "Valid",
  key: (id: number) => `${id}`,
  validate: userSchema,
  load: async (id, { stale, unchanged }) => {
    is<Equal<typeof stale, Stale<User> | undefined>>();
    return stale?.value.name === "same" ? unchanged() : db.user(id);
  },
  caches,
});
is<Equal<typeof Valid, TieredNode<number, User, Both>>>();
const Below = defineNode({
  name: "Below",
  key: (id: number) => `${id}`,
  load: async (id, { stale }) => {
    is<Equal<typeof stale, Stale<User> | undefined>>();
    return db.user(id);
  },
  caches,
  validate: userSchema,
});
is<Equal<typeof Below, TieredNode<number, User, Both>>>();
const ValidAll = defineNode({
  name: "ValidAll",
  key: (id: number) => `${id}`,
  validate: userSchema,
  loadAll: async (ids, { stale, unchanged }) => {
    is<Equal<typeof stale, readonly (Stale<User> | undefined)[]>>();
    const users = await db.users(ids);
    return users.map((user, index) => (stale[index]?.value.id === 1 ? unchanged() : user));
  },
  caches,
});
is<Equal<ReturnType<typeof ValidAll>, Reference<User, number> & Needs<Both>>>();
const Memo = defineNode({ name: "Memo", key: (id: number) => `${id}`, validate: userSchema, caches });
is<Equal<typeof Memo, TieredNode<number, User, Both>>>();
// @ts-expect-error the loader gives what the schema does not
defineNode({ name: "Mismatch", key: (id: number) => `${id}`, validate: userSchema, load: async (id) => ({ id: `${id}`, name: "" }), caches });
// @ts-expect-error a schema has "~standard"
defineNode({ name: "NoSchema", key: () => "k", validate: { parse: (value: unknown) => value }, load: () => 1, caches });

// So does an annotation of the node.
const Annotated: CacheNode<number, User> = defineNode({
  name: "Annotated",
  key: (id) => `${id}`,
  load: async (id, { stale, unchanged }) => {
    is<Equal<typeof stale, Stale<User> | undefined>>();
    return stale?.value.name === "same" ? unchanged() : db.user(id);
  },
  caches,
});
is<Equal<ReturnType<typeof Annotated>, Reference<User, number>>>();

// So does `LoadContext`, written down.
const Written = defineNode({
  name: "Written",
  key: (id: number) => `${id}`,
  load: async (id, { stale, unchanged }: LoadContext<unknown, User>) => (stale?.value.name === "same" ? unchanged() : db.user(id)),
  caches,
});
is<Equal<ReturnType<typeof Written>, Reference<User, number> & Needs<Both>>>();
const WrittenAll = defineNode({
  name: "WrittenAll",
  key: (id: number) => `${id}`,
  loadAll: async (ids, { stale, unchanged }: LoadAllContext<unknown, User>) => {
    const users = await db.users(ids);
    return users.map((user, index) => (stale[index]?.value.name === "same" ? unchanged() : user));
  },
  caches,
});
is<Equal<ReturnType<typeof WrittenAll>, Reference<User, number> & Needs<Both>>>();

// `ttlFor`, below `load`, is given the value.
const Lived = defineNode({
  name: "Lived",
  key: (id: number) => `${id}`,
  load: async (id): Promise<User | null> => (id > 0 ? db.user(id) : null),
  ttlFor: (value, id) => {
    is<Equal<typeof value, User | null>>();
    is<Equal<typeof id, number>>();
    return value === null ? "5s" : value.id === 1 ? null : id === 2 ? "skip" : 250;
  },
  caches,
});
is<Equal<typeof Lived, TieredNode<number, User | null, Both>>>();
const Explicit = defineNode<number, User>({
  name: "Explicit",
  ttlFor: (value) => (value.name === "" ? "skip" : null),
  key: (id) => `${id}`,
  load: (id) => db.user(id),
  caches,
});
is<Equal<ReturnType<typeof Explicit>["params"], number>>();
const explicit = await createCache({ storages }).get(Explicit(1));
is<Equal<typeof explicit, User>>();
// @ts-expect-error not a life
defineNode({ name: "BadLife", key: () => "k", load: () => 1, ttlFor: () => "soon", caches });
// @ts-expect-error a life is needed
defineNode({ name: "NoLife", key: () => "k", load: () => 1, ttlFor: () => undefined, caches });
// @ts-expect-error a life is told at once
defineNode({ name: "LateLife", key: () => "k", load: () => 1, ttlFor: async () => "5s", caches });

// `tags` takes the parameters.
const Tagged = defineNode({
  name: "Tagged",
  tags: (user) => {
    is<Equal<typeof user, { readonly id: number; readonly team: string }>>();
    return [`user:${user.id}`, `team:${user.team}`] as const;
  },
  key: (user: { readonly id: number; readonly team: string }) => `${user.id}`,
  load: async ({ id }) => db.user(id),
  caches,
});
is<Equal<typeof Tagged, TieredNode<{ readonly id: number; readonly team: string }, User, Both>>>();
// @ts-expect-error tags are strings
defineNode({ name: "NumberTags", key: (id: number) => `${id}`, tags: (id) => [id], load: () => 1, caches });
// @ts-expect-error tags are told at once
defineNode({ name: "LateTags", key: (id: number) => `${id}`, tags: async (id) => [`${id}`], load: () => 1, caches });
// @ts-expect-error tags take what the key takes
defineNode({ name: "OtherTags", key: (id: number) => `${id}`, tags: (id: string) => [id], load: () => 1, caches });

// The others are plain.
defineNode({
  name: "All",
  key: () => "k",
  load: () => 1,
  caches,
  staleWhileRevalidate: "30s",
  staleIfError: 5,
  softTimeout: "1.5s",
  refreshAhead: { beta: 1 },
  jitter: 0.1,
});
defineNode({
  name: "None",
  key: () => "k",
  load: () => 1,
  caches,
  staleWhileRevalidate: undefined,
  staleIfError: undefined,
  softTimeout: undefined,
  refreshAhead: undefined,
  jitter: undefined,
  ttlFor: undefined,
  tags: undefined,
  validate: undefined,
});
// @ts-expect-error a window is a duration
defineNode({ name: "BadWindow", key: () => "k", load: () => 1, caches, staleWhileRevalidate: "30sec" });
// @ts-expect-error a window has an end
defineNode({ name: "EndlessWindow", key: () => "k", load: () => 1, caches, staleIfError: null });
// @ts-expect-error beta is needed
defineNode({ name: "NoBeta", key: () => "k", load: () => 1, caches, refreshAhead: {} });
// @ts-expect-error jitter is a share
defineNode({ name: "BadJitter", key: () => "k", load: () => 1, caches, jitter: "10%" });

// Invalidation by node and tag, and views after it.
const cache = createCache({ storages });
const tokens = [
  await cache.invalidate(Valid(1)),
  await cache.invalidateNode(Valid),
  await cache.invalidateNode(Annotated),
  await cache.invalidateTags("a", "b"),
];
is<Equal<typeof tokens, InvalidationToken[]>>();
const view = cache.with({ after: tokens[0] });
is<Equal<typeof view, typeof cache>>();
// @ts-expect-error a reference is no node
void cache.invalidateNode(Valid(1));
// @ts-expect-error a tag is a string
void cache.invalidateTags(5);
// @ts-expect-error a token is a string
void cache.with({ after: 5 });
const { state } = await cache.lookup(Valid(1));
is<Equal<typeof state, "fresh" | "stale">>();
