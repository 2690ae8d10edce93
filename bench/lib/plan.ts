/**
 * Runs variants one after the other against one Redis, each in a fresh process on an emptied server, and adds up what the
 * proxy counted. Rounds go through all variants before the next begins, so that a busy minute of the machine falls on all.
 *
 * @module
 */
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import type { Measure } from "./measure.ts";
import type { Job } from "./run.ts";
import type { CommandCounts, Servers } from "./servers.ts";
import type { Variant } from "./variants.ts";

/** One run: the client's own figures and the wire's. */
export interface Result extends Measure {
  readonly variant: Variant;
  readonly commands: CommandCounts;
  /** Commands sent to read, and to write (scripts and generations included). Those of the connection are neither. */
  readonly reads: number;
  readonly writes: number;
  readonly redisCpuS: number;
}

/** How to run. */
export interface PlanOptions {
  readonly rounds: number;
  readonly seed: number;
  /** Folder for a CPU profile of each run, or `undefined` for none. */
  readonly profiles: string | undefined;
  /** Told about each run when it ends. */
  onResult(result: Result): void;
}

const READS = new Set(["GET", "MGET", "GETRANGE", "GETEX", "EXISTS", "STRLEN", "TTL", "PTTL", "TYPE", "HGET", "HMGET"]);
const CONNECTION = new Set(["HELLO", "AUTH", "INFO", "CLIENT", "SELECT", "PING", "QUIT", "COMMAND"]);
const TIMEOUT_MS = 180_000;

const execute = promisify(execFile);

/** All results, in the order they were made. */
export async function runPlan(variants: readonly Variant[], servers: Servers, options: PlanOptions): Promise<Result[]> {
  const results: Result[] = [];
  for (let round = 0; round < options.rounds; round++) {
    // Every second round runs backwards: of a pair, neither always comes first.
    for (const variant of round % 2 === 0 ? variants : [...variants].reverse()) {
      const result = await runOne(variant, servers, options);
      options.onResult(result);
      results.push(result);
    }
  }
  return results;
}

async function runOne(variant: Variant, servers: Servers, { seed, profiles }: PlanOptions): Promise<Result> {
  await servers.reset();
  const job: Job = { variant, port: servers.port, seed };
  const profiling =
    profiles === undefined ? [] : ["--cpu-prof", "--cpu-prof-dir", profiles, "--cpu-prof-name", `${variant.id.replaceAll("/", "-")}.cpuprofile`];
  const child = fileURLToPath(new URL("run.ts", import.meta.url));
  const { stdout } = await execute(process.execPath, [...profiling, child, JSON.stringify(job)], { timeout: TIMEOUT_MS, killSignal: "SIGKILL" }).catch(
    (error: unknown) => {
      // The bare error repeats the output of the process three times.
      const reason = error instanceof Error && "killed" in error && error.killed === true ? `took longer than ${TIMEOUT_MS / 1_000} s` : String(error);
      throw new Error(`${variant.id}: ${reason}; is the package built (npm run build)?`);
    },
  );
  const measured: Measure = JSON.parse(stdout);
  const commands = await servers.commands();
  let reads = 0;
  let writes = 0;
  for (const [name, count] of Object.entries(commands)) {
    if (READS.has(name)) reads += count;
    else if (!CONNECTION.has(name)) writes += count;
  }
  return { ...measured, variant, commands, reads, writes, redisCpuS: await servers.redisCpu() };
}
