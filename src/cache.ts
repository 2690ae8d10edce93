/**
 * The cache: the story of every call. A read (`read.ts`) probes the local tiers (`local-probe.ts`), then joins the key's
 * flight or leads one (`arrive.ts`); a flight reads the remote tiers (`chain.ts`), asks the source (`load.ts`), and stores what it found
 * (`settle.ts`). `set`, `refresh` and `invalidate` change what the tiers hold (`replace.ts`, `refresh.ts`). What all views of
 * a cache share is in `core.ts`.
 *
 * @module
 */

import { runtime as host } from "#runtime";
import { handOut, takeEntry } from "./answer.ts";
import { callBy } from "./arrive.ts";
import type { Ask, Caller } from "./arrive.ts";
import type { OwnLoader } from "./flight.ts";
import { fullKeyOf } from "./binding.ts";
import { closedError, Core } from "./core.ts";
import type { Binding } from "./binding.ts";
import { describe, toMs } from "./duration.ts";
import { tagKeys } from "./generations.ts";
import { checkPrefix, fullKey } from "./key.ts";
import { peek, probe } from "./local-probe.ts";
import { specOf, storageNames } from "./node.ts";
import { lifeOf } from "./refresh.ts";
import { counted, fly, loadAnew, lookUpAll, read, readAll, readAllWith, readWith } from "./read.ts";
import { isNamedBy, namedBy, raiseBy, raisingOrder } from "./raise.ts";
import { invalidate, set } from "./replace.ts";
import { targetOf } from "./tier-calls.ts";
import type { Runtime } from "./runtime.ts";
import { Scope } from "./scope.ts";
import { checkView } from "./storages.ts";
import type { Work } from "./scope.ts";
import { snapshots } from "./stats.ts";
import { both, createToken } from "./token.ts";
import type { Named } from "./token.ts";
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

/** A sink is no storage, and may be the only thing that is waited for. */
const LEAST_STATS_MS = 1_000;

type AnyReference = Reference<unknown>;
type OneReadOptions = ReadOptions & { readonly load?: OwnLoader | undefined };

/** A cache as one request sees it. Small, as one is made for each request that asks for it. */
class View implements Caller {
  readonly core: Core;
  readonly scope: Scope;
  private prefix: string;
  private bound: Map<NodeInfo, Binding>;
  private lastNode: NodeInfo | undefined = undefined;
  private lastBinding: Binding | undefined = undefined;
  /** What this view knows to be invalidated, and the flights that had begun before it was made. */
  private readonly after: Named | undefined;
  private readonly born: number;

  constructor(core: Core, scope: Scope, prefix: string, after?: Named) {
    this.core = core;
    this.after = after;
    this.born = core.births;
    this.scope = scope;
    this.prefix = prefix;
    this.bound = core.boundUnder(prefix);
  }

