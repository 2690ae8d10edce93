/**
 * A Worker that makes all it can at module scope, where timers, randomness and I/O are forbidden: caches, nodes, storages,
 * serializers, a doorkeeper. Its loaders give whatever the request asks for, plain data or not.
 *
 * @module
 */
import { msgpack } from "../../../adapters/msgpack.ts";
import { upstash } from "../../../adapters/upstash.ts";
import { bloomFilter, compressed, createCache, defineNode, dynamicNode, isCacheError, json, local, structured } from "../../../src/index.ts";

/** Nothing listens there: the tier is a miss, and never an error. */
const NOWHERE = { url: "http://127.0.0.1:9", token: "a-token" };

const cache = createCache({
  prefix: "module-scope",
  storages: {
    local: local({ policy: "w-tinylfu", maxEntries: 1_000 }),
    small: local({ policy: "lru", maxEntries: 10, maxBytes: 10_000, weigh: () => 100 }),
    redis: upstash(NOWHERE),
    later: () => upstash(NOWHERE),
  },
});

const SERIALIZERS = [json(), msgpack(), structured(), compressed(json())];

/** One node for each serializer. */
const numbers = SERIALIZERS.map((serializer, index) =>
  defineNode({
    name: `Number ${index}`,
    key: (id: number) => ["number", id],
    load: async (id: number) => ({ id, double: id * 2 }),
    caches: [
      { storage: "local", ttl: "1m" },
      { storage: "redis", ttl: "1h" },
    ],
    serializer,
    doorkeeper: bloomFilter({ capacity: 1_000, falsePositiveRate: 0.01 }),
  }),
);

const Word = dynamicNode({ name: "Word", caches: [{ storage: "small", ttl: null }] });
const shout = cache.memoize(Word, (word: string) => word.toUpperCase());

const MADE: Readonly<Record<string, () => unknown>> = {
  Response: () => new Response("a body"),
  Request: () => new Request("http://example.com/"),
  ReadableStream: () => new Response("a body").body,
  "a fetched Response": () => fetch("http://127.0.0.1:9").catch(() => new Response("unreachable")),
  "a plain object": () => ({ plain: true }),
};

const Anything = defineNode({
  name: "Anything",
  key: (kind: string) => kind,
  load: async (kind: string): Promise<unknown> => {
    await new Promise((resolve) => setTimeout(resolve, 100));
    return MADE[kind]?.();
  },
  caches: [{ storage: "local", ttl: "1m" }],
});

async function anything(kind: string): Promise<unknown> {
  try {
    const { value, collapsed } = await cache.lookup(Anything(kind));
    return { value, collapsed };
  } catch (error) {
    return isCacheError(error) ? { code: error.code, message: error.message } : { error: String(error) };
  }
}

/** Answers `/?kind=…` with what became of that load, and anything else with what the nodes of module scope give. */
export async function handle(request: Request): Promise<Response> {
  const kind = new URL(request.url).searchParams.get("kind");
  if (kind !== null) return Response.json(await anything(kind));
  const values = await cache.getAll(numbers.map((node) => node(21)));
  const again = await cache.getAll(numbers.map((node) => node(21)));
  return Response.json({ values, again, word: await shout("hello"), peeked: cache.peek(Word("hello")) });
}
