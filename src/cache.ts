/**
 * The cache: the story of every call. A read probes the local tiers, then joins the key's flight or leads one; a flight reads
 * the remote tiers (`chain.ts`), asks the source (`load.ts`), and stores what it found (`settle.ts`). `set`, `refresh` and
 * `invalidate` change what the tiers hold (`replace.ts`). What is shared by all views of a cache is in `core.ts`.
 *
 * Invariant: looking up a key's flight and leading one happen in the same synchronous step.
 *
 * @module
 */

import { runtime as host } from "#runtime";
import { Flight } from "./chain.ts";
import type { Found, Outcome, OwnLoader } from "./chain.ts";
import { closedError, Core, fullKeyOf } from "./core.ts";
import type { Binding, LocalEntry } from "./core.ts";
import { describe, toMs } from "./duration.ts";
import { ageMs } from "./entry.ts";
import { CacheError } from "./errors.ts";
import { Call, LOST, OVERDUE } from "./flight.ts";
import { checkPrefix, fullKey, keyDigest } from "./key.ts";
import { limitLoads } from "./load.ts";
import { peek, probe } from "./local-probe.ts";
import { invalidate, refresh, set } from "./replace.ts";
import type { Target } from "./replace.ts";
import type { Runtime } from "./runtime.ts";
import { createCounters, snapshot } from "./stats.ts";
import { createToken } from "./token.ts";
import type {
  Cache,
  CreateCacheOptions,
  InvalidationToken,
  Lookup,
  LookupResult,
  NodeInfo,
  NodeStats,
  ReadOptions,
  Reference,
  RegisteredEnv,
  ScopeOptions,
  SetOptions,
  StorageOption,
  WaitUntil,
} from "./types.ts";

/**
 * Makes a cache: binds nodes to storages by name, and answers their references.
 *
 * Does no I/O itself, so it may stand at module scope on Workers; storages given as functions are made at first use.
 *
 * @throws TypeError naming the option and the value.
 *
 * @example
 * ```ts
 * import { createCache, local } from "cacheme";
 * import { upstash } from "cacheme/upstash";
 *
 * export const cache = createCache({
 *   prefix: "shop",
 *   storages: { local: local({ maxEntries: 10_000 }), redis: upstash({ url, token }) },
 * });
 * ```
 */
export function createCache<Names extends string, Env extends RegisteredEnv | undefined = undefined>(
  options: CreateCacheOptions<Names, Env>,
): Cache<Names, Env> {
  return createCacheOn(host, options);
}

/** As {@link createCache}, on a given host: for tests of what happens where requests own their I/O. */
export function createCacheOn<Names extends string, Env extends RegisteredEnv | undefined = undefined>(
  on: Runtime,
  options: CreateCacheOptions<Names, Env>,
): Cache<Names, Env> {
  if (typeof options !== "object" || options === null) throw new TypeError(`createCache: options must be an object, got ${describe(options)}`);
  const core = new Core(on, options);
  const scope = new Scope(options.waitUntil ?? on.waitUntil, options.env);
  // The generics of `Cache` exist for the compiler alone: what a reference's value is, no line of this file looks at.
  return new View(core, scope, core.prefix) as unknown as Cache<Names, Env>;
}

/** The state behind a cache, for tests that look at what is left in flight. */
export function coreOf(cache: unknown): Core {
  if (cache instanceof View) return cache.core;
  throw new TypeError("not a cache of this library");
}

/** What belongs to one view: its request's `waitUntil` and `env`, and the background writes it is owed. */
class Scope {
  readonly waitUntil: WaitUntil | undefined;
  readonly env: unknown;
  private pending = 0;
  private waiters: (() => void)[] = [];

  constructor(waitUntil: WaitUntil | undefined, env: unknown) {
    if (waitUntil !== undefined && typeof waitUntil !== "function") throw new TypeError(`waitUntil must be a function, got ${describe(waitUntil)}`);
    this.waitUntil = waitUntil;
    this.env = env;
  }

  begin(): void {
    this.pending++;
  }

  end(): void {
    this.pending--;
    if (this.pending > 0) return;
    for (const waiter of this.waiters.splice(0)) waiter();
  }

