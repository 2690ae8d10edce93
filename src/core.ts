/**
 * The state of one cache in one isolate: its storages, its nodes as bound to them, and what all calls share (clock, events,
 * revision, fences). It is data with small helpers; the story is told in `cache.ts`, `chain.ts`, `load.ts`, `settle.ts` and
 * `replace.ts`.
 *
 * @module
 */

import type { Binding, Chain, LocalEntry, LocalPart, RemotePart } from "./binding.ts";
import { clockFrom } from "./clock.ts";
import type { Clock } from "./clock.ts";
import { createDeadlines } from "./deadlines.ts";
import type { Deadlines, Due } from "./deadlines.ts";
import { describe } from "./duration.ts";
import { createOwner } from "./envelope.ts";
import { CacheError } from "./errors.ts";
import { createEmitter } from "./events.ts";
import type { Emitter } from "./events.ts";
import { Call } from "./flight.ts";
import type { CallHost } from "./flight.ts";
import { checkPrefix, generationKey, keyDigest, MIN_KEY_BYTES } from "./key.ts";
import type { LocalSpace, LocalTier } from "./local/local-tier.ts";
import { specOf } from "./node.ts";
import { createRemoteStorage } from "./remote-storage.ts";
import type { RemoteHost, RemoteStorage, Revision } from "./remote-storage.ts";
import type { Runtime } from "./runtime.ts";
import { createCounters, tierCounters } from "./stats.ts";
import type { NodeCounters } from "./stats.ts";
import { budgetOf } from "./storage-guard.ts";
import type { Storage } from "./storage.ts";
import type { CreateCacheOptions, GuardOptions, NodeInfo, StorageOption } from "./types.ts";

