/**
 * The state of one cache in one isolate: its storages, its nodes as bound to them, and what all calls share (clock, events,
 * revision, fences). It is data with small helpers; the story is told in `view.ts`, `chain.ts`, `load.ts`, `settle.ts` and
 * `replace.ts`.
 *
 * @module
 */

import type { Binding, Chain, LocalEntry, LocalPart, RemotePart } from "./binding.ts";
import { clockFrom } from "./clock.ts";
import type { Clock } from "./clock.ts";
import { createDeadlines } from "./deadlines.ts";
import type { Deadlines } from "./deadlines.ts";
import { describe } from "./duration.ts";
import { createOwner } from "./envelope.ts";
import { CacheError } from "./errors.ts";
import { createEmitter } from "./events.ts";
import { Epochs } from "./generations.ts";
import type { Emitter } from "./events.ts";
import { Call } from "./flight.ts";
import type { CallHost } from "./flight.ts";
import { checkPrefix, generationKey, keyDigest } from "./key.ts";
import type { LocalSpace, LocalTier } from "./local/local-tier.ts";
import { readFields } from "./fields.ts";
import { specOf } from "./node.ts";
import type { Revision } from "./known-generations.ts";
import type { RemoteHost } from "./remote-storage.ts";
import type { Runtime, Turn } from "./runtime.ts";
import { createCounters, tierCounters } from "./stats.ts";
import type { NodeCounters } from "./stats.ts";
import { StatsFlush } from "./stats-flush.ts";
import { isLocal, Storages } from "./storages.ts";
import type { CreateCacheOptions, NodeInfo, RegisteredEnv, StorageOption } from "./types.ts";

const CACHE_FIELDS = ["prefix", "storages", "waitUntil", "env", "onEvent", "clock", "guard", "stats"];
const DEFAULT_PREFIX = "cacheme";
const WEAK_FIRST_MS = 5 * 60_000;
const MAX_MISMATCHES = 1_000;
const SWEEP_ABOVE = 256;
const SWEEP_STEP = 4;

/** One cache in one isolate. */
export class Core implements RemoteHost, CallHost {
  readonly runtime: Runtime;
  readonly clock: Clock;
  readonly emitter: Emitter;
  readonly requestScoped: boolean;
  /** The monotonic time for looking into local tiers; it may be as old as the present turn. */
  readonly turnTime: () => number;
  /** The same for a hit, where the host knows it. */
  readonly turn: Turn | undefined;
  /** The call that leads where no call needs a heart of its own. */
  readonly sharedCall: Call | undefined;
  readonly revision: Revision = { value: 0 };
  readonly epochs: Epochs = new Epochs();
  /** A field, so that a test can see what forgetting does. */
  mostKnown = 65_536;
  readonly prefix: string;
  readonly storages: Storages;
  /** Where statistics are sent to a sink. */
  readonly statsFlush: StatsFlush | undefined;
  closed = false;
  /** The end of `close`, which is done once. */
  closing: Promise<void> | undefined = undefined;
  /** Counts flights and loads of refreshes, so that "began before" does not depend on a clock. */
  births = 0;
  /** Whether a key was read or written yet. */
  used = false;
  private readonly bindings = new Map<string, Map<NodeInfo, Binding>>();
  private readonly counters = new Map<string, NodeCounters>();
  private readonly deadlines = new Map<number, Deadlines>();
  private readonly mismatches = new Set<string>();
  private readonly weakKept = new Set<string>();
  private readonly weakFirst = new Set<string>();
  private toldOfWaitUntil = false;

