/**
 * The storage contract as data: what every implementation of the port has to do, one clause a case, for any test runner.
 * The core relies on every clause; a storage that breaks one breaks a guarantee. It does not cover faults and timeouts.
 *
 * @module
 */
import type { ContractCase } from "./contract-kit.ts";
import { exactnessCases } from "./contract-exactness.ts";
import { generationCases } from "./contract-generations.ts";
import { slotCases } from "./contract-slots.ts";
import { stampCases } from "./contract-stamps.ts";

export type { ContractCase, ContractSubject } from "./contract-kit.ts";

/**
 * Every clause of the contract. A case applies if its `needs` is left out or answers `true`; it is kept if `run` resolves.
 * Cases use keys of their own, so they may run in any order or at once, against a storage that holds other data.
 *
 * @example
 * ```ts
 * import { memoryStorage, storageContract } from "cacheme/testing";
 *
 * let now = 0;
 * const subject = {
 *   storage: memoryStorage({ clock: { now: () => now } }),
 *   unique: crypto.randomUUID(),
 *   pass: (ms: number) => void (now += ms),
 * };
 * for (const { name, needs, run } of storageContract) {
 *   if (needs?.(subject) ?? true) test(name, () => run(subject));
 * }
 * ```
 */
export const storageContract: readonly ContractCase[] = [...slotCases, ...exactnessCases, ...stampCases, ...generationCases];
