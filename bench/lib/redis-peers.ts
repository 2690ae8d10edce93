/**
 * Other libraries with a memory tier in front of the Redis of the trace, each set up as its documents show. Those that take an
 * ioredis client get that of the run; `cache-manager` has its own, of node-redis. Types are described by what is called.
 *
 * @module
 */
import type { Redis } from "ioredis";
import { cachifiedWith } from "./cachified.ts";
import type { Contestant, Load, Row } from "./contestant.ts";
import { peer } from "./peers.ts";

/** Whom this folder knows. */
export const REDIS_PEERS = ["bentocache", "layered-loader", "cache-manager", "@epic-web/cachified", "ocache", "async-cache-dedupe"] as const;

export type RedisPeerName = (typeof REDIS_PEERS)[number];

type Create = (client: Redis, capacity: number, load: Load) => Promise<Contestant>;

const HOUR_MS = 3_600_000;
const HOUR_S = 3_600;

const peers: Readonly<Record<RedisPeerName, Create>> = {
  async bentocache(client, maxItems, load) {
    interface Stores {
      useL1Layer(driver: unknown): Stores;
      useL2Layer(driver: unknown): Stores;
    }
    interface Bento {
      getOrSet(options: { key: string; factory: () => Promise<Row>; ttl: string }): Promise<Row>;
    }
    type Driver = (options: object) => unknown;
    const { BentoCache, bentostore } = await peer<{ BentoCache: new (options: object) => Bento; bentostore: () => Stores }>("bentocache");
    const { memoryDriver } = await peer<{ memoryDriver: Driver }>("bentocache/drivers/memory");
    const { redisDriver } = await peer<{ redisDriver: Driver }>("bentocache/drivers/redis");
    // With `serialize: false` calls are never answered once the memory is full and must drop entries.
    const tiered = bentostore()
      .useL1Layer(memoryDriver({ maxItems }))
      // Its copy of ioredis is another one, so it takes an address.
      .useL2Layer(redisDriver({ connection: { host: "127.0.0.1", port: client.options.port } }));
    const bento = new BentoCache({ default: "tiered", stores: { tiered } });
    return single((uid) => bento.getOrSet({ key: `uid:${uid}`, factory: () => load(uid), ttl: "1h" }));
  },
  async "layered-loader"(client, maxItems, load) {
    interface Layered {
      Loader: new (options: object) => { get(key: string): Promise<Row | undefined | null> };
      RedisCache: new (client: Redis, options: object) => object;
    }
    const { Loader, RedisCache } = await peer<Layered>("layered-loader");
    const loader = new Loader({
      inMemoryCache: { cacheId: "row", cacheType: "lru-object", ttlInMsecs: HOUR_MS, maxItems },
      asyncCache: new RedisCache(client, { json: true, ttlInMsecs: HOUR_MS }),
      dataSources: [{ name: "source", get: (key: string) => load(Number(key)) }],
    });
    return single((uid) => loader.get(String(uid)));
  },
  async "cache-manager"(client, lruSize, load) {
    interface Manager {
      createCache(options: { stores: object[] }): { wrap(key: string, load: () => Promise<Row>, ttl: number): Promise<Row> };
    }
    type Make<Options> = new (options: Options) => object;
    const { createCache } = await peer<Manager>("cache-manager");
    const { Keyv } = await peer<{ Keyv: Make<object> }>("keyv");
    const { CacheableMemory } = await peer<{ CacheableMemory: Make<object> }>("cacheable");
    const { default: KeyvRedis } = await peer<{ default: Make<string> }>("@keyv/redis");
    const memory = new Keyv({ store: new CacheableMemory({ lruSize, ttl: HOUR_MS }) });
    const redis = new Keyv({ store: new KeyvRedis(`redis://127.0.0.1:${client.options.port ?? 0}`) });
    const cache = createCache({ stores: [memory, redis] });
    return single((uid) => cache.wrap(`uid:${uid}`, () => load(uid), HOUR_MS));
  },
  async "@epic-web/cachified"(client, max, load) {
    const { cachified, memory } = await cachifiedWith(max);
    const far = {
      get: async (key: string): Promise<unknown> => parsed(await client.get(key)),
      set: (key: string, value: unknown) => client.set(key, JSON.stringify(value), "PX", HOUR_MS),
      delete: (key: string) => client.del(key),
    };
    // It has no tiers: one call stands inside the other.
    return single((uid) => {
      const key = `uid:${uid}`;
      const behind = (): Promise<Row> => cachified({ key, cache: far, ttl: HOUR_MS, getFreshValue: () => load(uid) });
      return cachified({ key, cache: memory, ttl: HOUR_MS, getFreshValue: behind });
    });
  },
  async ocache(client, maxSize, load) {
    interface Ocache {
      defineCachedFunction(load: Load, options: object): (uid: number) => Promise<Row>;
      createMemoryStorage(options: object): object;
      composeStorage(layers: readonly object[]): object;
    }
    const ocache = await peer<Ocache>("ocache");
    const far = {
      get: async (key: string): Promise<unknown> => parsed(await client.get(key)),
      set: (key: string, value: unknown) => (value === null ? client.del(key) : client.set(key, JSON.stringify(value), "PX", HOUR_MS)),
    };
    const storage = ocache.composeStorage([ocache.createMemoryStorage({ maxSize }), far]);
    return single(ocache.defineCachedFunction(load, { name: "row", getKey: (uid: number) => `uid:${uid}`, maxAge: HOUR_S, swr: false, storage }));
  },
  async "async-cache-dedupe"(client, _capacity, load) {
    interface Dedupe {
      define(name: string, load: Load): { row(uid: number): Promise<Row> };
    }
    // It has one tier, so the memory is left out.
    const { createCache } = await peer<{ createCache(options: object): Dedupe }>("async-cache-dedupe");
    const cache = createCache({ ttl: HOUR_S, storage: { type: "redis", options: { client } } }).define("row", load);
    return single((uid) => cache.row(uid));
  },
};

/** Makes one over `client`, with room for `capacity` entries in front. */
export function createRedisPeer(name: RedisPeerName, client: Redis, capacity: number, load: Load): Promise<Contestant> {
  return peers[name](client, capacity, load);
}

function parsed(text: string | null): unknown {
  return text === null ? null : JSON.parse(text);
}

/** Writes that a library does not wait for have had this long when a run ends. */
const SETTLE_MS = 300;

function single(get: (uid: number) => Promise<Row | undefined | null>): Contestant {
  const one = async (uid: number): Promise<Row> => {
    const row = await get(uid);
    if (row) return row;
    throw new Error(`no answer for ${uid}`);
  };
  const settle = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
  return { get: one, getMany: (uids) => Promise.all(uids.map(one)), settle, reports: new Map() };
}
