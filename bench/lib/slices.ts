/**
 * Compares the speed of contestants slice by slice: in a round each has a fresh process of its own, all are alive at once, and
 * they take turns of some ms, every second time backwards. A neighbour that slows the machine for a second falls on all of them, and
 * the ratio of two slices of the same turn is free of it. It knows nothing of what is measured.
 *
 * @module
 */
import { fork } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { median } from "./table.ts";

/** Works for about so many ms and gives the rate; or does something once and gives a number. */
export type Slice = (ms: number) => number | Promise<number>;

/** What to compare. */
export interface SlicesOptions<Name extends string, Figure extends string> {
  readonly contestants: readonly Name[];
  readonly rounds: number;
  /** A program in this folder that calls {@link serveSlices} under the same figures, and what it gets as its argument, as JSON. */
  readonly program: string;
  job(contestant: Name): unknown;
  readonly nodeArgs?: readonly string[];
  /** Measured in turns. */
  readonly figures: readonly Figure[];
  /** Asked for once in a round, when all turns are over. */
  readonly once?: readonly Figure[];
}

interface Request {
  readonly figure: string;
  readonly ms: number;
}

const SLICES = 15;
const SLICE_MS = 25;
/** Before each turn and not counted: others have had the processor's caches meanwhile. */
const LEAD_MS = 10;
/** For the compiler, before the first turn of a figure. */
const WARM_UP_MS = 400;

/** Serves the slices of a contestant until the parent is done. A program that has nothing to measure just ends. */
export function serveSlices(figures: Readonly<Record<string, Slice>>): void {
  process.on("message", ({ figure, ms }: Request) => {
    const answer = async (): Promise<number> => (await figures[figure]?.(ms)) ?? Number.NaN;
    void answer().then((value) => process.send?.(value));
  });
  process.send?.("ready");
}

/** Spends about so many ms on chunks of work, each of which says how many operations it was, and gives million operations a second. */
export async function rateOf(ms: number, chunk: () => number | Promise<number>): Promise<number> {
  const began = performance.now();
  let operations = 0;
  for (;;) {
    const done = chunk();
    operations += typeof done === "number" ? done : await done;
    const spent = performance.now() - began;
    if (spent >= ms) return operations / spent / 1e3;
  }
}

/** The slices of each contestant and figure, a list for each round. */
export class Sliced<Name extends string, Figure extends string> {
  private readonly rounds: ReadonlyMap<Name, ReadonlyMap<Figure, readonly number[]>>[] = [];

  add(round: ReadonlyMap<Name, ReadonlyMap<Figure, readonly number[]>>): void {
    this.rounds.push(round);
  }

  /** Those that had something to measure. */
  names(): Name[] {
    return [...(this.rounds[0]?.keys() ?? [])];
  }

  /** Median of the rounds' medians. */
  middle(name: Name, figure: Figure): number {
    return median(this.rounds.map((round) => median(round.get(name)?.get(figure) ?? [])));
  }

  /** One contestant beside another: median over the rounds of the median of the ratios of the same turn. */
  ratio(name: Name, base: Name, figure: Figure): number {
    return median(
      this.rounds.map((round) => {
        const bases = round.get(base)?.get(figure) ?? [];
        return median((round.get(name)?.get(figure) ?? []).map((value, turn) => value / (bases[turn] ?? Number.NaN)));
      }),
    );
  }
}

/** Runs all rounds. */
export async function runSlices<Name extends string, Figure extends string>(options: SlicesOptions<Name, Figure>): Promise<Sliced<Name, Figure>> {
  const sliced = new Sliced<Name, Figure>();
  for (let round = 0; round < options.rounds; round++) {
    sliced.add(await runRound(options));
    for (const name of sliced.names()) {
      const shown = options.figures.map((figure) => `${figure} ${sliced.middle(name, figure).toPrecision(3)}`);
      console.error(`${round + 1}/${options.rounds} ${name}: ${shown.join(", ")} so far`);
    }
  }
  return sliced;
}

async function runRound<Name extends string, Figure extends string>(options: SlicesOptions<Name, Figure>): Promise<Map<Name, Map<Figure, number[]>>> {
  const { figures, once: extras = [] } = options;
  const contestants: Contestant<Name>[] = [];
  const values = new Map<Name, Map<Figure, number[]>>();
  try {
    for (const name of options.contestants) {
      const contestant = new Contestant(name, options.program, options.job(name), options.nodeArgs ?? []);
      contestants.push(contestant);
      // One after the other, so that none is made while another one is measured.
      if (await contestant.isReady()) values.set(name, new Map([...figures, ...extras].map((figure) => [figure, []])));
    }
    const present = contestants.filter(({ name }) => values.has(name));
    const take = async (contestant: Contestant<Name>, figure: Figure): Promise<void> => {
      values
        .get(contestant.name)
        ?.get(figure)
        ?.push(await contestant.ask(figure, SLICE_MS));
    };
    const turns = Array.from({ length: SLICES }, (_, turn) => (turn % 2 === 0 ? present : [...present].reverse()));
    for (const figure of figures) {
      for (const contestant of present) await contestant.ask(figure, WARM_UP_MS);
      for (const contestant of turns.flat()) {
        await contestant.ask(figure, LEAD_MS);
        await take(contestant, figure);
      }
    }
    for (const figure of extras) for (const contestant of present) await take(contestant, figure);
  } finally {
    for (const contestant of contestants) contestant.stop();
  }
  return values;
}

/** A contestant's process. */
class Contestant<Name extends string> {
  readonly name: Name;
  private readonly child: ChildProcess;
  private readonly ended: Promise<number | null>;

  constructor(name: Name, program: string, job: unknown, nodeArgs: readonly string[]) {
    this.name = name;
    this.child = fork(fileURLToPath(new URL(program, import.meta.url)), [JSON.stringify(job)], { execArgv: [...nodeArgs] });
    this.ended = once(this.child, "exit").then(([code]: (number | null)[]) => code ?? null);
  }

  /** `false` if it ended because there is nothing to measure. */
  async isReady(): Promise<boolean> {
    const code = await Promise.race([once(this.child, "message"), this.ended]);
    if (Array.isArray(code)) return true;
    if (code === 0) return false;
    throw new Error(`${this.name}: ended with ${code}`);
  }

  async ask(figure: string, ms: number): Promise<number> {
    const answer = once(this.child, "message");
    const request: Request = { figure, ms };
    this.child.send(request);
    const reply = await Promise.race([answer, this.ended]);
    if (!Array.isArray(reply)) throw new Error(`${this.name}: ended with ${reply} while ${figure} was measured`);
    return Number(reply[0]);
  }

  stop(): void {
    if (this.child.exitCode === null) this.child.kill("SIGKILL");
  }
}