  idle(): Promise<void> | undefined {
    return this.pending === 0 ? undefined : new Promise((resolve) => void this.waiters.push(resolve));
  }
}

/** A key's flight, and whether somebody else leads it. */
interface Entered {
  readonly flight: Flight;
  readonly collapsed: boolean;
}

/** How a key was answered. */
interface Arrival {
  readonly outcome: Outcome;
  readonly collapsed: boolean;
}

/** How one read deviates from the node's rules. */
interface Wish {
  readonly loader: OwnLoader | undefined;
  readonly maxAgeMs: number;
}

const PLAIN: Wish = { loader: undefined, maxAgeMs: Number.POSITIVE_INFINITY };

type AnyReference = Reference<unknown>;

/** A cache as one request sees it. Small, as one is made for each request that asks for it. */
class View {
  readonly core: Core;
  private readonly scope: Scope;
  private prefix: string;
  private bound: Map<NodeInfo, Binding>;
  private lastNode: NodeInfo | undefined = undefined;
  private lastBinding: Binding | undefined = undefined;

  constructor(core: Core, scope: Scope, prefix: string) {
    this.core = core;
    this.scope = scope;
    this.prefix = prefix;
    this.bound = core.boundUnder(prefix);
  }

  get(reference: AnyReference, options?: ReadOptions & { readonly load?: OwnLoader | undefined }): Promise<unknown> {
    let binding: Binding;
    try {
      binding = this.bindingOf(reference);
      if (options !== undefined) return this.getWith(binding, reference, options);
    } catch (error) {
      return Promise.reject(error);
    }
    return this.read(binding, reference, undefined);
  }

  getAll(references: readonly AnyReference[]): Promise<unknown[]> {
    return this.readAll(references, undefined);
  }

  async lookup(reference: AnyReference): Promise<Lookup<unknown>> {
    const [result] = await this.lookups([reference]);
    if (result && "error" in result) throw result.error;
    return result as Lookup<unknown>;
  }

  lookupAll(references: readonly AnyReference[]): Promise<LookupResult<unknown>[]> {
    return this.lookups(references);
  }

  peek(reference: AnyReference): unknown {
    const binding = this.bindingOf(reference);
    const entry = peek(binding, reference.key);
    return entry && handOut(binding, entry.value);
  }

  async set(reference: AnyReference, value: unknown, options?: SetOptions): Promise<void> {
    await this.setOne(reference, value, options);
  }

  async setAll(entries: readonly (readonly [AnyReference, unknown])[]): Promise<void> {
    for (const [reference] of entries) this.bindingOf(reference);
    const settled = await Promise.allSettled(entries.map(([reference, value]) => this.setOne(reference, value, undefined)));
    for (const result of settled) if (result.status === "rejected") throw result.reason;
  }

  async refresh(reference: AnyReference): Promise<unknown> {
    return this.refreshWith(this.bindingOf(reference), reference, undefined);
  }

  async invalidate(references: AnyReference | readonly AnyReference[]): Promise<InvalidationToken> {
    const list = isList(references) ? references : [references];
    const targets = list.map((reference) => targetOf(this.bindingOf(reference), reference));
    const call = this.call();
    call.begin();
    try {
      await invalidate(targets);
    } finally {
      call.end();
    }
    return createToken(targets.map(({ binding, key }) => fullKeyOf(binding, key)));
  }

  memoize<Args extends readonly unknown[]>(toNode: (...args: Args) => AnyReference, fn: (...args: Args) => unknown): unknown {
    if (typeof toNode !== "function") throw new TypeError(`memoize: toNode must be a node or a function that gives a reference, got ${describe(toNode)}`);
    if (typeof fn !== "function") throw new TypeError(`memoize: fn must be a function, got ${describe(fn)}`);
    const memoized = async (...args: Args): Promise<unknown> => {
      const reference = toNode(...args);
      return this.read(this.bindingOf(reference), reference, () => fn(...args));
    };
    return Object.assign(memoized, {
      invalidate: async (...args: Args) => this.invalidate(toNode(...args)),
      refresh: async (...args: Args) => {
        const reference = toNode(...args);
        return this.refreshWith(this.bindingOf(reference), reference, () => fn(...args));
      },
      all: async (calls: readonly Args[]) =>
        this.readAll(
          calls.map((args) => toNode(...args)),
          calls.map((args) => () => fn(...args)),
        ),
    });
  }

