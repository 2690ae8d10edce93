/**
 * The library as a user sets it up: the built package, imported by its own name, over an ioredis client. It relies on
 * `npm run build`. Every option that is not named here has its default.
 *
 * @module
 */
import { createCache, defineNode, local } from "cacheme";
import { msgpack } from "cacheme/msgpack";
import { redis } from "cacheme/redis";
import type { Redis } from "ioredis";
import type { Contestant, Load } from "./contestant.ts";
import { BATCH_SIZE } from "./variants.ts";

/** The library over `client`; `capacity` 0 leaves the local tier out. */
export function createCacheme(client: Redis, capacity: number, load: Load): Contestant {
  const reports = new Map<string, number>();
  const remote = { storage: "redis", ttl: null };
  const UserInfo = defineNode({
    name: "UserInfo",
    key: (uid: number) => `uid:${uid}`,
    load,
    // A call's missing keys are loaded side by side, as by those who have only a single get and `Promise.all`.
    loadConcurrency: BATCH_SIZE,
    caches: capacity === 0 ? [remote] : [{ storage: "local", ttl: null }, remote],
    serializer: msgpack(),
  });
  const cache = createCache({
    storages: { local: local({ policy: "w-tinylfu", maxEntries: Math.max(capacity, 1) }), redis: redis({ client }) },
    onEvent(event) {
      const label = "error" in event && event.error ? `${event.type} ${event.error.code}` : event.type;
      reports.set(label, (reports.get(label) ?? 0) + 1);
    },
  });
  return {
    get: (uid) => cache.get(UserInfo(uid)),
    getMany: (uids) => cache.getAll(uids.map((uid) => UserInfo(uid))),
    settle: () => cache.flush(),
    reports,
  };
}
