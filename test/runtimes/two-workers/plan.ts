/**
 * The operations of a run, all of them decided by a seed before it begins: what is asked, of which Worker, for which keys,
 * and how slow the source will be. Only how they overlap is left to the machine.
 *
 * @module
 */
import { createRandom } from "../../../testing/random.ts";
import type { NodeName, Order, Place } from "./protocol.ts";

/** One operation. */
export interface Step {
  readonly id: number;
  readonly worker: 0 | 1;
  readonly op: Exclude<Order["op"], "stats">;
  readonly places: readonly Place[];
  readonly loadMs: number;
  /** Whether the source is changed first. */
  readonly commits: boolean;
  /** Waits for the changes of its key that were begun before, so that none races with another. */
  readonly inTurn: boolean;
}

const NODES: readonly NodeName[] = ["near", "far"];
const KEYS_OF_A_NODE = 25;
/** The first keys of each node are changed in turn: there a `set` is held to the same as an `invalidate`. */
const IN_TURN = 12;
const MOST_AT_ONCE = 5;

/** How often each operation is drawn, out of 100. */
const WEIGHTS: readonly (readonly [op: Step["op"], commits: boolean, weight: number])[] = [
  ["get", false, 18],
  ["lookup", false, 24],
  ["getAll", false, 7],
  ["lookupAll", false, 9],
  ["invalidate", true, 20],
  ["set", true, 8],
  ["refresh", true, 6],
  ["refresh", false, 6],
  ["invalidate", false, 2],
];

/** Every key there is. */
export const PLACES: readonly Place[] = NODES.flatMap((node) => Array.from({ length: KEYS_OF_A_NODE }, (_, index) => ({ node, key: String(index) })));

export function nameOf({ node, key }: Place): string {
  return `${node}:${key}`;
}

/** Makes the operations of a seed. */
export function plan(seed: number, operations: number): Step[] {
  const random = createRandom(seed);
  const below = (count: number): number => Math.floor(random() * count);
  const total = WEIGHTS.reduce((sum, [, , weight]) => sum + weight, 0);

  function kind(): readonly [op: Step["op"], commits: boolean] {
    let left = below(total);
    for (const [op, commits, weight] of WEIGHTS) {
      if (left < weight) return [op, commits];
      left -= weight;
    }
    throw new Error("the weights do not add up");
  }
  function place(from: number): Place {
    return { node: NODES[below(NODES.length)] ?? "near", key: String(from + below(KEYS_OF_A_NODE - from)) };
  }
  /** Most sources are quick, some are slow enough to be overtaken by any number of changes. */
  function loadMs(): number {
    const luck = random();
    if (luck < 0.7) return 1 + below(15);
    return luck < 0.95 ? 15 + below(45) : 60 + below(140);
  }

  return Array.from({ length: operations }, (_, index) => {
    const [op, commits] = kind();
    const first = place(0);
    const inTurn = Number(first.key) < IN_TURN && (commits || op === "invalidate");
    const reads = op === "getAll" || op === "lookupAll";
    const many = reads || (op === "invalidate" && !inTurn && below(4) === 0);
    const others = Array.from({ length: many ? 1 + below(MOST_AT_ONCE) : 0 }, () => place(reads ? 0 : IN_TURN));
    const places = [first, ...others];
    return { id: index + 1, worker: below(2) === 0 ? 0 : 1, op, places, loadMs: loadMs(), commits, inTurn };
  });
}

/** Reads every key on both Workers: for the end, when nothing is under way that could excuse what is too old. */
export function inspection(after: number): Step[] {
  return ([0, 1] as const).map((worker) => ({ id: after + 1 + worker, worker, op: "lookupAll", places: PLACES, loadMs: 0, commits: false, inTurn: false }));
}
