/**
 * Runs contestants in turn, each time in a fresh process, so that no run inherits another's heap or compiled code. Rounds go
 * through all of them before the next begins, and every second one backwards: a busy minute of the machine falls on all.
 * It knows nothing of what is measured; the process prints its figures as one line of JSON.
 *
 * @module
 */
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

/** What to run. */
export interface RoundsOptions<Name extends string, Figures> {
  readonly contestants: readonly Name[];
  readonly rounds: number;
  /** A program in this folder, and what it gets as its argument, as JSON. */
  readonly program: string;
  job(contestant: Name): unknown;
  readonly nodeArgs?: readonly string[];
  /** Before each run; what it gives back is laid over the figures after it. */
  around?(contestant: Name): Promise<() => Promise<Partial<Figures>>>;
}

const TIMEOUT_MS = 180_000;
const execute = promisify(execFile);

/** The figures of each contestant, a round each. */
export async function runRounds<Name extends string, Figures>(options: RoundsOptions<Name, Figures>): Promise<Map<Name, Figures[]>> {
  const { contestants, rounds, program, job, nodeArgs = [], around } = options;
  const path = fileURLToPath(new URL(program, import.meta.url));
  const results = new Map<Name, Figures[]>(contestants.map((name) => [name, []]));
  for (let round = 0; round < rounds; round++) {
    for (const name of round % 2 === 0 ? contestants : [...contestants].reverse()) {
      const after = await around?.(name);
      const { stdout } = await execute(process.execPath, [...nodeArgs, path, JSON.stringify(job(name))], { timeout: TIMEOUT_MS, killSignal: "SIGKILL" }).catch(
        (error: unknown) => {
          const reason = error instanceof Error && "killed" in error && error.killed === true ? `took longer than ${TIMEOUT_MS / 1_000} s` : String(error);
          throw new Error(`${name}: ${reason}`);
        },
      );
      const figures: Figures = { ...JSON.parse(stdout.trim().split("\n").at(-1) ?? "{}"), ...(await after?.()) };
      results.get(name)?.push(figures);
      console.error(`${round + 1}/${rounds} ${name}: ${JSON.stringify(figures)}`);
    }
  }
  return results;
}

/** The job that the parent passed. */
export function jobOf<Job>(): Job {
  const job: Job = JSON.parse(process.argv[2] ?? "{}");
  return job;
}

/** Names that a comma-separated `--only` chooses; all, if it is empty. @throws TypeError for a name that is none. */
export function chosen<Name extends string>(names: readonly Name[], only: string): Name[] {
  const wanted = only === "" ? names : only.split(",");
  const unknown = wanted.filter((name) => !names.some((known) => known === name));
  if (unknown.length > 0) throw new TypeError(`--only must name some of ${names.join(", ")}, got ${unknown.join(", ")}`);
  return names.filter((name) => wanted.some((other) => other === name));
}

/** A whole number from an option. @throws TypeError naming option and value. */
export function wholeNumber(option: string, text: string): number {
  if (!/^[1-9]\d*$/.test(text)) throw new TypeError(`${option} must be a positive whole number, got ${JSON.stringify(text)}`);
  return Number(text);
}
