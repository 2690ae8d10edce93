/**
 * A fleet: several isolates, each with a cache of the real core and a local tier of its own, on stores that they share. Every
 * call to a store is a message, and a seed chooses what happens next: a step begins, a message is applied at the store, answered,
 * lost, or applied though its sender has given up. Races that take a busy day to meet are met within a few hundred seeds, and met
 * again by their seed. No sockets, no real time.
 *
 * @module
 */
import type { Clock } from "../src/clock.ts";
import { describe } from "../src/duration.ts";
import type { CacheEvent } from "../src/events.ts";
import { optionsOf } from "../src/fields.ts";
import { local } from "../src/index.ts";
import type { Cache, GuardOptions } from "../src/types.ts";
import { createCell, type Cell, type FleetStorage } from "./isolate.ts";
import { Mail, type Message } from "./mail.ts";
import { memoryStorage } from "./memory-storage.ts";
import { chance, createRandom } from "./random.ts";
import { turn } from "./turns.ts";
import { createVirtualClock } from "./virtual-clock.ts";

export type { FleetStorage } from "./isolate.ts";

/** Options of {@link createFleet}. */
export interface FleetOptions {
  /** How many isolates, from 1 to 100. */
  readonly isolates: number;
  /** What chance begins with. Two runs with one seed and one plan go the same way. */
  readonly seed: number;
  /**
   * Makes the storages, by the names that nodes use: one that all isolates share, or a function that makes one for each.
   * `clock` is the stores' own, in Unix ms. Default: `{ local: () => local(), shared: memoryStorage({ clock }) }`.
   */
  readonly storages?: ((clock: { now(): number }) => Readonly<Record<string, FleetStorage>>) | undefined;
  /** How far wall clocks are off: that of the first isolate by so many ms back, of the last as many ahead, the others between. Default: 0. */
  readonly skewMs?: number | undefined;
  /** How likely it is, from 0 to 1, that a call to a store fails for its sender whenever it is moved on. Default: 0. */
  readonly faults?: number | undefined;
  /** As for `createCache`. Default: a budget of 1 s, and no breaker, which would spare the store most of the faults. */
  readonly guard?: GuardOptions | undefined;
  /** As for `createCache`. */
  readonly prefix?: string | undefined;
}

/** What happens in a run, beside the messages. */
export type FleetStep =
  /** Begins this in an isolate. It goes on while other steps begin. */
  | { readonly isolate: number; readonly run: (cache: Cache<string, undefined>) => unknown }
  /** Ends an isolate without another line, and starts a new one in its place, with empty local tiers. */
  | { readonly crash: number }
  /** Moves all clocks on by so many ms, timers and all. */
  | { readonly advanceMs: number };

/** What became of a step. `"crashed"`: its isolate did not live to end it. */
export type FleetOutcome =
  | { readonly status: "fulfilled"; readonly value: unknown }
  | { readonly status: "rejected"; readonly reason: unknown }
  | { readonly status: "crashed" };

/** An isolate of a fleet, as it is now. */
export interface FleetIsolate {
  /** What it returns settles in a run only: nothing moves between two of them. */
  readonly cache: Cache<string, undefined>;
  /** Everything it has reported since its start, oldest first. */
  readonly events: readonly CacheEvent[];
}

/** What {@link createFleet} gives. */
export interface Fleet {
  /** @throws RangeError for a number that no isolate has. They count from 0. */
  isolate(number: number): FleetIsolate;
  /**
   * Begins the steps in their order, at moments that the seed chooses, and moves messages until all steps have ended and nothing
   * is under way. Answers what became of each step, in the order of the plan.
   *
   * @throws Error if a step can never end, as one that waits for real I/O.
   */
  run(plan: readonly FleetStep[]): Promise<FleetOutcome[]>;
  /** Makes asking the source a message of its own, so that a load can be overtaken. For use in a node's `load`. */
  source<Value>(read: () => Value): Promise<Value>;
  /** The stores' clock, in Unix ms. */
  now(): number;
  /** What happened so far, a line each. */
  readonly story: readonly string[];
  /** Ends all isolates. A run under way ends with their steps crashed. */
  stop(): void;
}

const START = 1_700_000_000_000;
const MOST_ISOLATES = 100;
/** How many turns of the event loop a step may take to do the next thing, as for a serializer with a thread of its own. */
const PATIENCE = 100;
const LUCK = 1_000;

