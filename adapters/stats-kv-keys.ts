/**
 * The keys of statistics in KV, the few calls that are made there, and the checks of what names them.
 *
 * @module
 */
import { describe } from "../src/duration.ts";
import { checkMethods } from "./options.ts";

/** The few methods of a `KVNamespace` that are used. */
export interface StatsKvNamespace {
  get(keys: string[], type: "text"): Promise<Map<string, string | null>>;
  put(key: string, value: string, options?: { expirationTtl?: number }): Promise<void>;
  delete(key: string): Promise<void>;
  list(options: { prefix: string; cursor?: string }): Promise<{ readonly keys: readonly { readonly name: string }[]; list_complete: boolean; cursor?: string }>;
}

export const HOUR_MS = 3_600_000;
/** A request may have six connections open; more only wait. */
export const AT_ONCE = 6;

const DEFAULT_LIFE_S = 90 * 24 * 3600;
const MIN_LIFE_S = 60;
/** Leaves room for hour, isolate and sequence in KV's 512 bytes. */
const MAX_PREFIX_BYTES = 256;

/** How long a key lives, as KV wants to be told. */
export interface Life {
  readonly expirationTtl?: number;
}

/** @throws TypeError if it is no KV binding. */
export function checkBinding(binding: unknown, owner: string): void {
  checkMethods(binding, ["get", "put", "delete", "list"], `${owner}: binding`, "a KV binding");
}

/** @throws TypeError naming the value. */
export function prefixOf(prefix: unknown, owner: string): string {
  if (prefix === undefined) return "stats";
  if (
    typeof prefix !== "string" ||
    prefix === "" ||
    Array.from(prefix).some((char) => char < " ") ||
    new TextEncoder().encode(prefix).length > MAX_PREFIX_BYTES
  )
    throw new TypeError(`${owner}: prefix must be 1 to ${MAX_PREFIX_BYTES} bytes without control characters, got ${describe(prefix)}`);
  return prefix;
}

/** @throws TypeError naming the value. */
export function lifeOf(seconds: unknown, owner: string): Life {
  if (seconds === null) return {};
  if (seconds === undefined) return { expirationTtl: DEFAULT_LIFE_S };
  if (typeof seconds !== "number" || !Number.isInteger(seconds) || seconds < MIN_LIFE_S)
    throw new TypeError(`${owner}: expirationTtl must be null or a whole number of seconds, at least ${MIN_LIFE_S}, got ${describe(seconds)}`);
  return { expirationTtl: seconds };
}

/** The hour of a time in UTC, `yyyy-mm-dd-hh`: sorts by time. */
export function hourOf(at: number): string {
  return new Date(at).toISOString().slice(0, 13).replace("T", "-");
}

/** When an hour began, Unix ms. */
function startOf(hour: string): number {
  return Date.parse(`${hour.slice(0, 10)}T${hour.slice(11)}:00:00Z`);
}

/** What a key says. */
export interface Named {
  readonly hour: string;
  readonly hourAt: number;
  readonly isSum: boolean;
  /** A batch's name within its hour. */
  readonly part: string;
}

const FORMAT = /^(\d{4}-\d\d-\d\d-\d\d):(?:sum:[0-9a-f]{32}|([0-9a-f]+:\d+))$/;

/** Reads a key without its prefix; `undefined` for one that is not ours. */
export function parseKey(rest: string): Named | undefined {
  const match = FORMAT.exec(rest);
  const hour = match?.[1];
  if (hour === undefined) return undefined;
  const part = match?.[2];
  return { hour, hourAt: startOf(hour), isSum: part === undefined, part: part ?? "" };
}

/** 32 hex digits that name a set of parts. */
export async function digestOf(parts: readonly string[]): Promise<string> {
  const hash = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(parts.join("\n")));
  return Array.from(new Uint8Array(hash, 0, 16), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
