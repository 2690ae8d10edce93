/**
 * The storage on a MongoDB collection through the official driver, taken by its shape: the driver is not imported. It relies
 * on the documents of `mongo-document.ts`. It does not open, configure or close the client.
 *
 * @module
 */
import { onWorkers } from "./workers.ts";
import { STAMP_BYTES, type Storage, type WriteEntry } from "../src/storage.ts";
import {
  MAX_KEY_BYTES,
  MAX_VALUE_BYTES,
  byId,
  bytesOf,
  endOf,
  generationOf,
  healGeneration,
  isFields,
  makeGeneration,
  microseconds,
  missingOf,
  raiseUpdates,
  readFilter,
  READ_PROJECTION,
  removeFilter,
  slotFields,
  slotsOf,
  standingOf,
  writeAlways,
  writeIfExpired,
  writeIfMissing,
  writeIfStamp,
} from "./mongo-document.ts";
import type { MongoFields, MongoUpdate } from "./mongo-document.ts";
import { checkMethods, optionsOf } from "./options.ts";

/** The few methods of the driver's `Collection` that are used. */
export interface MongoCollection {
  find(filter: object, options?: object): { toArray(): Promise<unknown[]> };
  bulkWrite(operations: readonly object[], options?: object): Promise<MongoBulkResult>;
  deleteMany(filter: object): Promise<{ readonly deletedCount: number }>;
}

/** What is read of a `BulkWriteResult`. */
export interface MongoBulkResult {
  readonly matchedCount: number;
  /** The ids of the documents that were made. Only the ids are read: FerretDB 1.x counts the places otherwise. */
  readonly upsertedIds: Readonly<Record<number, unknown>>;
}

/** Options of {@link mongodb}. */
export interface MongodbOptions {
  /** The collection, as in `client.db("app").collection("cache")`; nothing else should live in it. */
  readonly collection: MongoCollection;
}

/**
 * The index by which MongoDB deletes what is expired, once a minute; reads do not wait for it. Make it once:
 * `await collection.createIndex(ttlIndex.key, ttlIndex.options)`. Without it expired documents are invisible all the same and
 * only take space; no event tells, and `cache.prune` removes them.
 */
export const ttlIndex: { readonly key: { exp: 1 }; readonly options: { expireAfterSeconds: 0; name: string } } = {
  key: { exp: 1 },
  options: { expireAfterSeconds: 0, name: "cacheme_exp" },
};

/** Settings of the user's client or collection that would change what a read answers. */
const READ_OPTIONS = { readPreference: "primary", promoteValues: true, promoteLongs: true, promoteBuffers: false, useBigInt64: false, raw: false };

/**
 * A storage on a MongoDB collection: one `find` or one `bulkWrite` for a whole batch.
 *
 * It is guarded: each write is one atomic update under its stamp. MongoDB counts what a batch has matched, not which; where
 * the count leaves a doubt, the stamps are read back, and a slot that shows another one counts as refused.
 *
 * It needs MongoDB 4.2 or newer and a client that reads from the primary and writes with `w: "majority"`, which is the
 * default; `retryWrites: false` is right for it. The collection must have no collation of its own: keys are exact.
 * FerretDB 1.x serves it as well, through one connection (`maxPoolSize: 1`): it does not keep two updates of one document
 * apart. It has no TTL index; call `cache.prune`.
 *
 * Lives and generations are counted by the caller's clock, because what computes with the server's is not served
 * everywhere. Clocks that differ shift a slot's end by as much; guarded slots are kept for a minute more than they are
 * needed, so callers have to agree within a minute. A raise under a slow clock still gives a higher number.
 *
 * On Workers its client holds sockets of one request: give the storage as a function that makes both, and ask through
 * `cache.with`. It needs `nodejs_compat` there, and no polyfills from compatibility date 2026-03-17 on.
 *
 * @param options.collection a `Collection` of `mongodb` 6 or newer.
 * @throws TypeError if `collection` is none, or for an option that there is not.
 * @example
 * ```ts
 * import { createCache, local } from "cacheme";
 * import { mongodb, type MongoCollection } from "cacheme/mongodb";
 *
 * declare const collection: MongoCollection; // new MongoClient(url).db("app").collection("cache")
 * const cache = createCache({ storages: { local: local(), mongo: mongodb({ collection }) } });
 * ```
 * @see https://www.mongodb.com/docs/drivers/node/current/
 */
