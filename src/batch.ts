/**
 * Lanes: jobs for one storage that fall into the same drain travel in one call. Where requests own their I/O a drain is a
 * few microtasks and leaves nothing behind, so that no queue ever holds jobs of two requests; six calls at most are open
 * for one drain. Elsewhere a drain is one turn of the event loop, six calls at most are open for the storage, and later jobs
 * wait and merge. It knows nothing of keys, stamps or policy.
 *
 * @module
 */

import type { Clock } from "./clock.ts";
import type { Runtime } from "./runtime.ts";

/** Calls that may be open at once: what Workers allows a request, and a fair share elsewhere. */
const MAX_OPEN = 6;

/** One thing to do in a batch. */
export interface Job {
  /** What must not be twice in one call: the key. */
  readonly storedKey: string;
  /** When it was asked for, by the monotonic clock; set by whoever queues it. */
  queuedAt: number;
}

/** How a lane sends its jobs. */
export interface LaneOptions<J extends Job> {
  readonly maxBatch: number;
  /** Sends one call's worth of jobs and tells each of them how it ended. Never rejects. */
  readonly send: (jobs: readonly J[]) => Promise<void>;
  /** Whether two jobs of one key may share a call. */
  readonly allowRepeats: boolean;
}

/** Where jobs of one kind wait for their drain. */
export interface Lane<J extends Job> {
  add(job: J): void;
}

/** The lanes of one storage; they share its limit of open calls. */
export interface Lanes {
  lane<J extends Job>(options: LaneOptions<J>): Lane<J>;
}

type Call = () => Promise<void>;

/** Makes the lanes of one storage. */
export function createLanes(runtime: Runtime, clock: Clock): Lanes {
  return runtime.requestScoped ? requestLanes(runtime, clock) : sharedLanes(runtime);
}

/** Lanes for hosts where any code may wait for any call: one drain a turn, over all callers. */
function sharedLanes(runtime: Runtime): Lanes {
  const takes: (() => Call | undefined)[] = [];
  let open = 0;
  let waiting = 0;
  let turn = 0;
  let scheduled = false;

  function schedule(): void {
    if (scheduled || waiting === 0 || open >= MAX_OPEN) return;
    scheduled = true;
    runtime.scheduleDrain(drain);
  }
  /** Starts calls while there are jobs and room; each lane in its turn, so that reads and writes cannot starve each other. */
  function drain(): void {
    scheduled = false;
    for (let idle = 0; open < MAX_OPEN && idle < takes.length;) {
      const call = takes[turn++ % takes.length]?.();
      if (!call) {
        idle++;
        continue;
      }
      idle = 0;
      open++;
      void call().then(finished);
    }
  }
  function finished(): void {
    open--;
    schedule();
  }

  function lane<J extends Job>(options: LaneOptions<J>): Lane<J> {
    let jobs: J[] = [];
    takes.push(() => {
      if (jobs.length === 0) return undefined;
      const [batch, rest] = split(jobs, options);
      jobs = rest;
      waiting -= batch.length;
      return () => options.send(batch);
    });
    return {
      add(job) {
        jobs.push(job);
        waiting++;
        schedule();
      },
    };
  }
  return { lane };
}

// A drain older than this belongs to a request that was killed between asking and sending, or that is busy; either way
// the drain keeps its own jobs, and a new one is begun for whoever asks now.
export const STALE_DRAIN_MS = 50;

interface Drain {
  readonly at: number;
  /** One for each lane that has jobs in this drain. */
  readonly parts: (() => Call[])[];
}

/** Lanes for hosts where a call belongs to the request that made it: a drain holds its own jobs, and its own request sends them. */
function requestLanes(runtime: Runtime, clock: Clock): Lanes {
  let current: Drain | undefined;

  function drainOfNow(): Drain {
    const at = clock.monotonic();
    if (current && at - current.at <= STALE_DRAIN_MS) return current;
    const mine: Drain = { at, parts: [] };
    current = mine;
    runtime.scheduleDrain(() => {
      if (current === mine) current = undefined;
      void sendOwn(mine.parts.flatMap((calls) => calls()));
    });
    return mine;
  }

  function lane<J extends Job>(options: LaneOptions<J>): Lane<J> {
    let held: { readonly drain: Drain; readonly jobs: J[] } | undefined;
    return {
      add(job) {
        const drain = drainOfNow();
        if (held?.drain !== drain) {
          const jobs: J[] = [];
          held = { drain, jobs };
          drain.parts.push(() => callsFor(jobs, options));
        }
        held.jobs.push(job);
      },
    };
  }
  return { lane };
}

/** All calls that a list of jobs needs. */
function callsFor<J extends Job>(jobs: J[], options: LaneOptions<J>): Call[] {
  const calls: Call[] = [];
  for (let left = jobs; left.length > 0;) {
    const [batch, rest] = split(left, options);
    left = rest;
    calls.push(() => options.send(batch));
  }
  return calls;
}

/** Sends the calls of one request's drain, six at a time; the promises all belong to that request. */
async function sendOwn(calls: Call[]): Promise<void> {
  const worker = async (): Promise<void> => {
    for (let call = calls.shift(); call; call = calls.shift()) await call();
  };
  await Promise.all(Array.from({ length: Math.min(MAX_OPEN, calls.length) }, worker));
}

/** The jobs of the next call and those left for later; a key that may not be repeated waits for the call after it. */
function split<J extends Job>(jobs: J[], { maxBatch, allowRepeats }: LaneOptions<J>): [J[], J[]] {
  if (allowRepeats) return jobs.length <= maxBatch ? [jobs, []] : [jobs.slice(0, maxBatch), jobs.slice(maxBatch)];
  const batch: J[] = [];
  const rest: J[] = [];
  const keys = new Set<string>();
  for (const [index, job] of jobs.entries()) {
    if (batch.length >= maxBatch) return [batch, rest.concat(jobs.slice(index))];
    if (keys.has(job.storedKey)) rest.push(job);
    else {
      keys.add(job.storedKey);
      batch.push(job);
    }
  }
  return [batch, rest];
}
