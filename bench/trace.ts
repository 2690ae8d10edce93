/**
 * The trace benchmark: 200,000 zipf requests drained by 1,000 to 100,000 workers through the built library against a real
 * Redis, with the parameters of the Python cacheme's own benchmark, beside what was published for them. It fails when loads
 * differ from unique keys or an answer is not its key's. Commands are counted on the wire by a proxy of its own process.
 *
 * It needs `redis-server` on PATH and a built package (`npm run build`). It says nothing about other machines: counts are
 * firm, CPU seconds are good within one interleaved run, wall time is the weakest.
 *
 *     npm run bench:trace                          all variants of the library once
 *     npm run bench:trace -- --reference           the library beside the hand-written reference, 5 rounds, ratios
 *     npm run bench:trace -- --only 'get/.*100k'   the variants whose id matches
 *     npm run bench:trace -- --write               and update bench/results.md
 *
 * @module
 */
import { parseArgs } from "node:util";
import type { ParseArgsOptionsConfig } from "node:util";
import { runPlan } from "./lib/plan.ts";
import type { Result } from "./lib/plan.ts";
import { machineNote, updateResults } from "./lib/report.ts";
import { startServers } from "./lib/servers.ts";
import { faultsOf, lineOf, ratioTable, traceTables } from "./lib/table.ts";
import { variantsOf } from "./lib/variants.ts";
import type { Variant } from "./lib/variants.ts";

const OPTIONS = {
  /** A tenth of the calls; goals and published figures are then left out. */
  quick: { type: "boolean", default: false },
  /** Rounds; default 1, with --reference 5. */
  runs: { type: "string" },
  /** Regular expression over variant ids. */
  only: { type: "string", default: "" },
  reference: { type: "boolean", default: false },
  write: { type: "boolean", default: false },
  /** Of the streams. */
  seed: { type: "string", default: "1" },
  /** A folder for a CPU profile of each run. */
  profile: { type: "string" },
} as const satisfies ParseArgsOptionsConfig;

const { values: options } = parseArgs({ options: OPTIONS });
const rounds = wholeNumber("--runs", options.runs ?? (options.reference ? "5" : "1"));
const seed = wholeNumber("--seed", options.seed);
const chosen = choose();
if (options.quick && options.write) throw new TypeError("--write needs the whole stream, got --quick");

for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => process.exit(1));
const servers = await startServers();
const results: Result[] = [];
try {
  const onResult = (result: Result): void => console.log(lineOf(result));
  results.push(...(await runPlan(chosen, servers, { rounds, seed, profiles: options.profile, onResult })));
} finally {
  await servers.stop();
}

const note = machineNote(["npm run bench:trace", ...argumentsGiven()].join(" "), { Redis: servers.redisVersion });
const heading = options.reference ? "## Beside the hand-written reference" : "## Trace";
const tables = options.reference ? `${ratioTable(results)}\n\n${traceTables(results)}` : traceTables(results);
const report = `${heading}\n\n${note}\n\nMedian of ${rounds}; stream of seed ${seed}.\n\n${tables}`;
console.log(`\n${report}`);
const faults = results.flatMap((result) => faultsOf(result).map((fault) => `${result.variant.id}: ${fault}`));
for (const fault of faults) console.error(`WRONG: ${fault}`);
if (faults.length > 0) {
  process.exitCode = 1;
  if (options.write) console.error("bench/results.md was left as it was: wrong results are no results.");
} else if (options.write) await updateResults(options.reference ? "reference" : "trace", report);

function choose(): Variant[] {
  const pattern = new RegExp(options.only);
  const scale = options.quick ? 10 : 1;
  const all = variantsOf("cacheme", scale);
  const paired = options.reference ? all.flatMap((variant, i) => [variant, variantsOf("reference", scale)[i] ?? variant]) : all;
  const variants = paired.filter(({ id, local }) => pattern.test(id) && (options.only !== "" || !options.reference || local > 0));
  if (variants.length === 0)
    throw new TypeError(`--only must match a variant, got ${JSON.stringify(options.only)}; there are ${all.map(({ id }) => id).join(", ")}`);
  return variants;
}

function wholeNumber(option: string, text: string): number {
  if (!/^[1-9]\d*$/.test(text)) throw new TypeError(`${option} must be a positive whole number, got ${JSON.stringify(text)}`);
  return Number(text);
}

function argumentsGiven(): string[] {
  const given = process.argv.slice(2).map((part) => (/^[\w./=-]+$/.test(part) ? part : `'${part}'`));
  return given.length > 0 ? ["--", ...given] : [];
}
