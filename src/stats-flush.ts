/**
 * When the statistics of an isolate go to their sinks. The first call that is counted in a window lingers: it keeps its request
 * alive for the length of the window and then flushes what all requests counted meanwhile. There is no timer outside of a
 * request where requests own their I/O. It relies on `stats-batch.ts` for what a batch is and on the guard for the time a write may
 * take.
 *
 * Invariant: a batch, once built, is frozen under its sequence number and offered until a write of it was acknowledged; only then
 * is the next one built. So a write repeated after a death overwrites itself, and the counters are the only queue.
 * Invariant: nothing waits for another request without a deadline: a linger and a write that fell silent are taken over by whoever
 * comes next.
 *
 * @module
 */

import type { Clock } from "./clock.ts";
import { describe, toTimerMs } from "./duration.ts";
import { isCacheError } from "./errors.ts";
import type { CacheError } from "./errors.ts";
import type { Emitter } from "./events.ts";
import { readFields } from "./fields.ts";
import { unref } from "./unref.ts";
import { takeDeltas } from "./stats-batch.ts";
import type { StatsBatch, StatsSink } from "./stats-batch.ts";
import type { NodeCounters } from "./stats.ts";
import { callWithin, wrap } from "./storage-guard.ts";
import type { StatsOption, WaitUntil } from "./types.ts";

const DEFAULT_WINDOW_MS = 10_000;
const DEFAULT_EVERY = 1_000;
/** `waitUntil` keeps a request for 30 s; a write and its repetition have to fit behind the window. */
const MOST_SCOPED_WINDOW_MS = 15_000;
/** Budget of one write to a sink, and the lease of whoever writes. */
const WRITE_MS = 5_000;
/** So late, a linger counts as dead. */
const GRACE_MS = 1_000;
const POLL_MS = 50;
/** Whoever waits has waited for a write, written what was owed, and waited once more by then. */
const AWAITED_MS = 3 * WRITE_MS + 2 * POLL_MS;

/** What a flush needs from the cache it belongs to. */
export interface StatsHost {
  readonly clock: Clock;
  readonly emitter: Emitter;
  readonly requestScoped: boolean;
  readonly turnTime: () => number;
  allCounters(): ReadonlyMap<string, NodeCounters>;
  lacksWaitUntil(): void;
}

/** The statistics of one cache on their way to its sinks. */
export class StatsFlush {
  private readonly host: StatsHost;
  private readonly windowMs: number;
  private readonly every: number;
  private readonly outboxes: readonly Outbox[];
  private requests = 0;
  /** Until when the one who lingers is believed to live, by the monotonic clock. */
  private lingersUntil: number | undefined = undefined;
  private timer: unknown = undefined;
  private stopped = false;

  /** @throws TypeError naming the option and the value. */
  constructor(host: StatsHost, option: StatsOption) {
    const { sink, window, every } = isSinkOrList(option) ? { sink: option, window: undefined, every: undefined } : optionsOf(option);
    this.host = host;
    this.windowMs = windowOf(window, host.requestScoped);
    this.every = everyOf(every);
    if (isList(sink) && sink.length === 0) throw new TypeError("createCache: stats must have a sink, got an empty list");
    this.outboxes = (isList(sink) ? sink : [sink]).map((one) => new Outbox(host, one));
  }

  /** So many requests were counted, by a call that has this `waitUntil`; 0 for work that is no request. On the path of every hit. */
  counted(waitUntil: WaitUntil | undefined, requests: number): void {
    if (this.stopped) return;
    this.requests += requests;
    const now = this.host.turnTime();
    const overdue = this.lingersUntil !== undefined && now >= this.lingersUntil;
    if (this.lingersUntil === undefined) this.linger(waitUntil, now);
    if (!overdue && this.requests < this.every) return;
    // Whoever should have flushed is dead, or there is enough to tell: this request does it. One that lingers in good health goes on.
    if (overdue) this.lingersUntil = undefined;
    this.outlive(waitUntil, () => this.flushUnlessAwaited());
  }

  /** Sends what was counted to every sink. Never rejects. */
  async flush(): Promise<void> {
    this.requests = 0;
    await Promise.all(this.outboxes.map((outbox) => outbox.flush()));
  }

  /** The same, but where somebody waits for a slow sink already, the news is left to them: else more and more would wait. */
  private async flushUnlessAwaited(): Promise<void> {
    this.requests = 0;
    await Promise.all(this.outboxes.map((outbox) => (outbox.isAwaited ? Promise.resolve() : outbox.flush())));
  }

  /** As `flush`, but waits for no sink longer than this. */
  flushWithin(budgetMs: number): Promise<void> {
    const { clock } = this.host;
    return new Promise((resolve) => {
      const timer = clock.setTimeout(resolve, budgetMs);
      void this.flush().then(() => {
        clock.clearTimeout(timer);
        resolve();
      });
    });
  }

  /** What is counted from now on is not written any more. */
  stop(): void {
    this.stopped = true;
    if (this.timer !== undefined) this.host.clock.clearTimeout(this.timer);
    this.timer = undefined;
  }

  private linger(waitUntil: WaitUntil | undefined, now: number): void {
    const { clock, requestScoped } = this.host;
    this.lingersUntil = requestScoped ? now + this.windowMs + GRACE_MS : Number.POSITIVE_INFINITY;
    for (const outbox of this.outboxes) outbox.opened();
    if (!requestScoped) {
      this.timer = clock.setTimeout(() => void this.windowEnds(), this.windowMs);
      unref(this.timer);
    } else if (waitUntil) {
      this.outlive(waitUntil, async () => {
        await sleep(clock, this.windowMs);
        await this.windowEnds();
      });
    }
  }

