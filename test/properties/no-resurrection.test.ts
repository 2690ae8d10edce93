/**
 * Guarantee 1 on the real core: over seeded schedules of a simulation, what an invalidation, `set` or `refresh` has replaced
 * does not come back within an isolate; and with a rule taken out, it does. Across isolates: `across-isolates.test.ts`.
 *
 * @module
 */
import { describe, expect, test } from "vitest";
import type { Core } from "../../src/core.ts";
import { holds, TIMEOUT_MS } from "./holds.ts";
import { plan } from "./plan.ts";
import { ALONE, LIMITS } from "./scenarios.ts";
import { searchFailure } from "./search.ts";

describe("guarantee 1: no resurrection in an isolate", () => {
  // 12,000 in all, and more than a million in a soak.
  holds(ALONE, 1_500, 130_000);

  test("fails within 100 schedules without the fence", { timeout: TIMEOUT_MS }, async () => {
    const sabotage = (core: Core): void => {
      core.fence = () => undefined;
    };
    const found = await searchFailure(plan("fenceless", { isolates: 1, tiers: [], kinds: "get inv", sabotage }), 100);
    expect(found?.failure).toMatch(/had resolved for v\d, then get#\d@0 got v\d/);
  });

  test("fails within 100 schedules without the epochs", { timeout: TIMEOUT_MS }, async () => {
    const sabotage = (core: Core): void => {
      core.epochs.raise = () => undefined;
    };
    const found = await searchFailure(plan("epochless", { isolates: 1, tiers: [], kinds: "get node", sabotage }), 100);
    expect(found?.failure).toMatch(/had resolved for v\d, then get#\d@0 got v\d/);
  });
});

describe("guarantee 2 rests on the servers", () => {
  test.each([
    ["a server ignores the stamps", { flaws: { ignoresStamps: true } }],
    ["a server compares the stamps of expired slots", { flaws: { comparesExpiredStamps: true } }],
  ])("it fails within 1000 schedules if %s", { timeout: TIMEOUT_MS }, async (name, flawed) => {
    const scenario = { tiers: [{ ttlMs: 60_000, weak: false }], local: false, faults: true, kinds: "get get inv inv set advance advance", ...flawed };
    const found = await searchFailure(plan(name, scenario), 1_000);
    expect(found?.failure).toBeDefined();
  });

  test.each(Object.entries(LIMITS))(`it cannot hold in "%s", as the documentation says`, { timeout: TIMEOUT_MS }, async (name, scenario) => {
    expect((await searchFailure(plan(name, scenario), 5_000))?.failure).toBeDefined();
  });
});
