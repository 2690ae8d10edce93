/**
 * Work that one call does and others wait for, made safe where a request may die without running another line. A call that
 * leads work beats a heart; whoever waits holds a lease of its own on the work, and reclaims it when its owner fell silent.
 * It relies on the clock and the runtime, and knows nothing of tiers or values.
 *
 * Where promises may be awaited from anywhere (Node, Deno, Bun) there is no heart to beat, and waiting is waiting for the
 * promise.
 *
 * Invariant: nothing in the isolate waits for another request without a timer of its own.
 * Invariant: the only promise of one request that another waits for is that of an operation; where requests own their I/O it
 * bears its request's mark.
 * Invariant: the promise of an operation never rejects, so that a rejection can only be the runtime saying "its request has
 * ended".
 *
 * @module
 */

import type { Binding } from "./binding.ts";
import type { Clock } from "./clock.ts";
import type { Gate } from "./load.ts";
import type { WaitUntil } from "./types.ts";

/** Time between two beats, in ms. */
export const BEAT_MS = 100;
/** Beats missed in a row after which an owner counts as dead. */
export const LEASE_BEATS = 4;
/** A newcomer takes over at once what has been silent for this long. */
const ABANDONED_MS = 3 * BEAT_MS * LEASE_BEATS;

/** What a follower gets instead of a result if the owner died. */
export const LOST: unique symbol = Symbol("lost");
/** What a follower gets if the owner lives but the work took longer than it ever may. */
export const OVERDUE: unique symbol = Symbol("overdue");

/** A loader that a caller brought along. */
export type OwnLoader = () => unknown;

// Written as a method, so that an operation of one result is an operation of any object to those who only follow it.
interface Resolve<Result> {
  call(result: Result): void;
}

interface Resolvers<Result> {
  readonly promise: Promise<Result>;
  readonly resolve: Resolve<Result>["call"];
}

/** New in ES2024. Where it is missing, promises bear no marks anyway. */
interface NewInPromise {
  withResolvers?<Result>(): Resolvers<Result>;
}

/** Something under way. The first to ask owns it; others follow. */
export class Operation<Result extends object> {
  readonly call: Call;
  /** Settles with the result; created in the owner's request. */
  readonly done: Promise<Result>;
  /** Readable from any request. */
  result: Result | undefined = undefined;
  private resolve: Resolve<Result>["call"] | undefined = undefined;

  constructor(call: Call) {
    this.call = call;
    // Where promises need no mark, this way still takes half of the other's time.
    const made = markedPromise<Result>();
    if (made) {
      this.done = made.promise;
      this.resolve = made.resolve;
    } else
      this.done = new Promise((resolve) => {
        this.resolve = resolve;
      });
  }

  /** The plain slot first, the promise second: whoever cannot be woken by the promise finds the result when its lease ends. */
  settle(result: Result): void {
    if (this.result) return;
    this.result = result;
    this.resolve?.(result);
  }
}

/**
 * A promise that bears the mark of its request. By the mark workerd sees that it is awaited from another request, and lets
 * whoever waits go on in its own. Code that V8 has optimized makes promises without one (`new Promise`, `then`, `async`):
 * those who wait for such a promise go on in the request that settles it, and die with it. `withResolvers` always marks.
 */
function markedPromise<Result>(): Resolvers<Result> | undefined {
  return (Promise as NewInPromise).withResolvers?.<Result>();
}

interface Watch {
  readonly operation: Operation<object>;
  beat: number;
  missed: number;
  beatsLeft: number;
  end(result: typeof LOST | typeof OVERDUE | undefined): void;
}

/** What a call needs from the cache it was made on. */
export interface CallHost {
  readonly clock: Clock;
  readonly requestScoped: boolean;
  /** Told of a `waitUntil` that is missing where requests own their I/O. */
  lacksWaitUntil(): void;
}

/**
 * One call of the API, by one request: the heart of all that it leads, and the leases on all that it follows. Both share
 * one timer, so a call costs one however many keys it asks for.
 */
