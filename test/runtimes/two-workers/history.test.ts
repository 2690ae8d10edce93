/**
 * Guarantee 2 on real servers: two Workers in two workerd processes on one real store, thousands of mixed operations on few
 * keys, and a checker over the history. Once an invalidation has resolved, no read that begins later gives anything older,
 * beyond what local tiers may hold for their ttl; and with the protocol broken on purpose, reads do.
 *
 * `CACHEME_OPERATIONS=100000` makes the run longer; `CACHEME_SEED` makes it another one. A failure prints its seed.
 *
 * @module
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { isLeftOut } from "../../servers/process.ts";
import { check, tell, type Verdict, type Way } from "./checker.ts";
import { startLab, type Lab } from "./lab.ts";
import { inspection, plan } from "./plan.ts";
import { Run } from "./run.ts";

const OPERATIONS = numberFrom("CACHEME_OPERATIONS", 10_000, 1_000);
const SEED = numberFrom("CACHEME_SEED", 1, 1);
const LOCAL_TTL_MS = 250;
/** No promise about speed: this is for a machine that is stuck. */
const TIMEOUT_MS = 300_000 + OPERATIONS * 30;

/** What is broken on purpose, and must be found within so many operations. It is looked for at each stride. */
const FLAWS = [
  { name: "stamps are ignored", flaw: "stamps are ignored", localTtlMs: LOCAL_TTL_MS },
  { name: "tombstones are removals", flaw: "tombstones are removals", localTtlMs: LOCAL_TTL_MS },
  { name: "tombstones are not waited for", flaw: "tombstones are not waited for", localTtlMs: LOCAL_TTL_MS },
  { name: "local copies live ten times their ttl", flaw: undefined, localTtlMs: 10 * LOCAL_TTL_MS },
] as const;
const FOUND_WITHIN = 10_000;
const STRIDE = 500;

function numberFrom(variable: string, otherwise: number, least: number): number {
  const number = Number(process.env[variable] ?? otherwise);
  if (Number.isSafeInteger(number) && number >= least) return number;
  throw new TypeError(`${variable} must be a whole number of at least ${least}, got ${JSON.stringify(process.env[variable])}`);
}

/** The first violations in words. */
function story({ acts }: Run, { violations }: Verdict): string {
  if (violations.length === 0) return "";
  const first = violations.slice(0, 3).map((violation) => tell(violation, acts));
  return [`with CACHEME_SEED=${SEED}, ${violations.length} reads gave what had been replaced:`, ...first].join("\n\n");
}

describe.each(["redis", "postgres"] as const)("two workerd processes and one %s", (server) => {
  const leftOut = isLeftOut(server);
  let lab: Lab;

  beforeAll(async () => {
    if (!leftOut) lab = await startLab(server);
  });

  afterAll(async () => {
    await lab?.stop();
  });

  test.skipIf(leftOut)(`no read of ${OPERATIONS} operations (seed ${SEED}) gives what had been replaced`, { timeout: TIMEOUT_MS }, async () => {
    const workers = await lab.pair({ localTtlMs: LOCAL_TTL_MS }, SEED);
    const run = new Run(lab.source, workers);
    await run.through(plan(SEED, OPERATIONS));
    // Local copies of the other Worker's changes have then gone, and the last reads have no excuse.
    await new Promise((resolve) => setTimeout(resolve, LOCAL_TTL_MS + 10));
    await run.through(inspection(OPERATIONS));
    const verdict = check(run.acts, run.rules(LOCAL_TTL_MS));

    expect(run.failures.slice(0, 3)).toEqual([]);
    expect(story(run, verdict)).toBe("");

    // The run was a test: reads came by every way, the store refused what came too late, and most changes did resolve.
    for (const way of ["local", "remote", "load", "joined", "untold"] satisfies Way[]) expect(run.acts.map((act) => act.way)).toContain(way);
    for (const worker of workers) expect(await worker.refused()).toBeGreaterThan(0);
    const [resolved, rejected] = [run.acts.filter(({ floor }) => floor !== undefined), run.acts.filter((act) => act.rejected)];
    expect(resolved.length).toBeGreaterThan(10 * rejected.length);
  });

  test.skipIf(leftOut).each(FLAWS)(
    `finds out within ${FOUND_WITHIN} operations (seed ${SEED}) if $name`,
    { timeout: TIMEOUT_MS },
    async ({ flaw, localTtlMs }) => {
      const run = new Run(lab.source, await lab.pair({ localTtlMs, flaw }, SEED));
      const steps = plan(SEED, FOUND_WITHIN);
      let found = 0;
      for (let from = 0; found === 0 && from < steps.length; from += STRIDE) {
        await run.through(steps.slice(from, from + STRIDE));
        found = check(run.acts, run.rules(LOCAL_TTL_MS)).violations.length;
      }
      expect(run.failures.slice(0, 3)).toEqual([]);
      expect(found).toBeGreaterThan(0);
    },
  );
});