/**
 * Starts a fleet. Every isolate has the same storages; which nodes it serves is up to the steps of a plan.
 *
 * It shows what the core makes of an order of events. It does not show what a driver or a real store does, nor what happens
 * where requests own their I/O, as on Workers. `load` must not wait for real time: give what it reads to `source`.
 *
 * @param options see {@link FleetOptions}.
 * @throws TypeError naming the option and the value.
 * @example
 * ```ts
 * import { defineNode } from "cacheme";
 * import { createFleet } from "cacheme/testing";
 *
 * for (let seed = 1; seed <= 200; seed++) {
 *   const rows = { price: 1 };
 *   const fleet = createFleet({ isolates: 3, seed, skewMs: 60_000, faults: 0.05 });
 *   const Price = defineNode({
 *     name: "Price",
 *     allowRedefine: true,
 *     key: (id: number) => `price:${id}`,
 *     load: () => fleet.source(() => rows.price),
 *     caches: [{ storage: "shared", ttl: "1h" }],
 *   });
 *   const [, changed] = await fleet.run([
 *     { isolate: 0, run: (cache) => cache.get(Price(1)) },
 *     { isolate: 1, run: (cache) => ((rows.price = 2), cache.invalidate(Price(1))) },
 *     { crash: 0 },
 *   ]);
 *   const [after] = await fleet.run([{ isolate: 2, run: (cache) => cache.get(Price(1)) }]);
 *   if (changed?.status === "fulfilled" && after?.status === "fulfilled" && after.value !== 2) throw new Error(fleet.story.join("\n"));
 *   fleet.stop();
 * }
 * ```
 */
