/**
 * What most tests of the cache start from: a fake clock, a cache on it, the events it emitted, and nodes of fresh names whose
 * loads are counted. It relies on the injected runtime, so nothing here knows the host that the tests run on.
 *
 * @module
 */
import { coreOf, createCacheOn } from "../../src/cache.ts";
import type { CacheEvent } from "../../src/events.ts";
import { local } from "../../src/local/local.ts";
import { defineNode } from "../../src/node.ts";
import type { Duration } from "../../src/duration.ts";
import type { LoadContext, NodeDefinition } from "../../src/node-types.ts";
import { drainByMicrotasks } from "../../src/runtime.ts";
import type { Runtime } from "../../src/runtime.ts";
import type { Cache, CreateCacheOptions, Reference } from "../../src/types.ts";
import { fakeClock } from "./fake-clock.ts";
import type { FakeClock } from "./fake-clock.ts";

/** A host such as Node, with drains as light as a test wants them. */
export const SHARED: Runtime = { requestScoped: false, waitUntil: undefined, scheduleDrain: drainByMicrotasks };

/** A host such as Workers, whose requests all have a `waitUntil`. */
export const REQUESTS: Runtime = { requestScoped: true, waitUntil: () => undefined, scheduleDrain: drainByMicrotasks };

let named = 0;

/** A node name that no other test uses. */
export function freshName(): string {
  return `Node${++named}`;
}

/** A cache under test, with what surrounds it. */
export interface Rig {
  readonly clock: FakeClock;
  readonly cache: Cache;
  readonly events: CacheEvent[];
  /** Events of one kind. */
  seen<Type extends CacheEvent["type"]>(type: Type): Extract<CacheEvent, { type: Type }>[];
  /** Keys with work under way. */
  inFlight(): number;
}

type RigOptions = Partial<CreateCacheOptions<string, unknown>> & { readonly runtime?: Runtime; readonly clock?: FakeClock };

/** Makes a cache on a fake clock; its storages default to one local tier called `local`. */
export function rig({ runtime = SHARED, clock = fakeClock(), storages = { local: local() }, ...options }: RigOptions = {}): Rig {
  const events: CacheEvent[] = [];
  const made = createCacheOn(runtime, { ...options, storages, clock, onEvent: (event) => void events.push(event) });
  const cache: Cache = made as Cache;
  return {
    clock,
    cache,
    events,
    seen: <Type extends CacheEvent["type"]>(type: Type) => events.filter((event): event is Extract<CacheEvent, { type: Type }> => event.type === type),
    inFlight: () => coreOf(made).inFlight(),
  };
}

/** A node that counts its loads. */
export interface Counted<Value> {
  (key: string): Reference<Value>;
  readonly node: Reference<Value>["node"];
  /** The keys loaded, in order. */
  readonly loads: string[];
}

type Rules<Value> = Partial<Omit<NodeDefinition<string, Value>, "key" | "load" | "ttlFor">> & {
  readonly load?: ((key: string, nth: number, context: LoadContext) => Value | Promise<Value>) | undefined;
  // A method, so that rules of one value are rules of any.
  ttlFor?(value: Value, key: string): Duration | null | "skip";
};

/** Defines a node over a string key; without a `load` of its own, the value is `${key}#${nth load}`. */
export function counted(rules?: Rules<string>): Counted<string>;
export function counted<Value>(
  rules: Rules<Value> & { readonly load: (key: string, nth: number, context: LoadContext) => Value | Promise<Value> },
): Counted<Value>;
export function counted(rules: Rules<unknown> = {}): Counted<unknown> {
  const loads: string[] = [];
  const { load, caches = [{ storage: "local", ttl: "30s" }], name = freshName(), ...others } = rules;
  const node = defineNode<string, unknown>({
    ...others,
    name,
    caches,
    key: (key: string) => key,
    load: (key, context) => {
      const nth = loads.push(key);
      return load ? load(key, nth, context) : `${key}#${nth}`;
    },
  });
  return Object.assign((key: string) => node(key), { node, loads });
}

/** What a promise rejected with. */
export async function failure(promise: Promise<unknown>): Promise<unknown> {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  throw new Error("it did not reject");
}

/** Whether a promise has settled once everything that could run has run. */
export async function isSettled(promise: Promise<unknown>): Promise<boolean> {
  let settled = false;
  const note = (): void => {
    settled = true;
  };
  promise.then(note, note);
  for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve));
  return settled;
}
