/**
 * A storage that fails as told: it stands in front of any other one and spoils calls before they are made, after they were
 * applied, or on their way back. It relies on the port alone. Which call meets what is planned by a test or drawn by a seed; it
 * never fails by itself.
 *
 * @module
 */
import { describe } from "../src/duration.ts";
import { optionsOf } from "../src/fields.ts";
import type { ReadResult, Slot, Storage } from "../src/storage.ts";
import { createFaultPlan, fieldOf, isSpan, type FaultPlan, type Rates } from "./fault-plan.ts";
import { createRandom } from "./random.ts";

/** The calls of a storage that can be made to fail. */
export type StorageOperation = "read" | "write" | "remove" | "raise" | "ensure";

/**
 * What a call can meet:
 *
 * - `"reject"`: it rejects, and was never applied. `"throw"`: the same, thrown before there is a promise.
 * - `"reject-after"`: it was applied, and rejects all the same, as when a reply is lost.
 * - `"hang"`: it is never applied, and rejects when its signal is aborted. `"hang-forever"`: it ignores the signal as well.
 * - `"hang-after"`: it was applied, and never answers, whatever its signal says.
 * - `"short"`, `"long"`: the answer has an item too few or too many. `"nonsense"`: it is no answer at all.
 * - `"swap"`: slots of the answer change places; that of a single key is replaced by the last slot that was read before.
 * - `"drop"`: the first slot of the answer is missing.
 * - `"garbage"`: the bytes of all slots are noise of the same length. `"truncate"`: only the first half of them is there.
 *
 * The last four spoil the slots of reads and leave other calls alone. `remove` and `raise` answer nothing that could be too
 * short or too long.
 */
export type StorageFaultName =
  | "reject"
  | "throw"
  | "reject-after"
  | "hang"
  | "hang-forever"
  | "hang-after"
  | "short"
  | "long"
  | "nonsense"
  | "swap"
  | "drop"
  | "garbage"
  | "truncate";

/** A fault by name, or a delay of so many ms before the call is made, which may be followed by another fault. */
export type StorageFault = StorageFaultName | { readonly delayMs: number; readonly fault?: StorageFaultName | undefined };

/** Options of {@link faultyStorage}. */
export interface FaultyStorageOptions {
  /** What chance begins with. Default: 1. */
  readonly seed?: number | undefined;
  /** How likely calls of each kind are to fail, from 0 to 1. Default: never. */
  readonly rates?: { readonly [Operation in StorageOperation]?: Rates<StorageFaultName> | undefined } | undefined;
  /** Whose timers delay calls. Default: the host's. */
  readonly clock?: { setTimeout(run: () => void, ms: number): unknown } | undefined;
}

/** What {@link faultyStorage} gives. */
export interface FaultyStorage extends Storage {
  ensure(generations: readonly string[], signal: AbortSignal): Promise<readonly number[]>;
  /** How often each call was asked for, failed or not. */
  readonly calls: Record<StorageOperation, number>;
  /** How many calls met a fault. */
  readonly faults: number;
  /** The next calls of this kind meet these faults, one each; `"pass"` lets one through. */
  plan(operation: StorageOperation, ...faults: readonly (StorageFault | "pass")[]): void;
  /** From now on every call of this kind meets this fault, after those that were planned; `undefined`: none. */
  always(operation: StorageOperation | "all", fault: StorageFault | undefined): void;
  /** From now on calls pass: nothing is planned, nothing left to chance. Calls that hang go on hanging. */
  heal(): void;
}

const OPERATIONS: readonly StorageOperation[] = ["read", "write", "remove", "raise", "ensure"];

const NAMES: Readonly<Record<StorageFaultName, true>> = {
  reject: true,
  throw: true,
  "reject-after": true,
  hang: true,
  "hang-forever": true,
  "hang-after": true,
  short: true,
  long: true,
  nonsense: true,
  swap: true,
  drop: true,
  garbage: true,
  truncate: true,
};

function isFault(value: unknown): value is StorageFault {
  if (typeof value === "string") return Object.hasOwn(NAMES, value);
  const after = fieldOf(value, "fault");
  return isSpan(fieldOf(value, "delayMs")) && (after === undefined || (typeof after === "string" && isFault(after)));
}

/** What a call rejects with. */
const FAILED = "the storage failed on purpose";

/**
 * Puts faults in front of a storage. Until it is told otherwise every call passes.
 *
 * A call takes its fault when it is made. It does not promise that a call which fails *after* was applied before the test goes
 * on: that is as fast as the storage behind. What the port has beyond the five calls (`prune`, `close`) passes.
 *
 * @param storage the storage behind, which is not changed.
 * @param options see {@link FaultyStorageOptions}.
 * @throws TypeError for an option that there is not, for rates that are not from 0 to 1 or add up to more than 1, and, as its
 * methods do, for faults and calls that there are not.
 * @example
 * ```ts
 * import { createCache, local } from "cacheme";
 * import { faultyStorage, memoryStorage } from "cacheme/testing";
 *
 * const shared = faultyStorage(memoryStorage(), { seed: 7, rates: { read: { reject: 0.1, hang: 0.05 } } });
 * const cache = createCache({ storages: { local: local(), shared } });
 *
 * shared.plan("write", "reject-after"); // the next write is stored, and its caller told that it failed
 * await cache.invalidate(UserInfo(1)).catch(() => retryLater());
 * shared.heal();
 * ```
 */
