/**
 * Asking the source: one loader for one key, or one `loadAll` for the keys of a drain, each within the hard timeout. Load
 * time is the source's alone. It relies on the clock; it stores nothing and decides nothing about freshness.
 *
 * Invariant: `done` is called exactly once, whatever the loader does or does not do.
 *
 * @module
 */

import type { Flight, Found } from "./chain.ts";
import type { Core } from "./core.ts";
import type { Deadlines, Due } from "./deadlines.ts";
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
  if (loaded === LOST || loaded === OVERDUE) {
    // Else the same dead load would be found again, at once where the runtime rejects promises of ended requests.
    const refreshing = flight.binding.refreshes.get(flight.key);
    if (refreshing?.load === running) refreshing.load = undefined;
    return load(flight);
  }
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
    own = { open: 0, next: 0, pumping: false, waiting: [] };
    gates.set(flight.binding, own);
  }
  own.waiting.push(run);
  pump(own, spec.loadConcurrency);
}

function noop(): void {
  // a call for one key has no share of loads to give back
}

/** Limits the loads that a call runs at once, per node, to the node's `loadConcurrency`. */
export function limitLoads(call: Call): void {
  call.gates = new Map();
}

/** Starts what waits while there is room. A load that ends at once makes room within its own start, so this never recurs. */
function pump(own: Gate, limit: number): void {
  if (own.pumping) return;
  own.pumping = true;
  while (own.open < limit) {
    const run = own.waiting[own.next];
    if (!run) break;
    own.next++;
    own.open++;
    run(() => {
      own.open--;
      pump(own, limit);
    });
  }
  own.pumping = false;
}

/** Collects the keys of one drain for one `loadAll`. */
function queue(flight: Flight): void {
  const { binding } = flight;
  const { core } = binding;
  binding.loading ??= [];
  const mine = binding.loading;
  const place = mine.push(flight) - 1;
  // One alarm a drain would do, were it not for requests that are killed before it goes off; see `requestLanes`.
  if (place > 0 && !core.requestScoped) return;
  core.runtime.scheduleDrain(() => {
    if (binding.loading !== mine) return;
    binding.loading = undefined;
    const { maxLoadBatch } = binding.spec;
    for (const group of byEnv(mine.slice(place)))
      for (let from = 0; from < group.length; from += maxLoadBatch) loadMany(group.slice(from, from + maxLoadBatch));
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
      const list = loaded.ok ? aligned(loaded.result, flights.length, spec.name) : loaded.result;
      for (const [index, flight] of flights.entries()) {
        const one = loaded.ok && Array.isArray(list) ? elementOf(list[index], spec.name) : { ok: false, result: list };
        countLoad(counters, loaded.ms, one.ok, 1 / flights.length);
        settleLoaded(flight, { ...loaded, ...one });
      }
    },
  );
}

/** One key's part of what `loadAll` gave; an `Error` is that key's failure. */
function elementOf(result: unknown, node: string): Result {
  return result instanceof Error ? { ok: false, result } : resultOf(result, node);
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
  let pending: Promise<unknown> | undefined;
  try {
    result = invoke(run);
    pending = isThenable(result) ? Promise.resolve(result) : undefined;
  } catch (error) {
    return run.end(false, error);
  }
  if (!pending) return run.end(true, result);
  run.limit();
  pending.then(
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
  private deadlines: Deadlines | undefined = undefined;
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
    else {
      this.deadlines = core.deadlinesOf(spec.hardTimeoutMs);
      this.deadlines.add(this);
    }
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
    this.deadlines?.ended();
    const checked = ok ? resultOf(result, spec.name) : { ok, result };
    this.done({ ...checked, createdAt, since, ms: core.clock.monotonic() - since });
  }
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === "object" && value !== null && "then" in value && typeof value.then === "function";
}

const UNSHAREABLE = ["Response", "Request", "ReadableStream", "WritableStream", "TransformStream", "Promise", "WebSocket"] as const;

/** By its tag, which also holds for objects of another realm; on Workers with a compatibility date before 2024-09-26 classes have none. */
function isA(value: object, name: string): boolean {
  const type: unknown = Reflect.get(globalThis, name);
  return Reflect.get(value, Symbol.toStringTag) === name || (typeof type === "function" && value instanceof type);
}

interface Result {
  readonly ok: boolean;
  readonly result: unknown;
}

/** A value, if it may be shared between requests: a body can be read once, and by the request that fetched it. */
function resultOf(value: unknown, node: string): Result {
  if (typeof value !== "object" || value === null) return { ok: true, result: value };
  try {
    const tag = isThenable(value) ? "Promise" : UNSHAREABLE.find((name) => isA(value, name));
    if (tag === undefined) return { ok: true, result: value };
    const message = `node ${describe(node)}: load gave a ${tag}, which cannot be shared; read its body and return plain data`;
    return { ok: false, result: new CacheError("ERR_SERIALIZE", message) };
  } catch (error) {
    // A proxy whose traps throw, say: what cannot be looked at is the loader's failure.
    return { ok: false, result: error };
  }
}
