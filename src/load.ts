/**
 * Asking the source: one loader for one key, or one `loadAll` for the keys of a drain, each within the hard timeout. Load
 * time is the source's alone. It relies on the clock; it stores nothing and decides nothing about freshness.
 *
 * Invariant: `done` is called exactly once, whatever the loader does or does not do.
 *
 * @module
 */

import { STALE_DRAIN_MS } from "./batch.ts";
import type { Flight, Found } from "./chain.ts";
import type { Core } from "./core.ts";
import type { Due } from "./deadlines.ts";
import { describe } from "./duration.ts";
import { CacheError } from "./errors.ts";
import { LOST, OVERDUE } from "./flight.ts";
import type { Call, Gate, Operation } from "./flight.ts";
import type { NodeSpec } from "./node-spec.ts";
import type { LoadContext } from "./types.ts";
import { admits, settleFailed, settleFound } from "./settle.ts";
import { countLoad } from "./stats.ts";

/** How a load ended, with its times. */
export interface Loaded {
  readonly ok: boolean;
  /** The value, or the error. */
  readonly result: unknown;
  /** Unix ms, just before. */
  readonly createdAt: number;
  /** The same by the monotonic clock. */
  readonly since: number;
  readonly ms: number;
}

/** Loads what a flight found in no tier. */
export function load(flight: Flight): void {
  const { binding } = flight;
  const running = binding.refreshes.get(flight.key)?.load;
  if (running && !running.result && !running.call.silent(binding.core.clock.monotonic())) return void share(flight, running);
  const own = flight.loader;
  if (own) return gate(flight, () => own());
  const { spec } = binding;
  if (spec.loadAll) return queue(flight);
  const loader = spec.load;
  if (loader) return gate(flight, (context) => loader(flight.params, context));
  settleFailed(flight, noLoader(spec.name), false);
}

/** The error of a miss on a node that cannot load. */
export function noLoader(node: string): CacheError {
  return new CacheError("ERR_NO_LOADER", `node ${describe(node)} has no load, and none was given with the call`);
}

/** A refresh is loading this key: its load began after whatever was in the tiers, so it is an answer, and it is stored by the refresh. */
async function share(flight: Flight, running: Operation<Loaded>): Promise<void> {
  const loaded = await flight.call.follow(running, flight.binding.spec.hardTimeoutMs);
  if (loaded === LOST || loaded === OVERDUE) return load(flight);
  flight.stores = false;
  settleLoaded(flight, loaded);
}

/** Runs a loader within the call's share of loads at once. */
function gate(flight: Flight, invoke: (context: LoadContext<unknown>) => unknown): void {
  const { core, spec, counters } = flight.binding;
  const run = (release: () => void): void =>
    execute(core, spec, flight.env, invoke, (loaded) => {
      countLoad(counters, loaded.ms, loaded.ok);
      release();
      settleLoaded(flight, loaded);
    });
  const { gates } = flight.call;
  if (!gates) return run(noop);
  let own = gates.get(flight.binding);
  if (!own) {
    own = { open: 0, waiting: [] };
    gates.set(flight.binding, own);
  }
  enter(own, spec.loadConcurrency, run);
}

function noop(): void {
  // a call for one key has no share of loads to give back
}

/** Limits the loads that a call runs at once, per node, to the node's `loadConcurrency`. */
export function limitLoads(call: Call): void {
  call.gates = new Map();
}

function enter(own: Gate, limit: number, run: (release: () => void) => void): void {
  if (own.open >= limit) return void own.waiting.push(run);
  own.open++;
  run(() => {
    own.open--;
    const next = own.waiting.shift();
    if (next) enter(own, limit, next);
  });
}

/** Collects the keys of one drain for one `loadAll`. */
function queue(flight: Flight): void {
  const { binding } = flight;
  const { core } = binding;
  const at = core.clock.monotonic();
  if (binding.loading && !(core.requestScoped && at - binding.loading.at > STALE_DRAIN_MS)) return void binding.loading.flights.push(flight);
  const mine = { at, flights: [flight] };
  binding.loading = mine;
  core.runtime.scheduleDrain(() => {
    if (binding.loading === mine) binding.loading = undefined;
    const { maxLoadBatch } = binding.spec;
    for (const group of byEnv(mine.flights)) for (let from = 0; from < group.length; from += maxLoadBatch) loadMany(group.slice(from, from + maxLoadBatch));
  });
}

function byEnv(flights: readonly Flight[]): Iterable<Flight[]> {
  const groups = new Map<unknown, Flight[]>();
  for (const flight of flights) {
    const group = groups.get(flight.env);
    if (group) group.push(flight);
    else groups.set(flight.env, [flight]);
  }
  return groups.values();
}

