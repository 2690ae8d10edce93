/**
 * A test for each scenario: no schedule of so many fails.
 *
 * `CACHEME_SOAK=1` runs as many as a soak asks for, `CACHEME_SCHEDULES=20` twenty times as many as usual; `CACHEME_SEED` begins
 * at another seed. A failure prints its seed and its story.
 *
 * @module
 */
import { expect, test } from "vitest";
import { plan } from "./plan.ts";
import type { Scenario } from "./plan.ts";
import { search } from "./search.ts";

const SOAK = process.env["CACHEME_SOAK"] === "1";
/** For whoever searches: far longer than any of this takes, but a machine may be slow. */
export const TIMEOUT_MS = SOAK ? 7_200_000 : 600_000;

/** Declares the tests. `soaked` is how many schedules of each scenario a soak runs. */
export function holds(scenarios: Readonly<Record<string, Scenario>>, usual: number, soaked: number): void {
  const schedules = SOAK ? soaked : usual;
  test.each(Object.entries(scenarios))(`holds in "%s" over ${schedules} schedules`, { timeout: TIMEOUT_MS }, async (name, scenario) => {
    expect((await search(plan(name, scenario), schedules))?.story).toBeUndefined();
  });
}
