/**
 * What a simulation is made from: a scenario and its node, the program of a run, and what is random in it beside the schedule.
 * Also whose line is running: which operation a call, a timer or a load belongs to is known from its asynchronous context.
 *
 * @module
 */
import { AsyncLocalStorage } from "node:async_hooks";
import type { Core } from "../../src/core.ts";
import { defineNode } from "../../src/node.ts";
import type { Reference } from "../../src/types.ts";
import { TIMES } from "./judge.ts";
import { versions } from "./world.ts";
import type { Flaws, Op, Version } from "./world.ts";

/** What a run is made of. */
export interface Scenario {
  /** Remote tiers, left to right. */
  readonly tiers: readonly { readonly ttlMs: number; readonly weak: boolean }[];
  /** What programs are drawn from; a word that stands twice is twice as likely. */
  readonly kinds: string;
  /** Default: 2. */
  readonly isolates?: number | undefined;
  /** Whether a local tier stands left of the remote ones. Default: `true`. */
  readonly local?: boolean | undefined;
  /** Messages may be lost or given up. Default: `false`. */
  readonly faults?: boolean | undefined;
  /** The node loads many keys at once. Default: `false`. */
  readonly loadAll?: boolean | undefined;
  /** The isolates' wall clocks differ by minutes. Default: `false`. */
  readonly skewed?: boolean | undefined;
  /** Whether requests own their I/O. Default: as the seed says. */
  readonly requestScoped?: boolean | undefined;
  /** Breaks the core on purpose, to see the properties fail. */
  readonly sabotage?: ((core: Core) => void) | undefined;
  /** Breaks the servers on purpose. */
  readonly flaws?: Flaws | undefined;
}

/** A scenario with its node, which can be defined once only. */
export interface Plan extends Scenario {
  readonly name: string;
  readonly node: (key: number) => Reference<Version>;
}

/** One step of a program. What `x` means depends on the kind. */
export interface Step {
  readonly kind: string;
  readonly isolate: number;
  readonly key: number;
  readonly x: number;
}

/** What is random in a run and yet no choice of the scheduler. */
export interface Setting {
  readonly requestScoped: boolean;
  readonly waitUntil: boolean;
  /** How eagerly the next operation begins, against a message moving. */
  readonly pace: number;
  /** After how many moves each operation becomes slow: where the races are. */
  readonly slowFrom: readonly number[];
}

/** How a run went. */
export interface Run {
  readonly failure: string | undefined;
  readonly story: readonly string[];
  readonly tape: readonly number[];
}

/** The names of remote tiers, left to right. */
export const TIER_NAMES: readonly string[] = ["L", "R"];

/** The operation on whose behalf lines are run. */
export const asking: AsyncLocalStorage<Op> = new AsyncLocalStorage<Op>();

/** The operation on whose behalf the present line runs. */
export function present(): Op {
  const op = asking.getStore();
  if (!op) throw new Error("the simulation lost track of whose line this is");
  return op;
}

/** Readies a scenario. */
export function plan(name: string, scenario: Scenario): Plan {
  const remote = scenario.tiers.map(({ ttlMs }, index) => ({ storage: TIER_NAMES[index] ?? "", ttl: ttlMs }));
  const node = defineNode({
    name: `simulated-${name}`,
    allowRedefine: true,
    key: (key: number) => `k${key}`,
    ...(scenario.loadAll
      ? { loadAll: async (keys: readonly number[]) => (await Promise.allSettled(keys.map((key) => present().load(key)))).map(valueOrError) }
      : { load: (key: number) => present().load(key) }),
    caches: scenario.local === false ? remote : [{ storage: "local", ttl: TIMES.local }, ...remote],
    serializer: versions,
    hardTimeout: TIMES.hard,
    storeWithin: TIMES.storeWithin,
  });
  return { ...scenario, name, node };
}

function valueOrError(settled: PromiseSettledResult<Version>): Version | Error {
  if (settled.status === "fulfilled") return settled.value;
  return settled.reason instanceof Error ? settled.reason : new Error(String(settled.reason));
}
