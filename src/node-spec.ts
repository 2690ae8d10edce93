/**
 * The rules of a node as the core reads them: checked once, at definition, with every default filled in. It relies on
 * `fields.ts`, `duration.ts` and `key.ts`, and trusts no type, because definitions also come from plain JavaScript. Whether a
 * storage exists, and whether local tiers stand first, is known only where a cache meets the node, so it is not checked here.
 *
 * @module
 */

import type { Doorkeeper } from "./doorkeeper.ts";
import { describe, toFiniteMs, toMs, toTimerMs } from "./duration.ts";
import { isFields, readFields } from "./fields.ts";
import type { Fields } from "./fields.ts";
import { readFreshness } from "./freshness.ts";
import type { FreshnessRules } from "./freshness.ts";
import { hasControl, isWellFormed } from "./key.ts";
import type { LoadAllContext, LoadContext, NodeInfo } from "./node-types.ts";
import { json } from "./serializer/json.ts";
import type { Serializer } from "./serializer/serializer.ts";

/** One tier of a node. */
export interface TierSpec {
  readonly storage: string;
  /** `null`: no end; 0: not stored there. */
  readonly ttlMs: number | null;
}

/** A node's rules. */
export interface NodeSpec {
  /** The callable itself. */
  readonly node: NodeInfo;
  readonly name: string;
  readonly version: string;
  readonly load: ((params: unknown, context: LoadContext<unknown>) => unknown) | undefined;
  readonly loadAll: ((params: readonly unknown[], context: LoadAllContext<unknown>) => unknown) | undefined;
  /** At least one; no storage twice. */
  readonly caches: readonly TierSpec[];
  readonly serializer: Serializer;
  readonly doorkeeper: Doorkeeper | undefined;
  readonly clone: "none" | "freeze" | "structured";
  readonly writes: "background" | "await";
  /** At least `hardTimeoutMs`. */
  readonly storeWithinMs: number;
  readonly hardTimeoutMs: number;
  readonly maxLoadBatch: number;
  readonly loadConcurrency: number;
  readonly tags: ((params: unknown) => unknown) | undefined;
  readonly freshness: FreshnessRules;
}

/** A function of a definition, before anything is known of what it takes. */
export type AnyFunction = (...args: readonly unknown[]) => unknown;

const STORE_WITHIN_MS = 60_000;
const HARD_TIMEOUT_MS = 20_000;
const TIER_FIELDS = ["storage", "ttl"];

/** @throws TypeError if it is not a string of well-formed Unicode that holds something. */
export function readName(name: unknown): string {
  if (typeof name === "string" && name !== "" && isWellFormed(name)) return name;
  throw new TypeError(`node name must be a non-empty string of well-formed Unicode, got ${describe(name)}`);
}

/** @throws TypeError if it is neither a function nor, where that is allowed, left out. */
export function readFunction(value: unknown, option: string): AnyFunction {
  if (isFunction(value)) return value;
  throw new TypeError(`${option} must be a function, got ${describe(value)}`);
}

/** Everything but the callable, checked. `at` begins every message: `node "UserInfo": `. */
export function readSpec(fields: Fields, name: string): Omit<NodeSpec, "node"> {
  const at = `node ${describe(name)}: `;
  const hardTimeoutMs = readHardTimeout(fields["hardTimeout"], `${at}hardTimeout`);
  return {
    name,
    version: readVersion(fields["version"], `${at}version`),
    load: optional(fields["load"], `${at}load`, readFunction),
    loadAll: optional(fields["loadAll"], `${at}loadAll`, readFunction),
    caches: readTiers(fields["caches"], `${at}caches`),
    serializer: optional(fields["serializer"], `${at}serializer`, readSerializer) ?? json(),
    doorkeeper: optional(fields["doorkeeper"], `${at}doorkeeper`, readDoorkeeper),
    clone: readChoice(fields["clone"], ["none", "freeze", "structured"], `${at}clone`),
    writes: readChoice(fields["writes"], ["background", "await"], `${at}writes`),
    storeWithinMs: readStoreWithin(fields["storeWithin"], hardTimeoutMs, `${at}storeWithin`),
    hardTimeoutMs,
    maxLoadBatch: readCount(fields["maxLoadBatch"], 100, `${at}maxLoadBatch`),
    loadConcurrency: readCount(fields["loadConcurrency"], 6, `${at}loadConcurrency`),
    tags: optional(fields["tags"], `${at}tags`, readFunction),
    freshness: readFreshness(fields, hardTimeoutMs, at),
  };
}

