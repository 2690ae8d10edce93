/**
 * The operations of one contestant in a process of its own, in slices, so that no contestant inherits another's heap or compiled
 * code. "zipf 95/5" reads 95 of 100 times and stores what it missed, and writes the rest; "set-new" stores keys that were never
 * there, each of which evicts one.
 *
 * @module
 */
import { contestantNamed } from "./local-contestants.ts";
import type { LocalContestant, MakeContestant } from "./local-contestants.ts";
import { keysFrom } from "./local-keys.ts";
import { jobOf } from "./rounds.ts";
import { rateOf, serveSlices } from "./slices.ts";
import type { Slice } from "./slices.ts";
import { seededRandom, zipf } from "./zipf.ts";

/** What the parent passes as JSON. */
export interface LocalJob {
  readonly name: string;
  readonly capacity: number;
}

/** Rates in million operations a second; "zipf hit share" is what the reads of "zipf 95/5" found. */
export type LocalFigure = "get-hit" | "set-existing" | "zipf 95/5" | "set-new" | "zipf hit share";

const UNIVERSE_FACTOR = 4;
/** Length of the pre-drawn orders. */
const PICKS = 500_000;
/** Operations between two looks at the clock; an order is a whole number of them. */
const CHUNK = 5_000;
/** New keys at a time. */
const FRESH = 100_000;
const SEED = 1;

/** Does some operations and says how many. */
type Loop = () => number;

const { name, capacity } = jobOf<LocalJob>();
const make = await contestantNamed(name);
if (make !== undefined) serveSlices(figuresOf(make));

function figuresOf(create: MakeContestant): Readonly<Record<LocalFigure, Slice>> {
  const random = seededRandom(SEED);
  const universe = keysFrom(0, capacity * UNIVERSE_FACTOR);
  const value = { uid: 1 };
  const resident = Int32Array.from({ length: PICKS }, () => Math.floor(random() * capacity));
  const skewed = Int32Array.from({ length: PICKS }, zipf(random, { s: 0.99, v: 1, max: universe.length - 1 }));
  const writes = Uint8Array.from({ length: PICKS }, () => (random() < 0.05 ? 1 : 0));
  const at = (index: number): string => universe[index] ?? "";
  const filled = (): LocalContestant => {
    const cache = create(capacity);
    for (let index = 0; index < capacity; index++) cache.set(at(index), value);
    return cache;
  };
  // Each loop is made once, as a program has its caches: a compiler then knows which cache it is. One of them at a time, since with
  // many entries a cache takes its share of the machine.
  let held: { readonly makeLoop: () => Loop; readonly loop: Loop } | undefined;
  const loopOf = (makeLoop: () => Loop): Loop => {
    if (held?.makeLoop !== makeLoop) held = { makeLoop, loop: makeLoop() };
    return held.loop;
  };
  const inChunks =
    (makeLoop: () => Loop): Slice =>
    (ms) =>
      rateOf(ms, loopOf(makeLoop));
  let position = 0;
  const advance = (): number => {
    const from = position;
    position = (position + CHUNK) % PICKS;
    return from;
  };
  let next = capacity * UNIVERSE_FACTOR;
  let fresh: string[] = [];
  let found = 0;
  let asked = 0;
  const storeFresh = (): Loop => {
    const cache = filled();
    return () => {
      for (const key of fresh) cache.set(key, value);
      return FRESH;
    };
  };
  return {
    "get-hit": inChunks(() => {
      const cache = filled();
      return () => {
        const from = advance();
        let hits = 0;
        for (let i = from; i < from + CHUNK; i++) if (cache.get(at(resident[i] ?? 0)) === value) hits++;
        if (hits !== CHUNK) throw new Error(`${name}: ${hits} hits of ${CHUNK}`);
        return CHUNK;
      };
    }),
    "set-existing": inChunks(() => {
      const cache = filled();
      return () => {
        const from = advance();
        for (let i = from; i < from + CHUNK; i++) cache.set(at(resident[i] ?? 0), value);
        return CHUNK;
      };
    }),
    "zipf 95/5": inChunks(() => {
      const cache = create(capacity);
      return () => {
        const from = advance();
        for (let i = from; i < from + CHUNK; i++) {
          const key = at(skewed[i] ?? 0);
          if (writes[i] === 1) cache.set(key, value);
          else {
            asked++;
            if (cache.get(key) === undefined) cache.set(key, value);
            else found++;
          }
        }
        return CHUNK;
      };
    }),
    "zipf hit share": () => found / asked,
    "set-new": (ms) => {
      const loop = loopOf(storeFresh);
      let operations = 0;
      let spent = 0;
      while (spent < ms) {
        fresh = keysFrom(next, FRESH);
        next += FRESH;
        // The keys grow old, so that collecting young garbage does not copy them while the clock runs.
        globalThis.gc?.({ type: "minor" });
        globalThis.gc?.({ type: "minor" });
        const began = performance.now();
        operations += loop();
        spent += performance.now() - began;
      }
      return operations / spent / 1e3;
    },
  };
}