  private windowEnds(): Promise<void> {
    this.timer = undefined;
    this.lingersUntil = undefined;
    return this.flushUnlessAwaited();
  }

  /** Runs something that outlives its request where that is possible, and as far as the request gets where it is not. */
  private outlive(waitUntil: WaitUntil | undefined, run: () => Promise<void>): void {
    const { requestScoped } = this.host;
    const running = run().catch(() => undefined);
    if (!requestScoped) return;
    if (!waitUntil) return this.host.lacksWaitUntil();
    try {
      waitUntil(running);
    } catch {
      // Outside of a request: what dies here is taken over by the next request.
      this.host.lacksWaitUntil();
    }
  }
}

/** What one sink has been given and is owed. A sink that is down holds up no other. */
class Outbox {
  private readonly host: StatsHost;
  private readonly sink: StatsSink;
  private readonly name: string;
  private readonly baseline = new Map<string, NodeCounters>();
  private owed: StatsBatch | undefined = undefined;
  private isolate = "";
  private sequence = 0;
  private from: number | undefined = undefined;
  private failedWrites = 0;
  /** Until when the one who writes may be waited for, by the monotonic clock. */
  private busyUntil = 0;
  /** Until when somebody who waits for their turn, and will take all that is news by then, is believed to live. */
  private awaitedUntil = 0;

  constructor(host: StatsHost, sink: unknown) {
    if (!isSink(sink)) throw new TypeError(`createCache: stats must be a sink with write(batch), got ${describe(sink)}`);
    this.host = host;
    this.sink = sink;
    this.name = sink.name ?? "stats";
  }

  /** A window begins; the clock stands still before the first request, so its time is read here and not before. */
  opened(): void {
    this.from ??= this.host.clock.now();
  }

  /** Whether somebody waits who has not taken the news yet. */
  get isAwaited(): boolean {
    return this.awaitedUntil > this.host.clock.monotonic();
  }

  /** Writes the batch that is owed, if one is, and then a new one, if there is news. */
  async flush(): Promise<void> {
    const { clock } = this.host;
    const until = clock.monotonic() + AWAITED_MS;
    this.awaitedUntil = until;
    while (this.busyUntil > clock.monotonic()) await sleep(clock, POLL_MS);
    const paid = this.owed === undefined || (await this.write(this.owed));
    while (paid && this.busyUntil > clock.monotonic()) await sleep(clock, POLL_MS);
    if (this.awaitedUntil === until) this.awaitedUntil = 0;
    if (!paid) return;
    this.owed ??= this.take();
    if (this.owed) await this.write(this.owed);
  }

  private async write(batch: StatsBatch): Promise<boolean> {
    const { clock, emitter } = this.host;
    const until = clock.monotonic() + WRITE_MS;
    this.busyUntil = until;
    let failure: CacheError | undefined;
    try {
      await callWithin(clock, WRITE_MS, this.name, "write", [], async () => this.sink.write(batch));
      if (this.owed === batch) this.owed = undefined;
    } catch (error) {
      this.failedWrites++;
      failure = isCacheError(error) ? error : wrap(error, this.name, "write", []);
    }
    // Not if the lease ran out and somebody else writes by now.
    if (this.busyUntil === until) this.busyUntil = 0;
    if (failure) emitter.emit({ type: "stats-failed", sink: this.name, error: failure });
    return failure === undefined;
  }

  private take(): StatsBatch | undefined {
    const nodes = takeDeltas(this.host.allCounters(), this.baseline);
    if (nodes.length === 0) return undefined;
    if (this.isolate === "") this.isolate = randomId();
    this.sequence++;
    const to = this.host.clock.now();
    const from = this.from ?? to;
    this.from = to;
    const { isolate, sequence, failedWrites } = this;
    this.failedWrites = 0;
    return { format: 1, isolate, sequence, from, to, failedWrites, nodes };
  }
}

function sleep(clock: Clock, ms: number): Promise<void> {
  return new Promise((resolve) => void clock.setTimeout(resolve, ms));
}

function randomId(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(8)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function windowOf(window: unknown, requestScoped: boolean): number {
  if (window === undefined) return DEFAULT_WINDOW_MS;
  const ms = toTimerMs(window, "createCache: stats.window");
  if (requestScoped && ms > MOST_SCOPED_WINDOW_MS)
    throw new TypeError(`createCache: stats.window must be at most 15 s here, where a request ends 30 s after its answer, got ${describe(window)}`);
  return ms;
}

function everyOf(every: unknown): number {
  if (every === undefined) return DEFAULT_EVERY;
  if (typeof every === "number" && Number.isInteger(every) && every >= 1) return every;
  throw new TypeError(`createCache: stats.every must be a whole number of at least 1, got ${describe(every)}`);
}

function optionsOf(option: unknown): { sink?: unknown; window?: unknown; every?: unknown } {
  return readFields(option, ["sink", "window", "every"], "createCache: stats");
}

function isSinkOrList(option: unknown): option is StatsSink | readonly StatsSink[] {
  return isSink(option) || isList(option);
}

function isSink(value: unknown): value is StatsSink {
  return typeof value === "object" && value !== null && "write" in value && typeof value.write === "function";
}

function isList(value: unknown): value is readonly unknown[] {
  return Array.isArray(value);
}