export function faultyStorage(storage: Storage, options: FaultyStorageOptions = {}): FaultyStorage {
  if (typeof fieldOf(storage, "read") !== "function") throw new TypeError(`faultyStorage: storage must be a storage with read(), got ${describe(storage)}`);
  const {
    seed = 1,
    rates = {},
    clock = { setTimeout: (run: () => void, ms: number) => setTimeout(run, ms) },
  } = optionsOf(options, ["seed", "rates", "clock"], "faultyStorage");
  const noise = createRandom(seed);
  const plans = new Map<string, FaultPlan<StorageFault>>();
  for (const [index, operation] of OPERATIONS.entries()) {
    plans.set(operation, createFaultPlan({ owner: `faultyStorage: ${operation}`, isFault }, seed + index + 1, rates[operation]));
  }
  for (const operation of Object.keys(rates)) planOf(operation);
  function planOf(operation: string): FaultPlan<StorageFault> {
    const plan = plans.get(operation);
    if (plan) return plan;
    throw new TypeError(`faultyStorage: there is no call ${describe(operation)}`);
  }
  const calls: Record<StorageOperation, number> = { read: 0, write: 0, remove: 0, raise: 0, ensure: 0 };
  let faults = 0;
  /** The last slot that was read, and the one before it. */
  let last: Slot | undefined;
  let before: Slot | undefined;

  /** The fault of one call: as it is met before and after it is applied. */
  function meet<Result>(
    operation: StorageOperation,
    signal: AbortSignal,
    apply: () => Promise<Result>,
    spoil: (result: Result, fault: StorageFaultName) => Result,
  ): Promise<Result> {
    calls[operation] += 1;
    const fault = planOf(operation).next();
    if (fault === undefined) return apply();
    faults += 1;
    if (fault === "throw") throw new Error(FAILED);
    return run(fault, signal, apply, spoil);
  }
  async function run<Result>(
    fault: StorageFault,
    signal: AbortSignal,
    apply: () => Promise<Result>,
    spoil: (result: Result, fault: StorageFaultName) => Result,
  ): Promise<Result> {
    if (typeof fault === "object") {
      await new Promise<void>((resolve) => void clock.setTimeout(resolve, fault.delayMs));
      return fault.fault === undefined ? apply() : run(fault.fault, signal, apply, spoil);
    }
    if (fault === "reject" || fault === "throw") throw new Error(FAILED);
    if (fault === "hang") return aborted(signal);
    if (fault === "hang-forever") return never();
    const result = await apply();
    if (fault === "reject-after") throw new Error(FAILED);
    if (fault === "hang-after") return never();
    return spoil(result, fault);
  }
  async function read(keys: readonly string[], generations: readonly string[], signal: AbortSignal): Promise<ReadResult> {
    const result = await storage.read(keys, generations, signal);
    before = last;
    last = result.slots.filter((slot) => slot !== undefined).at(-1) ?? last;
    return result;
  }
  async function ensure(generations: readonly string[], signal: AbortSignal): Promise<readonly number[]> {
    if (storage.ensure === undefined) throw new TypeError("this storage knows no generations");
    return storage.ensure(generations, signal);
  }
  function spoilRead(result: ReadResult, fault: StorageFaultName): ReadResult {
    if (fault === "nonsense") return spoilWhole(result);
    // A read may ask for generations alone.
    if (result.slots.length === 0) return { slots: [], generations: spoilList(result.generations, fault) };
    return { generations: result.generations, slots: spoilSlots(result.slots, fault) };
  }
  function spoilSlots(slots: ReadResult["slots"], fault: StorageFaultName): ReadResult["slots"] {
    if (fault === "swap") return slots.length === 1 ? [before] : [...slots.slice(1), ...slots.slice(0, 1)];
    if (fault === "drop") return [undefined, ...slots.slice(1)];
    if (fault === "garbage") return slots.map((slot) => slot && { ...slot, bytes: slot.bytes.map(() => Math.floor(noise() * 256)) });
    if (fault === "truncate") return slots.map((slot) => slot && { ...slot, bytes: slot.bytes.subarray(0, slot.bytes.length >> 1) });
    return spoilList(slots, fault);
  }

  const prune = storage.prune?.bind(storage);
  const close = storage.close?.bind(storage);
  return {
    name: storage.name,
    traits: storage.traits,
    ...(storage.setup !== undefined && { setup: storage.setup }),
    ...(prune && { prune }),
    ...(close && { close }),
    calls,
    get faults() {
      return faults;
    },
    plan: (operation, ...planned) => planOf(operation).plan(planned),
    always(operation, fault) {
      for (const each of operation === "all" ? OPERATIONS : [operation]) planOf(each).always(fault);
    },
    heal() {
      for (const plan of plans.values()) plan.heal();
    },
    read: (keys, generations, signal) => meet("read", signal, () => read(keys, generations, signal), spoilRead),
    write: (entries, signal) => meet("write", signal, () => storage.write(entries, signal), spoilList),
    remove: (keys, signal) => meet("remove", signal, () => storage.remove(keys, signal), spoilNothing),
    raise: (generations, signal) => meet("raise", signal, () => storage.raise(generations, signal), spoilNothing),
    ensure: (generations, signal) => meet("ensure", signal, () => ensure(generations, signal), spoilList),
  };
}

function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    const end = (): void => reject(signal.reason);
    if (signal.aborted) end();
    else signal.addEventListener("abort", end, { once: true });
  });
}

function never(): Promise<never> {
  return new Promise(() => undefined);
}

function spoilList<Item>(list: readonly Item[], fault: StorageFaultName): readonly Item[] {
  if (fault === "short") return list.slice(0, -1);
  if (fault === "long") return [...list, ...list.slice(0, 1)];
  return fault === "nonsense" ? spoilWhole(list) : list;
}

/** Not what its type says, as when a parser took something else for the answer. */
function spoilWhole<Result>(_result: Result): Result {
  return JSON.parse("42");
}

/** A call without an answer cannot be answered wrongly. */
function spoilNothing(): void {
  return undefined;
}
