/**
 * A storage as the core uses it: jobs in, batched and guarded calls out, and the memory of the generations that were read.
 * It relies on the port, the lanes and the guard. It does not know what is in a slot, nor who waits for a job.
 *
 * @module
 */

import { createLanes } from "./batch.ts";
import type { Job, Lane } from "./batch.ts";
import { byteRoom } from "./byte-room.ts";
import type { ByteRoom } from "./byte-room.ts";
import type { Clock } from "./clock.ts";
import { CacheError } from "./errors.ts";
import type { Emitter } from "./events.ts";
import { KnownGenerations } from "./known-generations.ts";
import type { Remembering } from "./known-generations.ts";
import type { Runtime } from "./runtime.ts";
import { createGuard, wrap } from "./storage-guard.ts";
import type { GuardRules, Operation } from "./storage-guard.ts";
import type { Slot, Storage, WriteEntry } from "./storage.ts";

/** A slot to read, with the generations that its node needs. */
export interface ReadJob extends Job {
  readonly names: readonly string[];
  /** What was read, where the answer has to wait until missing generations are made. */
  glimpsed(slot: Slot | undefined): void;
  /**
   * @param asRead the generations beside the slot; `undefined` where one was missing.
   * @param standing the same after missing ones were made; `undefined` if that failed, and then the tier must not be written.
   */
  answered(slot: Slot | undefined, asRead: readonly (number | undefined)[], standing: readonly number[] | undefined, ms: number): void;
  failed(error: CacheError): void;
}

/** A slot to write. */
export interface WriteJob extends Job {
  /**
   * The slot, made when the call is sent; `undefined` if it must not be sent any more.
   *
   * @param now when that is, by the monotonic clock.
   * @param room where its bytes may lie.
   */
  prepare(now: number, room: ByteRoom): WriteEntry | undefined;
  /** `true` stored, `false` refused, `undefined` if the storage cannot tell. */
  written(stored: boolean | undefined, ms: number): void;
  failed(error: CacheError): void;
}

/** A slot to remove, in storages without conditional writes. */
export interface RemoveJob extends Job {
  removed(): void;
  failed(error: CacheError): void;
}

/** What a remote storage needs from its cache. */
export interface RemoteHost extends Remembering {
  readonly runtime: Runtime;
  readonly clock: Clock;
  readonly emitter: Emitter;
}

/** A guarded, batching storage. */
export interface RemoteStorage {
  readonly name: string;
  /** The one instance, or the first, where each view has its own. */
  readonly storage: Storage;
  /** Whether each view has an instance of its own, so that the bare cache has none. */
  readonly perView: boolean;
  readonly budgetMs: number;
  /** Conditional writes, and with them tombstones and generations. */
  readonly conditional: boolean;
  /** Conditional and strong: the tier cannot bring an old value back. */
  readonly guarded: boolean;
  readonly minTtlMs: number;
  readonly maxKeyBytes: number;
  readonly maxValueBytes: number;
  read(job: ReadJob): void;
  write(job: WriteJob): void;
  remove(job: RemoveJob): void;
  /** Removes at most `limit` expired slots, where the storage has to be told; takes as long as it takes. */
  prune(limit: number, view: object): Promise<number>;
  /** Raises generations; gives why that failed, if it did, which has been reported. */
  raise(names: readonly string[], view: object): Promise<CacheError | undefined>;
  /** Whether generations captured earlier are, as far as this isolate knows, the ones that stand. */
  stands(names: readonly string[], numbers: readonly number[]): boolean;
  /** What stands in for generations that could not be read, see {@link KnownGenerations.remembered}. */
  remembered(names: readonly string[]): readonly number[];
}

/**
 * Wraps a storage for a cache.
 *
 * @param make where each view has an instance of its own: makes one. They share the lanes, the breaker and what is known of
 * generations, as they lead to one store.
 */