  constructor(runtime: Runtime, options: CreateCacheOptions<string, RegisteredEnv | undefined>) {
    this.runtime = runtime;
    this.requestScoped = runtime.requestScoped;
    readFields(options, CACHE_FIELDS, "createCache");
    this.clock = clockFrom(options.clock);
    this.turnTime = (options.clock?.monotonic ? undefined : runtime.turnTime) ?? (() => this.clock.monotonic());
    this.turn = options.clock?.monotonic ? undefined : runtime.turn;
    this.sharedCall = runtime.requestScoped ? undefined : new Call(this, undefined);
    this.emitter = createEmitter(readFunction(options.onEvent, "onEvent"));
    this.prefix = options.prefix === undefined ? DEFAULT_PREFIX : options.prefix;
    checkPrefix(this.prefix);
    this.storages = new Storages(this, options.storages, options.guard);
    this.statsFlush = options.stats === undefined ? undefined : new StatsFlush(this, options.stats);
  }

  register(name: string, storage: StorageOption): void {
    const takeBack = this.storages.register(name, storage);
    try {
      const chains = this.allBindings().map((binding) => [binding, this.chainOf(binding)] as const);
      for (const [binding, chain] of chains) useChain(binding, chain);
    } catch (error) {
      takeBack();
      throw error;
    }
  }

  /** The nodes under one prefix. */
  boundUnder(prefix: string): Map<NodeInfo, Binding> {
    let bound = this.bindings.get(prefix);
    if (!bound) {
      bound = new Map();
      this.bindings.set(prefix, bound);
    }
    return bound;
  }

  /** Binds a node at its first use. @throws TypeError for what is no node, and for a chain that cannot be. */
  bind(node: NodeInfo, prefix: string): Binding {
    const spec = specOf(node);
    if (!spec) throw new TypeError("not a reference to a node: pass what calling a node gives, as in cache.get(UserInfo(1))");
    const binding: Binding = {
      core: this,
      spec,
      owner: createOwner(spec.name, spec.version, prefix),
      counters: this.counters.get(spec.name) ?? createCounters(),
      groups: [generationKey(prefix, spec.name)],
      lingers: spec.freshness.keepMs > 0 || spec.freshness.beta > 0,
      chain: { locals: [], remotes: [], capMs: 0 },
      nearest: undefined,
      nearestCounters: undefined,
      generations: [],
      vacant: [],
      flights: new Map(),
      refreshes: new Map(),
      turns: new Map(),
      marks: new Map(),
      loading: undefined,
    };
    useChain(binding, this.chainOf(binding));
    this.counters.set(spec.name, binding.counters);
    this.boundUnder(prefix).set(node, binding);
    this.used = true;
    return binding;
  }

  /** Counters of the nodes served, by name. */
  allCounters(): ReadonlyMap<string, NodeCounters> {
    return this.counters;
  }

  /** Every node under every prefix. */
  allBindings(): readonly Binding[] {
    return [...this.bindings.values()].flatMap((bound) => [...bound.values()]);
  }

  nodes(): NodeInfo[] {
    return [...new Set([...this.bindings.values()].flatMap((bound) => [...bound.keys()]))];
  }

  /** Keys with a load, a refresh or a set under way, over all nodes. */
  inFlight(): number {
    return this.allBindings().reduce((sum, { flights, refreshes, turns }) => sum + flights.size + refreshes.size + turns.size, 0);
  }

  /** The deadlines of things that all may take this long; they share a timer. */
  deadlinesOf(ms: number): Deadlines {
    let queue = this.deadlines.get(ms);
    if (!queue) {
      queue = createDeadlines(this.clock);
      this.deadlines.set(ms, queue);
    }
    return queue;
  }

  /** Cuts off what runs for a key: it may still answer its callers, but stores nothing, and nobody joins it. */
  fence(binding: Binding, key: string): void {
    const flight = binding.flights.get(key);
    if (flight) {
      flight.fenced = true;
      binding.flights.delete(key);
    }
    // The load of a refresh may be older than this fence: flights of later callers must not share it.
    const refreshing = binding.refreshes.get(key);
    if (refreshing) refreshing.load = undefined;
    const mark = binding.marks.get(key);
    if (!mark) return;
    mark.fenced = true;
    binding.marks.delete(key);
  }

