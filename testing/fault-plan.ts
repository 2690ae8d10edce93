/**
 * Which fault the next call meets: what was planned for it comes first, in order; then what holds until further notice; then
 * chance, by a seed. It knows nothing of the faults themselves.
 *
 * @module
 */
import { describe } from "../src/duration.ts";
import { createRandom } from "./random.ts";

/** How likely faults are, each from 0 to 1; together at most 1. What is left is the likelihood that nothing happens. */
export type Rates<Name extends string> = { readonly [Fault in Name]?: number | undefined };

/** Decides for one kind of call. */
export interface FaultPlan<Fault> {
  /** What the next call meets; `undefined`: nothing. */
  next(): Fault | undefined;
  /** Adds to the queue; `"pass"` lets one call through. */
  plan(faults: readonly (Fault | "pass")[]): void;
  /** Sets what every call meets once the queue is empty. */
  always(fault: Fault | undefined): void;
  /** Empties the queue, and takes back what holds for every call and what chance decides. */
  heal(): void;
}

/** What a plan has to know of its faults. */
export interface FaultKind<Fault> {
  /** Whose faults these are, for errors: `"faultyFetch"`. */
  readonly owner: string;
  /** A fault that is none would let calls pass, and a test with them. */
  readonly isFault: (value: unknown) => value is Fault;
}

/** Whether a value is a span of time. */
export function isSpan(value: unknown): boolean {
  return typeof value === "number" && value >= 0 && value < Number.POSITIVE_INFINITY;
}

/** The value of an object's field, whatever the object is. */
export function fieldOf(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null ? Reflect.get(value, name) : undefined;
}

/** @throws TypeError for rates that are no likelihoods, as its methods do for faults that are none. */
export function createFaultPlan<Fault, Name extends Fault & string>(
  { owner, isFault }: FaultKind<Fault>,
  seed: number,
  rates: Rates<Name> = {},
): FaultPlan<Fault> {
  if (!Number.isFinite(seed)) throw new TypeError(`${owner}: seed must be a finite number, got ${describe(seed)}`);
  const random = createRandom(seed);
  let queue: (Fault | "pass")[] = [];
  let standing: Fault | undefined;
  let byChance = readRates();

  function check(fault: unknown): void {
    if (!isFault(fault)) throw new TypeError(`${owner}: there is no fault ${describe(fault)}`);
  }
  function readRates(): readonly (readonly [Name, number])[] {
    const list: (readonly [Name, number])[] = [];
    let total = 0;
    for (const fault in rates) {
      const rate = rates[fault] ?? 0;
      check(fault);
      if (!(rate >= 0 && rate <= 1)) throw new TypeError(`${owner}: rates: ${fault} must be from 0 to 1, got ${String(rate)}`);
      total += rate;
      list.push([fault, rate]);
    }
    // Ten times a tenth is a little more than one.
    if (total > 1 + 1e-9) throw new TypeError(`${owner}: the rates must add up to at most 1, got ${total}`);
    return list;
  }
  function drawn(): Fault | undefined {
    if (byChance.length === 0) return undefined;
    let left = random();
    for (const [fault, rate] of byChance) {
      left -= rate;
      if (left < 0) return fault;
    }
    return undefined;
  }
  return {
    next() {
      // Drawn in any case, so that a plan does not move the chances of the calls after it.
      const chance = drawn();
      const [first] = queue.splice(0, 1);
      if (first !== undefined) return first === "pass" ? undefined : first;
      return standing ?? chance;
    },
    plan(faults) {
      for (const fault of faults) if (fault !== "pass") check(fault);
      queue.push(...faults);
    },
    always(fault) {
      if (fault !== undefined) check(fault);
      standing = fault;
    },
    heal() {
      queue = [];
      standing = undefined;
      byChance = [];
    },
  };
}
