/**
 * Memory that should not grow: ten million operations, each on a key, tag or node name that was never seen before, and after
 * each tenth of them the heap that is left once everything was collected. A line through these points has a slope, in bytes
 * for each operation; goal: below 1. Another part invalidates unknown keys on a real Redis and waits until the tombstones have
 * gone. `--keys` makes it smaller, `--only` names subjects, `--json` prints figures alone, `--write` updates bench/results.md,
 * which takes all subjects.
 * Needs `--expose-gc`.
 *
 * @module
 */
import { parseArgs } from "node:util";
import { growthOnRedis } from "./lib/growth-redis.ts";
import { SUBJECTS } from "./lib/growth-subjects.ts";
import type { Subject } from "./lib/growth-subjects.ts";
import { machineNote, updateResults } from "./lib/report.ts";
import { markdownTable } from "./lib/table.ts";

const POINTS = 10;
/** Until every table that has a limit is full: the largest holds 65,536 names. */
const WARM_UP = 100_000;
const GOAL_BYTES = 1;

/** What one subject came to. */
export interface Growth {
  readonly subject: string;
  readonly operations: number;
  /** Bytes of heap and buffers after each part, the first after the warm-up. */
  readonly bytes: readonly number[];
  /** Of the straight line that fits best, in bytes for each operation. */
  readonly slope: number;
}

const ALL = [...Object.keys(SUBJECTS), "redis"];
const { values: options } = parseArgs({
  options: {
    keys: { type: "string", default: "10000000" },
    "redis-keys": { type: "string", default: "100000" },
    only: { type: "string", default: ALL.join(",") },
    json: { type: "boolean", default: false },
    write: { type: "boolean", default: false },
  },
});
const keys = Number(options.keys);
const wanted = options.only.split(",");
if (options.write && !ALL.every((name) => wanted.includes(name)))
  throw new TypeError(`--write replaces the figures of all subjects, so --only must be left out, got ${JSON.stringify(options.only)}`);
const collect = globalThis.gc;
if (!collect) throw new Error("bench/growth.ts needs node --expose-gc");

const results: Growth[] = [];
for (const [name, subject] of Object.entries(SUBJECTS)) {
  if (!wanted.includes(name)) continue;
  const result = await measure(subject, collect);
  results.push(result);
  if (!options.json) console.log(`${result.subject}: ${result.slope.toFixed(3)} bytes an operation`);
}
if (options.json) console.log(JSON.stringify(results));
else await tell();

async function measure({ title, start }: Subject, gc: () => void): Promise<Growth> {
  const run = start();
  const part = Math.floor(keys / POINTS);
  await run.do(0, WARM_UP);
  const bytes: number[] = [];
  for (let point = 0; point <= POINTS; point++) {
    if (point > 0) await run.do(WARM_UP + (point - 1) * part, part);
    await run.rest();
    bytes.push(await standing(gc));
  }
  run.check(WARM_UP + POINTS * part);
  return { subject: title, operations: POINTS * part, bytes, slope: slopeOf(bytes, part) };
}

/** Bytes that outlive a collection; buffers are given back a turn later. */
async function standing(gc: () => void): Promise<number> {
  for (let round = 0; round < 3; round++) {
    gc();
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

/** Least squares over points that are `step` operations apart. */
function slopeOf(bytes: readonly number[], step: number): number {
  const middle = (bytes.length - 1) / 2;
  const mean = bytes.reduce((sum, value) => sum + value, 0) / bytes.length;
  let above = 0;
  let below = 0;
  for (const [at, value] of bytes.entries()) {
    above += (at - middle) * (value - mean);
    below += (at - middle) ** 2;
  }
  return above / below / step;
}

async function tell(): Promise<void> {
  const mb = (value: number | undefined): string => ((value ?? Number.NaN) / 1e6).toFixed(2);
  const table = [["", "operations", "MB after the warm-up", "MB at the end", "most MB", "bytes an operation"]];
  for (const { subject, operations, bytes, slope } of results) {
    table.push([subject, operations.toLocaleString("en-US"), mb(bytes[0]), mb(bytes.at(-1)), mb(Math.max(...bytes)), slope.toFixed(3)]);
  }
  const missed = results.filter(({ slope }) => Math.abs(slope) >= GOAL_BYTES).map(({ subject }) => subject);
  const verdict = `- goal below ${GOAL_BYTES} byte an operation, up or down, for each: ${missed.length === 0 ? "reached" : `**missed** by ${missed.join("; ")}`}`;
  const redis = wanted.includes("redis") ? await growthOnRedis(Number(options["redis-keys"])) : undefined;
  const command = ["node --expose-gc bench/growth.ts", ...process.argv.slice(2)].join(" ");
  const head = `## Memory that does not grow\n\n${machineNote(command, redis ? { Redis: redis.version } : {})}`;
  const about = `Every operation has a key (a tag, where it says so) of its own, never seen before, 100 at once. ${WARM_UP.toLocaleString("en-US")} of them come before the first of ${POINTS + 1} points; each point is the heap and the buffers that outlive a collection. The remote tier is a stub that forgets all it is given.`;
  const text = [head, about, markdownTable(table), verdict, ...(redis ? [redis.text] : [])].join("\n\n");
  console.log(text);
  if (options.write) await updateResults("growth", text);
}
