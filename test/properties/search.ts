/**
 * Looking for a failing schedule, and telling it. A schedule is a seed: it gives the program, the setting and every choice
 * of the scheduler. One that fails is made shorter (steps of the program dropped, pieces of the tape cut) and told as a story.
 *
 * @module
 */
import type { Plan, Setting, Step } from "./plan.ts";
import { chance, createRandom, replay } from "../../testing/random.ts";
import { simulate } from "./simulation.ts";

/** A failing schedule. */
export interface Found {
  /** How many schedules it took. */
  readonly schedules: number;
  readonly seed: number;
  readonly failure: string;
  /** What to print: the failure, the seed, and what happened. */
  readonly story: string;
}

/** After so many runs the event loop has its turn: whoever runs the tests wants to hear from them. */
const BREATH = 200;
/** `CACHEME_SCHEDULES=20` runs twenty times as many. */
const FACTOR = numberFrom("CACHEME_SCHEDULES");
/** `CACHEME_SEED` begins elsewhere. */
const FIRST_SEED = numberFrom("CACHEME_SEED");

function numberFrom(variable: string): number {
  const number = Number(process.env[variable] ?? 1);
  if (number > 0) return number;
  throw new TypeError(`${variable} must be a number above 0, got ${JSON.stringify(process.env[variable])}`);
}

/** The schedule of a seed. */
function schedule(own: Plan, seed: number): { readonly program: readonly Step[]; readonly setting: Setting; readonly random: () => number } {
  const random = createRandom(Math.imul(seed, 0x9e3779b1));
  const pick = (count: number): number => Math.floor(random() * count);
  const kinds = own.kinds.split(" ");
  const program = Array.from({ length: 3 + pick((own.steps ?? 11) - 2) }, () => ({
    kind: kinds[pick(kinds.length)] ?? "get",
    isolate: pick(own.isolates ?? 2),
    key: pick(8) === 0 ? 1 : 0,
    x: pick(6),
  }));
  const windows = own.windows ?? (kinds.includes("swr") ? [0, 1, 2] : [0, 1]);
  const setting = {
    requestScoped: own.requestScoped ?? pick(2) === 0,
    waitUntil: pick(4) > 0,
    windows: windows[pick(windows.length)] ?? 0,
    pace: [0.2, 1, 3][pick(3)] ?? 1,
    slowFrom: Array.from({ length: program.length }, () => (random() < 0.4 ? pick(8) : Number.POSITIVE_INFINITY)),
  };
  return { program, setting, random };
}

/** Runs schedules until one fails; `undefined` if none does. */
export function search(own: Plan, schedules: number): Promise<Found | undefined> {
  return find(own, Math.ceil(schedules * FACTOR), true);
}

/** The same where a failure is expected: as many schedules as were said, and no story. */
export function searchFailure(own: Plan, schedules: number): Promise<Found | undefined> {
  return find(own, schedules, false);
}

async function find(own: Plan, count: number, told: boolean): Promise<Found | undefined> {
  const { stackTraceLimit } = Error;
  // Errors are part of most runs, and nobody reads where they were made.
  Error.stackTraceLimit = 0;
  try {
    for (let done = 0; done < count; done++) {
      if (done % BREATH === 0) await new Promise((resolve) => void setImmediate(resolve));
      const seed = FIRST_SEED + done;
      const { program, setting, random } = schedule(own, seed);
      const { failure, tape } = await simulate(own, program, chance(random), setting);
      if (failure === undefined) continue;
      return { schedules: done + 1, seed, failure, story: told ? await tell(own, seed, failure, tape) : "" };
    }
    return undefined;
  } finally {
    Error.stackTraceLimit = stackTraceLimit;
  }
}

/** Failures that only differ in names and numbers count as one. */
function family(failure: string | undefined): string | undefined {
  return failure?.replaceAll(/\w+#\d+@\d|v\d+|\d+/g, "");
}

async function tell(own: Plan, seed: number, failure: string, firstTape: readonly number[]): Promise<string> {
  const { program: firstProgram, setting } = schedule(own, seed);
  let program = firstProgram;
  let tape = firstTape;
  const fails = async (steps: readonly Step[], choices: readonly number[]): Promise<boolean> => {
    const run = await simulate(own, steps, replay(choices), setting);
    return family(run.failure) === family(failure);
  };
  let attempts = 1_500;
  for (let shorter = true; shorter && attempts > 0;) {
    shorter = false;
    for (let index = program.length - 1; index >= 0 && attempts-- > 0; index--) {
      const without = program.filter((_, other) => other !== index);
      if (await fails(without, tape)) [program, shorter] = [without, true];
    }
    for (let size = tape.length; size >= 1; size >>= 1) {
      for (let from = 0; from + size <= tape.length && attempts-- > 0; from += size) {
        const cut = [...tape.slice(0, from), ...tape.slice(from + size)];
        if (await fails(program, cut)) [tape, shorter] = [cut, true];
      }
    }
  }
  const { story, failure: last } = await simulate(own, program, replay(tape), setting, true);
  const host = setting.requestScoped ? `requests own their I/O, ${setting.waitUntil ? "with" : "without"} waitUntil` : "one process";
  return [`${own.name}, seed ${seed}: ${last ?? failure}`, `(${host}; run it alone with CACHEME_SEED=${seed})`, ...story].join("\n");
}