export function createFleet(options: FleetOptions): Fleet {
  const {
    isolates: count,
    seed,
    skewMs = 0,
    faults = 0,
    guard = { breaker: false },
    prefix,
    storages: make = defaultStorages,
  } = optionsOf(options, ["isolates", "seed", "storages", "skewMs", "faults", "guard", "prefix"], "createFleet");
  if (!(Number.isSafeInteger(count) && count >= 1 && count <= MOST_ISOLATES))
    throw new TypeError(`createFleet: isolates must be a whole number from 1 to ${MOST_ISOLATES}, got ${describe(count)}`);
  if (!Number.isFinite(seed)) throw new TypeError(`createFleet: seed must be a finite number, got ${describe(seed)}`);
  if (!Number.isFinite(skewMs)) throw new TypeError(`createFleet: skewMs must be a finite number, got ${describe(skewMs)}`);
  if (!(faults >= 0 && faults <= 1)) throw new TypeError(`createFleet: faults must be from 0 to 1, got ${describe(faults)}`);
  if (typeof make !== "function") throw new TypeError(`createFleet: storages must be a function, got ${describe(make)}`);

  const choices = chance(createRandom(seed));
  const story: string[] = [];
  let setting: Cell | undefined;
  const time = createVirtualClock(() => setting);
  const now = (): number => START + time.now();
  const mail = new Mail<Cell | "source">({
    now: () => time.now(),
    isDead: (owner) => owner !== "source" && owner.dead,
    failureOf: () => new Error("the network failed"),
  });
  const storages = make({ now });
  let drains: { readonly cell: Cell; readonly run: () => void }[] = [];
  const start = (id: number): Cell =>
    createCell(id, { mail, storages, guard, prefix, clockOf: (cell) => clockOf(cell, id), drain: (cell, run) => void drains.push({ cell, run }) });
  const cells = Array.from({ length: count }, (_, id) => start(id));
  const running = new Set<Running>();

  function clockOf(cell: () => Cell, id: number): Clock {
    const off = count === 1 ? -skewMs : (2 * skewMs * id) / (count - 1) - skewMs;
    return {
      now: () => now() + off,
      monotonic: () => time.monotonic(),
      setTimeout(run, ms) {
        setting = cell();
        return time.setTimeout(run, ms);
      },
      clearTimeout: (timer) => time.clearTimeout(timer),
    };
  }
  function cellOf(id: number): Cell {
    const cell = cells[id];
    if (cell) return cell;
    throw new RangeError(`a fleet of ${count} has no isolate ${describe(id)}`);
  }
  const say = (line: string): void => void story.push(`${(time.now() / 1000).toFixed(3)} ${line}`);

  /** Lets every line run that can run now. */
  async function flush(): Promise<void> {
    for (;;) {
      await turn();
      const due = drains;
      if (due.length === 0) return;
      drains = [];
      for (const { cell, run } of due) if (!cell.dead) run();
    }
  }
  /** Runs the earliest timer that is due by then; `false` if there is none. */
  async function fire(until: number): Promise<boolean> {
    const timer = time.takeNext(until);
    if (!timer) return false;
    if (timer.owner?.dead !== true) timer.run();
    await flush();
    return true;
  }
  async function move(message: Message<Cell | "source">): Promise<void> {
    const { owner, verb, target, state } = message;
    const name = `${owner === "source" ? "" : `isolate ${owner.id}: `}${verb} ${target}`;
    const unlucky = owner !== "source" && faults > 0 && choices.pick(LUCK) < faults * LUCK;
    const how = unlucky ? choices.pick(3) : 0;
    if (unlucky && how === 0 && mail.isAwaited(message)) {
      say(`${name} fails, and may still be applied`);
      mail.abandon(message);
    } else if (unlucky && state === "sent") {
      say(`${name} is lost`);
      mail.lose(message, how === 1);
    } else if (state === "applied") {
      say(`${name} is answered`);
      mail.answer(message);
    } else {
      say(`${name} is applied${mail.isAwaited(message) ? "" : ", though nobody waits"}`);
      await mail.apply(message);
    }
    await flush();
  }
  function end(cell: Cell): void {
    cell.dead = true;
    time.dropTimersOf(cell);
    mail.dropAnswersTo(cell);
    for (const one of running) if (one.cell === cell) one.settle({ status: "crashed" });
  }
  async function begin(step: FleetStep, index: number, settle: (outcome: FleetOutcome) => void): Promise<void> {
    if ("advanceMs" in step) {
      say(`${step.advanceMs} ms pass`);
      const until = time.now() + step.advanceMs;
      while (await fire(until));
      time.moveTo(until);
      return settle({ status: "fulfilled", value: undefined });
    }
    if ("crash" in step) {
      say(`isolate ${step.crash} crashes`);
      end(cellOf(step.crash));
      cells[step.crash] = start(step.crash);
      return settle({ status: "fulfilled", value: undefined });
    }
    const cell = cellOf(step.isolate);
    say(`isolate ${cell.id}: step ${index} begins`);
    const one: Running = {
      cell,
      index,
      settle(outcome) {
        if (running.delete(one)) settle(outcome);
      },
    };
    running.add(one);
    const done = (outcome: FleetOutcome): void => {
      if (!cell.dead) say(`isolate ${cell.id}: step ${index} is ${outcome.status}`);
      one.settle(outcome);
    };
    Promise.resolve()
      .then(() => step.run(cell.cache))
      .then(
        (value) => done({ status: "fulfilled", value }),
        (reason: unknown) => done({ status: "rejected", reason }),
      );
    await flush();
  }
  /** Nothing is under way: somebody waits for time, or for a line of its own. */
  async function wait(): Promise<void> {
    for (let turns = 0; turns < PATIENCE; turns++) {
      await flush();
      if (mail.messages.length > 0 || running.size === 0) return;
    }
    if (await fire(Number.POSITIVE_INFINITY)) return;
    const [one] = running;
    throw new Error(`fleet: step ${one?.index} waits for something that is not in the fleet, as real I/O or a timer of the host\n${story.join("\n")}`);
  }

  return {
    isolate: (id) => cellOf(id),
    async run(plan) {
      const outcomes: FleetOutcome[] = [];
      for (let next = 0; next < plan.length || running.size > 0 || mail.messages.length > 0;) {
        const { messages } = mail;
        const picked = choices.pick(messages.length + (next < plan.length ? 1 : 0));
        const message = messages[picked];
        const index = next;
        const step = plan[index];
        if (message) await move(message);
        else if (step) {
          next++;
          await begin(step, index, (outcome) => (outcomes[index] = outcome));
        } else await wait();
      }
      return outcomes;
    },
    source: (read) => mail.send({ owner: "source", verb: "load from", target: "source", apply: read }),
    now,
    story,
    stop() {
      for (const cell of cells) end(cell);
      mail.messages = [];
    },
  };
}

function defaultStorages(clock: { now(): number }): Readonly<Record<string, FleetStorage>> {
  return { local: () => local(), shared: memoryStorage({ name: "shared", clock }) };
}

interface Running {
  readonly cell: Cell;
  readonly index: number;
  settle(outcome: FleetOutcome): void;
}
