/**
 * One isolate of a simulation: a cache of the real core on an injected host and clock, with a local tier of its own.
 *
 * @module
 */
import { coreOf, createCacheOn } from "../../src/cache.ts";
import type { Core } from "../../src/core.ts";
import { local } from "../../src/local/local.ts";
import { drainByMicrotasks } from "../../src/runtime.ts";
import type { Cache } from "../../src/types.ts";
import { TIMES } from "./judge.ts";
import type { Plan, Setting } from "./plan.ts";
import type { VirtualClock } from "../../testing/virtual-clock.ts";
import type { Op, Server } from "./world.ts";

/** Unix time at the origin of the virtual clock, in ms. */
export const WALL = 1_700_000_000_000;
/** How far skewed wall clocks are off at most, in ms: the first is so much late, the last so much early. */
const SKEW = 600_000;

/** An isolate. */
export interface Isolate {
  readonly cache: Cache<string, undefined>;
  readonly core: Core;
  /** Empties the local tier. */
  clear(): void;
}

/** What an isolate is made from. `drain` runs what was given to it once per turn, where calls belong to nobody. */
export interface Surroundings {
  readonly id: number;
  readonly own: Plan;
  readonly setting: Setting;
  readonly clock: VirtualClock<Op>;
  readonly servers: readonly Server[];
  readonly drain: (run: () => void) => void;
}

/** Makes an isolate. */
export function createIsolate({ id, own, setting, clock, servers, drain }: Surroundings): Isolate {
  const tier = local({ maxEntries: 100, policy: "lru" });
  const { requestScoped } = setting;
  const skewMs = own.skewed ? SKEW * ((2 * id) / Math.max(1, (own.isolates ?? 2) - 1) - 1) : 0;
  const remote = servers.map(({ storage }) => [storage.name, storage] as const);
  const cache: Cache<string, undefined> = createCacheOn<string>(
    { requestScoped, waitUntil: setting.waitUntil ? () => undefined : undefined, scheduleDrain: requestScoped ? drainByMicrotasks : drain },
    {
      storages: { local: tier, ...Object.fromEntries(remote) },
      // A call that a breaker refuses is as one that is lost, which happens here anyway; and the judge counts calls.
      guard: { timeout: TIMES.budget, breaker: false },
      clock: {
        now: () => WALL + skewMs + clock.now(),
        monotonic: () => clock.monotonic(),
        setTimeout: (run, ms) => clock.setTimeout(run, ms),
        clearTimeout: (timer) => clock.clearTimeout(timer),
      },
    },
  );
  const core = coreOf(cache);
  if (own.capped) core.mostKnown = core.epochs.most = 2;
  own.sabotage?.(core);
  return { cache, core, clear: () => tier.clear() };
}