const DEFAULT_PREFIX = "cacheme";
const STRIPES = 1_024;
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
  /** The call that leads where no call needs a heart of its own. */
  readonly sharedCall: Call | undefined;
  readonly revision: Revision = { value: 0 };
  readonly prefix: string;
  closed = false;
  /** Whether a key was read or written yet. */
  used = false;
  private readonly guard: GuardOptions | undefined;
  private readonly options: Map<string, StorageOption>;
  private readonly opened = new Map<string, LocalTier | RemoteStorage>();
  private readonly bindings = new Map<string, Map<NodeInfo, Binding>>();
  private readonly counters = new Map<string, NodeCounters>();
  // Counts fences by a hash of the key: a bounded memory in which two keys may share a count. A `set` that shares one with
  // a fenced key gives up its local copy, which costs a read and harms nothing.
  private readonly fences = new Uint32Array(STRIPES);
  private readonly deadlines = new Map<number, Deadlines>();
  private readonly mismatches = new Set<string>();
  private toldOfWaitUntil = false;

  constructor(runtime: Runtime, options: CreateCacheOptions<string, unknown>) {
    this.runtime = runtime;
    this.requestScoped = runtime.requestScoped;
    this.clock = clockFrom(options.clock);
    this.turnTime = (options.clock?.monotonic ? undefined : runtime.turnTime) ?? (() => this.clock.monotonic());
    this.sharedCall = runtime.requestScoped ? undefined : new Call(this, undefined);
    this.emitter = createEmitter(readFunction(options.onEvent, "onEvent"));
    this.prefix = options.prefix ?? DEFAULT_PREFIX;
    checkPrefix(this.prefix);
    if (typeof options.storages !== "object" || options.storages === null)
      throw new TypeError(`createCache: storages must be an object, got ${describe(options.storages)}`);
    this.guard = options.guard;
    this.options = new Map(Object.entries(options.storages));
    for (const [name, storage] of this.options) this.checkStorage(name, storage);
  }

  /** @throws TypeError for what is neither a storage, a local tier nor a function. */
  checkStorage(name: string, storage: unknown): void {
    if (name === "load") throw new TypeError(`createCache: a storage cannot be named "load", because lookup().source uses that word for the source`);
    if (typeof storage === "function") return;
    if (!isLocal(storage) && !isStorage(storage))
      throw new TypeError(`createCache: storages[${describe(name)}] must be a storage, local() or a function that makes one, got ${describe(storage)}`);
    if (!isLocal(storage)) budgetOf(storage, this.guard);
  }

  register(name: string, storage: StorageOption): void {
    this.checkStorage(name, storage);
    this.options.set(name, storage);
    this.opened.delete(name);
    for (const bound of this.bindings.values()) for (const binding of bound.values()) this.bindChain(binding);
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
      counters: this.countersOf(spec.name),
      chain: { locals: [], remotes: [], capMs: 0 },
      nearest: undefined,
      nearestCounters: undefined,
      generations: [],
      flights: new Map(),
      refreshes: new Map(),
      turns: new Map(),
      loading: undefined,
    };
    this.bindChain(binding);
    this.boundUnder(prefix).set(node, binding);
    this.used = true;
    return binding;
  }

  countersOf(node: string): NodeCounters {
    let counters = this.counters.get(node);
    if (!counters) {
      counters = createCounters();
      this.counters.set(node, counters);
    }
    return counters;
  }

  /** Counters of the nodes served, by name. */
  allCounters(): ReadonlyMap<string, NodeCounters> {
    return this.counters;
  }

  nodes(): NodeInfo[] {
    return [...new Set([...this.bindings.values()].flatMap((bound) => [...bound.keys()]))];
  }

  /** Keys with a load, a refresh or a set under way, over all nodes. */
  inFlight(): number {
    const all = [...this.bindings.values()].flatMap((bound) => [...bound.values()]);
    return all.reduce((sum, { flights, refreshes, turns }) => sum + flights.size + refreshes.size + turns.size, 0);
  }

  /** Ends `due` in time; all that may take equally long shares a timer. */
  limit(due: Due, ms: number): void {
    let queue = this.deadlines.get(ms);
    if (!queue) {
      queue = createDeadlines(this.clock);
      this.deadlines.set(ms, queue);
    }
    queue(due);
  }

  remotes(): RemoteStorage[] {
    return [...this.opened.values()].flatMap((opened) => (isLocal(opened) ? [] : [opened]));
  }

  /** Cuts off what runs for a key: it may still answer its callers, but stores nothing, and nobody joins it. */
  fence(binding: Binding, key: string): void {
    const flight = binding.flights.get(key);
    if (flight) {
      flight.fenced = true;
      binding.flights.delete(key);
    }
    const stripe = this.stripe(key);
    this.fences[stripe] = (this.fences[stripe] ?? 0) + 1;
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
    for (const table of [binding.flights, binding.refreshes, binding.turns]) {
      if (table.size < SWEEP_ABOVE) continue;
      let looked = 0;
      for (const [key, operation] of table) {
        if (operation.call.silent(now)) table.delete(key);
        if (++looked >= SWEEP_STEP) break;
      }
    }
  }

  /** A number that changes when the key is fenced. */
  mark(key: string): number {
    return this.fences[this.stripe(key)] ?? 0;
  }

  private stripe(key: string): number {
    let hash = key.length;
    for (let i = 0; i < key.length && i < 64; i++) hash = Math.imul(hash ^ key.charCodeAt(i), 0x01000193);
    return (hash >>> 8) & (STRIPES - 1);
  }

  lacksWaitUntil(): void {
    if (this.toldOfWaitUntil) return;
    this.toldOfWaitUntil = true;
    this.emitter.emit({ type: "no-wait-until", remedy: "pass waitUntil to createCache or to cache.with; until then every call waits for its own writes" });
  }

  private bindChain(binding: Binding): void {
    const { spec, owner, counters } = binding;
    const generation = [generationKey(owner.prefix, spec.name)];
    const locals: LocalPart[] = [];
    const remotes: RemotePart[] = [];
    for (const { storage: name, ttlMs: ttl } of spec.caches) {
      const storage = this.open(name, spec.name);
      if (isLocal(storage) && remotes.length > 0)
        throw new TypeError(`node ${describe(spec.name)}: the local tier ${describe(name)} must stand left of the remote ones`);
      if (ttl === 0) continue;
      const ttlMs = ttl ?? Number.POSITIVE_INFINITY;
      const part = { name, ttlMs, counters: tierCounters(counters, name) };
      if (isLocal(storage)) locals.push({ ...part, tier: storage, space: spaceIn(storage, binding.chain) });
      else remotes.push({ ...part, index: remotes.length, storage, names: storage.conditional ? generation : [] });
    }
    const budgets = remotes.reduce((sum, { storage }) => sum + storage.budgetMs, 0);
    binding.chain = { locals, remotes, capMs: spec.hardTimeoutMs + 3 * budgets };
    binding.nearest = locals[0]?.space;
    binding.nearestCounters = locals[0]?.counters;
    this.reportWeakFirst(spec.name, remotes);
  }

  private open(name: string, node: string): LocalTier | RemoteStorage {
    const opened = this.opened.get(name);
    if (opened) return opened;
    const option = this.options.get(name);
    if (!option)
      throw new TypeError(
        `node ${describe(node)}: unknown storage ${describe(name)}; this cache has ${[...this.options.keys()].map(describe).join(", ") || "none"}`,
      );
    const storage = typeof option === "function" ? option() : option;
    if (typeof option === "function") this.checkStorage(name, storage);
    const made = isLocal(storage) ? storage : this.wrap(name, storage);
    this.opened.set(name, made);
    return made;
  }

  private wrap(name: string, storage: Storage): RemoteStorage {
    const { traits } = storage;
    if (this.requestScoped && traits.scope === "request")
      throw new TypeError(`storage ${describe(name)} holds sockets, which on this runtime belong to one request; use one that speaks HTTP`);
    if (traits.maxKeyBytes !== undefined && traits.maxKeyBytes < MIN_KEY_BYTES)
      throw new TypeError(`storage ${describe(name)}: maxKeyBytes must be at least ${MIN_KEY_BYTES}, got ${traits.maxKeyBytes}`);
    return createRemoteStorage(this, name, storage, budgetOf(storage, this.guard));
  }

  private reportWeakFirst(node: string, remotes: readonly RemotePart[]): void {
    const weak = remotes.find(
      ({ storage, ttlMs, index }) => !storage.guarded && ttlMs > WEAK_FIRST_MS && remotes.some((right) => right.index > index && right.storage.guarded),
    );
    if (weak) this.emitter.emit({ type: "weak-tier-first", node, storage: weak.name });
  }
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

function isLocal(storage: unknown): storage is LocalTier {
  return typeof storage === "object" && storage !== null && "kind" in storage && storage.kind === "local";
}

function isStorage(storage: unknown): storage is Storage {
  if (typeof storage !== "object" || storage === null) return false;
  const { name, traits, read, write, remove, raise } = storage as Partial<Record<keyof Storage, unknown>>;
  return (
    typeof name === "string" && typeof traits === "object" && traits !== null && [read, write, remove, raise].every((method) => typeof method === "function")
  );
}

function readFunction<F>(value: F | undefined, option: string): F | undefined {
  if (value !== undefined && typeof value !== "function") throw new TypeError(`createCache: ${option} must be a function, got ${describe(value)}`);
  return value;
}
