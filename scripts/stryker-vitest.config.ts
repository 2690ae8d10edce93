/**
 * The tests that Stryker runs for one file of the source; `stryker.mjs` names them in `CACHEME_STRYKER_TESTS`.
 *
 * @module
 */
import usual from "../vitest.config.ts";

export default { ...usual, test: { ...usual.test, include: (process.env.CACHEME_STRYKER_TESTS ?? "").split(",") } };
