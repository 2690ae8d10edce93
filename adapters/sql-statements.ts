/**
 * What the three dialects have in common: the shape of a statement and of its parameters, and how slots, terms and numbers
 * travel in them. It knows neither the text of a statement nor who runs it.
 *
 * A table has a row for each slot and each generation: `k` the key; `v` the bytes; `stamp` the first bytes of `v`, kept by
 * the database itself; `expires` the end of its life in Unix ms by the server's clock, `null` for none; `n` the number of a
 * generation; `terms` on which the row was written, because an upsert can compare nothing but columns.
 *
 * Invariant: a row that is proposed under a stamp carries `expires` 0 and its real end in `n`. Where there is no row to
 * compare with, what is inserted has thus expired already: one statement can refuse it, without a look beforehand.
 *
 * @module
 */
import type { Slot, WriteEntry } from "../src/storage.ts";
import { fromBase64, toBase64 } from "./base64.ts";
import { byteRoom, kept, ownRoom, type ByteRoom } from "../src/byte-room.ts";
import { utf8 } from "../src/utf8.ts";

/** A parameter of a statement. */
export type SqlParam = string | number | null | Uint8Array;

/** A row of an answer, by the names of its columns. */
export type SqlRow = Readonly<Record<string, unknown>>;

/** What running a statement gives: its rows, or for one that has none how many rows it touched, where a driver can tell. */
export type SqlAnswer = readonly SqlRow[] | { readonly affectedRows?: number | undefined };

/** A statement, ready to be run. */
export interface SqlStatement {
  readonly text: string;
  readonly params: readonly SqlParam[];
}

/**
 * The statements of one dialect on one table. Lists are never empty, and but for `read` in an order that every caller shares,
 * so that locks are taken in it.
 */
export interface SqlStatements {
  /** Rows `k`, `v`, `n`, `remaining` of slots and generations that have not expired. */
  readonly read: (keys: readonly Uint8Array[]) => SqlStatement;
  /** Rows `k`, `stored`; a key that is missing was refused. No rows at all where {@link tells} is `false`. */
  readonly write: (entries: readonly WriteEntry[]) => SqlStatement;
  readonly remove: (keys: readonly Uint8Array[]) => SqlStatement;
  readonly raise: (keys: readonly Uint8Array[]) => SqlStatement;
  /** The last one answers rows `k`, `n`. They are run one after the other. */
  readonly ensure: (keys: readonly Uint8Array[]) => readonly SqlStatement[];
  /** One row `gone`, or a row for each row that went, or the number of affected rows. */
  readonly prune: (limit: number) => SqlStatement;
  /** Where it is there, `prune` only answers rows `k`, and this removes those of them that have still expired. */
  readonly removeExpired?: (keys: readonly Uint8Array[]) => SqlStatement;
  /** Whether `write` answers what was stored. */
  readonly tells: boolean;
}

/** Numbers from here on are no generations. */
export const GENERATION_LIMIT: number = Number.MAX_SAFE_INTEGER;

const decoder = new TextDecoder("utf-8", { fatal: false, ignoreBOM: true });

/** A key as it is stored. */
export function keyBytes(key: string): Uint8Array {
  return utf8(key);
}

/** Keys as they are stored. Encoded in one piece, where each character is a byte, they take a tenth of the time. */
export function keysBytes(keys: readonly string[]): readonly Uint8Array[] {
  if (keys.length === 1) return keys.map(keyBytes);
  const text = keys.join("");
  const all = utf8(text);
  if (all.length !== text.length) return keys.map(keyBytes);
  let end = 0;
  return keys.map((key) => {
    end += key.length;
    return new Uint8Array(all.buffer, end - key.length, key.length);
  });
}

/** A stored key as text, to tell rows apart by. */
function keyText(value: unknown): string {
  return decoder.decode(value instanceof Uint8Array || value instanceof ArrayBuffer ? value : bytesOf(value, ownRoom));
}