  /** Reports two nodes that use one full key, once for each pair. */
  reportMismatch(storage: string, node: string, other: string, key: string): void {
    const pair = `${node}\u0001${other}`;
    if (this.mismatches.has(pair) || this.mismatches.size >= MAX_MISMATCHES) return;
    this.mismatches.add(pair);
    this.emitter.emit({ type: "identity-mismatch", storage, node, other, key: keyDigest(key) });
  }

  /**
   * Forgets some of what killed requests left behind. Such keys are reclaimed by whoever asks for them next; this is for
   * keys that nobody asks for again. The oldest come first, as maps keep their order.
   */
  sweep(binding: Binding): void {
    if (!this.requestScoped) return;
    const now = this.clock.monotonic();
    for (const table of [binding.flights, binding.refreshes, binding.turns, binding.marks]) {
      if (table.size < SWEEP_ABOVE) continue;
      let looked = 0;
      for (const [key, { call }] of table) {
        if (call.silent(now)) table.delete(key);
        if (++looked >= SWEEP_STEP) break;
      }
    }
  }

  /** Reports that entries in a tier without guard outlive an invalidation of their node or tag, once for each tier. */
  reportWeakKept(storage: string): void {
    if (this.weakKept.has(storage)) return;
    this.weakKept.add(storage);
    this.emitter.emit({ type: "weak-tier-kept", storage });
  }

  lacksWaitUntil(): void {
    if (this.toldOfWaitUntil) return;
    this.toldOfWaitUntil = true;
    this.emitter.emit({ type: "no-wait-until", remedy: "pass waitUntil to createCache or to cache.with; until then every call waits for its own writes" });
  }

  private chainOf({ spec, counters, chain }: Binding): Chain {
    const locals: LocalPart[] = [];
    const remotes: RemotePart[] = [];
    for (const { storage: name, ttlMs: ttl } of spec.caches) {
      const storage = this.storages.open(name, spec.name);
      if (isLocal(storage) && remotes.length > 0)
        throw new TypeError(`node ${describe(spec.name)}: the local tier ${describe(name)} must stand left of the remote ones`);
      if (ttl === 0) continue;
      const ttlMs = ttl ?? Number.POSITIVE_INFINITY;
      const part = { name, ttlMs, counters: tierCounters(counters, name) };
      if (isLocal(storage)) locals.push({ ...part, tier: storage, space: spaceIn(storage, chain) });
      else remotes.push({ ...part, index: remotes.length, storage });
    }
    const budgets = remotes.reduce((sum, { storage }) => sum + storage.budgetMs, 0);
    this.reportWeakFirst(spec.name, remotes);
    return { locals, remotes, capMs: spec.hardTimeoutMs + 3 * budgets };
  }

  private reportWeakFirst(node: string, remotes: readonly RemotePart[]): void {
    const weak = remotes.find(
      ({ storage, ttlMs, index }) => !storage.guarded && ttlMs > WEAK_FIRST_MS && remotes.some((right) => right.index > index && right.storage.guarded),
    );
    if (!weak || this.weakFirst.has(node)) return;
    this.weakFirst.add(node);
    this.emitter.emit({ type: "weak-tier-first", node, storage: weak.name });
  }
}

function useChain(binding: Binding, chain: Chain): void {
  const [nearest] = chain.locals;
  binding.chain = chain;
  binding.nearest = nearest?.space;
  binding.nearestCounters = nearest?.counters;
}

/** A node keeps its space in a tier when its chain is made anew. */
function spaceIn(tier: LocalTier, before: Chain): LocalSpace<LocalEntry> {
  const old = before.locals.find((part) => part.tier === tier);
  return old?.space ?? tier.space<LocalEntry>((entry) => entry.value);
}

/** What every call rejects with after `close`. */
export function closedError(): CacheError {
  return new CacheError("ERR_CLOSED", "the cache was closed");
}

function readFunction<F>(value: F | undefined, option: string): F | undefined {
  if (value !== undefined && typeof value !== "function") throw new TypeError(`createCache: ${option} must be a function, got ${describe(value)}`);
  return value;
}
