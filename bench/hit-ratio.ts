/**
 * How often each policy of the local tier hits, as a share of what a policy could that knew the future (`lib/belady.ts`), beside
 * packages from npm. Figures are exact and repeat: streams are recorded or made from a seed, and the salt is fixed.
 *
 *     npm run bench:hit-ratio                            the streams that are made
 *     npm run bench:hit-ratio -- --traces DIR            and the recorded ones of a folder (or name it in CACHEME_TRACES)
 *     npm run bench:hit-ratio -- --only zipf --write     those whose name matches; and update bench/results.md
 *
 * Rivals are installed into `bench/node_modules`. Needs a built package.
 *
 * @module
 */
import { existsSync } from "node:fs";
import { parseArgs } from "node:util";
import { traceSources } from "./lib/access-traces.ts";
import type { AccessTrace } from "./lib/access-traces.ts";
import { mostHits } from "./lib/belady.ts";
import { contestantNamed } from "./lib/local-contestants.ts";
import type { MakeContestant } from "./lib/local-contestants.ts";
import { installPeers } from "./lib/peers.ts";
import { machineNote, updateResults } from "./lib/report.ts";
import { markdownTable } from "./lib/table.ts";
import { seededRandom } from "./lib/zipf.ts";

/** Where recorded streams are looked for if nothing else is said; no part of the project. */
const DEFAULT_FOLDER = "traces";
/** mnemonist's order is that of lru-cache. */
const NAMES = ["cacheme, lru", "cacheme, w-tinylfu", "cacheme, adaptive()", "lru-cache", "@neophi/sieve-cache", "transitory"];
const RECENCY = "cacheme, lru";
const VALUE = { uid: 1 };
/** Goals for the mean share of the optimum over all streams, the recorded ones included. */
const GOALS: Readonly<Record<string, number>> = { "cacheme, w-tinylfu": 84.5, "cacheme, adaptive()": 87.5 };

const { values: options } = parseArgs({
  options: {
    traces: { type: "string", default: process.env["CACHEME_TRACES"] ?? DEFAULT_FOLDER },
    only: { type: "string", default: "" },
    write: { type: "boolean", default: false },
  },
});
installPeers();
// Policies salt their hashes so that nobody can choose keys that collide; here the figures should repeat.
Math.random = seededRandom(1);

const folder = existsSync(options.traces) ? options.traces : undefined;
const makers = new Map<string, MakeContestant>();
for (const name of NAMES) {
  const make = await contestantNamed(name);
  if (make === undefined) console.log(`${name}: not installed, left out`);
  else makers.set(name, make);
}

const names = [...makers.keys()];
const rows: string[][] = [["", "optimum %", ...names.map((name) => `${name} %`)]];
const shares = new Map<string, number[]>(names.map((name) => [name, []]));
const worst = new Map<string, { readonly points: number; readonly at: string }>();
for (const source of traceSources(folder).filter(({ name }) => new RegExp(options.only).test(name))) {
  const trace = source.load();
  const keys = Array.from({ length: trace.keyCount }, (_, key) => String(key));
  for (const capacity of trace.capacities) measure(trace, keys, capacity);
}

const means = names.map((name) => {
  const all = shares.get(name) ?? [];
  return (100 * all.reduce((sum, share) => sum + share, 0)) / all.length;
});
rows.push([`**mean share of the optimum, ${rows.length - 1} points**`, "100", ...means.map((mean) => `**${mean.toFixed(1)}**`)]);
const worstRow = names.map((name) => `${(worst.get(name)?.points ?? 0).toFixed(1)} (${worst.get(name)?.at ?? "none"})`);
rows.push(["worst point beside lru", "", ...worstRow]);
const goals = names.flatMap((name, index) => goalLine(name, means[index] ?? 0));
const note = machineNote(["npm run bench:hit-ratio", ...(process.argv.length > 2 ? ["--", ...shown(process.argv.slice(2))] : [])].join(" "));
const streams = folder === undefined ? "made streams alone" : "recorded and made streams";
const report = `## Hit ratio\n\n${note}\n\nPer cent of requests answered, ${streams}, one key one entry.\n\n${markdownTable(rows)}\n\n${goals.join("\n")}`;
console.log(`\n${report}`);
if (options.write && folder === undefined) console.error("bench/results.md was left as it was: the goals are for the recorded streams too.");
else if (options.write) await updateResults("hit-ratio", report);

function measure({ name, keys: stream, keyCount }: AccessTrace, keys: readonly string[], capacity: number): void {
  const best = mostHits(stream, keyCount, capacity);
  const hits = new Map<string, number>();
  for (const [contestant, make] of makers) hits.set(contestant, hitsOf(make, stream, keys, capacity));
  const percent = (count: number): number => (100 * count) / stream.length;
  for (const [contestant, count] of hits) {
    shares.get(contestant)?.push(count / best);
    const points = percent(count) - percent(hits.get(RECENCY) ?? 0);
    if (points < (worst.get(contestant)?.points ?? 0)) worst.set(contestant, { points, at: `${name} @${capacity}` });
  }
  const row = [`${name} @${capacity}`, percent(best).toFixed(1), ...[...hits.values()].map((count) => percent(count).toFixed(1))];
  rows.push(row);
  console.log(row.join("  "));
}

function hitsOf(make: MakeContestant, stream: Uint32Array, keys: readonly string[], capacity: number): number {
  const cache = make(capacity);
  let hits = 0;
  for (const number of stream) {
    const key = keys[number] ?? "";
    if (cache.get(key) === undefined) cache.set(key, VALUE);
    else hits++;
  }
  return hits;
}

function goalLine(name: string, mean: number): string[] {
  const goal = GOALS[name];
  if (goal === undefined || folder === undefined || options.only !== "") return [];
  return [`- ${name}: ${mean.toFixed(2)} % of the optimum, goal at least ${goal}: ${mean >= goal ? "reached" : "**missed**"}`];
}

/** The arguments, without the place of the folder, which says nothing to others. */
function shown(given: readonly string[]): string[] {
  return given.map((part, index) => (given[index - 1] === "--traces" ? "DIR" : part.replace(/^--traces=.*/, "--traces=DIR")));
}
