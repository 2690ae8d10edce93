/**
 * A cache as callers see it: the story of every call. A read (`read.ts`) probes the local tiers (`local-probe.ts`), then joins the
 * key's flight or leads one (`arrive.ts`); a flight reads the remote tiers (`chain.ts`), asks the source (`load.ts`), and stores
 * what it found (`settle.ts`). `set`, `refresh` and `invalidate` change what the tiers hold (`replace.ts`, `refresh.ts`). What all
 * views of a cache share is in `core.ts`.
 *
 * @module
 */

import { handOut, takeEntry } from "./answer.ts";
import { checkFunctions, checkPairs, checkReference, checkScope, distinct, isList, ttlOf } from "./arguments.ts";
import { callBy } from "./arrive.ts";
import type { Ask, Caller } from "./arrive.ts";
import type { OwnLoader } from "./flight.ts";
import { fullKeyOf } from "./binding.ts";
import { closedError } from "./core.ts";
import type { Core } from "./core.ts";
import type { Binding } from "./binding.ts";
import { describe } from "./duration.ts";
import { tagKeys } from "./generations.ts";
import { checkPrefix, fullKey } from "./key.ts";
import { hit, hitAt, peek } from "./local-probe.ts";
import { showAsText, specOf, storageNames } from "./node.ts";
import { lifeOf } from "./refresh.ts";
import { counted, loadAnew, lookUpAll, read, readAll, readAllWith, readWith } from "./read.ts";
import { isNamedBy, namedBy, raiseBy, raisingOrder } from "./raise.ts";
import { invalidate, set } from "./replace.ts";
import { targetOf } from "./tier-calls.ts";
import { Scope } from "./scope.ts";
import { checkView } from "./storages.ts";
import type { Work } from "./scope.ts";
import { snapshots } from "./stats.ts";
import { both, createToken } from "./token.ts";
import type { Named } from "./token.ts";
import type { InvalidationToken, Lookup, LookupResult, NodeInfo, NodeStats, ReadOptions, Reference, ScopeOptions, SetOptions, StorageOption } from "./types.ts";

/** A sink is no storage, and may be the only thing that is waited for. */
const LEAST_STATS_MS = 1_000;

type AnyReference = Reference<unknown>;
type OneReadOptions = ReadOptions & { readonly load?: OwnLoader | undefined };