/** Added to the time by a server's clock it still is a whole number in any driver. */
const LONGEST_LIFE_MS = 2 ** 52;

const ALWAYS = 0x2a;
const STAMPED = 0x3d;

/** The terms of a write: nothing "only if absent", `*` always, `=` and a stamp while the slot shows it. */
export function termsOf({ ifStamp }: WriteEntry): Uint8Array {
  if (ifStamp === null) return new Uint8Array(0);
  if (ifStamp === undefined) return Uint8Array.of(ALWAYS);
  const terms = new Uint8Array(ifStamp.length + 1);
  terms[0] = STAMPED;
  terms.set(ifStamp, 1);
  return terms;
}

/** A life as a whole number of ms. */
export function lifeOf({ ttlMs }: WriteEntry): number | null {
  return ttlMs === null ? null : Math.min(LONGEST_LIFE_MS, Math.max(1, Math.ceil(ttlMs)));
}

/** Bytes as a driver answers them: bytes, a buffer, a list of numbers, or base64 with or without line breaks. */
function bytesOf(value: unknown, room: ByteRoom): Uint8Array {
  if (value instanceof Uint8Array) return kept(value, room);
  if (value instanceof ArrayBuffer) return new Uint8Array(value);
  if (Array.isArray(value)) return Uint8Array.from(value, Number);
  const bytes = typeof value === "string" ? fromBase64(value.includes("\n") ? value.replaceAll("\n", "") : value, room) : undefined;
  if (bytes === undefined) throw new TypeError(`a column of bytes must be bytes, got ${typeof value}`);
  return bytes;
}

/** A parameter for bytes in base64. */
export function base64Param(bytes: Uint8Array): string {
  return toBase64(bytes);
}

/** Whether something that a driver answered can be a row. */
export function isRow(value: unknown): value is SqlRow {
  return typeof value === "object" && value !== null;
}

/** The slots of keys among rows of `read`. */
export function slotsOf(keys: readonly string[], rows: ReadonlyMap<string, SqlRow>): (Slot | undefined)[] {
  const room = byteRoom(keys.length);
  return keys.map((key) => {
    const row = rows.get(key);
    if (row === undefined) return undefined;
    const bytes = bytesOf(row["v"], room);
    const left = row["remaining"];
    return left === null || left === undefined ? { bytes } : { bytes, remainingMs: Number(left) };
  });
}

/** The generation of a row of `read` or `ensure`; whatever is no number below 2^53 - 1 counts as missing. */
export function generationOf(row: SqlRow | undefined): number | undefined {
  const number = Number(row?.["n"] ?? 0);
  return Number.isSafeInteger(number) && number > 0 && number < GENERATION_LIMIT ? number : undefined;
}

/** Puts rows under their keys, which are well-formed text, as all keys of the core are. */
export function addByKey(found: Map<string, SqlRow>, rows: readonly SqlRow[]): void {
  for (const row of rows) found.set(keyText(row["k"]), row);
}

/**
 * A statement on some keys. Its text is put together anew only for another number of keys than the last time.
 *
 * @param placeholder of the key at an index.
 */
export function keyed(
  text: (each: readonly string[]) => string,
  placeholder: (index: number) => string,
  param: (key: Uint8Array) => SqlParam,
): (keys: readonly Uint8Array[]) => SqlStatement {
  let count = 0;
  let made = "";
  return (keys) => {
    if (keys.length !== count) {
      count = keys.length;
      made = text(Array.from(keys, (_, index) => placeholder(index)));
    }
    return { text: made, params: keys.map(param) };
  };
}

/** Collects parameters while a statement is put together; each call answers the placeholder. */
export interface Params {
  readonly list: SqlParam[];
  add(param: SqlParam): string;
}

/** @param numbered `$1`, `$2`, … in place of `?`. */
export function params(numbered: boolean): Params {
  const list: SqlParam[] = [];
  return {
    list,
    add: (param) => {
      list.push(param);
      return numbered ? `$${list.length}` : "?";
    },
  };
}
