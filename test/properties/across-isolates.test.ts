/**
 * Guarantee 2 on the real core: two isolates, one or two remote tiers, seeded schedules. What one isolate has invalidated, set
 * or refreshed is not seen again in another, beyond the bounds that are part of the promise; at rest no guarded tier holds it;
 * what was stored is found; and calls cost what they should. Those where calls are lost and requests die are in
 * `across-isolates-troubled.test.ts`, so that both run at the same time.
 *
 * @module
 */
import { describe } from "vitest";
import { holds } from "./holds.ts";
import { TOGETHER } from "./scenarios.ts";

describe("guarantee 2: no resurrection across isolates", () => {
  holds(TOGETHER, 5_000, 100_000);
});
