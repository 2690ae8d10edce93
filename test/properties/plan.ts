/**
 * What a simulation is made from: a scenario and its node, the program of a run, and what is random in it beside the schedule.
 * Also whose line is running: which operation a call, a timer or a load belongs to is known from its asynchronous context.
 *
 * @module
 */
import { AsyncLocalStorage } from "node:async_hooks";
import type { Core } from "../../src/core.ts";
import { defineNode } from "../../src/node.ts";
import type { CacheNode } from "../../src/node-types.ts";
import { TIMES } from "./judge.ts";
import { OTHER_TAG, TAG, versions } from "./world.ts";
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
  /** Messages may be lost or given up, each one time in `luck`. Default: `false`. */
  readonly faults?: boolean | undefined;
  /** Default: 14. */
  readonly luck?: number | undefined;
  /** By how much time may move at once, in ms. Default: from 1 s to 40 s. */
  readonly advances?: readonly number[] | undefined;
  /** Which of `WINDOWS` a run may draw. Default: the first two, and the third where programs may hold `swr`. */
  readonly windows?: readonly number[] | undefined;
  /** The first key has a tag. Default: `false`. */
  readonly tagged?: boolean | undefined;
  /** Isolates remember the generations and epochs of two names only. Default: `false`. */
  readonly capped?: boolean | undefined;
  /** The most steps of a program. Default: 11. */
  readonly steps?: number | undefined;
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

/** How long after its ttl an entry may be served: while a new value is loaded, and if that fails or takes long. */
export interface Windows {
  readonly whileLoadingMs: number;
  readonly ifErrorMs: number;
  /** Whether lives are shortened at random, and values renewed ahead of their end. */
  readonly ahead?: boolean | undefined;
}

/** What nodes of a simulation allow. Each run draws one of them. */
export const WINDOWS: readonly Windows[] = [
  { whileLoadingMs: 0, ifErrorMs: 0 },
  { whileLoadingMs: 0, ifErrorMs: TIMES.ifError },
  { whileLoadingMs: TIMES.whileLoading, ifErrorMs: TIMES.ifError },
  { whileLoadingMs: TIMES.whileLoading, ifErrorMs: TIMES.ifError, ahead: true },
];

/** A scenario with its nodes, which can be defined once only. */
export interface Plan extends Scenario {
  readonly name: string;
  /** One node for each of `WINDOWS`. */
  readonly nodes: readonly CacheNode<number, Version>[];
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
  /** Which of `WINDOWS` the node has. */
  readonly windows: number;
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
  const nodes = WINDOWS.map(({ whileLoadingMs, ifErrorMs, ahead }, index) =>
    defineNode({
      name: `simulated-${name}-${index}`,
      allowRedefine: true,
      key: (key: number) => `k${key}`,
      ...(scenario.loadAll
        ? { loadAll: async (keys: readonly number[]) => (await Promise.allSettled(keys.map((key) => present().load(key)))).map(valueOrError) }
        : { load: (key: number) => present().load(key) }),
      caches: scenario.local === false ? remote : [{ storage: "local", ttl: TIMES.local }, ...remote],
      ...(scenario.tagged ? { tags: tagsOf } : {}),
      staleWhileRevalidate: whileLoadingMs,
      staleIfError: ifErrorMs,
      ...(whileLoadingMs > 0 ? { softTimeout: TIMES.soft } : {}),
      // A load takes as long as time moves meanwhile, which is seldom, so those that do count for much.
      ...(ahead ? { refreshAhead: { beta: 20 }, jitter: 0.2 } : {}),
      serializer: versions,
      hardTimeout: TIMES.hard,
      storeWithin: TIMES.storeWithin,
    }),
  );
  return { ...scenario, name, nodes };
}

function tagsOf(key: number): readonly string[] {
  return key === 1 ? [] : [key === 0 ? TAG : OTHER_TAG];
}

function valueOrError(settled: PromiseSettledResult<Version>): Version | Error {
  if (settled.status === "fulfilled") return settled.value;
  return settled.reason instanceof Error ? settled.reason : new Error(String(settled.reason));
}
