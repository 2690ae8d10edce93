/**
 * What the programs for Node, Deno and Bun share: the addresses come as the only argument, the first line printed is the
 * runtime's name and version, each further line is an outcome.
 *
 * @module
 */
import type { Addresses } from "./protocol.ts";
import { runContracts, type Openers } from "./run.ts";

export async function main(runtime: string, openersFor: (addresses: Addresses) => Openers): Promise<void> {
  console.log(runtime);
  const addresses: Addresses = JSON.parse(process.argv[2] ?? "{}");
  await runContracts(openersFor(addresses), (outcome) => console.log(JSON.stringify(outcome)));
}