  get(reference: AnyReference, options?: OneReadOptions): Promise<unknown> {
    try {
      const binding = this.bindingOf(reference);
      if (options !== undefined) return readWith(this, this.askFor(reference, options.load), options);
      if (this.after !== undefined) return read(this, this.askFor(reference, undefined));
      const hit = probe(binding, reference.key);
      if (hit === undefined) return fly(this, this.askFor(reference, undefined), this.core.turnTime());
      const value = takeEntry(binding, hit);
      if (this.core.statsFlush !== undefined) counted(this, 1);
      return Promise.resolve(value);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  getAll(references: readonly AnyReference[], options?: ReadOptions): Promise<unknown[]> {
    try {
      const asks = this.asksFor(references);
      return options === undefined ? readAll(this, asks) : readAllWith(this, asks, options);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  async lookup(reference: AnyReference): Promise<Lookup<unknown>> {
    const [result] = await this.lookupAll([reference]);
    if (!result || "error" in result) throw result?.error;
    return result;
  }

  async lookupAll(references: readonly AnyReference[]): Promise<LookupResult<unknown>[]> {
    return lookUpAll(this, this.asksFor(references));
  }

  peek(reference: AnyReference): unknown {
    const binding = this.bindingOf(reference);
    if (this.after && isNamedBy(this.after, binding, reference)) return undefined;
    const entry = peek(binding, reference.key);
    return entry && handOut(binding, entry.value);
  }

  async set(reference: AnyReference, value: unknown, options?: SetOptions): Promise<void> {
    await this.setOne(reference, value, options);
  }

  async setAll(entries: readonly (readonly [AnyReference, unknown])[]): Promise<void> {
    if (!isList(entries) || !entries.every(isList)) throw new TypeError(`setAll: expected a list of [reference, value], got ${describe(entries)}`);
    for (const [reference] of entries) this.bindingOf(reference);
    const settled = await Promise.allSettled(entries.map(([reference, value]) => this.setOne(reference, value, undefined)));
    for (const result of settled) if (result.status === "rejected") throw result.reason;
  }

  async refresh(reference: AnyReference): Promise<unknown> {
    return this.refreshBy(this.askFor(reference, undefined));
  }

  async invalidate(references: AnyReference | readonly AnyReference[]): Promise<InvalidationToken> {
    const list = isList(references) ? references : [references];
    const targets = list.map((reference) => targetOf(this.scope, this.bindingOf(reference), reference));
    const call = callBy(this);
    call.begin();
    try {
      await invalidate(targets);
    } finally {
      call.end();
    }
    return createToken(targets.map(({ binding, key }) => fullKeyOf(binding, key)));
  }

  async invalidateNode(node: NodeInfo): Promise<InvalidationToken> {
    if (!specOf(node)) throw new TypeError(`invalidateNode: expected a node, as in cache.invalidateNode(UserInfo), got ${describe(node)}`);
    const { groups, chain } = this.bindingOf({ node } as AnyReference);
    return raiseBy(this, "invalidateNode", chain.remotes.map(({ storage }) => storage).reverse(), groups);
  }

  async invalidateTags(...tags: readonly string[]): Promise<InvalidationToken> {
    const names = tagKeys(this.prefix, tags);
    if (this.core.closed) throw closedError();
    return raiseBy(this, "invalidateTags", raisingOrder(this.core), names);
  }

  memoize<Args extends readonly unknown[]>(toNode: (...args: Args) => AnyReference, fn: (...args: Args) => unknown): unknown {
    for (const [name, value] of Object.entries({ toNode, fn }))
      if (typeof value !== "function") throw new TypeError(`memoize: ${name} must be a function, got ${describe(value)}`);
    const bound = (args: Args): Ask => this.askFor(toNode(...args), () => fn(...args));
    return Object.assign(async (...args: Args) => read(this, bound(args)), {
      invalidate: async (...args: Args) => this.invalidate(toNode(...args)),
      refresh: async (...args: Args) => this.refreshBy(bound(args)),
      all: async (calls: readonly Args[]) => readAll(this, calls.map(bound)),
    });
  }

  nodes(): readonly NodeInfo[] {
    return this.core.nodes();
  }

  stats(node?: NodeInfo): NodeStats | { readonly [node: string]: NodeStats } {
    return snapshots(this.core.allCounters(), node?.name);
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
    const scope = new Scope(waitUntil ?? this.scope.waitUntil, options.env === undefined ? this.scope.env : options.env, this.scope);
    return new View(this.core, scope, prefix ?? this.prefix, options.after === undefined ? this.after : both(this.after, namedBy(this.core, options.after)));
  }

  async prune(limit: number): Promise<number> {
    if (this.core.closed) throw closedError();
    if (!Number.isSafeInteger(limit) || limit < 1) throw new TypeError(`prune: limit must be a whole number of at least 1, got ${describe(limit)}`);
    return this.core.storages.prune(limit, storageNames(), this.scope);
  }

  flush(): Promise<void> {
    return this.flushed(this.scope.own);
  }

  async close(): Promise<void> {
    this.core.closed = true;
    await this.flushed(this.scope.all);
    this.core.statsFlush?.stop();
    await this.core.storages.close();
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
    checkView(
      this.scope,
      binding.chain.remotes.map(({ storage }) => storage),
      `node ${describe(binding.spec.name)}`,
    );
    this.lastNode = node;
    this.lastBinding = binding;
    return binding;
  }

  private askFor(reference: AnyReference, loader: OwnLoader | undefined): Ask {
    if (loader !== undefined && typeof loader !== "function") throw new TypeError(`get: load must be a function, got ${describe(loader)}`);
    const binding = this.bindingOf(reference);
    return { binding, reference, loader, maxAgeMs: undefined, bornAfter: this.after && isNamedBy(this.after, binding, reference) ? this.born : undefined };
  }

  /** What is asked, all or nothing: a wrong reference is found before anything is read. */
  private asksFor(references: readonly AnyReference[]): Ask[] {
    if (!isList(references)) throw new TypeError(`expected a list of references, as in cache.getAll([UserInfo(1), UserInfo(2)]), got ${describe(references)}`);
    return Array.from(references, (reference) => this.askFor(reference, undefined));
  }

  // ---- changing

  private async flushed(work: Work): Promise<void> {
    const { clock, statsFlush, storages } = this.core;
    const budgetMs = storages.remotes().reduce((most, storage) => Math.max(most, storage.budgetMs), 1);
    await (this.core.requestScoped ? work.idleByLooking(clock, budgetMs) : work.idle(clock, budgetMs));
    // After the writes, so that they are counted.
    await statsFlush?.flushWithin(Math.max(budgetMs, LEAST_STATS_MS));
  }

  private async setOne(reference: AnyReference, value: unknown, options: SetOptions | undefined): Promise<void> {
    const binding = this.bindingOf(reference);
    const target = targetOf(this.scope, binding, reference);
    const ttlMs = options?.ttl === undefined ? lifeOf(target, value) : (toMs(options.ttl, "set: ttl") ?? Number.POSITIVE_INFINITY);
    this.core.sweep(binding);
    this.scope.begin();
    try {
      await set(callBy(this), target, value, ttlMs);
    } finally {
      this.scope.end();
    }
  }

  private async refreshBy(ask: Ask): Promise<unknown> {
    const { found, failure } = await loadAnew(this, ask);
    if (failure) throw failure.error;
    return found && handOut(ask.binding, found.value);
  }
}

function isList<Item>(value: Item | readonly Item[]): value is readonly Item[] {
  return Array.isArray(value);
}
