/**
 * Guarantees 2 and 11 for a fleet: fifty isolates on one store, whose wall clocks are up to ten minutes off either way; keys,
 * the node and a tag are invalidated, calls are lost, requests die. The judge is that of two isolates.
 *
 * @module
 */
import { describe } from "vitest";
import { holds } from "./holds.ts";
import { FLEET } from "./scenarios.ts";

describe("a fleet of fifty isolates", () => {
  holds(FLEET, 250, 5_000);
});
