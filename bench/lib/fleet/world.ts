/**
 * A fleet of isolates with the real core on a virtual clock: zipf traffic spread over them, a source whose rows change, stores
 * that answer late. Everything that takes time is an event of one timeline, so an hour passes in seconds and nothing waits.
 * Isolates are recycled as platforms do; what they had under way still ends.
 *
 * It shows what the core asks of its stores and what callers see, under the latencies it is given. It does not show CPU time,
 * bandwidth, outages, or the lifetime of requests on Workers, where keys of two requests never share a call.
 *
 * @module
 */
import { createCacheOn } from "../../../src/cache.ts";
import { local } from "../../../src/local/local.ts";
import { defineNode } from "../../../src/node.ts";
import type { Storage } from "../../../src/storage.ts";
import { seededRandom, zipf } from "../zipf.ts";
import type { Random } from "../zipf.ts";
import type { Chain } from "./chains.ts";
import { drawGap, drawLatency } from "./latency.ts";
import type { Latency } from "./latency.ts";
import { kvStore, upstashStore } from "./stores.ts";
import type { KvLatency, Store, Usage } from "./stores.ts";
import { createTimeline } from "./timeline.ts";
import type { Timeline } from "./timeline.ts";

/** What is simulated. */
export interface FleetSettings {
  readonly chain: Chain;
  readonly isolates: number;
  readonly seed: number;
  /** Gets that are counted, after `warmUp` that are not. */
  readonly gets: number;
  readonly warmUp: number;
  /** Gets a second, by the whole fleet. */
  readonly rate: number;
  readonly keys: number;
  /** Changes of the source for each get. */
  readonly changes: number;
  /** Entries of each local tier. */
  readonly localEntries: number;
  /** Isolates in one location. */
  readonly perLocation: number;
  /** Mean life of an isolate, in s. */
  readonly lifeS: number;
  readonly latency: { readonly source: Latency; readonly upstash: Latency; readonly kv: KvLatency };
}

/** What came of it. */
export interface FleetFigures {
  readonly gets: number;
  readonly failed: number;
  /** Loads of the source, background ones included. */
  readonly loads: number;
  readonly upstash: Usage;
  readonly kv: Usage;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Of the gets that were answered with a row that had already changed: how many, and how long ago the change was, at most. */
  readonly staleGets: number;
  readonly worstStaleMs: number;
}

interface Row {
  readonly id: number;
  readonly version: number;
}

interface Isolate {
  get(id: number): Promise<Row>;
  invalidate(id: number): Promise<unknown>;
  readonly diesAt: number;
}

/** Tries of an `invalidate`, a pause between them: a store may refuse a key that was written a moment ago. */
const TRIES = 5;
const PAUSE_MS = 1_100;

/** Runs a fleet. The same settings give the same traffic, whatever the chain. */
export async function runFleet(settings: FleetSettings): Promise<FleetFigures> {
  const { chain, isolates: count, seed, gets, warmUp, rate, keys, changes, latency, lifeS, perLocation } = settings;
  const timeline = createTimeline();
  const traffic = seededRandom(seed);
  const random = seededRandom(seed + 1);
  const draw = zipf(traffic, { s: 1.001, v: 1, max: keys - 1 });
  const source = createSource(timeline, random, latency.source);
  const stores = { upstash: upstashStore({ timeline, random }, latency.upstash), kv: kvStore({ timeline, random }, latency.kv) };
  const drains: (() => void)[] = [];
  const cells = new Map<number, Isolate>();
  const times = new Float64Array(gets);
  let answered = 0;
  let begun = 0;
  let failed = 0;
  let staleGets = 0;
  let worstStaleMs = 0;
  let open = 0;
  let before = tally(source.loads, stores);

  function isolateOf(number: number): Isolate {
    const known = cells.get(number);
    if (known && known.diesAt > timeline.now()) return known;
    const fresh = createIsolate(settings, timeline, (run) => void drains.push(run), source.load, storagesOf(stores, Math.floor(number / perLocation)));
    // The first ones are in the middle of their lives.
    const isolate = { ...fresh, diesAt: timeline.now() + drawGap(random, 1 / lifeS) };
    cells.set(number, isolate);
    return isolate;
  }
  function arrive(): void {
    const at = begun++;
    if (at === warmUp) before = tally(source.loads, stores);
    if (begun < warmUp + gets) timeline.after(drawGap(traffic, rate), arrive);
    const id = draw();
    const isolate = isolateOf(Math.floor(traffic() * count));
    if (traffic() < changes) change(draw(), Math.floor(traffic() * count));
    const now = timeline.now();
    const expected = source.versionOf(id);
    open++;
    isolate.get(id).then(
      (row) => {
        open--;
        if (row.id !== id) throw new Error(`asked for ${id}, got ${row.id}`);
        if (at < warmUp) return;
        times[answered++] = timeline.now() - now;
        if (row.version >= expected) return;
        staleGets++;
        worstStaleMs = Math.max(worstStaleMs, now - source.changedAt(id, row.version + 1));
      },
      () => {
        open--;
        if (at >= warmUp) failed++;
      },
    );
  }
  function change(id: number, number: number): void {
    source.change(id);
    if (chain.invalidates === false) return;
    const isolate = isolateOf(number);
    const attempt = (left: number): void => {
      isolate.invalidate(id).catch(() => {
        if (left > 1) timeline.after(PAUSE_MS, () => attempt(left - 1));
      });
    };
    attempt(TRIES);
  }

  timeline.after(0, arrive);
  while (timeline.step()) {
    await settle(drains);
    if (begun === warmUp + gets && open === 0) break;
  }
  const after = tally(source.loads, stores);
  const sorted = times.subarray(0, answered).sort();
  return {
    gets,
    failed,
    loads: after.loads - before.loads,
    upstash: since(after.upstash, before.upstash),
    kv: since(after.kv, before.kv),
    p50Ms: sorted[Math.floor(answered * 0.5)] ?? Number.NaN,
    p99Ms: sorted[Math.floor(answered * 0.99)] ?? Number.NaN,
    staleGets,
    worstStaleMs,
  };
}

