/**
 * The scenarios of the simulation: which tiers there are, what may happen, what may go wrong. Each was chosen because some
 * rule of the protocol fails in it first when that rule is left out.
 *
 * @module
 */
import type { Scenario } from "./plan.ts";

export const strong = (seconds: number): { readonly ttlMs: number; readonly weak: boolean } => ({ ttlMs: seconds * 1_000, weak: false });
export const weak = (seconds: number): { readonly ttlMs: number; readonly weak: boolean } => ({ ttlMs: seconds * 1_000, weak: true });

/** Within one isolate: guarantee 1. Here the keys have no tags, but for `aloneNodes`. */
export const ALONE: Readonly<Record<string, Scenario>> = {
  localOnly: { isolates: 1, tiers: [], kinds: "get get getAll inv node refresh set advance swr" },
  alone: { isolates: 1, tiers: [strong(60)], kinds: "get get getAll inv inv refresh set" },
  aloneTwo: { isolates: 1, tiers: [strong(60), strong(100)], kinds: "get get getAll inv inv node refresh set" },
  aloneNodes: { isolates: 1, tiers: [strong(60)], tagged: true, faults: true, kinds: "get get get getAll node tag inv refresh set advance swr" },
  aloneFaults: { isolates: 1, tiers: [strong(60), strong(100)], faults: true, kinds: "get get get inv inv refresh refresh set advance" },
  aloneDeaths: { isolates: 1, tiers: [strong(60)], faults: true, requestScoped: true, kinds: "get get get inv node refresh refresh set kill kill lease" },
  aloneBatches: { isolates: 1, tiers: [strong(60)], loadAll: true, faults: true, kinds: "get getAll getAll getAll inv inv refresh set advance" },
  aloneShort: { isolates: 1, tiers: [strong(2), strong(3)], kinds: "get get get inv set refresh advance" },
};

/**
 * Across isolates: guarantee 2. Those of `TOGETHER`, where nothing goes wrong, and of `TROUBLED` are the eighteen of the
 * protocol's model, with `skewed` and `ahead`. The first key has a tag, both belong to one node.
 */
export const TOGETHER: Readonly<Record<string, Scenario>> = tagged({
  one: { tiers: [strong(60)], kinds: "get get getAll inv inv refresh set swr" },
  two: { tiers: [strong(60), strong(100)], kinds: "get get getAll inv inv refresh set after" },
  noLocal: { tiers: [strong(60), strong(100)], local: false, kinds: "get get getAll inv inv refresh set" },
  shortTtl: { tiers: [strong(2)], kinds: "get get get inv advance" },
  shortSet: { tiers: [strong(2), strong(3)], kinds: "get get get inv set refresh advance" },
  birth: { tiers: [strong(60), strong(100)], kinds: "get get get node evictGen" },
  clock: { tiers: [strong(60), strong(100)], kinds: "get get get inv node tag evictGen flush stepBack advance" },
  capped: { tiers: [strong(60)], capped: true, kinds: "get get node tag tag forget forget" },
  skewed: { tiers: [strong(6), strong(40)], skewed: true, kinds: "get get getAll inv node tag refresh set advance swr" },
});

/** The same where calls are lost, late or given up, requests die, and stores forget. */
export const TROUBLED: Readonly<Record<string, Scenario>> = tagged({
  faults: { tiers: [strong(60), strong(100)], faults: true, kinds: "get get get inv inv refresh set advance after swr" },
  deaths: { tiers: [strong(60), strong(100)], faults: true, requestScoped: true, kinds: "get get get inv inv refresh set kill kill lease lease" },
  nodes: { tiers: [strong(60), strong(100)], faults: true, requestScoped: true, capped: true, kinds: "get get get node tag inv set refresh forget kill lease" },
  loss: { tiers: [strong(60), strong(100)], faults: true, kinds: "get get get inv node tag evictGen flush set refresh" },
  aged: { tiers: [strong(60), strong(100)], faults: true, kinds: "get inv inv refresh set set advance advance" },
  time: { tiers: [strong(6), strong(40)], faults: true, requestScoped: true, kinds: "get get get inv inv set refresh advance advance kill lease evictOld swr" },
  weakLeft: { tiers: [weak(15), strong(60)], faults: true, requestScoped: true, kinds: "get get get inv inv set refresh advance kill lease" },
  weakRight: { tiers: [strong(60), weak(15)], faults: true, requestScoped: true, kinds: "get get get inv inv refresh advance kill lease" },
  stale: { tiers: [strong(12)], faults: true, luck: 5, windows: [1, 2], advances: [1_000, 10_000, 12_000], kinds: "get get get inv after advance advance swr" },
  ahead: {
    tiers: [strong(12)],
    faults: true,
    windows: [3],
    advances: [1_000, 3_000, 9_000],
    kinds: "get get get getAll inv node tag after set refresh advance advance",
  },
  everything: {
    tiers: [strong(6), strong(40)],
    faults: true,
    requestScoped: true,
    capped: true,
    kinds: "get get get get getAll after inv inv inv node tag set set refresh refresh swr kill lease advance advance evictGen evictOld flush stepBack forget",
  },
});

/** Many isolates on one store, their wall clocks up to ten minutes off either way: guarantees 2 and 11. */
export const FLEET: Readonly<Record<string, Scenario>> = tagged({
  fleet: {
    isolates: 50,
    tiers: [strong(60)],
    faults: true,
    requestScoped: true,
    skewed: true,
    steps: 150,
    kinds: "get get get get get get get get getAll getAll inv node tag set refresh after swr kill lease advance",
  },
});

function tagged(scenarios: Readonly<Record<string, Scenario>>): Readonly<Record<string, Scenario>> {
  return Object.fromEntries(Object.entries(scenarios).map(([name, scenario]) => [name, { ...scenario, tagged: true }]));
}

/** What cannot be promised: these have to fail. */
export const LIMITS: Readonly<Record<string, Scenario>> = {
  evictedTombstone: { tiers: [strong(60)], kinds: "get get inv evictAny" },
};
