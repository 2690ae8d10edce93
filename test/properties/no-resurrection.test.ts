/**
 * Guarantees 1 and 2 on the real core: over seeded schedules of a simulation, what an `invalidate`, `set` or `refresh` has
 * replaced does not come back, within an isolate and across isolates; and with a rule taken out, it does.
 *
 * `CACHEME_SCHEDULES=20` runs twenty times as many; `CACHEME_SEED` begins at another seed. A failure prints both and its story.
 *
 * @module
 */
import { describe, expect, test } from "vitest";
import type { Core } from "../../src/core.ts";
import { plan } from "./plan.ts";
import { ALONE, LIMITS, TOGETHER } from "./scenarios.ts";
import { search, searchFailure } from "./search.ts";

const TIMEOUT_MS = 600_000;
/** Of each scenario: 24,000 and 28,000 in all. */
const ALONE_SCHEDULES = 4_000;
const TOGETHER_SCHEDULES = 2_000;

describe("guarantee 1: no resurrection in an isolate", () => {
  test.each(Object.entries(ALONE))(`holds in "%s" over ${ALONE_SCHEDULES} schedules`, { timeout: TIMEOUT_MS }, async (name, scenario) => {
    expect((await search(plan(name, scenario), ALONE_SCHEDULES))?.story).toBeUndefined();
  });

  test("fails within 100 schedules without the fence", { timeout: TIMEOUT_MS }, async () => {
    const sabotage = (core: Core): void => {
      core.fence = () => undefined;
    };
    const found = await searchFailure(plan("fenceless", { isolates: 1, tiers: [], kinds: "get inv", sabotage }), 100);
    expect(found?.failure).toMatch(/had resolved for v\d, then get#\d@0 got v\d/);
  });
});

describe("guarantee 2: no resurrection across isolates", () => {
  test.each(Object.entries(TOGETHER))(`holds in "%s" over ${TOGETHER_SCHEDULES} schedules`, { timeout: TIMEOUT_MS }, async (name, scenario) => {
    expect((await search(plan(name, scenario), TOGETHER_SCHEDULES))?.story).toBeUndefined();
  });

  test.each([
    ["a server ignores the stamps", { flaws: { ignoresStamps: true } }],
    ["a server compares the stamps of expired slots", { flaws: { comparesExpiredStamps: true } }],
  ])("fails within 1000 schedules if %s", { timeout: TIMEOUT_MS }, async (name, flawed) => {
    const scenario = { tiers: [{ ttlMs: 60_000, weak: false }], local: false, faults: true, kinds: "get get inv inv set advance advance", ...flawed };
    const found = await searchFailure(plan(name, scenario), 1_000);
    expect(found?.failure).toBeDefined();
  });

  test.each(Object.entries(LIMITS))(`cannot hold in "%s", as the documentation says`, { timeout: TIMEOUT_MS }, async (name, scenario) => {
    expect((await searchFailure(plan(name, scenario), 5_000))?.failure).toBeDefined();
  });
});
