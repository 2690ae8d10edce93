/**
 * Hits of the memory tier beside every library that has tiers: how many a second go through the public get-or-load call, for one
 * key, keys of a zipf stream and 20 keys at once, and what an entry costs in memory. Each library in its own process, in turns
 * of some ms (`lib/slices.ts`). Needs a built package; installs the peers.
 *
 *     npm run bench:hot-peers -- --only cacheme,bentocache --rounds 1
 *     npm run bench:hot-peers -- --write
 *
 * @module
 */
import { parseArgs } from "node:util";
import type { HotFigure, HotJob } from "./lib/hot-run.ts";
import { installPeers, versionOf } from "./lib/peers.ts";
import { machineNote, updateResults } from "./lib/report.ts";
import { chosen, wholeNumber } from "./lib/rounds.ts";
import { runSlices } from "./lib/slices.ts";
import { markdownTable } from "./lib/table.ts";
import { ONE_TIER, TIERED } from "./lib/tiered.ts";
import type { TieredName } from "./lib/tiered.ts";

const GOAL = 5;
const FIGURES = ["zipf", "oneKey", "batches"] as const;
const TITLES = { zipf: "10,000 keys, zipf", oneKey: "one key", batches: "`getAll` of 20" };

const { values: options } = parseArgs({
  options: {
    only: { type: "string", default: "" },
    rounds: { type: "string", default: "5" },
    entries: { type: "string", default: "50000" },
    write: { type: "boolean", default: false },
  },
});
const rounds = wholeNumber("--rounds", options.rounds);
const entries = wholeNumber("--entries", options.entries);
const names = chosen(TIERED, options.only);
if (names.some((name) => name !== "cacheme")) installPeers();
const results = await runSlices<TieredName, HotFigure>({
  contestants: names,
  rounds,
  program: "hot-run.ts",
  job: (name): HotJob => ({ name, entries }),
  nodeArgs: ["--expose-gc"],
  figures: FIGURES,
  once: ["bytes"],
});

const middle = (name: TieredName, figure: HotFigure): number => results.middle(name, figure);
const ratio = (name: TieredName, figure: HotFigure): number => results.ratio("cacheme", name, figure);
const ranked = [...names].sort((a, b) => middle(b, "zipf") - middle(a, "zipf"));
const head = ["", "zipf, ours / theirs", "one key", "getAll of 20", "zipf M/s", "one key M/s", "getAll of 20 k/s", "bytes per entry"];
const rows = ranked.map((name) => [
  `${name === "cacheme" ? "**cacheme**" : name}${ONE_TIER.has(name) ? " (one tier)" : ""}`,
  ...FIGURES.map((figure) => ratio(name, figure).toFixed(1)),
  middle(name, "zipf").toFixed(2),
  middle(name, "oneKey").toFixed(2),
  (1e3 * middle(name, "batches")).toFixed(1),
  middle(name, "bytes").toFixed(0),
]);
const rivals = names.filter((name) => name !== "cacheme" && !ONE_TIER.has(name));
const goals = FIGURES.map((figure) => {
  const nearest = [...rivals].sort((a, b) => ratio(a, figure) - ratio(b, figure))[0];
  if (!nearest) return "";
  const value = ratio(nearest, figure);
  return `- ${TITLES[figure]}: ${value.toFixed(1)} times the nearest peer with tiers (${nearest}), goal at least ${GOAL}: ${value >= GOAL ? "reached" : "**missed**"}`;
});
const command = ["npm run bench:hot-peers", ...(process.argv.length > 2 ? ["--", ...process.argv.slice(2)] : [])].join(" ");
const versions = names.filter((name) => name !== "cacheme").map((name) => versionOf(name.split(" ")[0] ?? ""));
const report = `## Hits beside other libraries

${machineNote(command)}
- peers: ${versions.join(", ")}

Medians of ${rounds} rounds of fresh processes, all alive at once, which take turns of 25 ms; ratios are of the same turn. Each hit is awaited and checked, a life of 1 h, nothing behind the memory tier. Bytes are heap and buffers over ${entries.toLocaleString("en-US")} entries, the row of one field included.

${markdownTable([head, ...rows])}

${goals.filter((line) => line !== "").join("\n")}

What was tried: docs/decisions/015.`;
console.log(report);
if (options.write) await updateResults("hot-peers", report);
