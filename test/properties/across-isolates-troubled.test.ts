/**
 * Guarantee 2 on the real core, as in `across-isolates.test.ts`, where calls are lost, late or given up and applied later,
 * requests die, and stores forget.
 *
 * @module
 */
import { describe } from "vitest";
import { holds } from "./holds.ts";
import { TROUBLED } from "./scenarios.ts";

describe("guarantee 2: no resurrection across isolates, in trouble", () => {
  holds(TROUBLED, 5_000, 100_000);
});
