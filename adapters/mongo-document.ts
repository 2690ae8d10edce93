/**
 * What a cache's documents look like in a MongoDB collection, and the few filters and updates that touch them. `mongodb.ts`
 * sends them over the driver, `mongo-data-api.ts` over HTTP, and the server takes no others. Values are plain: strings,
 * numbers, `Date` and `Uint8Array`. Nothing here talks to a server.
 *
 * A slot is `{ _id, v, s, exp }`: its key, its bytes, their first 8 again as the stamp to compare, and the end of its life.
 * A generation is `{ _id, g, exp }`. A life without end ends in the year 9999, so that one comparison covers every life.
 *
 * Invariant: no update here can fail on what a document holds, because some servers end a whole batch at the first error.
 *
 * @module
 */
import { STAMP_BYTES, type Slot } from "../src/storage.ts";
import { byteRoom, kept, ownRoom, type ByteRoom } from "../src/byte-room.ts";

/** A document, a filter or an update, by field. */
export type MongoFields = Readonly<Record<string, unknown>>;

/** One conditional update of at most one document. */
export interface MongoUpdate {
  readonly filter: MongoFields;
  readonly update: MongoFields;
  readonly upsert: boolean;
}

/** The end of a life without end: the last millisecond that every form of a date can show. */
export const FOREVER_MS = 253_402_300_799_999;

/** What a read asks of a document. */
export const READ_PROJECTION: MongoFields = { v: 1, exp: 1, g: 1 };

/** The longest key: an index takes it, and a request with a thousand of them stays below the limit of a message. */
export const MAX_KEY_BYTES: number = 16 * 1024;

/** A document may have 16 MiB; the rest is left for its key and names, and for base64 in a request of the server's limit. */
export const MAX_VALUE_BYTES = 15_000_000;

/** Numbers from here on are no generations: there would be none above. */
const NO_GENERATION = Number.MAX_SAFE_INTEGER;

/** The documents under these ids whose life is not over. */
export function readFilter(ids: readonly string[], now: Date): MongoFields {
  return { _id: { $in: ids }, exp: { $gt: now } };
}

/** The documents under these ids. */
export function removeFilter(ids: readonly string[]): MongoFields {
  return { _id: { $in: ids } };
}

/** The fields of a slot. */
export function slotFields(bytes: Uint8Array, exp: Date): MongoFields {
  return { v: bytes, s: bytes.subarray(0, STAMP_BYTES), exp };
}

/** The fields of a generation. */
export function generationFields(g: number): MongoFields {
  return { g, exp: new Date(FOREVER_MS) };
}

/** The end of a life that begins now. */
export function endOf(ttlMs: number | null, now: Date): Date {
  return new Date(Math.min(FOREVER_MS, ttlMs === null ? FOREVER_MS : now.getTime() + Math.max(1, Math.ceil(ttlMs))));
}

/** Writes a slot whatever is there. */
export function writeAlways(id: string, fields: MongoFields): MongoUpdate {
  return { filter: { _id: id }, update: { $set: fields }, upsert: true };
}

/** Makes a document where there is none. An upsert by `_id` alone is one that servers repeat instead of failing a race. */
export function writeIfMissing(id: string, fields: MongoFields): MongoUpdate {
  return { filter: { _id: id }, update: { $setOnInsert: fields }, upsert: true };
}

/** Writes a slot over a document that shows none: one whose life is over, or that somebody else put there. */
export function writeIfExpired(id: string, fields: MongoFields, now: Date): MongoUpdate {
  return { filter: { _id: id, $nor: [{ exp: { $gt: now }, s: { $exists: true } }] }, update: { $set: fields }, upsert: false };
}

/** Writes a slot while it shows a stamp. */
export function writeIfStamp(id: string, fields: MongoFields, stamp: Uint8Array, now: Date): MongoUpdate {
  return { filter: { _id: id, s: stamp, exp: { $gt: now } }, update: { $set: fields }, upsert: false };
}