function optional<Result>(value: unknown, option: string, read: (value: unknown, option: string) => Result): Result | undefined {
  return value === undefined ? undefined : read(value, option);
}

function readVersion(version: unknown, option: string): string {
  if (version === undefined) return "";
  if (typeof version === "string" && isWellFormed(version) && !hasControl(version)) return version;
  throw new TypeError(`${option} must be well-formed text without control characters, got ${describe(version)}`);
}

function readTiers(caches: unknown, option: string): readonly TierSpec[] {
  if (!Array.isArray(caches) || caches.length === 0) {
    throw new TypeError(`${option} must be a list of at least one { storage, ttl }, got ${Array.isArray(caches) ? "an empty list" : describe(caches)}`);
  }
  const tiers = Array.from<unknown, TierSpec>(caches, (tier, index) => readTier(tier, `${option}[${index}]`));
  const seen = new Set<string>();
  for (const { storage } of tiers) {
    if (seen.has(storage)) throw new TypeError(`${option} must name each storage once, got ${describe(storage)} twice`);
    seen.add(storage);
  }
  return Object.freeze(tiers);
}

function readTier(tier: unknown, option: string): TierSpec {
  const { storage, ttl } = readFields(tier, TIER_FIELDS, option);
  if (typeof storage !== "string" || storage === "") throw new TypeError(`${option}.storage must be the name of a storage, got ${describe(storage)}`);
  return Object.freeze({ storage, ttlMs: toMs(ttl, `${option}.ttl`) });
}

function readSerializer(value: unknown, option: string): Serializer {
  if (isSerializer(value)) return value;
  throw new TypeError(`${option} must be a serializer with name, encode and decode, got ${describe(value)}`);
}

function readDoorkeeper(value: unknown, option: string): Doorkeeper {
  if (isDoorkeeper(value)) return value;
  throw new TypeError(`${option} must be a doorkeeper with guards ("local" or "all") and admit, got ${describe(value)}`);
}

/** One of the allowed words; the first is the default. */
function readChoice<const Word extends string>(value: unknown, words: readonly [Word, ...Word[]], option: string): Word {
  if (value === undefined) return words[0];
  const word = words.find((candidate) => candidate === value);
  if (word !== undefined) return word;
  throw new TypeError(`${option} must be one of ${words.map(describe).join(", ")}, got ${describe(value)}`);
}

function readHardTimeout(value: unknown, option: string): number {
  return value === undefined ? HARD_TIMEOUT_MS : toTimerMs(value, option);
}

function readStoreWithin(value: unknown, hardTimeoutMs: number, option: string): number {
  if (value === undefined) return Math.max(STORE_WITHIN_MS, hardTimeoutMs);
  const ms = toFiniteMs(value, option);
  if (ms >= hardTimeoutMs) return ms;
  throw new TypeError(`${option} must be at least hardTimeout (${hardTimeoutMs} ms), got ${describe(value)}`);
}

function readCount(value: unknown, preset: number, option: string): number {
  if (value === undefined) return preset;
  if (typeof value === "number" && Number.isSafeInteger(value) && value >= 1) return value;
  throw new TypeError(`${option} must be a positive integer, got ${describe(value)}`);
}

function isFunction(value: unknown): value is AnyFunction {
  return typeof value === "function";
}

function isSerializer(value: unknown): value is Serializer {
  return isFields(value) && typeof value["name"] === "string" && isFunction(value["encode"]) && isFunction(value["decode"]);
}

function isDoorkeeper(value: unknown): value is Doorkeeper {
  return isFields(value) && (value["guards"] === "local" || value["guards"] === "all") && isFunction(value["admit"]);
}
