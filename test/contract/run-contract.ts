/**
 * Runs the storage contract under vitest. The subject is asked for when a case runs, because servers are started in
 * `beforeAll`; what it lacks is therefore named beforehand, and cases that need it are left out instead of skipped.
 *
 * @module
 */
import { describe, test } from "vitest";
import { memoryStorage, storageContract, type ContractCase, type ContractSubject } from "../../testing/index.ts";

export type Lacking = "conditional" | "pass" | "plantForeign" | "plantText";

/** The clauses that apply to a subject without these. */
export function clausesWithout(lacking: readonly Lacking[]): readonly ContractCase[] {
  const has = (what: Lacking): boolean => !lacking.includes(what);
  const shape: ContractSubject = {
    storage: memoryStorage({ traits: { conditional: has("conditional") } }),
    unique: "",
    pass: has("pass") ? () => undefined : undefined,
    plantForeign: has("plantForeign") ? async () => undefined : undefined,
    plantText: has("plantText") ? async () => undefined : undefined,
  };
  return storageContract.filter(({ needs }) => needs === undefined || needs(shape));
}

/** Declares one test for each case that applies. */
export function runContract(name: string, lacking: readonly Lacking[], subject: () => ContractSubject): void {
  describe(`the storage contract, ${name}`, () => {
    for (const { name: clause, needs, run } of clausesWithout(lacking)) {
      test(clause, async () => {
        const under = subject();
        if (needs !== undefined && !needs(under)) throw new Error("the subject lacks what it did not say it lacks");
        await run(under);
      });
    }
  });
}
