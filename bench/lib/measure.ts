/**
 * Drains one stream through one contestant: N workers take calls from a shared list, each answer is checked against the
 * key that was asked. It relies on the contestant alone and knows neither processes nor tables.
 *
 * @module
 */
import type { Contestant, Load, Row } from "./contestant.ts";
import { BATCH_SIZE, BATCH_ZIPF, LOAD_MS, SINGLE_ZIPF } from "./variants.ts";
import type { Variant } from "./variants.ts";
import { drawBatches, drawStream, seededRandom, zipf } from "./zipf.ts";

/** What of a variant is measured. */
export type Workload = Pick<Variant, "calls" | "batch" | "workers">;

/** What one run gave; times of the client process alone. */
export interface Measure {
  /** From the first call to the last answer, in s. */
  readonly wallS: number;
  /** User and system time from the first call until the last write has landed, all threads, in s. */
  readonly cpuS: number;
  /** Largest resident set of the process, in MB. */
  readonly peakMb: number;
  readonly loads: number;
  readonly uniques: number;
  /** Answers that did not belong to their key. */
  readonly wrong: number;
  /** Calls that were rejected, and the first reason. */
  readonly failed: number;
  readonly firstError?: string;
  /** Of one call, in ms. */
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** What the contestant reported beside its answers. */
  readonly reports: Readonly<Record<string, number>>;
}

/** Runs a workload; `create` makes the contestant from the counted load. */
export async function measure(variant: Workload, seed: number, create: (load: Load) => Contestant | Promise<Contestant>): Promise<Measure> {
  const { calls, batch, workers } = variant;
  const random = seededRandom(seed);
  const stream = batch === 1 ? drawStream(calls, zipf(random, SINGLE_ZIPF)) : drawBatches(calls, BATCH_SIZE, zipf(random, BATCH_ZIPF));
  const uniques = new Set(stream).size;
  const latencies = new Float64Array(calls);
  let loads = 0;
  let wrong = 0;
  let failed = 0;
  let firstError: unknown;
  let next = 0;
  const contestant = await create((uid) => {
    loads++;
    return new Promise((resolve) => setTimeout(resolve, LOAD_MS, { uid }));
  });

  const check = (row: Row, uid: number | undefined): void => {
    if (row.uid !== uid) wrong++;
  };
  const one = async (at: number): Promise<void> => {
    const uid = stream[at] ?? -1;
    check(await contestant.get(uid), uid);
  };
  const many = async (at: number): Promise<void> => {
    const uids = [...stream.subarray(at * batch, (at + 1) * batch)];
    const rows = await contestant.getMany(uids);
    if (rows.length !== uids.length) wrong++;
    for (const [i, row] of rows.entries()) check(row, uids[i]);
  };
  const call = batch === 1 ? one : many;
  const work = async (): Promise<void> => {
    while (next < calls) {
      const at = next++;
      const began = performance.now();
      try {
        await call(at);
      } catch (error) {
        if (failed++ === 0) firstError = error;
      }
      latencies[at] = performance.now() - began;
    }
  };

  const cpuBefore = process.cpuUsage();
  const began = performance.now();
  await Promise.all(Array.from({ length: workers }, work));
  const wallS = (performance.now() - began) / 1_000;
  await contestant.settle();
  const cpu = process.cpuUsage(cpuBefore);
  latencies.sort();
  return {
    wallS,
    cpuS: (cpu.user + cpu.system) / 1e6,
    peakMb: process.resourceUsage().maxRSS / 1_024,
    loads,
    uniques,
    wrong,
    failed,
    ...(failed > 0 && { firstError: String(firstError) }),
    p50Ms: latencies[Math.floor(calls * 0.5)] ?? Number.NaN,
    p99Ms: latencies[Math.floor(calls * 0.99)] ?? Number.NaN,
    reports: Object.fromEntries(contestant.reports),
  };
}