  nodes(): readonly NodeInfo[] {
    return this.core.nodes();
  }

  stats(node?: NodeInfo): NodeStats | { readonly [node: string]: NodeStats } {
    const counters = this.core.allCounters();
    if (node !== undefined) return snapshot(counters.get(node.name) ?? createCounters());
    return Object.fromEntries([...counters].map(([name, own]) => [name, snapshot(own)]));
  }

  setPrefix(prefix: string): void {
    if (this.core.used) throw new TypeError("setPrefix: a key was read or written already; use cache.with({ prefix }) for another prefix");
    checkPrefix(prefix);
    this.prefix = prefix;
    this.bound = this.core.boundUnder(prefix);
  }

  keyOf(reference: AnyReference): string {
    return fullKey(this.prefix, reference.key, reference.node.version);
  }

  registerStorage(name: string, storage: StorageOption): View {
    this.core.register(name, storage);
    return this;
  }

  with(options: ScopeOptions<unknown>): View {
    const { waitUntil, prefix } = options;
    if (prefix !== undefined) checkPrefix(prefix);
    const scope = new Scope(waitUntil ?? this.scope.waitUntil, "env" in options ? options.env : this.scope.env);
    return new View(this.core, scope, prefix ?? this.prefix);
  }

  async flush(): Promise<void> {
    const { clock } = this.core;
    const idle = this.scope.idle();
    if (!idle) return;
    const budgetMs = this.core.remotes().reduce((most, storage) => Math.max(most, storage.budgetMs), 1);
    let timer: unknown;
    const patience = new Promise<void>((resolve) => {
      timer = clock.setTimeout(resolve, budgetMs);
    });
    await Promise.race([idle, patience]);
    clock.clearTimeout(timer);
  }

  async close(): Promise<void> {
    this.core.closed = true;
    await this.flush();
    for (const { storage } of this.core.remotes()) await storage.close?.();
  }

  // ---- reading

  /** @throws TypeError for what is no reference, ERR_CLOSED */
  private bindingOf(reference: AnyReference): Binding {
    if (this.core.closed) throw closedError();
    const node = reference?.node;
    if (node === this.lastNode && this.lastBinding !== undefined) return this.lastBinding;
    if (typeof reference !== "object" || reference === null)
      throw new TypeError(`expected a reference, as in cache.get(UserInfo(1)), got ${describe(reference)}`);
    const binding = this.bound.get(node) ?? this.core.bind(node, this.prefix);
    this.lastNode = node;
    this.lastBinding = binding;
    return binding;
  }

  private call(): Call {
    return new Call(this.core, this.scope.waitUntil);
  }

  private read(binding: Binding, reference: AnyReference, loader: OwnLoader | undefined): Promise<unknown> {
    const hit = probe(binding, reference.key);
    if (hit !== undefined) {
      binding.counters.hitCount++;
      return Promise.resolve(handOut(binding, hit.value));
    }
    const call = this.call();
    const entered = this.enter(call, binding, reference, loader ? { ...PLAIN, loader } : PLAIN);
    if (this.core.requestScoped || binding.spec.writes === "await") return this.concluded(call, binding, reference, entered);
    const { flight, collapsed } = entered;
    return flight.done.then((outcome) => take(binding, { outcome, collapsed }));
  }

  private async concluded(call: Call, binding: Binding, reference: AnyReference, entered: Entered): Promise<unknown> {
    return take(binding, await this.conclude(call, binding, reference, PLAIN, entered));
  }

  private getWith(binding: Binding, reference: AnyReference, options: ReadOptions & { readonly load?: OwnLoader | undefined }): Promise<unknown> {
    const { signal, bypass, load: loader } = options;
    if (loader !== undefined && typeof loader !== "function") throw new TypeError(`get: load must be a function, got ${describe(loader)}`);
    const maxAgeMs = toMs(options.maxAge ?? null, "get: maxAge") ?? Number.POSITIVE_INFINITY;
    if (signal?.aborted) return Promise.reject(signal.reason);
    const answer = bypass ? this.bypass(binding, reference, loader) : this.arriveAt(binding, reference, { loader, maxAgeMs });
    return signal ? abortable(answer, signal) : answer;
  }

