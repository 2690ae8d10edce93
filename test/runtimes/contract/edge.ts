/**
 * What runs inside the edge runtime: it is evaluated as a script, its exports become properties of one global, and only
 * text goes in and out.
 *
 * @module
 */
import { storagesAnywhere } from "./anywhere.ts";
import type { Addresses } from "./protocol.ts";
import { runContracts } from "./run.ts";

/** Runs the contract; each outcome is handed over as JSON. */
export async function run(json: string, report: (line: string) => void): Promise<void> {
  const addresses: Addresses = JSON.parse(json);
  await runContracts(storagesAnywhere(addresses), (outcome) => report(JSON.stringify(outcome)));
}