export function createRemoteStorage(host: RemoteHost, name: string, storage: Storage, rules: GuardRules, make?: () => Storage): RemoteStorage {
  const { traits } = storage;
  const { clock } = host;
  const conditional = traits.conditional === true;
  const maxBatch = traits.maxBatch ?? Number.POSITIVE_INFINITY;
  const known = new KnownGenerations(host);
  const lanes = createLanes(host.runtime, clock);
  const guard = createGuard(host, name, storage, rules);
  const instances = new WeakMap<object, Storage>();
  const ensuring = new Map<string, Promise<readonly number[] | undefined>>();

  function instanceFor(view: object | undefined): Storage {
    if (!make || !view) return storage;
    const own = instances.get(view) ?? make();
    instances.set(view, own);
    return own;
  }

  /** Makes the missing generations at once, before anything to the right is asked. */
  async function complete(view: object | undefined, names: readonly string[], asRead: readonly (number | undefined)[]): Promise<readonly number[] | undefined> {
    const made = await ensureOnce(
      view,
      names.filter((_, index) => asRead[index] === undefined),
    );
    let next = 0;
    return made && asRead.map((number) => number ?? made[next++] ?? 0);
  }

  /**
   * As {@link ensure}, once for all reads that miss the same generations meanwhile, where one request may wait for another. What
   * stood when an earlier read asked is good for a later one: its load has not begun.
   */
  function ensureOnce(view: object | undefined, missing: readonly string[]): Promise<readonly number[] | undefined> {
    if (host.runtime.requestScoped) return ensure(view, missing);
    const id = JSON.stringify(missing);
    const running = ensuring.get(id) ?? ensure(view, missing).finally(() => ensuring.delete(id));
    ensuring.set(id, running);
    return running;
  }

  /** The numbers of generations that are made where they are missing; `undefined` if that failed, which has been reported. */
  async function ensure(view: object | undefined, missing: readonly string[]): Promise<readonly number[] | undefined> {
    const sentAt = known.moment();
    try {
      const made = await guard.call({
        operation: "ensure",
        secrets: missing,
        run: (signal) => instanceFor(view).ensure?.(missing, signal) ?? Promise.resolve([]),
        check: (numbers) => checkLength(numbers, missing.length, name, "ensure"),
      });
      known.learn(missing, made, sentAt);
      return made;
    } catch (error) {
      guard.report("ensure", error);
      return undefined;
    }
  }

  async function sendReads(jobs: readonly ReadJob[], since: number): Promise<void> {
    const keys = jobs.map((job) => job.storedKey);
    const names = namesOf(jobs);
    const view = jobs[0]?.view;
    const sentAt = known.moment();
    const began = clock.monotonic();
    try {
      const { slots, generations } = await guard.call({
        operation: "read",
        secrets: keys,
        run: (signal) => instanceFor(view).read(keys, names, signal),
        check(result) {
          checkLength(result.slots, keys.length, name, "read");
          checkLength(result.generations, names.length, name, "read");
        },
        since,
      });
      const ms = clock.monotonic() - began;
      known.learn(names, generations, sentAt);
      let standing: readonly number[] | undefined;
      if (isComplete(generations)) standing = generations;
      else {
        for (const [index, job] of jobs.entries()) job.glimpsed(slots[index]);
        standing = await complete(view, names, generations);
      }
      const pick = picker(names);
      tell(jobs, (job, index) => job.answered(slots[index], pick(job.names, generations), standing && pick(job.names, standing), ms), "read");
    } catch (error) {
      const reported = guard.report("read", error);
      for (const job of jobs) job.failed(reported);
    }
  }

  async function sendWrites(jobs: readonly WriteJob[], since: number): Promise<void> {
    const entries: WriteEntry[] = [];
    const sent: WriteJob[] = [];
    const now = clock.monotonic();
    const room = byteRoom(jobs.length);
    for (const job of jobs) {
      const entry = prepared(job, now, room);
      if (!entry) continue;
      entries.push(entry);
      sent.push(job);
    }
    if (entries.length === 0) return;
    const began = clock.monotonic();
    try {
      const keys = entries.map(({ key }) => key);
      const stored = await guard.call({
        operation: "write",
        secrets: keys,
        run: (signal) => instanceFor(sent[0]?.view).write(entries, signal),
        check: (answers) => checkLength(answers, entries.length, name, "write"),
        since,
      });
      const ms = clock.monotonic() - began;
      tell(sent, (job, index) => job.written(stored[index], ms), "write");
    } catch (error) {
      const reported = guard.report("write", error);
      for (const job of sent) job.failed(reported);
    }
  }

  function prepared(job: WriteJob, now: number, room: ByteRoom): WriteEntry | undefined {
    try {
      return job.prepare(now, room);
    } catch (error) {
      job.failed(wrap(error, name, "write", [job.storedKey]));
      return undefined;
    }
  }

  async function sendRemoves(jobs: readonly RemoveJob[], since: number): Promise<void> {
    const keys = [...new Set(jobs.map((job) => job.storedKey))];
    try {
      await guard.call({ operation: "remove", secrets: keys, run: (signal) => instanceFor(jobs[0]?.view).remove(keys, signal), check: () => undefined, since });
      tell(jobs, (job) => job.removed(), "remove");
    } catch (error) {
      const reported = guard.report("remove", error);
      for (const job of jobs) job.failed(reported);
    }
  }

  /** Hands the answers out. What one job throws is that job's failure and harms no other. */
  function tell<J extends ReadJob | WriteJob | RemoveJob>(jobs: readonly J[], hand: (job: J, index: number) => void, operation: Operation): void {
    jobs.forEach((job, index) => {
      try {
        hand(job, index);
      } catch (error) {
        job.failed(wrap(error, name, operation, [job.storedKey]));
      }
    });
  }

  const reads: Lane<ReadJob> = lanes.lane({ maxBatch, allowRepeats: true, urgent: true, send: sendReads });
  const writes: Lane<WriteJob> = lanes.lane({ maxBatch, allowRepeats: false, merges: true, send: sendWrites });
  const removes: Lane<RemoveJob> = lanes.lane({ maxBatch, allowRepeats: true, send: sendRemoves });

  return {
    name,
    storage,
    perView: make !== undefined,
    budgetMs: guard.budgetMs,
    conditional,
    guarded: conditional && traits.consistency === "strong",
    minTtlMs: traits.minTtlMs ?? 1,
    maxKeyBytes: traits.maxKeyBytes ?? Number.POSITIVE_INFINITY,
    maxValueBytes: traits.maxValueBytes ?? Number.POSITIVE_INFINITY,
    read: (job) => reads.add(job),
    write: (job) => writes.add(job),
    remove: (job) => removes.add(job),
    // Without the budget of a call that somebody waits for: a cron has minutes, and half of a pruning is of use as well.
    async prune(limit, view) {
      const pruned: unknown = await instanceFor(view).prune?.(limit, new AbortController().signal);
      return typeof pruned === "number" && pruned > 0 ? pruned : 0;
    },
    async raise(names, view) {
      try {
        await guard.call({ operation: "raise", secrets: names, run: (signal) => instanceFor(view).raise(names, signal), check: () => undefined });
        return undefined;
      } catch (error) {
        return guard.report("raise", error);
      }
    },
    stands: (names, numbers) => known.stands(names, numbers),
    remembered: (names) => known.remembered(names),
  };
}

