/**
 * Libraries that answer `get or load` from a memory tier, each set up as its own documents show, with a life of an hour and
 * nothing behind the memory: the best case of a hit. Those that have no call for many keys get `Promise.all` of the single one.
 *
 * @module
 */
import { createCache, defineNode, local } from "cacheme";
import { cachifiedWith } from "./cachified.ts";
import type { Row } from "./contestant.ts";
import { peer } from "./peers.ts";

/** A library with a memory tier. */
export interface Tiered {
  get(uid: number): Promise<Row | undefined | null>;
  getMany(uids: readonly number[]): Promise<readonly (Row | undefined | null)[]>;
}

/** Whom this folder knows, this library first. */
export const TIERED = [
  "cacheme",
  "bentocache",
  "cache-manager",
  "cacheable",
  "@epic-web/cachified",
  "async-cache-dedupe",
  "@unkey/cache",
  "ocache",
  "layered-loader",
  "lru-cache fetch",
] as const;

export type TieredName = (typeof TIERED)[number];

type Create = (load: (uid: number) => Promise<Row>, capacity: number) => Promise<Tiered>;
type ByKey = (key: string, load: () => Promise<Row>) => Promise<Row | undefined | null>;

const HOUR_MS = 3_600_000;
const HOUR_S = 3_600;

