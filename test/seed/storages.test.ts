/**
 * Behaviours 17 to 22 of the library whose model this one implements, those of storages and serializers: on the local tier, on
 * the reference storage, and on a real Redis through both of its clients; and the defects of its Redis storage, which must not
 * be here.
 */

import { Redis } from "ioredis";
import { createClient } from "redis";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { msgpack } from "../../adapters/msgpack.ts";
import { redis } from "../../adapters/redis.ts";
import { createCache } from "../../src/cache.ts";
import { isCacheError } from "../../src/errors.ts";
import { local } from "../../src/local/local.ts";
import { compressed } from "../../src/serializer/compressed.ts";
import { json } from "../../src/serializer/json.ts";
import { structured } from "../../src/serializer/structured.ts";
import type { Cache, StorageOption } from "../../src/types.ts";
import { memoryStorage } from "../../testing/memory-storage.ts";
import { isLeftOut } from "../servers/process.ts";
import { startRedis } from "../servers/redis.ts";
import type { RedisServer } from "../servers/redis.ts";
import { fakeClock } from "../support/fake-clock.ts";
import { counted, failure } from "../support/rig.ts";

const wanted = !isLeftOut("redis");
const clock = fakeClock();
const made: Record<string, () => StorageOption> = { local: () => local(), memory: () => memoryStorage({ clock }) };
/** Kinds in this process, which live by our clock; a server has one of its own. */
const ours = ["local", "memory"];
const closing: (() => unknown)[] = [];
let server: RedisServer | undefined;

beforeAll(async () => {
  if (!wanted) return;
  server = await startRedis();
  const ioredis = new Redis(server.url);
  const nodeRedis = createClient({ url: server.url });
  await nodeRedis.connect();
  made["redis by ioredis"] = () => redis({ client: ioredis });
  made["redis by node-redis"] = () => redis({ client: nodeRedis });
  closing.push(
    () => ioredis.disconnect(),
    () => nodeRedis.destroy(),
    () => server?.stop(),
  );
});

afterAll(async () => {
  for (const close of closing) await close();
});

let runs = 0;
/** A cache on a storage of the kind, under a prefix of its own. */
function cacheOn(kind: string): Cache {
  const storage = made[kind]?.();
  if (!storage) throw new Error(`${kind} did not start`);
  return createCache({ prefix: `run${++runs}`, storages: { storage }, guard: { timeout: "5s" }, clock: ours.includes(kind) ? clock : undefined }) as Cache;
}

const storedFor = (ttl: `${number}d` | `${number}ms`) =>
  counted<unknown>({ caches: [{ storage: "storage", ttl }], load: () => "loaded", serializer: structured() });
/** Lets time pass where the kind lives; a server's clock cannot be replaced, so it is waited for. */
const pass = (kind: string, ms: number) => (ours.includes(kind) ? clock.advance(ms) : new Promise((resolve) => setTimeout(resolve, ms)));
const DICT = { name: "x", tags: ["a", "ä", "😀"], nested: { n: 1.5, none: null } };

describe.each(["local", "memory", ...(wanted ? ["redis by ioredis", "redis by node-redis"] : [])])("a storage (%s)", (kind) => {
  test("17. gives back an equal value after a set with a ttl of ten days", async () => {
    const cache = cacheOn(kind);
    const Item = storedFor("10d");
    await cache.set(Item("a"), DICT);
    expect(await cache.get(Item("a"))).toEqual(DICT);
    expect(Item.loads).toEqual([]);
  });

  test("18. has nothing left of a value after its ttl", async () => {
    const cache = cacheOn(kind);
    const Item = storedFor("60ms");
    await cache.set(Item("a"), DICT);
    await pass(kind, 80);
    expect(await cache.get(Item("a"))).toBe("loaded");
  });

  test("19. answers getAll of nothing with nothing", async () => {
    expect(await cacheOn(kind).getAll([])).toEqual([]);
  });

  test("20. has, after setAll of three and getAll of those and one more, exactly the three", async () => {
    const cache = cacheOn(kind);
    const Item = storedFor("10d");
    await cache.setAll(["a", "b", "c"].map((key) => [Item(key), { key }] as const));
    expect(await cache.getAll(["c", "missing", "a", "b"].map(Item))).toEqual([{ key: "c" }, "loaded", { key: "a" }, { key: "b" }]);
    expect(Item.loads).toEqual(["missing"]);
  });

  test("21. has nothing after set, get, invalidate", async () => {
    const cache = cacheOn(kind);
    const Item = storedFor("10d");
    await cache.set(Item("a"), DICT);
    expect(await cache.get(Item("a"))).toEqual(DICT);
    await cache.invalidate(Item("a"));
    expect(await cache.get(Item("a"))).toBe("loaded");
  });
});