/** Makes a document that is no generation one. */
export function healGeneration(id: string, g: number, now: Date): MongoUpdate {
  const standing = { exp: { $gt: now }, g: { $gte: 1, $lt: NO_GENERATION } };
  return { filter: { _id: id, $nor: [standing] }, update: { $set: generationFields(g) }, upsert: false };
}

/** Raises a generation to a number. */
export function liftGeneration(id: string, g: number): MongoUpdate {
  return { filter: { _id: id }, update: { $max: { g } }, upsert: false };
}

/** Raises a generation by one. */
export function stepGeneration(id: string): MongoUpdate {
  return { filter: { _id: id }, update: { $inc: { g: 1 } }, upsert: false };
}

/** Makes a generation where there is no document; one that is no generation needs {@link healGeneration}, which is rare. */
export function makeGeneration(id: string, now: Date): MongoUpdate {
  return writeIfMissing(id, generationFields(microseconds(now)));
}

/**
 * The updates that raise a generation, in this order: it stands, is at least the caller's time, and then one higher.
 *
 * Invariant: each is atomic and none lowers the number, so whoever comes between sees a number that is higher than all before
 * or the old one, and after the last it is at least the old one + 1. An entry made under a number in between costs one load.
 */
export function raiseUpdates(id: string, now: Date): readonly MongoUpdate[] {
  const g = microseconds(now);
  return [writeIfMissing(id, generationFields(g)), healGeneration(id, g, now), liftGeneration(id, g), stepGeneration(id)];
}

/** The caller's time in µs. Its clock counts in ms: the last three digits are random. */
export function microseconds(now: Date): number {
  return now.getTime() * 1000 + Math.floor(Math.random() * 1000);
}

/** The documents of a reply by id. */
export function byId(documents: readonly unknown[]): ReadonlyMap<unknown, MongoFields> {
  const found = new Map<unknown, MongoFields>();
  for (const document of documents) if (isFields(document)) found.set(document["_id"], document);
  return found;
}

/** The slots of keys among documents of a reply. */
export function slotsOf(keys: readonly string[], found: ReadonlyMap<unknown, MongoFields>, now: Date): (Slot | undefined)[] {
  const room = byteRoom(keys.length);
  return keys.map((key) => slotOf(found.get(key), now, room));
}

/** The slot in a document; one without bytes is absent. */
function slotOf(document: MongoFields | undefined, now: Date, room: ByteRoom): Slot | undefined {
  const bytes = bytesOf(document?.["v"], room);
  if (bytes === undefined) return undefined;
  const exp = document?.["exp"];
  const end = exp instanceof Date ? exp.getTime() : FOREVER_MS;
  return { bytes, remainingMs: end >= FOREVER_MS ? undefined : Math.max(0, end - now.getTime()) };
}

/** The generation in a document. */
export function generationOf(document: MongoFields | undefined): number | undefined {
  const g = document?.["g"];
  return typeof g === "number" && g >= 1 && g < NO_GENERATION ? Math.floor(g) : undefined;
}

/** The ids of those that are no generations. */
export function missingOf(documents: readonly unknown[], ids: readonly string[]): readonly string[] {
  const found = byId(documents);
  return ids.filter((id) => generationOf(found.get(id)) === undefined);
}

/** The generations that were asked for; one that is still missing is an error of the server. */
export function standingOf(documents: readonly unknown[], ids: readonly string[]): readonly number[] {
  const found = byId(documents);
  return ids.map((id) => {
    const generation = generationOf(found.get(id));
    if (generation === undefined) throw new TypeError("a generation that was just made is missing");
    return generation;
  });
}

/** Whether a value has fields to look at. */
export function isFields(value: unknown): value is MongoFields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Bytes, or a driver's `Binary`, as bytes that can be kept. */
export function bytesOf(value: unknown, room: ByteRoom = ownRoom): Uint8Array | undefined {
  if (value instanceof Uint8Array) return kept(value, room);
  if (!isFields(value)) return undefined;
  const { buffer, position } = value;
  return buffer instanceof Uint8Array && typeof position === "number" ? kept(buffer.subarray(0, position), room) : undefined;
}
