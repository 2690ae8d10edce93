/**
 * Runs the storage contract under vitest. The subject is asked for when a case runs, because servers are started in
 * `beforeAll`; what it lacks is therefore named beforehand, and cases that need it are left out instead of skipped.
 *
 * @module
 */
import { describe, test } from "vitest";
import type { ContractSubject } from "../../testing/index.ts";
import { clausesOf, type Lacking } from "./clauses.ts";

/** Declares one test for each case that applies. */
export function runContract(name: string, lacking: readonly Lacking[], subject: () => ContractSubject): void {
  describe(`the storage contract, ${name}`, () => {
    for (const { name: clause, needs, run } of clausesOf(lacking)) {
      test(clause, async () => {
        const under = subject();
        if (needs !== undefined && !needs(under)) throw new Error("the subject lacks what it did not say it lacks");
        await run(under);
      });
    }
  });
}
