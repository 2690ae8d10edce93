/**
 * One isolate of a fleet: a cache of the real core on an injected host and clock, whose calls go by mail. The only file here
 * that makes a cache, on a host that decides when drains run.
 *
 * @module
 */
import type { Clock } from "../src/clock.ts";
import type { CacheEvent } from "../src/events.ts";
import { onHost } from "../src/host.ts";
import { createCache } from "../src/index.ts";
import type { LocalStorage } from "../src/local/local.ts";
import type { Storage } from "../src/storage.ts";
import type { Cache, GuardOptions } from "../src/types.ts";
import type { Mail } from "./mail.ts";

/** A storage that all isolates of a fleet share, or what makes the local tier of one. */
export type FleetStorage = Storage | (() => LocalStorage);

/** An isolate from its start to its crash. */
export interface Cell {
  readonly id: number;
  readonly cache: Cache<string, undefined>;
  readonly events: readonly CacheEvent[];
  dead: boolean;
}

/** What a cell is made from. `"source"` and cells send messages. */
export interface CellHost {
  readonly mail: Mail<Cell | "source">;
  readonly storages: Readonly<Record<string, FleetStorage>>;
  readonly guard: GuardOptions;
  readonly prefix: string | undefined;
  /** The clock of a cell, whose timers die with it. */
  clockOf(cell: () => Cell): Clock;
  drain(cell: Cell, run: () => void): void;
}

/** Starts an isolate. */
export function createCell(id: number, host: CellHost): Cell {
  const { mail, storages, guard, prefix } = host;
  const events: CacheEvent[] = [];
  const own = Object.entries(storages).map(([name, storage]) => [name, typeof storage === "function" ? storage() : byMail(name, storage, mail, () => cell)]);
  const drained = { requestScoped: false, waitUntil: undefined, scheduleDrain: (run: () => void): void => host.drain(cell, run) };
  const options = {
    storages: Object.fromEntries(own),
    guard,
    clock: host.clockOf(() => cell),
    onEvent: (event: CacheEvent) => void events.push(event),
    ...(prefix === undefined ? {} : { prefix }),
  };
  const cache: Cache<string, undefined> = createCache<string>(onHost(drained, options));
  const cell: Cell = { id, cache, events, dead: false };
  return cell;
}

/** The same storage, each of its calls a message. What does not belong to a key is not delayed. */
function byMail(target: string, storage: Storage, mail: CellHost["mail"], cell: () => Cell): Storage {
  const ensure = storage.ensure?.bind(storage);
  const prune = storage.prune?.bind(storage);
  function send<Result>(verb: string, signal: AbortSignal, apply: () => Promise<Result>): Promise<Result> {
    return mail.send<Result>({ owner: cell(), verb, target, signal, apply });
  }
  // A call that arrives late is carried out, whatever its sender thinks of it by then.
  const { signal: always } = new AbortController();
  return {
    name: storage.name,
    traits: storage.traits,
    read: (keys, generations, signal) => send("read", signal, () => storage.read(keys, generations, always)),
    write: (entries, signal) => send("write", signal, () => storage.write(entries, always)),
    remove: (keys, signal) => send("remove", signal, () => storage.remove(keys, always)),
    raise: (generations, signal) => send("raise", signal, () => storage.raise(generations, always)),
    ...(ensure && { ensure: (generations: readonly string[], signal: AbortSignal) => send("ensure", signal, () => ensure(generations, always)) }),
    ...(prune && { prune }),
  };
}