  /** Skips every tier, loads and stores: a refresh that counts as a request. */
  private async bypass(binding: Binding, reference: AnyReference, loader: OwnLoader | undefined): Promise<unknown> {
    try {
      return await this.refreshWith(binding, reference, loader);
    } finally {
      binding.counters.missCount++;
    }
  }

  private async arriveAt(binding: Binding, reference: AnyReference, wish: Wish): Promise<unknown> {
    const hit = young(binding, probe(binding, reference.key), wish.maxAgeMs);
    if (hit) {
      binding.counters.hitCount++;
      return handOut(binding, hit.value);
    }
    const call = this.call();
    return take(binding, await this.conclude(call, binding, reference, wish, this.enter(call, binding, reference, wish)));
  }

  /** Joins the key's flight, or leads one. Synchronous, so two callers can never both lead. */
  private enter(call: Call, binding: Binding, reference: AnyReference, wish: Wish): Entered {
    const flight = joinable(binding, reference.key);
    if (flight) return { flight, collapsed: true };
    return { flight: this.lead(call, binding, reference, wish), collapsed: false };
  }

  private lead(call: Call, binding: Binding, reference: AnyReference, { loader, maxAgeMs }: Wish): Flight {
    const { scope } = this;
    this.core.sweep(binding);
    const flight = new Flight(call, binding, reference.key, reference.params, scope.env, loader);
    flight.maxAgeMs = maxAgeMs;
    binding.flights.set(reference.key, flight);
    call.begin();
    scope.begin();
    flight.onLanded = () => scope.end();
    flight.next();
    return flight;
  }

  /** Waits for a flight, and takes over as often as its leader dies. Never rejects. */
  private async conclude(call: Call, binding: Binding, reference: AnyReference, wish: Wish, first: Entered): Promise<Arrival> {
    const { core, spec, chain } = binding;
    const since = core.clock.monotonic();
    for (let entered = first; ; entered = this.enter(call, binding, reference, wish)) {
      const { flight, collapsed } = entered;
      const outcome = await call.follow(flight, chain.capMs);
      if (outcome === LOST) {
        if (!flight.fenced) core.emitter.emit({ type: "leader-lost", node: spec.name, key: keyDigest(reference.key) });
        supersede(flight);
        continue;
      }
      if (outcome === OVERDUE) return { outcome: { ok: false, error: abandoned(spec.name), loaded: true }, collapsed };
      if (collapsed && flight.startedAt < since && isOlder(binding, outcome, wish.maxAgeMs)) {
        supersede(flight);
        continue;
      }
      if (!collapsed && (spec.writes === "await" || !call.lasts)) await hasLanded(flight);
      return { outcome, collapsed };
    }
  }