/** Lets every line run that can run now: a turn of the event loop empties the queue of microtasks. */
async function settle(drains: (() => void)[]): Promise<void> {
  for (;;) {
    await new Promise(setImmediate);
    if (drains.length === 0) return;
    for (const run of drains.splice(0)) run();
  }
}

type Stores = Readonly<Record<"upstash" | "kv", Store>>;

function storagesOf(stores: Stores, location: number): Readonly<Record<"upstash" | "kv", Storage>> {
  return { upstash: stores.upstash.at(location), kv: stores.kv.at(location) };
}

function createIsolate(
  { chain, localEntries }: FleetSettings,
  { clock }: Timeline,
  scheduleDrain: (run: () => void) => void,
  load: (id: number) => Promise<Row>,
  storages: Readonly<Record<string, Storage>>,
): Omit<Isolate, "diesAt"> {
  // A node for each isolate: in real ones, nothing of it is shared.
  const Item = defineNode({
    name: "Item",
    allowRedefine: true,
    key: (id: number) => `item:${id}`,
    load,
    caches: chain.caches,
    ...chain.options,
    ...(chain.doorkeeper && { doorkeeper: chain.doorkeeper() }),
  });
  const cache = createCacheOn<string>(
    { requestScoped: false, waitUntil: undefined, scheduleDrain },
    { clock, storages: { ...storages, local: local({ maxEntries: localEntries, policy: chain.policy }) } },
  );
  return { get: (id) => cache.get(Item(id)), invalidate: (id) => cache.invalidate(Item(id)) };
}

interface Source {
  readonly loads: () => number;
  load(id: number): Promise<Row>;
  versionOf(id: number): number;
  /** When a row got that version. */
  changedAt(id: number, version: number): number;
  change(id: number): void;
}

/** A database: it answers the version that stands half-way through the call. */
function createSource(timeline: Timeline, random: Random, latency: Latency): Source {
  const changes = new Map<number, number[]>();
  const versionOf = (id: number): number => changes.get(id)?.length ?? 0;
  let loads = 0;
  return {
    loads: () => loads,
    versionOf,
    load(id) {
      loads++;
      const ms = drawLatency(random, latency);
      return new Promise((resolve) => {
        timeline.after(ms / 2, () => {
          const row = { id, version: versionOf(id) };
          timeline.after(ms / 2, () => resolve(row));
        });
      });
    },
    changedAt: (id, version) => changes.get(id)?.[version - 1] ?? Number.NaN,
    change(id) {
      const known = changes.get(id);
      if (known) known.push(timeline.now());
      else changes.set(id, [timeline.now()]);
    },
  };
}

interface Tally {
  readonly loads: number;
  readonly upstash: Usage;
  readonly kv: Usage;
}

function tally(loads: () => number, { upstash, kv }: Stores): Tally {
  return { loads: loads(), upstash: { ...upstash.usage }, kv: { ...kv.usage } };
}

function since(after: Usage, before: Usage): Usage {
  return {
    requests: after.requests - before.requests,
    reads: after.reads - before.reads,
    writes: after.writes - before.writes,
    refused: after.refused - before.refused,
  };
}
