/**
 * The cases of the storage contract that apply to a subject, known before there is one.
 *
 * @module
 */
import { memoryStorage, storageContract, type ContractCase, type ContractSubject } from "../../testing/index.ts";

export type Lacking = "conditional" | "pass" | "plantForeign" | "plantText";

/** The clauses that apply to a subject without these. */
export function clausesOf(lacking: readonly Lacking[]): readonly ContractCase[] {
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
