/**
 * A handler that serves the requests of `cacheme/mongo-data-api`, and no others, from a MongoDB collection: a `Request` in,
 * a `Response` out, over the official driver's collection. It relies on the documents of `mongo-document.ts`. It does not
 * listen, terminate TLS, limit rates or log.
 *
 * Invariant: nothing of a request reaches the database as it came. What it names (ids, times, bytes, numbers) is taken out,
 * the filter and update are built anew from it, and the request is served only if it says exactly the same.
 *
 * @module
 */
import {
  READ_PROJECTION,
  bytesOf,
  generationFields,
  healGeneration,
  isFields,
  liftGeneration,
  readFilter,
  removeFilter,
  slotFields,
  stepGeneration,
  writeAlways,
  writeIfExpired,
  writeIfMissing,
  writeIfStamp,
} from "./mongo-document.ts";
import type { MongoFields, MongoUpdate } from "./mongo-document.ts";
import { fromEjson, toEjson } from "./mongo-ejson.ts";
import { optionsOf } from "./options.ts";

/** The few members of the driver's `Collection` that are used. */
export interface MongoServedCollection {
  readonly dbName: string;
  readonly collectionName: string;
  find(filter: object, options?: object): { toArray(): Promise<unknown[]> };
  updateOne(
    filter: object,
    update: object,
    options?: object,
  ): Promise<{ readonly matchedCount: number; readonly modifiedCount: number; readonly upsertedId: unknown }>;
  deleteMany(filter: object): Promise<{ readonly deletedCount: number }>;
}

/** Options of {@link mongoDataApiServer}. */
export interface MongoDataApiServerOptions {
  /** The one collection that is served, as in `client.db("app").collection("cache")`. Requests must name it and its database. */
  readonly collection: MongoServedCollection;
  /** The name that requests must give as `dataSource`. */
  readonly dataSource: string;
  /** What the header `apiKey` must hold: at least 16 characters, no blanks. */
  readonly apiKey: string;
  /** Largest request in bytes, 1 KiB to 64 MiB. Default: 22 MiB, enough for the largest value that `mongoDataApi` sends. */
  readonly maxBodyBytes?: number | undefined;
  /** Told what the database threw; the client learns no more than that it failed. */
  readonly onError?: ((error: unknown) => void) | undefined;
}

const KIB = 1024;
const DEFAULT_MAX_BODY_BYTES = 22 * KIB * KIB;
const MAX_IDS = 10_000;
const READ_OPTIONS = { readPreference: "primary", promoteValues: true, promoteLongs: true, promoteBuffers: false, useBigInt64: false, raw: false };

/**
 * Makes the handler. It serves `POST …/action/find`, `…/updateOne` and `…/deleteMany` in exactly the shapes that
 * `mongoDataApi` sends: no `$where`, no pipelines, no operator that the storage does not use. A wrong key is answered with
 * 401 before the body is read, a body that is too large with 413, and anything else that is not ours with 400; no answer
 * repeats what was sent or what the database said.
 *
 * @throws TypeError if an option is missing, malformed or unknown; it never starts without a key.
 * @example
 * ```ts
 * import { mongoDataApiServer, type MongoServedCollection } from "cacheme/mongo-data-api-server";
 *
 * declare const collection: MongoServedCollection; // new MongoClient(url).db("app").collection("cache")
 * declare const apiKey: string;
 * export const handler = mongoDataApiServer({ collection, dataSource: "main", apiKey });
 * // Deno.serve(handler), Bun.serve({ fetch: handler }), or any server that speaks fetch
 * ```
 * @see https://www.mongodb.com/docs/atlas/app-services/data-api/
 */
