/**
 * The storage on MongoDB's Data API, version 1: HTTP with Extended JSON. It relies on `fetch` and on the documents of
 * `mongo-document.ts`, and uses `find`, `updateOne` and `deleteMany`. It keeps nothing between calls and retries nothing.
 *
 * @module
 */
import type { Storage, StorageTraits, WriteEntry } from "../src/storage.ts";
import {
  MAX_KEY_BYTES,
  MAX_VALUE_BYTES,
  byId,
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
import { fromEjson, toEjson } from "./mongo-ejson.ts";
import { bareUrl, optionsOf } from "./options.ts";

/** Options of {@link mongoDataApi}. */
export interface MongoDataApiOptions {
  /** What stands before `/action/find`, as in `https://data.example.com/v1`. */
  readonly endpoint: string;
  /** Sent as the header `apiKey`. Give this or `headers`. */
  readonly apiKey?: string | undefined;
  /** Headers that a bridge asks for instead: `{ authorization: "Bearer …" }`. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** The cluster's name; a bridge of one cluster may ignore it. */
  readonly dataSource: string;
  readonly database: string;
  readonly collection: string;
}

/** A request may have six connections open; more only wait. */
const AT_ONCE = 6;

const TRAITS: StorageTraits = {
  conditional: true,
  consistency: "strong",
  maxBatch: 1000,
  maxKeyBytes: MAX_KEY_BYTES,
  maxValueBytes: MAX_VALUE_BYTES,
  roundTrips: "read and remove: 1; write: 1 for each key, 2 for one that must be absent and is not, 6 at once; raise: 4 for each, ensure: 1 for each and 1",
};

/**
 * A storage on a server that speaks the Data API v1. **MongoDB itself switched its hosted service off on 30 September 2025**:
 * what serves the same verbs now is `cacheme/mongo-data-api-server` in front of your own database, or another bridge that
 * you run. Where sockets can be had, `cacheme/mongodb` needs no bridge and writes a batch at once.
 *
 * It is guarded: each write is one atomic update under its stamp, on a database as `mongodb()` asks for. Both may share a
 * collection. Reads take one request for a batch; the protocol has no call that writes many keys on different terms, so a
 * write takes one request for each key. If one of them fails, the call rejects after all were tried.
 *
 * Lives and generations are counted by the caller's clock, since the verbs carry no other: callers have to agree within a
 * minute. The bridge must answer in Extended JSON: plain JSON carries no bytes.
 *
 * @param options.endpoint `https://…` or `http://…`, without user name, password, query or fragment.
 * @param options.apiKey not empty, no blanks; or `headers`.
 * @throws TypeError if an option is missing, malformed or unknown, naming it without what is secret.
 * @example
 * ```ts
 * import { createCache, local } from "cacheme";
 * import { mongoDataApi } from "cacheme/mongo-data-api";
 *
 * const mongo = mongoDataApi({ endpoint: "https://data.example.com/v1", apiKey: "…", dataSource: "main", database: "app", collection: "cache" });
 * const cache = createCache({ storages: { local: local(), mongo } });
 * ```
 * @see https://www.mongodb.com/docs/atlas/app-services/data-api/
 */
export function mongoDataApi(options: MongoDataApiOptions): Storage {
  const { endpoint } = optionsOf(options, ["endpoint", "apiKey", "headers", "dataSource", "database", "collection"], "mongoDataApi");
  const base = bareUrl(endpoint, "mongoDataApi: endpoint", ["https:", "http:"], "like https://data.example.com/v1").replace(/\/+$/, "");
  const headers = { ...checkedHeaders(options), "content-type": "application/ejson", accept: "application/ejson" };
  const place = { dataSource: named(options, "dataSource"), database: named(options, "database"), collection: named(options, "collection") };

  async function act(action: string, fields: MongoFields, signal: AbortSignal): Promise<MongoFields> {
    signal.throwIfAborted();
    const body = JSON.stringify(toEjson({ ...place, ...fields }));
    const response = await fetch(`${base}/action/${action}`, { method: "POST", headers, body, redirect: "manual", signal });
    const reply: unknown = fromEjson(await (response.ok ? response.json() : response.json().catch(() => undefined)));
    if (!response.ok) throw failureOf(action, response.status, reply);
    if (!isFields(reply)) throw new TypeError(`${action} must be answered with an object`);
    return reply;
  }
  async function find(ids: readonly string[], now: Date, signal: AbortSignal): Promise<readonly unknown[]> {
    if (ids.length === 0) return [];
    const { documents } = await act("find", { filter: readFilter(ids, now), projection: READ_PROJECTION, limit: ids.length }, signal);
    if (!Array.isArray(documents)) throw new TypeError("find must be answered with documents");
    return documents;
  }
  /** Whether a document was made or matched. */
  async function update({ filter, update: change, upsert }: MongoUpdate, signal: AbortSignal): Promise<{ readonly made: boolean; readonly matched: boolean }> {
    const { matchedCount, upsertedId } = await act("updateOne", { filter, update: change, upsert }, signal);
    if (typeof matchedCount !== "number") throw new TypeError("updateOne must be answered with a matchedCount");
    return { made: upsertedId !== undefined && upsertedId !== null, matched: matchedCount > 0 };
  }
  async function inOrder(updates: readonly MongoUpdate[], signal: AbortSignal): Promise<void> {
    for (const each of updates) await update(each, signal);
  }
  async function write({ key, bytes, ttlMs, ifStamp }: WriteEntry, signal: AbortSignal): Promise<boolean> {
    const now = new Date();
    const fields = slotFields(bytes, endOf(ttlMs, now));
    if (ifStamp) return (await update(writeIfStamp(key, fields, ifStamp, now), signal)).matched;
    const { made } = await update(ifStamp === null ? writeIfMissing(key, fields) : writeAlways(key, fields), signal);
    return made || ifStamp === undefined || (await update(writeIfExpired(key, fields, now), signal)).matched;
  }

  return {
    name: "mongo-data-api",
    traits: TRAITS,
    async read(keys, generations, signal) {
      const now = new Date();
      const found = byId(await find([...new Set([...keys, ...generations])], now, signal));
      return { slots: slotsOf(keys, found, now), generations: generations.map((name) => generationOf(found.get(name))) };
    },
    write: (entries, signal) => eachOf(entries, (entry) => write(entry, signal)),
    async remove(keys, signal) {
      if (keys.length > 0) await act("deleteMany", { filter: removeFilter(keys) }, signal);
    },
    async raise(generations, signal) {
      const now = new Date();
      await eachOf(generations, (name) => inOrder(raiseUpdates(name, now), signal));
    },
    async ensure(generations, signal) {
      const now = new Date();
      const ids = [...new Set(generations)];
      await eachOf(ids, (name) => update(makeGeneration(name, now), signal));
      const found = await find(ids, now, signal);
      const missing = missingOf(found, ids);
      if (missing.length === 0) return standingOf(found, generations);
      await eachOf(missing, (name) => update(healGeneration(name, microseconds(now), now), signal));
      return standingOf(await find(ids, now, signal), generations);
    },
  };
}

/** A bridge's own words may repeat what it was sent; its code is kept where it looks like one. */
function failureOf(action: string, status: number, reply: unknown): Error {
  const code = isFields(reply) ? reply["error_code"] : undefined;
  const known = typeof code === "string" && /^\w{1,40}$/.test(code);
  return Object.assign(new Error(`${action} was answered with ${status}${known ? ` (${code})` : ""}`), {
    name: "MongoDataApiError",
    code: known ? code : status,
  });
}

async function eachOf<T, R>(items: readonly T[], run: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  const failures: unknown[] = [];
  for (let start = 0; start < items.length; start += AT_ONCE) {
    for (const outcome of await Promise.allSettled(items.slice(start, start + AT_ONCE).map(run))) {
      if (outcome.status === "fulfilled") results.push(outcome.value);
      else failures.push(outcome.reason);
    }
  }
  if (failures.length > 0) throw failures[0];
  return results;
}

function checkedHeaders({ apiKey, headers }: MongoDataApiOptions): Readonly<Record<string, string>> {
  if ((apiKey === undefined) === (headers === undefined)) {
    throw new TypeError(`mongoDataApi: either apiKey or headers must be given, got ${apiKey === undefined ? "neither" : "both"}`);
  }
  if (headers === undefined) {
    if (typeof apiKey === "string" && /^[\x21-\x7e]+$/.test(apiKey)) return { apiKey };
    throw new TypeError(
      `mongoDataApi: apiKey must be text without blanks, got ${typeof apiKey !== "string" ? typeof apiKey : apiKey === "" ? "an empty one" : "other text"}`,
    );
  }
  for (const [name, value] of Object.entries(headers)) {
    if (!/^[\w-]+$/.test(name) || typeof value !== "string" || !/^[\x20-\x7e]*$/.test(value)) {
      throw new TypeError(`mongoDataApi: headers must be names and ASCII text, got another value for ${JSON.stringify(name)}`);
    }
  }
  return headers;
}

function named(options: MongoDataApiOptions, option: "dataSource" | "database" | "collection"): string {
  const value: unknown = options[option];
  if (typeof value === "string" && value !== "") return value;
  throw new TypeError(`mongoDataApi: ${option} must be a name, got ${typeof value === "string" ? "an empty one" : typeof value}`);
}
