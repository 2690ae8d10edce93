/**
 * The scenarios of the simulation: which tiers there are, what may happen, what may go wrong. Each was chosen because some
 * rule of the protocol fails in it first when that rule is left out.
 *
 * @module
 */
import type { Scenario } from "./plan.ts";

export const strong = (seconds: number): { readonly ttlMs: number; readonly weak: boolean } => ({ ttlMs: seconds * 1_000, weak: false });
export const weak = (seconds: number): { readonly ttlMs: number; readonly weak: boolean } => ({ ttlMs: seconds * 1_000, weak: true });

/** Within one isolate: guarantee 1. */
export const ALONE: Readonly<Record<string, Scenario>> = {
  localOnly: { isolates: 1, tiers: [], kinds: "get get getAll inv refresh set advance" },
  alone: { isolates: 1, tiers: [strong(60)], kinds: "get get getAll inv inv refresh set" },
  aloneTwo: { isolates: 1, tiers: [strong(60), strong(100)], kinds: "get get getAll inv inv refresh set" },
  aloneFaults: { isolates: 1, tiers: [strong(60), strong(100)], faults: true, kinds: "get get get inv inv refresh refresh set advance" },
  aloneDeaths: { isolates: 1, tiers: [strong(60)], faults: true, requestScoped: true, kinds: "get get get inv refresh refresh set kill kill lease" },
  aloneBatches: { isolates: 1, tiers: [strong(60)], loadAll: true, faults: true, kinds: "get getAll getAll getAll inv inv refresh set advance" },
  aloneShort: { isolates: 1, tiers: [strong(2), strong(3)], kinds: "get get get inv set refresh advance" },
};

/** Across isolates: guarantee 2. */
export const TOGETHER: Readonly<Record<string, Scenario>> = {
  one: { tiers: [strong(60)], kinds: "get get getAll inv inv refresh set" },
  two: { tiers: [strong(60), strong(100)], kinds: "get get getAll inv inv refresh set" },
  noLocal: { tiers: [strong(60), strong(100)], local: false, kinds: "get get getAll inv inv refresh set" },
  faults: { tiers: [strong(60), strong(100)], faults: true, kinds: "get get get inv inv refresh set advance" },
  deaths: { tiers: [strong(60), strong(100)], faults: true, requestScoped: true, kinds: "get get get inv inv refresh set kill kill lease lease" },
  loss: { tiers: [strong(60), strong(100)], faults: true, kinds: "get get get inv evictGen flush set refresh" },
  clock: { tiers: [strong(60), strong(100)], kinds: "get get get inv evictGen flush stepBack advance" },
  skewed: { tiers: [strong(6), strong(40)], skewed: true, kinds: "get get getAll inv refresh set advance" },
  shortTtl: { tiers: [strong(2)], kinds: "get get get inv advance" },
  shortSet: { tiers: [strong(2), strong(3)], kinds: "get get get inv set refresh advance" },
  aged: { tiers: [strong(60), strong(100)], faults: true, kinds: "get inv inv refresh set set advance advance" },
  time: { tiers: [strong(6), strong(40)], faults: true, requestScoped: true, kinds: "get get get inv inv set refresh advance advance kill lease evictOld" },
  weakLeft: { tiers: [weak(15), strong(60)], faults: true, requestScoped: true, kinds: "get get get inv inv set refresh advance kill lease" },
  weakRight: { tiers: [strong(60), weak(15)], faults: true, requestScoped: true, kinds: "get get get inv inv refresh advance kill lease" },
};

/** What cannot be promised: these have to fail. */
export const LIMITS: Readonly<Record<string, Scenario>> = {
  evictedTombstone: { tiers: [strong(60)], kinds: "get get inv evictAny" },
};
