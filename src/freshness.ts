/**
 * The rules of a node about freshness: how long it lives beyond its ttl and for whom, when it is renewed early, how its life
 * is spread, and what must hold of a stored value. Checked once, at definition. It relies on `duration.ts`.
 *
 * @module
 */

import { describe, toFiniteMs, toMs } from "./duration.ts";
import type { StandardSchema } from "./node-types.ts";

/** A node's rules about freshness, with every default filled in. */
export interface FreshnessRules {
  /** Windows after the ttl; 0: none. */
  readonly staleWhileRevalidateMs: number;
  readonly staleIfErrorMs: number;
  /** The longer window: how long tiers keep what is past its ttl. */
  readonly keepMs: number;
  readonly softTimeoutMs: number | undefined;
  /** 0: no early refresh. */
  readonly beta: number;
  /** Most of a life, 0 to 1, that chance may take. */
  readonly jitter: number;
  readonly ttlFor: ((value: unknown, params: unknown) => unknown) | undefined;
  readonly validate: StandardSchema | undefined;
}

/** @throws TypeError naming the option and the value. */
export function readFreshness(fields: Readonly<Record<string, unknown>>, hardTimeoutMs: number, at: string): FreshnessRules {
  const staleWhileRevalidateMs = readWindow(fields["staleWhileRevalidate"], `${at}staleWhileRevalidate`);
  const staleIfErrorMs = readWindow(fields["staleIfError"], `${at}staleIfError`);
  return {
    staleWhileRevalidateMs,
    staleIfErrorMs,
    keepMs: Math.max(staleWhileRevalidateMs, staleIfErrorMs),
    softTimeoutMs: readSoftTimeout(fields["softTimeout"], hardTimeoutMs, `${at}softTimeout`),
    beta: readBeta(fields["refreshAhead"], `${at}refreshAhead`),
    jitter: readJitter(fields["jitter"], `${at}jitter`),
    ttlFor: readHook(fields["ttlFor"], `${at}ttlFor`),
    validate: readSchema(fields["validate"], `${at}validate`),
  };
}

/** A life that chance has shortened, in ms. */
export function jittered(ttlMs: number, { jitter }: FreshnessRules): number {
  return jitter === 0 || ttlMs === Number.POSITIVE_INFINITY ? ttlMs : ttlMs * (1 - jitter * Math.random());
}

/** `-ln(u)` for the smallest `u` above 0 that `Math.random` gives: earlier than this many load times nothing is renewed. */
const LARGEST_DRAW = 53 * Math.LN2;

/** How long before its end a value may be renewed early at all, in ms. */
export function fadeMs(costMs: number, { beta }: FreshnessRules): number {
  return beta * costMs * LARGEST_DRAW;
}

/**
 * The chance of one read, in load times: `-ln(u)`. A read draws once for all the tiers on its way; with a draw for each, what
 * is due in the first would hardly ever be due in the next, and come back from there no newer.
 */
export function draw(): number {
  return -Math.log(1 - Math.random());
}

/** XFetch: whether a draw wants a value renewed that fades over `fade` and has `leftMs` to live. */
export function isDue(fade: number, leftMs: number, drawn: number): boolean {
  return fade > 0 && (drawn * fade) / LARGEST_DRAW >= leftMs;
}

/** The life that `ttlFor` gives a value, in ms; `undefined`: it is not to be stored. @throws what the hook throws, and for what is no life. */
export function lifeFor({ ttlFor }: FreshnessRules, value: unknown, params: unknown): number | undefined {
  if (!ttlFor) return Number.POSITIVE_INFINITY;
  const life = ttlFor(value, params);
  if (life === "skip") return undefined;
  const ms = toMs(life, "ttlFor");
  return ms === 0 ? undefined : (ms ?? Number.POSITIVE_INFINITY);
}

function readWindow(value: unknown, option: string): number {
  return value === undefined ? 0 : toFiniteMs(value, option);
}

function readSoftTimeout(value: unknown, hardTimeoutMs: number, option: string): number | undefined {
  if (value === undefined) return undefined;
  const ms = toFiniteMs(value, option);
  if (ms <= hardTimeoutMs) return ms;
  throw new TypeError(`${option} must be at most hardTimeout (${hardTimeoutMs} ms), got ${describe(value)}`);
}

function readBeta(value: unknown, option: string): number {
  if (value === undefined) return 0;
  if (typeof value !== "object" || value === null) throw new TypeError(`${option} must be { beta } with a number above 0, got ${describe(value)}`);
  const stray = Object.keys(value).find((field) => field !== "beta");
  if (stray !== undefined) throw new TypeError(`${option}: unknown option ${describe(stray)}, there is only "beta"`);
  const beta: unknown = Reflect.get(value, "beta");
  if (typeof beta === "number" && beta > 0 && Number.isFinite(beta)) return beta;
  throw new TypeError(`${option} must be { beta } with a number above 0, got beta ${describe(beta)}`);
}

function readJitter(value: unknown, option: string): number {
  if (value === undefined) return 0;
  if (typeof value === "number" && value >= 0 && value <= 1) return value;
  throw new TypeError(`${option} must be a number from 0 to 1, got ${describe(value)}`);
}

function readHook(value: unknown, option: string): FreshnessRules["ttlFor"] {
  if (value === undefined || isHook(value)) return value;
  throw new TypeError(`${option} must be a function, got ${describe(value)}`);
}

function isHook(value: unknown): value is (value: unknown, params: unknown) => unknown {
  return typeof value === "function";
}

function readSchema(value: unknown, option: string): StandardSchema | undefined {
  if (value === undefined || isSchema(value)) return value;
  throw new TypeError(`${option} must be a Standard Schema, with "~standard".validate, got ${describe(value)}`);
}

/** Some libraries' schemas are functions. */
function isSchema(value: unknown): value is StandardSchema {
  if ((typeof value !== "object" && typeof value !== "function") || value === null) return false;
  const standard: unknown = Reflect.get(value, "~standard");
  return typeof standard === "object" && standard !== null && typeof Reflect.get(standard, "validate") === "function";
}
