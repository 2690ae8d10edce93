/**
 * The Worker under test: two nodes on one store, orders by POST. It imports the package by its name, as users do. The first
 * line of an answer is sent when the order is done, its end when the writes of the order have landed, so that the test knows
 * both moments by its own clock.
 *
 * @module
 */
import { neonConfig } from "@neondatabase/serverless";
import { createCache, defineNode, isCacheError, local } from "cacheme";
import type { Cache, Reference, Storage, WriteEntry } from "cacheme";
import { neon } from "cacheme/neon";
import { upstash } from "cacheme/upstash";
import { createRandom } from "../../../testing/random.ts";
import type { Flaw, NodeName, Order, Place, Reply, Settings, Sight, StoreAddress, Versioned, Wanted } from "./protocol.ts";

/** What a loader needs besides the key does not change the value. */
interface Params {
  readonly key: string;
  readonly by: number;
  readonly ms: number;
}

interface Subject {
  readonly cache: Cache;
  readonly nodes: Readonly<Record<NodeName, (params: Params) => Reference<Versioned, Params>>>;
}

/** Of a storage call and of a load: so long that only a machine that is stuck runs into it. */
const BUDGET_MS = 30_000;
const REMOTE_TTL_MS = 60_000;

let subject: Subject | undefined;

function open(address: StoreAddress): Storage {
  if (address.kind === "upstash") return upstash({ url: address.url, token: address.token });
  // The driver derives the address from the host's name; this is its own seam for another one.
  neonConfig.fetchEndpoint = address.endpoint;
  return neon({ connectionString: address.connectionString });
}

/** A store whose answers take their time on the way back, so that what they tell may be out of date when it arrives. */
function late(storage: Storage, seed: number): Storage {
  const random = createRandom(seed);
  async function afterwards<Answer>(answer: Promise<Answer>): Promise<Answer> {
    const delayMs = random() * 8;
    const value = await answer;
    await new Promise((resolve) => setTimeout(resolve, delayMs));
    return value;
  }
  return {
    ...storage,
    read: (keys, generations, signal) => afterwards(storage.read(keys, generations, signal)),
    write: (entries, signal) => afterwards(storage.write(entries, signal)),
  };
}

function broken(storage: Storage, flaw: Flaw | undefined): Storage {
  if (flaw === undefined) return storage;
  if (flaw === "stamps are ignored") return { ...storage, write: (entries, signal) => storage.write(entries.map(withoutStamp), signal) };
  async function clear(tombstones: readonly WriteEntry[], signal: AbortSignal): Promise<void> {
    const keys = tombstones.map(({ key }) => key);
    if (flaw === "tombstones are removals") await storage.remove(keys, signal);
    else storage.write(tombstones, signal).catch(() => undefined);
  }
  return {
    ...storage,
    async write(entries, signal) {
      const tombstones = entries.filter(isTombstone);
      const values = entries.filter((entry) => !isTombstone(entry));
      const stored = values.length > 0 ? [...(await storage.write(values, signal))] : [];
      if (tombstones.length > 0) await clear(tombstones, signal);
      return entries.map((entry) => (isTombstone(entry) ? true : stored.shift()));
    },
  };
}

function withoutStamp({ key, bytes, ttlMs }: WriteEntry): WriteEntry {
  return { key, bytes, ttlMs };
}

/** Only a tombstone is written whatever the slot shows. */
function isTombstone({ ifStamp }: WriteEntry): boolean {
  return ifStamp === undefined;
}

function subjectOf({ source, store, prefix, localTtlMs, seed, flaw }: Settings): Subject {
  const cache = createCache({
    prefix,
    storages: { local: local(), remote: late(broken(open(store), flaw), seed) },
    guard: { timeout: BUDGET_MS },
  });
  async function ask(list: readonly Wanted[]): Promise<Versioned[]> {
    const answer = await fetch(source, { method: "POST", body: JSON.stringify(list) });
    return answer.json();
  }
  const wanted = (node: NodeName, { key, by, ms }: Params): Wanted => ({ name: `${node}:${key}`, by, ms });
  const near = defineNode({
    name: "near",
    key: ({ key }: Params) => ["near", key],
    async load(params): Promise<Versioned> {
      const [value] = await ask([wanted("near", params)]);
      if (value === undefined) throw new Error("the source gave nothing");
      return value;
    },
    hardTimeout: BUDGET_MS,
    caches: [
      { storage: "local", ttl: localTtlMs },
      { storage: "remote", ttl: REMOTE_TTL_MS },
    ],
  });
  const far = defineNode({
    name: "far",
    key: ({ key }: Params) => ["far", key],
    loadAll: (all: readonly Params[]) => ask(all.map((params) => wanted("far", params))),
    hardTimeout: BUDGET_MS,
    caches: [{ storage: "remote", ttl: REMOTE_TTL_MS }],
  });
  return { cache, nodes: { near, far } };
}

function referenceOf({ nodes }: Subject, { node, key }: Place, { id, loadMs }: Order): Reference<Versioned, Params> {
  return nodes[node]({ key, by: id, ms: loadMs });
}

async function carryOut(cache: Cache, order: Order, references: readonly Reference<Versioned, Params>[]): Promise<readonly Sight[]> {
  const [first] = references;
  if (first === undefined) throw new TypeError("an order without a place");
  switch (order.op) {
    case "get":
      return [{ value: await cache.get(first) }];
    case "getAll":
      return (await cache.getAll(references)).map((value) => ({ value }));
    case "lookup":
      return [await cache.lookup(first)];
    case "lookupAll":
      return (await cache.lookupAll(references)).map((sight) => {
        if ("error" in sight) throw sight.error;
        return sight;
      });
    case "refresh":
      return [{ value: await cache.refresh(first) }];
    case "set":
      if (order.value === undefined) throw new TypeError("a set without a value");
      await cache.set(first, order.value);
      return [];
    case "invalidate":
      await cache.invalidate(references);
      return [];
    default:
      throw new TypeError(`no such order: ${order.op}`);
  }
}

function refusedIn(cache: Cache): number {
  return Object.values(cache.stats()).reduce((sum, { fencedCount }) => sum + fencedCount, 0);
}

function errorOf(error: unknown): Reply {
  return { sights: [], error: { code: isCacheError(error) ? error.code : "", text: String(error) } };
}

/** Carries out one order. */
export async function handle(request: Request, environment: { readonly SETTINGS: string }): Promise<Response> {
  const order: Order = await request.json();
  subject ??= subjectOf(JSON.parse(environment.SETTINGS));
  const made = subject;
  if (order.op === "stats") return new Response(`${JSON.stringify({ sights: [], refused: refusedIn(made.cache) })}\n`);
  const view = made.cache.with({});
  const references = order.places.map((place) => referenceOf(made, place, order));
  const reply = await carryOut(view, order, references).then((sights): Reply => ({ sights }), errorOf);
  const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
  void send(writable, `${JSON.stringify(reply)}\n`, view);
  return new Response(readable);
}

async function send(writable: WritableStream<Uint8Array>, line: string, view: Cache): Promise<void> {
  const writer = writable.getWriter();
  await writer.write(new TextEncoder().encode(line));
  await view.flush();
  await writer.close();
}
