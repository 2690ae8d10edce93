/**
 * The doorkeeper beside published Bloom filters: arrivals a CPU second, where an arrival asks whether a key has been there and
 * adds it, and the share of newcomers that a filter full to its capacity takes for known, at a wanted rate of 1 %. Each filter in its
 * own process, in turn, medians of the rounds, ratios of the same round. Needs a built package; installs the peers.
 *
 *     npm run bench:doorkeeper -- --write
 *
 * @module
 */
import { parseArgs } from "node:util";
import { FILTERS } from "./lib/doorkeeper-run.ts";
import type { FilterFigures, FilterJob, FilterName } from "./lib/doorkeeper-run.ts";
import { installPeers, versionOf } from "./lib/peers.ts";
import { machineNote, updateResults } from "./lib/report.ts";
import { chosen, runRounds, wholeNumber } from "./lib/rounds.ts";
import { markdownTable, median } from "./lib/table.ts";

const GOAL = 4;
const { values: options } = parseArgs({
  options: {
    only: { type: "string", default: "" },
    rounds: { type: "string", default: "5" },
    keys: { type: "string", default: "100000" },
    write: { type: "boolean", default: false },
  },
});
const rounds = wholeNumber("--rounds", options.rounds);
const keys = wholeNumber("--keys", options.keys);
const names = chosen(FILTERS, options.only);
if (names.some((name) => name !== "cacheme")) installPeers();
const results = await runRounds<FilterName, FilterFigures>({
  contestants: names,
  rounds,
  program: "doorkeeper-run.ts",
  job: (name): FilterJob => ({ name, keys }),
});
const ours = results.get("cacheme") ?? [];
const ratioOf = (runs: readonly FilterFigures[], figure: "arrivals" | "additions" | "known"): number =>
  median(runs.map((run, round) => (ours[round]?.[figure] ?? Number.NaN) / run[figure]));
const rows = [...results].map(([name, runs]) => [
  name === "cacheme" ? "**cacheme**" : name,
  ratioOf(runs, "arrivals").toFixed(1),
  ratioOf(runs, "additions").toFixed(1),
  ratioOf(runs, "known").toFixed(1),
  median(runs.map(({ arrivals }) => arrivals)).toFixed(2),
  median(runs.map(({ additions }) => additions)).toFixed(2),
  median(runs.map(({ known }) => known)).toFixed(2),
  `${(median(runs.map(({ falsePositives }) => falsePositives)) * 100).toFixed(3)} %`,
]);
const mnemonist = results.get("mnemonist");
const rate = median(ours.map(({ falsePositives }) => falsePositives));
const goals =
  mnemonist && ours.length > 0
    ? [
        goalLine("arrivals beside additions alone of mnemonist", ratioOf(mnemonist, "additions"), GOAL, true),
        goalLine("false positives in percent", rate * 100, 1.05, false),
      ]
    : [];
const command = ["npm run bench:doorkeeper", ...(process.argv.length > 2 ? ["--", ...process.argv.slice(2)] : [])].join(" ");
const report = `## Doorkeeper

${machineNote(command)}
- peers: ${names
  .filter((name) => name !== "cacheme")
  .map(versionOf)
  .join(", ")}

Medians of ${rounds} rounds, M/s by CPU time of the thread; ${keys.toLocaleString("en-US")} keys of about 20 characters, a wanted rate of 1 %. A first arrival asks and adds; the others have two calls for that, and their additions alone stand beside our arrivals too.

${markdownTable([["", "first arrivals, ours / theirs", "additions alone", "known keys", "first arrivals M/s", "additions M/s", "known keys M/s", "false positives"], ...rows])}

${goals.map((line) => `- ${line}`).join("\n")}`;
console.log(report);
if (options.write) await updateResults("doorkeeper", report);

function goalLine(what: string, value: number, goal: number, atLeast: boolean): string {
  const reached = atLeast ? value >= goal : value <= goal;
  return `${what}: ${value.toFixed(2)}, goal at ${atLeast ? "least" : "most"} ${goal}: ${reached ? "reached" : "**missed**"}`;
}