export function mongodb(options: MongodbOptions): Storage {
  const { collection } = optionsOf(options, ["collection"], "mongodb");
  checkMethods(collection, ["find", "bulkWrite", "deleteMany"], "mongodb: collection", "a Collection of mongodb");

  /** `batchSize` is one more than there can be, so that the first reply is the last unless it is too large for one. */
  function find(filter: MongoFields, projection: MongoFields, most: number, signal: AbortSignal): Promise<unknown[]> {
    return collection.find(filter, { ...READ_OPTIONS, projection, limit: most, batchSize: most + 1, signal }).toArray();
  }
  async function update(updates: readonly MongoUpdate[], ordered: boolean, signal: AbortSignal): Promise<MongoBulkResult> {
    signal.throwIfAborted();
    return collection.bulkWrite(
      updates.map((updateOne) => ({ updateOne })),
      { ordered },
    );
  }

  return {
    name: "mongodb",
    traits: {
      conditional: true,
      consistency: "strong",
      maxBatch: 1000,
      maxKeyBytes: MAX_KEY_BYTES,
      maxValueBytes: MAX_VALUE_BYTES,
      scope: onWorkers() ? "request" : "isolate",
      roundTrips: "1; a write of several, 2 where only some were refused; ensure and prune 2",
    },
    async read(keys, generations, signal) {
      const ids = [...new Set([...keys, ...generations])];
      const now = new Date();
      const found = byId(ids.length === 0 ? [] : await find(readFilter(ids, now), READ_PROJECTION, ids.length, signal));
      return { slots: slotsOf(keys, found, now), generations: generations.map((name) => generationOf(found.get(name))) };
    },
    async write(entries, signal) {
      if (entries.length === 0) return [];
      const plan = planOf(entries, new Date());
      const outcomes = plan.outcomes(await update(plan.updates, false, signal));
      const doubtful = entries.filter((_, index) => outcomes[index] === undefined);
      if (doubtful.length === 0) return outcomes;
      const ids = doubtful.map(({ key }) => key);
      const stamps = byId(await find(removeFilter(ids), { s: 1 }, ids.length, signal));
      return outcomes.map((outcome, index) => outcome ?? shows(stamps.get(entries[index]?.key), entries[index]));
    },
    async remove(keys, signal) {
      signal.throwIfAborted();
      if (keys.length > 0) await collection.deleteMany(removeFilter(keys));
    },
    async raise(generations, signal) {
      const now = new Date();
      const updates = generations.flatMap((name) => raiseUpdates(name, now));
      if (updates.length > 0) await update(updates, true, signal);
    },
    async ensure(generations, signal) {
      const ids = [...new Set(generations)];
      if (ids.length === 0) return [];
      const now = new Date();
      const standing = (): Promise<unknown[]> => find(readFilter(ids, now), READ_PROJECTION, ids.length, signal);
      const made = ids.map((name) => makeGeneration(name, now));
      await update(made, true, signal);
      const found = await standing();
      const heals = missingOf(found, ids).map((name) => healGeneration(name, microseconds(now), now));
      if (heals.length === 0) return standingOf(found, generations);
      await update(heals, true, signal);
      return standingOf(await standing(), generations);
    },
    async prune(limit, signal) {
      const expired = { exp: { $lte: new Date() } };
      const ids = (await find(expired, { _id: 1 }, limit, signal)).map((document) => (isFields(document) ? document["_id"] : undefined));
      if (ids.length === 0) return 0;
      return (await collection.deleteMany({ _id: { $in: ids }, ...expired })).deletedCount;
    },
  };
}

interface Plan {
  readonly updates: readonly MongoUpdate[];
  /** The outcome of each entry; `undefined` where the counts leave a doubt. */
  readonly outcomes: (result: MongoBulkResult) => readonly (boolean | undefined)[];
}

/**
 * A write on no terms matches or makes its document. One that asks for absence first makes a document if there is none, then
 * writes over one that is expired: the first always matches or makes. What else was matched is a write that was stored.
 */
function planOf(entries: readonly WriteEntry[], now: Date): Plan {
  const updates: MongoUpdate[] = [];
  for (const { key, bytes, ttlMs, ifStamp } of entries) {
    const fields = slotFields(bytes, endOf(ttlMs, now));
    if (ifStamp === undefined) updates.push(writeAlways(key, fields));
    else if (ifStamp === null) updates.push(writeIfMissing(key, fields), writeIfExpired(key, fields, now));
    else updates.push(writeIfStamp(key, fields, ifStamp, now));
  }
  function outcomes({ matchedCount, upsertedIds }: MongoBulkResult): readonly (boolean | undefined)[] {
    const ids = new Set(Object.values(upsertedIds));
    // A key that is there twice was made by the first.
    const made = entries.map(({ key, ifStamp }) => !ifStamp && ids.delete(key));
    const sure = entries.map(({ ifStamp }, index) => ifStamp === undefined || made[index] === true);
    const met = entries.filter(({ ifStamp }, index) => !ifStamp && made[index] === false).length;
    const stored = matchedCount - met;
    const asked = sure.filter((known) => !known).length;
    return sure.map((known) => (known ? true : stored === 0 ? false : stored === asked ? true : undefined));
  }
  return { updates, outcomes };
}

function shows(document: MongoFields | undefined, entry: WriteEntry | undefined): boolean {
  const stamp = bytesOf(document?.["s"]);
  const wanted = entry?.bytes.subarray(0, STAMP_BYTES);
  return stamp !== undefined && stamp.length === wanted?.length && stamp.every((byte, index) => byte === wanted[index]);
}