/** The generations that a batch needs, each once. Nearly always all jobs are of one node and share one list. */
function namesOf(jobs: readonly ReadJob[]): readonly string[] {
  const first = jobs[0]?.names ?? [];
  if (jobs.every(({ names }) => names === first)) return first;
  return [...new Set(jobs.flatMap(({ names }) => names))];
}

/** Picks a job's generations out of a batch's; lists stay shared where they are the same. */
function picker(all: readonly string[]): <N>(names: readonly string[], numbers: readonly N[]) => readonly N[] {
  const places = new Map(all.map((name, index) => [name, index]));
  return <N>(names: readonly string[], numbers: readonly N[]) => {
    if (names === all) return numbers;
    return numbers.length === 0 ? numbers : names.flatMap((name) => numbers.slice(places.get(name) ?? 0, (places.get(name) ?? 0) + 1));
  };
}

function isComplete(numbers: readonly (number | undefined)[]): numbers is readonly number[] {
  return numbers.every((number) => number !== undefined);
}

/** A reply of the wrong length cannot be matched to its keys; it is an error of the whole batch. */
function checkLength(reply: readonly unknown[], expected: number, storage: string, operation: Operation): void {
  if (Array.isArray(reply) && reply.length === expected) return;
  const code = operation === "read" ? "ERR_STORAGE_READ" : "ERR_STORAGE_WRITE";
  throw new CacheError(
    code,
    `storage ${JSON.stringify(storage)}: ${operation} answered ${Array.isArray(reply) ? reply.length : "no list"} where ${expected} were asked for`,
  );
}