/** A cache as one request sees it. Small, as one is made for each request that asks for it. */
export class View implements Caller {
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
    // Nearly every call ends here, so whatever may take another way is asked about before, and in few words.
    const { core, lastBinding } = this;
    const isPlain = options === undefined && this.after === undefined && !core.closed;
    if (isPlain && lastBinding !== undefined && reference?.node === this.lastNode && lastBinding.spec.clone !== "structured") {
      const entry = hit(lastBinding, reference.key);
      if (entry !== undefined) {
        const value = takeEntry(lastBinding, entry);
        if (core.statsFlush !== undefined) counted(this, 1);
        return Promise.resolve(value);
      }
    }
    return this.getAtLength(reference, options);
  }

  getAll(references: readonly AnyReference[], options?: ReadOptions): Promise<unknown[]> {
    try {
      this.checkAll(references);
      if (options !== undefined) return readAllWith(this, this.asksFor(references), options);
      const values = this.after === undefined ? this.hitsOf(references) : [];
      if (values.length === references.length) return Promise.resolve(values);
      const others = readAll(this, this.asksFor(references.slice(values.length)));
      return values.length === 0 ? others : others.then((more) => [...values, ...more]);
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
    this.checkAll(references);
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
    const pairs = checkPairs(entries);
    for (const [reference] of pairs) this.bindingOf(reference);
    const settled = await Promise.allSettled(pairs.map(([reference, value]) => this.setOne(reference, value, undefined)));
    for (const result of settled) if (result.status === "rejected") throw result.reason;
  }

  async refresh(reference: AnyReference): Promise<unknown> {
    return this.refreshBy(this.askFor(reference, undefined));
  }

  async invalidate(references: AnyReference | readonly AnyReference[]): Promise<InvalidationToken> {
    const list = isList(references) ? references : [references];
    const targets = distinct(Array.from(list, (reference) => targetOf(this.scope, this.bindingOf(reference), reference)));
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
    return raiseBy(this, "invalidateNode", groups, () => chain.remotes.map(({ storage }) => storage).reverse());
  }

  async invalidateTags(...tags: readonly string[]): Promise<InvalidationToken> {
    const names = tagKeys(this.prefix, tags);
    if (this.core.closed) throw closedError();
    return raiseBy(this, "invalidateTags", names, () => raisingOrder(this.core));
  }

  memoize<Args extends readonly unknown[]>(toNode: (...args: Args) => AnyReference, fn: (...args: Args) => unknown): unknown {
    checkFunctions("memoize", { toNode, fn });
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
    const { node, key } = checkReference(reference);
    return fullKey(this.prefix, key, node.version);
  }

  registerStorage(name: string, storage: StorageOption): View {
    this.core.register(name, storage);
    return this;
  }

  with(options: ScopeOptions<unknown>): View {
    const { waitUntil, prefix } = checkScope(options);
    const scope = new Scope(waitUntil === undefined ? this.scope.waitUntil : waitUntil, options.env === undefined ? this.scope.env : options.env, this.scope);
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

  close(): Promise<void> {
    this.core.closing ??= this.closed();
    return this.core.closing;
  }

  private async closed(): Promise<void> {
    this.core.closed = true;
    await this.flushed(this.scope.all);
    this.core.statsFlush?.stop();
    await this.core.storages.close();
  }

  /** What a console shows: neither keys and values nor what `env` holds. */
  toString(): string {
    return `[cache ${describe(this.prefix)}: ${this.core.storages.names().join(", ")}]`;
  }

  // ---- reading

  private getAtLength(reference: AnyReference, options: OneReadOptions | undefined): Promise<unknown> {
    try {
      const ask = this.askFor(reference, options?.load);
      return options === undefined ? read(this, ask) : readWith(this, ask, options);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /** @throws TypeError for what is no reference, ERR_CLOSED */
  private bindingOf(reference: AnyReference): Binding {
    if (this.core.closed) throw closedError();
    const node = reference?.node;
    if (node === this.lastNode && this.lastBinding !== undefined) return this.lastBinding;
    checkReference(reference);
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

  private asksFor(references: readonly AnyReference[]): Ask[] {
    return references.map((reference) => this.askFor(reference, undefined));
  }

  /** All or nothing: a wrong reference is found before anything is read. */
  private checkAll(references: readonly AnyReference[]): void {
    if (!isList(references)) throw new TypeError(`expected a list of references, as in cache.getAll([UserInfo(1), UserInfo(2)]), got ${describe(references)}`);
    for (const reference of references) this.bindingOf(reference);
  }

  /** The values at the head of a list that the nearest tiers answer, up to the first key that takes a longer look. */
  private hitsOf(references: readonly AnyReference[]): unknown[] {
    const values: unknown[] = [];
    const now = this.core.turnTime();
    for (const reference of references) {
      const binding = this.bindingOf(reference);
      const entry = hitAt(binding, reference.key, now);
      if (entry === undefined) break;
      values.push(takeEntry(binding, entry));
    }
    if (values.length > 0) counted(this, values.length);
    return values;
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
    const ttlMs = ttlOf(options) ?? lifeOf(target, value);
    this.core.sweep(binding);
    this.scope.begin();
    try {
      await set(callBy(this), target, value, ttlMs);
    } finally {
      this.scope.end();
    }
  }

  private async refreshBy(ask: Ask): Promise<unknown> {
    const { found, failure } = await loadAnew(this, callBy(this), ask);
    if (failure) throw failure.error;
    return found && handOut(ask.binding, found.value);
  }
}

showAsText(View.prototype);