describe("22. serializers give back equal", () => {
  const plain = [
    null,
    true,
    false,
    [],
    [1, "a", null],
    {},
    { a: 1 },
    [[]],
    0,
    -7,
    2 ** 40,
    1.25,
    "",
    "text",
    "ä😀\0",
    { deep: { list: [{ of: [{ things: "x" }] }] } },
  ];
  const serializers = { json, msgpack, structured } as const;

  for (const [name, make] of Object.entries(serializers)) {
    test.each([
      [name, make()],
      [`${name}, compressed`, compressed(make(), { minBytes: 0 })],
    ])("everything plain (%s)", async (_name, serializer) => {
      for (const value of plain) expect(await serializer.decode(await serializer.encode(value))).toEqual(value);
    });
  }

  test("times with msgpack and structured, where json refuses them", async () => {
    const at = new Date(1_800_000_000_123);
    for (const make of [msgpack, structured]) expect(await make().decode(await make().encode({ at }))).toEqual({ at });
    expect(() => json().encode({ at })).toThrow(/Date/);
  });

  test("or refuse: an instance of a class never comes back as something else", async () => {
    class User {
      readonly id = 1;
    }
    for (const make of [json, msgpack, structured]) {
      const error = await failure((async () => make().encode({ user: new User() }))());
      expect(isCacheError(error, "ERR_SERIALIZE")).toBe(true);
    }
  });

  test("data that looks like instructions, and runs none", async () => {
    const hostile = { __class__: "os.system", data: "rm", constructor: { prototype: { polluted: true } }, toJSON: "x" };
    for (const make of [json, msgpack, structured]) {
      expect(await make().decode(await make().encode(hostile))).toEqual(hostile);
      expect(Reflect.get({}, "polluted")).toBe(undefined);
    }
  });
});

describe.skipIf(!wanted)("on a real Redis", () => {
  const clients = ["redis by ioredis", "redis by node-redis"];

  test.each(clients)("a ttl below a second is stored, and one of 1.9 s is not cut to 1 s (%s)", async (kind) => {
    const cache = cacheOn(kind);
    for (const ttl of [100, "1900ms"] as const) {
      const Item = counted({ caches: [{ storage: "storage", ttl }], storeWithin: "20s" });
      await cache.get(Item(`${ttl}`));
      await cache.flush();
      const { source, ttlMs } = await cache.lookup(Item(`${ttl}`));
      expect(source).toBe("storage");
      expect(ttlMs).toBeGreaterThan(ttl === 100 ? 0 : 1_000);
    }
  });

  test.each(clients)("a ttl of null has no expiry on the server, and a key of any length works (%s)", async (kind) => {
    const cache = cacheOn(kind);
    const Item = counted({ caches: [{ storage: "storage", ttl: null }] });
    const long = "k".repeat(2_000);
    await cache.get(Item(long));
    await cache.flush();
    expect(await server?.command("PTTL", cache.keyOf(Item(long)))).toBe(-1);
    expect(await cache.lookup(Item(long))).toMatchObject({ source: "storage", ttlMs: null });
  });

  test.each(clients)("an entry made by another serializer is a miss and no error (%s)", async (kind) => {
    const cache = cacheOn(kind);
    const chain = [{ storage: "storage", ttl: "1h" }] as const;
    const Item = counted({ caches: chain, serializer: json() });
    await cache.get(Item("a"));
    await cache.flush();
    const Changed = counted({ name: Item.node.name, allowRedefine: true, caches: chain, serializer: structured() });
    expect(await cache.get(Changed("a"))).toBe("a#1");
    expect(Changed.loads).toEqual(["a"]);
  });

  test.each(clients)("foreign bytes and a key of another type are misses, and harm no other key (%s)", async (kind) => {
    const cache = cacheOn(kind);
    const Item = counted<string>({ caches: [{ storage: "storage", ttl: "1h" }], load: (key) => key });
    await cache.get(Item("good"));
    await cache.flush();
    await server?.command("SET", cache.keyOf(Item("junk")), "not ours");
    await server?.command("RPUSH", cache.keyOf(Item("list")), "not ours");
    expect(await cache.getAll(["junk", "good", "list"].map(Item))).toEqual(["junk", "good", "list"]);
    expect(Item.loads).toEqual(["good", "junk", "list"]);
    await cache.flush();
    expect(await cache.lookup(Item("junk"))).toMatchObject({ source: "storage" });
  });

  test.each(clients)("10,000 keys at once are read, written and invalidated (%s)", async (kind) => {
    const cache = cacheOn(kind);
    const Item = counted<string>({ caches: [{ storage: "storage", ttl: "1h" }], load: (key) => key });
    const keys = Array.from({ length: 10_000 }, (_, index) => `k${index}`);
    await cache.getAll(keys.map(Item));
    await cache.flush();
    expect(await cache.getAll(keys.map(Item))).toEqual(keys);
    expect(Item.loads.length).toBe(10_000);
    await cache.invalidate(keys.map(Item));
    await cache.getAll(keys.slice(0, 10).map(Item));
    expect(Item.loads.length).toBe(10_010);
  });
});