function loadMany(flights: readonly Flight[]): void {
  const [first] = flights;
  if (!first) return;
  const { core, spec, counters } = first.binding;
  const params = flights.map((flight) => flight.params);
  execute(
    core,
    spec,
    first.env,
    (context) => spec.loadAll?.(params, context),
    (loaded) => {
      const values = loaded.ok ? aligned(loaded.result, flights.length, spec.name) : loaded.result;
      for (const [index, flight] of flights.entries()) {
        const result: unknown = Array.isArray(values) ? values[index] : values;
        const ok = Array.isArray(values) && !(result instanceof Error);
        countLoad(counters, loaded.ms, ok, 1 / flights.length);
        settleLoaded(flight, { ...loaded, ok, result });
      }
    },
  );
}

/** The list that `loadAll` owes, or the error that all its keys get. */
function aligned(result: unknown, expected: number, node: string): readonly unknown[] | TypeError {
  if (Array.isArray(result) && result.length === expected) return result;
  const got = Array.isArray(result) ? `${result.length} results` : describe(result);
  return new TypeError(`node ${describe(node)}: loadAll must answer a list aligned with its ${expected} parameters, got ${got}`);
}

function settleLoaded(flight: Flight, loaded: Loaded): void {
  if (!loaded.ok) return settleFailed(flight, loaded.result, true);
  const found: Found = {
    ok: true,
    value: loaded.result,
    source: "load",
    loaded: true,
    createdAt: loaded.createdAt,
    since: loaded.since,
    leftMs: Number.POSITIVE_INFINITY,
    costMs: loaded.ms,
    guarded: true,
  };
  settleFound(flight, found, admits(flight));
}

/** Runs a loader within the node's hard timeout. A synchronous throw is a failure like any other. */
export function execute(core: Core, spec: NodeSpec, env: unknown, invoke: (context: LoadContext<unknown>) => unknown, done: (loaded: Loaded) => void): void {
  const run = new Execution(core, spec, env, done);
  let result: unknown;
  try {
    result = invoke(run);
  } catch (error) {
    return run.end(false, error);
  }
  if (!isThenable(result)) return run.end(true, result);
  run.limit();
  Promise.resolve(result).then(
    (value) => run.end(true, value),
    (error: unknown) => run.end(false, error),
  );
}

/** One run of a loader, and the context it gets. The signal is made when it is asked for: most loaders never do. */
class Execution implements LoadContext<unknown>, Due {
  readonly env: unknown;
  readonly dueAt: number;
  over = false;
  private readonly core: Core;
  private readonly spec: NodeSpec;
  private readonly done: (loaded: Loaded) => void;
  private readonly createdAt: number;
  private readonly since: number;
  private timer: unknown = undefined;
  private controller: AbortController | undefined = undefined;
  private aborted = false;

  constructor(core: Core, spec: NodeSpec, env: unknown, done: (loaded: Loaded) => void) {
    this.core = core;
    this.spec = spec;
    this.env = env;
    this.done = done;
    this.createdAt = core.clock.now();
    this.since = core.clock.monotonic();
    this.dueAt = this.since + spec.hardTimeoutMs;
  }

  get signal(): AbortSignal {
    if (!this.controller) {
      this.controller = new AbortController();
      if (this.aborted) this.controller.abort();
    }
    return this.controller.signal;
  }

  /** A timer belongs to the request that set it, where requests own their I/O. */
  limit(): void {
    const { core, spec } = this;
    if (core.requestScoped) this.timer = core.clock.setTimeout(() => this.expire(), spec.hardTimeoutMs);
    else core.limit(this, spec.hardTimeoutMs);
  }

  expire(): void {
    const { name, hardTimeoutMs } = this.spec;
    this.end(false, new CacheError("ERR_LOAD_TIMEOUT", `node ${describe(name)}: the load took longer than its hard timeout of ${hardTimeoutMs} ms`));
    this.aborted = true;
    this.controller?.abort();
  }

  end(ok: boolean, result: unknown): void {
    if (this.over) return;
    this.over = true;
    const { core, spec, createdAt, since } = this;
    if (this.timer !== undefined) core.clock.clearTimeout(this.timer);
    const error = ok ? unshareable(result, spec.name) : undefined;
    this.done({ ok: ok && !error, result: error ?? result, createdAt, since, ms: core.clock.monotonic() - since });
  }
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === "object" && value !== null && "then" in value && typeof value.then === "function";
}

const UNSHAREABLE = new Set(["Response", "Request", "ReadableStream", "WritableStream", "TransformStream", "Promise", "WebSocket"]);

/** Only plain data may be shared between requests: a body can be read once, and by the request that fetched it. */
function unshareable(value: unknown, node: string): CacheError | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  const tag: unknown = Reflect.get(value, Symbol.toStringTag);
  if (typeof tag !== "string" || !UNSHAREABLE.has(tag)) return undefined;
  return new CacheError("ERR_SERIALIZE", `node ${describe(node)}: load gave a ${tag}, which cannot be shared; read its body and return plain data`);
}