export function mongoDataApiServer(options: MongoDataApiServerOptions): (request: Request) => Promise<Response> {
  const { collection, dataSource, maxBodyBytes = DEFAULT_MAX_BODY_BYTES, onError } = checked(options);
  const key = digestOf(options.apiKey);
  const place = { dataSource, database: collection.dbName, collection: collection.collectionName };

  /** Runs one request that is ours; `undefined` for any other. */
  function run(action: string, fields: MongoFields, signal: AbortSignal): Promise<MongoFields> | undefined {
    if (action === "find") {
      const found = readOf(fields);
      if (found === undefined) return undefined;
      const { filter, limit } = found;
      const documents = collection.find(filter, { ...READ_OPTIONS, projection: READ_PROJECTION, limit, batchSize: limit + 1, signal }).toArray();
      return documents.then((list) => ({ documents: list.map(plain) }));
    }
    if (action === "updateOne") {
      const found = updatesOf(fields).find((update) => same({ ...update }, fields));
      if (found === undefined) return undefined;
      const result = collection.updateOne(found.filter, found.update, { upsert: found.upsert });
      return result.then(({ matchedCount, modifiedCount, upsertedId }) => ({ matchedCount, modifiedCount, ...(upsertedId !== null && { upsertedId }) }));
    }
    const ids = idsOf(fields);
    if (ids === undefined || !same({ filter: removeFilter(ids) }, fields)) return undefined;
    return collection.deleteMany(removeFilter(ids)).then(({ deletedCount }) => ({ deletedCount }));
  }

  return async function serve(request) {
    const action = /\/action\/(find|updateOne|deleteMany)$/.exec(new URL(request.url).pathname)?.[1];
    if (action === undefined) return refusal(404, "NotFound");
    if (request.method !== "POST") return refusal(405, "MethodNotAllowed");
    const given = request.headers.get("apiKey") ?? request.headers.get("api-key") ?? "";
    if (!equalBytes(await digestOf(given), await key)) return refusal(401, "InvalidKey");
    if (!/^application\/e?json\b/i.test(request.headers.get("content-type") ?? "")) return refusal(415, "UnsupportedMediaType");
    try {
      const text = await textOf(request, maxBodyBytes);
      if (text === undefined) return refusal(413, "BodyTooLarge");
      const body = parsed(text);
      if (body === undefined) return refusal(400, "InvalidBody");
      const { dataSource: source, database, collection: name, ...fields } = body;
      if (!same({ dataSource: source, database, collection: name }, place)) return refusal(400, "InvalidNamespace");
      const reply = await run(action, fields, request.signal);
      return reply === undefined ? refusal(400, "UnsupportedRequest") : answer(200, reply);
    } catch (error) {
      onError?.(error);
      return refusal(500, "InternalError");
    }
  };
}

function checked(options: MongoDataApiServerOptions): MongoDataApiServerOptions {
  const {
    collection,
    dataSource,
    apiKey,
    maxBodyBytes = DEFAULT_MAX_BODY_BYTES,
  } = optionsOf(options, ["collection", "dataSource", "apiKey", "maxBodyBytes", "onError"], "mongoDataApiServer");
  for (const [member, type] of Object.entries({
    find: "function",
    updateOne: "function",
    deleteMany: "function",
    dbName: "string",
    collectionName: "string",
  })) {
    const found: unknown = typeof collection === "object" && collection !== null ? Reflect.get(collection, member) : undefined;
    if (typeof found !== type)
      throw new TypeError(`mongoDataApiServer: collection must be a Collection of mongodb, got ${typeof collection} without ${member}`);
  }
  if (typeof dataSource !== "string" || dataSource === "")
    throw new TypeError(`mongoDataApiServer: dataSource must be a name, got ${JSON.stringify(dataSource)}`);
  if (typeof apiKey !== "string") throw new TypeError(`mongoDataApiServer: apiKey must be text of at least 16 characters, got ${typeof apiKey}`);
  if (!/^[\x21-\x7e]{16,}$/.test(apiKey)) throw new TypeError(`mongoDataApiServer: apiKey must be at least 16 characters without blanks, got other text`);
  if (!Number.isSafeInteger(maxBodyBytes) || maxBodyBytes < KIB || maxBodyBytes > 64 * KIB * KIB) {
    throw new TypeError(`mongoDataApiServer: maxBodyBytes must be a whole number from 1024 to 67108864, got ${String(maxBodyBytes)}`);
  }
  return options;
}

function readOf(fields: MongoFields): { readonly filter: MongoFields; readonly limit: number } | undefined {
  const ids = idsOf(fields);
  const now = isFields(fields["filter"]) ? dateIn(fields["filter"]["exp"]) : undefined;
  if (ids === undefined || now === undefined) return undefined;
  const ours = { filter: readFilter(ids, now), projection: READ_PROJECTION, limit: ids.length };
  return same(ours, fields) ? ours : undefined;
}

