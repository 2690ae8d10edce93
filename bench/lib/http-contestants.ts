/**
 * Who can keep values in an Upstash database over HTTP, with a memory tier of 3,000 entries in front where the library has tiers.
 * Each is set up as its documents show, over the official client in its default setting.
 *
 * @module
 */
import { Redis } from "@upstash/redis";
import { createCache, defineNode, local } from "cacheme";
import { upstash } from "cacheme/upstash";
import { cachifiedWith } from "./cachified.ts";
import type { Contestant, Load, Row } from "./contestant.ts";
import { createHttpReference } from "./http-reference.ts";
import { peer } from "./peers.ts";

/** Where the database is. */
export interface Database {
  readonly url: string;
  readonly token: string;
}

/** Whom this folder knows, this library first. */
export const HTTP_NAMES = ["cacheme", "reference", "@unkey/cache", "ocache", "@epic-web/cachified"] as const;

export type HttpName = (typeof HTTP_NAMES)[number];

type Create = (database: Database, load: Load) => Promise<Contestant>;

/** Entries of the memory tier, as in the trace. */
const CAPACITY = 3_000;
const HOUR_MS = 3_600_000;

const contestants: Readonly<Record<HttpName, Create>> = {
  async cacheme({ url, token }, load) {
    const reports = new Map<string, number>();
    const caches = [
      { storage: "local", ttl: "1h" },
      { storage: "redis", ttl: "1h" },
    ] as const;
    const UserInfo = defineNode({ name: "UserInfo", key: (uid: number) => `uid:${uid}`, load, caches });
    const cache = createCache({
      storages: { local: local({ maxEntries: CAPACITY }), redis: upstash({ url, token }) },
      onEvent: ({ type }) => reports.set(type, (reports.get(type) ?? 0) + 1),
    });
    return {
      get: (uid) => cache.get(UserInfo(uid)),
      getMany: (uids) => cache.getAll(uids.map((uid) => UserInfo(uid))),
      settle: () => cache.flush(),
      reports,
    };
  },
  reference: async ({ url, token }, load) => createHttpReference(url, token, CAPACITY, load),
  async "@unkey/cache"(database, load) {
    interface Unkey {
      createCache(namespaces: object): { row: { swr(key: string, load: () => Promise<Row>): Promise<{ val?: Row }> } };
      Namespace: new (context: object, options: object) => object;
    }
    interface Stores {
      MemoryStore: new (options: object) => object;
      UpstashRedisStore: new (options: object) => object;
    }
    const { createCache: create, Namespace } = await peer<Unkey>("@unkey/cache");
    const { MemoryStore, UpstashRedisStore } = await peer<Stores>("@unkey/cache/stores");
    const context = background();
    const memory = new MemoryStore({ persistentMap: new Map(), unstableEvictOnSet: { frequency: 1, maxItems: CAPACITY } });
    const stores = [memory, new UpstashRedisStore({ redis: new Redis(database) })];
    const cache = create({ row: new Namespace(context, { stores, fresh: HOUR_MS, stale: HOUR_MS }) });
    return single(async (uid) => (await cache.row.swr(`uid:${uid}`, () => load(uid))).val, context.settle);
  },
  async ocache(database, load) {
    interface Ocache {
      defineCachedFunction(load: Load, options: object): (uid: number) => Promise<Row>;
      createMemoryStorage(options: object): object;
      composeStorage(layers: readonly object[]): object;
    }
    interface Storage {
      get(key: string): Promise<unknown>;
      set(key: string, value: unknown, options?: object): Promise<void>;
    }
    const ocache = await peer<Ocache>("ocache");
    const { createStorage } = await peer<{ createStorage(options: object): Storage }>("unstorage");
    const { default: driver } = await peer<{ default(options: object): object }>("unstorage/drivers/upstash");
    const context = background();
    const remote = createStorage({ driver: driver(database) });
    const far = {
      get: (key: string) => remote.get(key),
      set: (key: string, value: unknown, options?: object) => context.track(remote.set(key, value, options)),
    };
    const storage = ocache.composeStorage([ocache.createMemoryStorage({ maxSize: CAPACITY }), far]);
    const get = ocache.defineCachedFunction(load, { name: "row", getKey: (uid: number) => `uid:${uid}`, maxAge: 3_600, swr: false, storage });
    return single(get, context.settle);
  },
  async "@epic-web/cachified"(database, load) {
    const { cachified, memory } = await cachifiedWith(CAPACITY);
    const redis = new Redis(database);
    const context = background();
    const far = {
      get: (key: string) => redis.get(key),
      set: (key: string, value: unknown) => context.track(redis.set(key, value, { ex: 3_600 })),
      delete: (key: string) => redis.del(key),
    };
    // It has no tiers: one call stands inside the other.
    const nested = (uid: number): Promise<Row> => {
      const key = `uid:${uid}`;
      const behind = (): Promise<Row> => cachified({ key, cache: far, ttl: HOUR_MS, getFreshValue: () => load(uid) });
      return cachified({ key, cache: memory, ttl: HOUR_MS, getFreshValue: behind });
    };
    return single(nested, context.settle);
  },
};

/** Makes one. */
export function createHttpContestant(name: HttpName, database: Database, load: Load): Promise<Contestant> {
  return contestants[name](database, load);
}

interface Background {
  track<Result>(work: Promise<Result>): Promise<Result>;
  waitUntil(work: Promise<unknown>): void;
  settle(): Promise<void>;
}

/** Knows when the writes that a library does not wait for have landed. */
function background(): Background {
  const open = new Set<Promise<unknown>>();
  const context: Background = {
    track(work) {
      const done = work.catch(() => undefined).finally(() => open.delete(done));
      open.add(done);
      return work;
    },
    waitUntil: (work) => void context.track(work).catch(() => undefined),
    async settle() {
      while (open.size > 0) await Promise.all(open);
    },
  };
  return context;
}

function single(get: (uid: number) => Promise<Row | undefined>, settle: () => Promise<void>): Contestant {
  const one = async (uid: number): Promise<Row> => {
    const row = await get(uid);
    if (row) return row;
    throw new Error(`no answer for ${uid}`);
  };
  return { get: one, getMany: (uids) => Promise.all(uids.map(one)), settle, reports: new Map() };
}
