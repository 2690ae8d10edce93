/**
 * One run of a loader, within the node's hard timeout: what it gets, how its end is told, and whether what it gave may be shared
 * at all. It relies on the clock and knows nothing of flights.
 *
 * Invariant: whoever waits is told exactly once, whatever the loader does or does not do.
 *
 * @module
 */

import type { Core } from "./core.ts";
import type { Deadlines, Due } from "./deadlines.ts";
import { describe } from "./duration.ts";
import { CacheError } from "./errors.ts";
import { isThenable, resultOf } from "./shareable.ts";
import type { NodeSpec } from "./node-spec.ts";
import type { LoadContext } from "./types.ts";

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

/** Who waits for a load. An object and no function, as there are as many as there are loads, and most are there anyway. */
export interface LoadWaiter {
  loaded(loaded: Loaded): void;
}

/** What a loader answers to say that the value it was offered still holds. Never seen outside. */
const UNCHANGED: unique symbol = Symbol("unchanged");

function unchanged(): never {
  // What it gives must fit every loader's type, and no value may.
  return UNCHANGED as never;
}

/** Whether a loader said that its old value still holds. */
export function isUnchanged(result: unknown): boolean {
  return result === UNCHANGED;
}

/** The context of a loader of either kind: `stale` is one old value, or a list of them. */
interface Context<Old> extends Omit<LoadContext<unknown>, "stale"> {
  readonly stale: Old;
}

/** Runs a loader within the node's hard timeout. A synchronous throw is a failure like any other. */
export function execute<Params, Old>(
  core: Core,
  spec: NodeSpec,
  env: unknown,
  loader: (params: Params, context: Context<Old>) => unknown,
  params: Params,
  stale: Old,
  waiter: LoadWaiter,
): void {
  const run = new Execution(core, spec, env, stale, waiter);
  let result: unknown;
  let pending: Promise<unknown> | undefined;
  try {
    result = loader(params, run);
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
class Execution<Old> implements Context<Old>, Due {
  readonly env: unknown;
  readonly stale: Old;
  place = 0;
  private over = false;
  private readonly core: Core;
  private readonly spec: NodeSpec;
  private readonly waiter: LoadWaiter;
  private readonly createdAt: number;
  private readonly since: number;
  private timer: unknown = undefined;
  private deadlines: Deadlines | undefined = undefined;
  private controller: AbortController | undefined = undefined;
  private aborted = false;

  constructor(core: Core, spec: NodeSpec, env: unknown, stale: Old, waiter: LoadWaiter) {
    this.core = core;
    this.spec = spec;
    this.env = env;
    this.stale = stale;
    this.waiter = waiter;
    this.createdAt = core.clock.now();
    this.since = core.clock.monotonic();
  }

  get dueAt(): number {
    return this.since + this.spec.hardTimeoutMs;
  }

  // Loaders take it apart, so it must not need `this`.
  get unchanged(): () => never {
    return unchanged;
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
    this.deadlines?.ended(this);
    const checked = ok ? resultOf(result, spec.name) : { ok, result };
    this.waiter.loaded({ ok: checked.ok, result: checked.result, createdAt, since, ms: core.clock.monotonic() - since });
  }
}
