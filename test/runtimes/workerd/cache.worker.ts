/**
 * The Worker under test: one cache in the isolate, as `SETTINGS` describes it, which does what each request orders. A
 * request can end well, early, by an exception, or be killed; its client can go away besides. It counts what the cache sets
 * in motion: timers, calls of `fetch`, events.
 *
 * @module
 */
import { upstash } from "../../../adapters/upstash.ts";
import { coreOf, createCacheOn } from "../../../src/cache.ts";
import { systemClock } from "../../../src/clock.ts";
import { BEAT_MS } from "../../../src/flight.ts";
import { createCache, defineNode, local } from "../../../src/index.ts";
import type { Cache, CreateCacheOptions, Memoized, Reference, Storage, Tier } from "../../../src/index.ts";
import { drainByMicrotasks } from "../../../src/runtime.ts";
import type { KeyReply, Order, Reply, Settings, State } from "./protocol.ts";

interface Environment {
  readonly SETTINGS: string;
}

interface Context {
  abort(reason?: unknown): void;
}

interface Item {
  readonly key: string;
  readonly loadMs: number;
}

interface Subject {
  readonly cache: Cache;
  nodeOf(name: string): (item: Item) => Reference<unknown, Item>;
  memoized(name: string): Memoized<[Item], unknown>;
}

let beats = 0;
const open: Record<string, number> = {};
let mostOpen: Record<string, number> = {};
let fetches: Record<string, number> = {};
let events: { type: string; at: number; key?: string; detail?: string }[] = [];
let subject: Subject | undefined;

const hostFetch = globalThis.fetch;
globalThis.fetch = async (input, init) => {
  const { origin } = new URL(input instanceof Request ? input.url : input);
  fetches[origin] = (fetches[origin] ?? 0) + 1;
  const now = (open[origin] ?? 0) + 1;
  open[origin] = now;
  mostOpen[origin] = Math.max(mostOpen[origin] ?? 0, now);
  try {
    return await hostFetch(input, init);
  } finally {
    open[origin] = (open[origin] ?? 0) - 1;
  }
};

function storagesOf({ remotes, localTtlMs }: Settings): { storages: CreateCacheOptions<string>["storages"]; caches: Tier<string>[] } {
  const storages: Record<string, Storage | ReturnType<typeof local>> = {};
  const caches: Tier<string>[] = [];
  if (localTtlMs !== undefined) {
    storages["local"] = local();
    caches.push({ storage: "local", ttl: localTtlMs });
  }
  for (const [index, { url, token, ttlMs, maxBatch }] of remotes.entries()) {
    const storage = upstash({ url, token });
    storages[`remote${index}`] = maxBatch === undefined ? storage : { ...storage, traits: { ...storage.traits, maxBatch } };
    caches.push({ storage: `remote${index}`, ttl: ttlMs });
  }
  return { storages, caches };
}

function subjectOf(settings: Settings): Subject {
  const { storages, caches } = storagesOf(settings);
  const options: CreateCacheOptions<string> = {
    prefix: "workerd",
    storages,
    guard: { timeout: settings.budgetMs, breaker: settings.breaker },
    clock: {
      setTimeout(run, ms) {
        if (ms === BEAT_MS) beats++;
        return systemClock.setTimeout(run, ms);
      },
    },
    onEvent(event) {
      const detail = event.type === "storage-failed" ? `${event.operation}: ${event.error.message}` : "remedy" in event ? event.remedy : undefined;
      events.push({ type: event.type, at: Date.now(), ...("key" in event ? { key: event.key } : {}), ...(detail === undefined ? {} : { detail }) });
    },
  };
  const cache =
    settings.waitUntil === false
      ? createCacheOn({ requestScoped: true, waitUntil: undefined, scheduleDrain: drainByMicrotasks }, options)
      : createCache(options);
  const load = async ({ key, loadMs }: Item): Promise<unknown> => {
    const answer = await fetch(`${settings.origin}/?key=${encodeURIComponent(key)}&ms=${loadMs}`);
    return answer.json();
  };
  const made = new Map<string, { node: (item: Item) => Reference<unknown, Item>; memoized: Memoized<[Item], unknown> }>();
  function madeFor(name: string): { node: (item: Item) => Reference<unknown, Item>; memoized: Memoized<[Item], unknown> } {
    const known = made.get(name);
    if (known) return known;
    const node = defineNode({ name, key: (item: Item) => `${name}:${item.key}`, load, caches, loadConcurrency: settings.loadConcurrency });
    const entry = { node, memoized: cache.memoize(node, load) };
    made.set(name, entry);
    return entry;
  }
  return { cache, nodeOf: (name) => madeFor(name).node, memoized: (name) => madeFor(name).memoized };
}

async function carryOut({ cache, nodeOf, memoized }: Subject, order: Order): Promise<Reply> {
  const { op, keys = [], loadMs = 0, value, node = "Item" } = order;
  const items = keys.map((key) => ({ key, loadMs }));
  const references = items.map(nodeOf(node));
  const [first] = references;
  const [item] = items;
  if (!first || !item) return { results: [] };
  switch (op) {
    case "get":
      return { results: [{ value: await cache.get(first) }] };
    case "getAll":
      return { results: (await cache.getAll(references)).map((one) => ({ value: one })) };
    case "memoize":
      return { results: [{ value: await memoized(node)(item) }] };
    case "lookup":
      return { results: [await cache.lookup(first)] };
    case "lookupAll":
      return { results: (await cache.lookupAll(references)).map((one): KeyReply => ("error" in one ? { error: String(one.error) } : one)) };
    case "refresh":
      return { results: [{ value: await cache.refresh(first) }] };
    case "set":
      await cache.set(first, value);
      return { results: [] };
    case "invalidate":
      await cache.invalidate(references);
      return { results: [] };
    default:
      throw new TypeError(`no such order: ${op}`);
  }
}

function stateOf({ cache }: Subject): State {
  return { inFlight: coreOf(cache).inFlight(), beats, fetches, mostOpen, events };
}

function reset(): void {
  beats = 0;
  mostOpen = {};
  fetches = {};
  events = [];
}

/** Ends a request otherwise than by its answer, while its work is under way. */
async function endBadly(order: Order, work: Promise<Reply>, context: Context): Promise<Response> {
  work.catch(() => undefined);
  if (order.endAfterMs !== undefined) await new Promise((resolve) => setTimeout(resolve, order.endAfterMs));
  if (order.end === "throw") throw new Error("thrown on purpose");
  if (order.end === "kill") {
    context.abort(new Error("killed on purpose"));
    await new Promise(() => undefined);
  }
  return new Response("early");
}

/** Carries out one order. */
export async function handle(request: Request, environment: Environment, context: Context): Promise<Response> {
  const order: Order = await request.json();
  subject ??= subjectOf(JSON.parse(environment.SETTINGS));
  if (order.op === "state") return Response.json(stateOf(subject));
  if (order.op === "reset") reset();
  if (order.op === "flush") {
    await subject.cache.flush();
    return Response.json({ results: [] });
  }
  const work = carryOut(subject, order);
  if (order.end) return endBadly(order, work, context);
  try {
    return Response.json(await work);
  } catch (error) {
    return Response.json({ error: String(error) }, { status: 500 });
  }
}