const contestants: Readonly<Record<TieredName, Create>> = {
  async cacheme(load, capacity) {
    const UserInfo = defineNode({ name: "UserInfo", allowRedefine: true, key: (uid: number) => `uid:${uid}`, load, caches: [{ storage: "local", ttl: "1h" }] });
    const cache = createCache({ storages: { local: local({ maxEntries: capacity }) } });
    return { get: (uid) => cache.get(UserInfo(uid)), getMany: (uids) => cache.getAll(uids.map((uid) => UserInfo(uid))) };
  },
  async bentocache(load, capacity) {
    interface Stores {
      useL1Layer(driver: unknown): unknown;
    }
    interface Bento {
      getOrSet(options: { key: string; factory: () => Promise<Row>; ttl: string }): Promise<Row>;
    }
    const { BentoCache, bentostore } = await peer<{ BentoCache: new (options: object) => Bento; bentostore: () => Stores }>("bentocache");
    const { memoryDriver } = await peer<{ memoryDriver: (options: object) => unknown }>("bentocache/drivers/memory");
    // Without serializing: its faster setting.
    const memory = bentostore().useL1Layer(memoryDriver({ maxItems: capacity, serialize: false }));
    const bento = new BentoCache({ default: "memory", stores: { memory } });
    return each(load, (key, factory) => bento.getOrSet({ key, factory, ttl: "1h" }));
  },
  async "cache-manager"(load) {
    const manager = await peer<{ createCache(): { wrap(key: string, load: () => Promise<Row>, ttl: number): Promise<Row> } }>("cache-manager");
    const cache = manager.createCache();
    return each(load, (key, fresh) => cache.wrap(key, fresh, HOUR_MS));
  },
  async cacheable(load) {
    interface Instance {
      getOrSet(key: string, load: () => Promise<Row>, options: { ttl: number }): Promise<Row | undefined>;
    }
    const { Cacheable } = await peer<{ Cacheable: new () => Instance }>("cacheable");
    const cache = new Cacheable();
    return each(load, (key, fresh) => cache.getOrSet(key, fresh, { ttl: HOUR_MS }));
  },
  async "@epic-web/cachified"(load, capacity) {
    const { cachified, memory: cache } = await cachifiedWith(capacity);
    return each(load, (key, getFreshValue) => cachified({ key, cache, ttl: HOUR_MS, getFreshValue }));
  },
  async "async-cache-dedupe"(load, capacity) {
    interface Dedupe {
      define(name: string, load: (uid: number) => Promise<Row>): { row(uid: number): Promise<Row> };
    }
    const { createCache: create } = await peer<{ createCache(options: object): Dedupe }>("async-cache-dedupe");
    const cache = create({ ttl: HOUR_S, storage: { type: "memory", options: { size: capacity } } }).define("row", load);
    return { get: (uid) => cache.row(uid), getMany: (uids) => Promise.all(uids.map((uid) => cache.row(uid))) };
  },
  async "@unkey/cache"(load) {
    interface Unkey {
      createCache(namespaces: object): { row: { swr(key: string, load: () => Promise<Row>): Promise<{ val?: Row }> } };
      Namespace: new (context: object, options: object) => object;
      DefaultStatefulContext: new () => object;
    }
    const unkey = await peer<Unkey>("@unkey/cache");
    const { MemoryStore } = await peer<{ MemoryStore: new (options: object) => object }>("@unkey/cache/stores");
    const stores = [new MemoryStore({ persistentMap: new Map() })];
    const row = new unkey.Namespace(new unkey.DefaultStatefulContext(), { stores, fresh: HOUR_MS, stale: HOUR_MS });
    const cache = unkey.createCache({ row });
    return each(load, async (key, fresh) => (await cache.row.swr(key, fresh)).val);
  },
  async ocache(load, capacity) {
    interface Ocache {
      defineCachedFunction(load: (uid: number) => Promise<Row>, options: object): (uid: number) => Promise<Row>;
      createMemoryStorage(options: object): object;
    }
    const ocache = await peer<Ocache>("ocache");
    const options = { name: "row", getKey: (uid: number) => `uid:${uid}`, maxAge: HOUR_S, swr: false };
    const get = ocache.defineCachedFunction(load, { ...options, storage: ocache.createMemoryStorage({ maxSize: capacity }) });
    return { get, getMany: (uids) => Promise.all(uids.map((uid) => get(uid))) };
  },
  async "layered-loader"(load, capacity) {
    interface Loader {
      get(key: string): Promise<Row | undefined | null>;
      getMany(keys: string[]): Promise<Row[]>;
    }
    const { Loader } = await peer<{ Loader: new (options: object) => Loader }>("layered-loader");
    const uidOf = (key: string): number => Number(key.slice("uid:".length));
    const source = {
      name: "source",
      get: (key: string): Promise<Row> => load(uidOf(key)),
      getMany: (keys: string[]): Promise<Row[]> => Promise.all(keys.map((key) => load(uidOf(key)))),
    };
    const loader = new Loader({
      inMemoryCache: { cacheId: "row", cacheType: "lru-object", ttlInMsecs: HOUR_MS, maxItems: capacity },
      cacheKeyFromValueResolver: ({ uid }: Row) => `uid:${uid}`,
      dataSources: [source],
    });
    return { get: (uid) => loader.get(`uid:${uid}`), getMany: (uids) => loader.getMany(uids.map((uid) => `uid:${uid}`)) };
  },
  async "lru-cache fetch"(load, capacity) {
    const { LRUCache } = await peer<{ LRUCache: new (options: object) => { fetch(key: string): Promise<Row | undefined> } }>("lru-cache");
    const cache = new LRUCache({ max: capacity, ttl: HOUR_MS, fetchMethod: (key: string) => load(Number(key.slice("uid:".length))) });
    return each(load, (key) => cache.fetch(key));
  },
};

/** Those that have one tier only and no way to a second; they are shown, not counted as peers with tiers. */
export const ONE_TIER: ReadonlySet<TieredName> = new Set<TieredName>(["async-cache-dedupe", "lru-cache fetch"]);

/** Makes one, with room for `capacity` entries where that can be said. */
export function createTiered(name: TieredName, load: (uid: number) => Promise<Row>, capacity: number): Promise<Tiered> {
  return contestants[name](load, capacity);
}

function each(load: (uid: number) => Promise<Row>, get: ByKey): Tiered {
  const one = (uid: number): Promise<Row | undefined | null> => get(`uid:${uid}`, () => load(uid));
  return { get: one, getMany: (uids) => Promise.all(uids.map(one)) };
}