  private readAll(references: readonly AnyReference[], loaders: readonly OwnLoader[] | undefined): Promise<unknown[]> {
    const values: unknown[] = [];
    const missing: number[] = [];
    try {
      const bindings = this.bindAll(references);
      for (const [index, reference] of references.entries()) {
        const binding = bindings[index];
        const hit = binding && probe(binding, reference.key);
        if (hit) {
          binding.counters.hitCount++;
          values.push(handOut(binding, hit.value));
        } else missing.push(values.push(undefined) - 1);
      }
      return missing.length === 0 ? Promise.resolve(values) : this.readMissing(references, bindings, loaders, values, missing);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /** All or none: a wrong reference is found before anything is asked. */
  private bindAll(references: readonly AnyReference[]): readonly Binding[] {
    if (!isList(references)) throw new TypeError(`expected a list of references, as in cache.getAll([UserInfo(1), UserInfo(2)]), got ${describe(references)}`);
    return Array.from(references, (reference) => this.bindingOf(reference));
  }

  private async readMissing(
    references: readonly AnyReference[],
    bindings: readonly Binding[],
    loaders: readonly OwnLoader[] | undefined,
    values: unknown[],
    missing: readonly number[],
  ): Promise<unknown[]> {
    const arrivals = await this.arriveAll(references, bindings, loaders, missing);
    let failure: { readonly error: unknown } | undefined;
    for (const [place, index] of missing.entries()) {
      const binding = bindings[index];
      const arrival = arrivals[place];
      if (!binding || !arrival) continue;
      count(binding, arrival);
      const { outcome } = arrival;
      if (outcome.ok) values[index] = handOut(binding, outcome.value);
      else failure ??= outcome;
    }
    if (failure) throw failure.error;
    return values;
  }

  /** Enters all flights in one step, so that their reads travel together, then waits for each. */
  private async arriveAll(
    references: readonly AnyReference[],
    bindings: readonly Binding[],
    loaders: readonly OwnLoader[] | undefined,
    wanted: readonly number[],
  ): Promise<Arrival[]> {
    const call = this.call();
    limitLoads(call);
    const waiting: (() => Promise<Arrival> | Arrival)[] = [];
    for (const index of wanted) {
      const reference = references[index];
      const binding = bindings[index];
      if (!reference || !binding) continue;
      const loader = loaders?.[index];
      const wish = loader ? { ...PLAIN, loader } : PLAIN;
      const entered = this.enter(call, binding, reference, wish);
      if (this.core.requestScoped || binding.spec.writes === "await") {
        const concluded = this.conclude(call, binding, reference, wish, entered);
        waiting.push(() => concluded);
      } else waiting.push(() => arrivalOf(entered));
    }
    const arrivals: Arrival[] = [];
    for (const wait of waiting) arrivals.push(await wait());
    return arrivals;
  }

  private async lookups(references: readonly AnyReference[]): Promise<LookupResult<unknown>[]> {
    const bindings = this.bindAll(references);
    const found: (LookupResult<unknown> | undefined)[] = [];
    const missing: number[] = [];
    for (const [index, reference] of references.entries()) {
      const binding = bindings[index];
      const hit = binding && probe(binding, reference.key);
      if (hit) {
        binding.counters.hitCount++;
        found.push(lookupOfEntry(binding, reference.key, hit));
      } else missing.push(found.push(undefined) - 1);
    }
    const arrivals = await this.arriveAll(references, bindings, undefined, missing);
    for (const [place, index] of missing.entries()) {
      const binding = bindings[index];
      const arrival = arrivals[place];
      if (!binding || !arrival) continue;
      count(binding, arrival);
      const { outcome, collapsed } = arrival;
      found[index] = outcome.ok ? lookupOf(binding, outcome, collapsed) : { error: outcome.error };
    }
    return found.filter((result) => result !== undefined);
  }

  // ---- changing

  private async setOne(reference: AnyReference, value: unknown, options: SetOptions | undefined): Promise<void> {
    const binding = this.bindingOf(reference);
    const ttlMs = options?.ttl === undefined ? Number.POSITIVE_INFINITY : (toMs(options.ttl, "set: ttl") ?? Number.POSITIVE_INFINITY);
    this.core.sweep(binding);
    this.scope.begin();
    try {
      await set(this.call(), targetOf(binding, reference), value, ttlMs);
    } finally {
      this.scope.end();
    }
  }

  private async refreshWith(binding: Binding, reference: AnyReference, loader: OwnLoader | undefined): Promise<unknown> {
    this.scope.begin();
    try {
      const refreshed = await refresh(this.call(), targetOf(binding, reference), this.scope.env, loader);
      if (!refreshed.ok) throw refreshed.error;
      return handOut(binding, refreshed.found.value);
    } finally {
      this.scope.end();
    }
  }
}

function targetOf(binding: Binding, { key, params }: AnyReference): Target {
  return { binding, key, params };
}

function isList<Item>(value: Item | readonly Item[]): value is readonly Item[] {
  return Array.isArray(value);
}

/** A key's flight, if it may be joined: its leader lives, and it has not been settled for longer than a write may take. */
function joinable(binding: Binding, key: string): Flight | undefined {
  const flight = binding.flights.get(key);
  if (!flight) return undefined;
  const now = binding.core.clock.monotonic();
  const over = flight.result ? now - flight.settledAt > writeBudgetMs(flight) : flight.call.silent(now);
  if (!over) return flight;
  supersede(flight);
  return undefined;
}

function writeBudgetMs(flight: Flight): number {
  return flight.chain.remotes.reduce((most, { storage }) => Math.max(most, storage.budgetMs), 0);
}

/** Takes a flight out of the table; should it live after all, it publishes nothing. */
function supersede(flight: Flight): void {
  flight.fenced = true;
  const { flights } = flight.binding;
  if (flights.get(flight.key) === flight) flights.delete(flight.key);
}

function hasLanded(flight: Flight): Promise<void> {
  if (flight.landed) return Promise.resolve();
  return new Promise((resolve) => {
    const before = flight.onLanded;
    flight.onLanded = () => {
      before?.();
      resolve();
    };
  });
}

function abandoned(node: string): CacheError {
  return new CacheError("ERR_LOAD_ABANDONED", `node ${describe(node)}: the request that loads this key has taken longer than a load may`);
}

async function arrivalOf({ flight, collapsed }: Entered): Promise<Arrival> {
  return { outcome: flight.result ?? (await flight.done), collapsed };
}

function young(binding: Binding, entry: LocalEntry | undefined, maxAgeMs: number): LocalEntry | undefined {
  return entry && ageMs(entry.createdAt, binding.core.clock.now()) <= maxAgeMs ? entry : undefined;
}

function isOlder(binding: Binding, outcome: Outcome, maxAgeMs: number): boolean {
  return outcome.ok && ageMs(outcome.createdAt, binding.core.clock.now()) > maxAgeMs;
}

/** A request is counted once, when it completes; a follower as what its leader found. */
function count({ counters }: Binding, { outcome, collapsed }: Arrival): void {
  if (collapsed) counters.collapsedCount++;
  if (outcome.ok && !outcome.loaded) counters.hitCount++;
  else counters.missCount++;
}

function take(binding: Binding, arrival: Arrival): unknown {
  count(binding, arrival);
  const { outcome } = arrival;
  if (outcome.ok) return handOut(binding, outcome.value);
  throw outcome.error;
}

/** A value for one caller; its own copy where the node asks for that. */
function handOut({ spec }: Binding, value: unknown): unknown {
  return spec.clone === "structured" ? structuredClone(value) : value;
}

function lookupOfEntry(binding: Binding, key: string, entry: LocalEntry): Lookup<unknown> {
  const { clock } = binding.core;
  const now = clock.monotonic();
  const part = binding.chain.locals.find(({ space }) => space.peek(key, now) === entry) ?? binding.chain.locals[0];
  return {
    value: handOut(binding, entry.value),
    source: part?.name ?? "local",
    state: "fresh",
    ageMs: ageMs(entry.createdAt, clock.now()),
    ttlMs: finite(entry.freshUntil - now),
    collapsed: false,
    guarded: entry.guarded,
  };
}

function lookupOf(binding: Binding, found: Found, collapsed: boolean): Lookup<unknown> {
  const { clock } = binding.core;
  const { locals, remotes } = binding.chain;
  // After a load the leftmost tier is the one that answers next.
  const lifeMs = found.loaded ? (locals[0]?.ttlMs ?? remotes[0]?.ttlMs ?? 0) : found.leftMs;
  return {
    value: handOut(binding, found.value),
    source: found.source,
    state: "fresh",
    ageMs: ageMs(found.createdAt, clock.now()),
    ttlMs: finite(lifeMs - (clock.monotonic() - found.since)),
    collapsed,
    guarded: found.guarded,
  };
}

function finite(ms: number): number | null {
  return ms === Number.POSITIVE_INFINITY ? null : Math.max(0, ms);
}

/** Ends one caller's wait at its signal; what it waited for goes on. */
function abortable<Value>(promise: Promise<Value>, signal: AbortSignal): Promise<Value> {
  return new Promise((resolve, reject) => {
    const abort = (): void => reject(signal.reason);
    signal.addEventListener("abort", abort, { once: true });
    const settled = (): void => signal.removeEventListener("abort", abort);
    promise.then(
      (value) => {
        settled();
        resolve(value);
      },
      (error: unknown) => {
        settled();
        reject(error);
      },
    );
  });
}