/** Every update that the storage could mean by what a request names. */
function updatesOf({ filter, update }: MongoFields): readonly MongoUpdate[] {
  if (!isFields(filter) || !isFields(update)) return [];
  const { _id: id, s: stamp } = filter;
  if (typeof id !== "string") return [];
  const now = dateIn(filter["exp"]) ?? dateIn(Array.isArray(filter["$nor"]) && isFields(filter["$nor"][0]) ? filter["$nor"][0]["exp"] : undefined);
  const set = isFields(update["$set"]) ? update["$set"] : isFields(update["$setOnInsert"]) ? update["$setOnInsert"] : {};
  const updates = [stepGeneration(id)];
  const lift: unknown = isFields(update["$max"]) ? update["$max"]["g"] : undefined;
  if (typeof lift === "number") updates.push(liftGeneration(id, lift));
  const { v, exp, g } = set;
  if (typeof g === "number") {
    updates.push(writeIfMissing(id, generationFields(g)));
    if (now) updates.push(healGeneration(id, g, now));
  }
  if (!(v instanceof Uint8Array) || !(exp instanceof Date)) return updates;
  const slot = slotFields(v, exp);
  updates.push(writeAlways(id, slot), writeIfMissing(id, slot));
  if (now) updates.push(writeIfExpired(id, slot, now));
  if (now && stamp instanceof Uint8Array) updates.push(writeIfStamp(id, slot, stamp, now));
  return updates;
}

function idsOf({ filter }: MongoFields): readonly string[] | undefined {
  const asked: unknown = isFields(filter) && isFields(filter["_id"]) ? filter["_id"]["$in"] : undefined;
  if (!Array.isArray(asked) || asked.length === 0 || asked.length > MAX_IDS) return undefined;
  const ids = asked.filter((id) => typeof id === "string");
  return ids.length === asked.length ? ids : undefined;
}

function dateIn(comparison: unknown): Date | undefined {
  return isFields(comparison) && comparison["$gt"] instanceof Date ? comparison["$gt"] : undefined;
}

/** Whether two plain values are the same, name by name and byte by byte. */
function same(ours: unknown, theirs: unknown): boolean {
  if (ours === theirs) return true;
  if (ours instanceof Date) return theirs instanceof Date && ours.getTime() === theirs.getTime();
  if (ours instanceof Uint8Array) return theirs instanceof Uint8Array && equalBytes(ours, theirs);
  if (Array.isArray(ours)) return Array.isArray(theirs) && ours.length === theirs.length && ours.every((item, index) => same(item, theirs[index]));
  if (!isFields(ours) || !isFields(theirs) || theirs instanceof Date || theirs instanceof Uint8Array) return false;
  const names = Object.keys(ours);
  return names.length === Object.keys(theirs).length && names.every((name) => Object.hasOwn(theirs, name) && same(ours[name], theirs[name]));
}

/** Looks at every byte, wherever the first difference is. */
function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  let difference = a.length ^ b.length;
  for (let index = 0; index < a.length; index += 1) difference |= (a[index] ?? 0) ^ (b[index] ?? 0);
  return difference === 0;
}

/** Digests have one length, so comparing them tells nothing about the key's. */
async function digestOf(text: string): Promise<Uint8Array> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text)));
}

/** The body as text, or `undefined` once it is larger than the limit. */
async function textOf(request: Request, limit: number): Promise<string | undefined> {
  if (Number(request.headers.get("content-length") ?? 0) > limit) return undefined;
  const decoder = new TextDecoder();
  let length = 0;
  let text = "";
  const reader = request.body?.getReader();
  for (let part = await reader?.read(); part?.value !== undefined; part = await reader?.read()) {
    length += part.value.length;
    if (length > limit) {
      await reader?.cancel();
      return undefined;
    }
    text += decoder.decode(part.value, { stream: true });
  }
  return text + decoder.decode();
}

/** The body's fields; `undefined` if it is no Extended JSON object. */
function parsed(text: string): MongoFields | undefined {
  try {
    const body = fromEjson(JSON.parse(text));
    return isFields(body) ? body : undefined;
  } catch {
    return undefined;
  }
}

/** A document with the driver's `Binary` as bytes. */
function plain(document: unknown): MongoFields {
  const fields = isFields(document) ? document : {};
  const bytes = bytesOf(fields["v"]);
  return bytes === undefined ? fields : { ...fields, v: bytes };
}

function refusal(status: number, code: string): Response {
  return answer(status, { error: code, error_code: code });
}

function answer(status: number, fields: MongoFields): Response {
  return new Response(JSON.stringify(toEjson(fields)), { status, headers: { "content-type": "application/ejson" } });
}