export class Call {
  /** Counts up while the request lives and leads something. */
  beat = 0;
  /** When it beat last, by the monotonic clock. */
  beatAt: number;
  readonly requestScoped: boolean;
  private readonly host: CallHost;
  private readonly waitUntil: WaitUntil | undefined;
  private watches: Set<Watch> | undefined = undefined;
  private leading = 0;
  private timer: unknown = undefined;
  private finish: (() => void) | undefined = undefined;
  /** Loads of one call wait for each other here, by node; see `load.ts`. */
  gates: Map<Binding, Gate> | undefined = undefined;

  constructor(host: CallHost, waitUntil: WaitUntil | undefined) {
    this.host = host;
    this.waitUntil = waitUntil;
    this.requestScoped = host.requestScoped;
    this.beatAt = host.requestScoped ? host.clock.monotonic() : 0;
  }

  /** Whether background work outlives the answer; where it does not, the call has to wait for its own writes. */
  get lasts(): boolean {
    return !this.requestScoped || this.waitUntil !== undefined;
  }

  /** The call leads one more thing; it must say `end` for it, and is kept alive until it has. */
  begin(): void {
    if (!this.requestScoped) return;
    this.leading++;
    if (this.leading === 1) this.keepAlive();
    this.arm();
  }

  /** The call leads one thing less. */
  end(): void {
    if (!this.requestScoped) return;
    this.leading--;
    if (this.leading > 0) return;
    this.finish?.();
    this.finish = undefined;
    if (!this.watches?.size) this.disarm();
  }

  /** Whether the call fell silent so long ago that a newcomer need not wait for a lease. */
  silent(now: number): boolean {
    return this.requestScoped && now - this.beatAt > ABANDONED_MS;
  }

  /**
   * The result of something that another call may own; `LOST` if its owner died, within one lease of the last beat.
   *
   * @param capMs how long the work may take at most, from now.
   */
  follow<Result extends object>(operation: Operation<Result>, capMs: number): Promise<Result | typeof LOST | typeof OVERDUE> {
    if (!this.requestScoped || operation.call === this || operation.result) {
      return operation.result ? Promise.resolve(operation.result) : operation.done;
    }
    this.watches ??= new Set();
    const { watches } = this;
    return new Promise((resolve) => {
      const end = (result: Result | typeof LOST | typeof OVERDUE | undefined): void => {
        watches.delete(watch);
        if (watches.size === 0 && this.leading === 0) this.disarm();
        resolve(operation.result ?? result ?? LOST);
      };
      const watch: Watch = { operation, beat: operation.call.beat, missed: 0, beatsLeft: Math.ceil(capMs / BEAT_MS) + LEASE_BEATS, end };
      watches.add(watch);
      this.arm();
      operation.done.then(end, () => end(LOST));
    });
  }

  private keepAlive(): void {
    if (!this.waitUntil) return this.host.lacksWaitUntil();
    const finished = new Promise<void>((resolve) => {
      this.finish = resolve;
    });
    try {
      this.waitUntil(finished);
    } catch {
      // Outside of a request there is nothing to keep alive; the lease protects those who wait.
    }
  }

  private arm(): void {
    this.timer ??= this.host.clock.setTimeout(() => this.tick(), BEAT_MS);
  }

  private disarm(): void {
    if (this.timer !== undefined) this.host.clock.clearTimeout(this.timer);
    this.timer = undefined;
  }

  private tick(): void {
    this.timer = undefined;
    this.beat++;
    this.beatAt = this.host.clock.monotonic();
    for (const watch of this.watches ?? []) check(watch);
    if (this.leading > 0 || this.watches?.size) this.arm();
  }
}

function check(watch: Watch): void {
  const { operation } = watch;
  if (operation.result) return watch.end(undefined);
  if (operation.call.beat !== watch.beat) {
    watch.beat = operation.call.beat;
    watch.missed = 0;
  } else if (++watch.missed >= LEASE_BEATS) return watch.end(LOST);
  if (--watch.beatsLeft <= 0) watch.end(OVERDUE);
}
