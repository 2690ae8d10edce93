/**
 * Fresh local hits of this build beside those of an earlier one, so that a feature's price on the hot path is a figure: 30
 * interleaved pairs in one process, and once more with the builds loaded in the other order, since which of two copies is
 * loaded first matters to the engine. `--before DIR` names a checkout that was built; `--write` updates bench/results.md.
 *
 * @module
 */
import { pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { fork } from "node:child_process";
import { once } from "node:events";
import { machineNote, updateResults } from "./lib/report.ts";
import { markdownTable, median } from "./lib/table.ts";

const PAIRS = 30;
const WARM_UP = 4;
const HITS = 1_000_000;
const KEYS = 10_000;
/** A stride without a common divisor with `KEYS`, so that every key is hit and neighbours in memory are not. */
const STRIDE = 7_919;
const GOAL = 1.1;

type Package = typeof import("cacheme");
type Side = "before" | "now";

/** What a child sends: milliseconds of CPU for each pair. */
type Pair = Readonly<Record<Side, number>>;

const { values: options } = parseArgs({
  options: { before: { type: "string" }, first: { type: "string" }, write: { type: "boolean", default: false }, commit: { type: "string", default: "" } },
});
if (options.before === undefined) throw new TypeError("--before must name the folder of an earlier build");
if (options.first === undefined) await compare(options.before);
else process.send?.(await measure(options.before, options.first === "now" ? ["now", "before"] : ["before", "now"]));

async function compare(before: string): Promise<void> {
  const rows = [["loaded first", "before, ms a million hits", "now", "ratio, median", "quartiles"]];
  const medians: number[] = [];
  for (const first of ["before", "now"]) {
    const child = fork(new URL(import.meta.url), ["--before", before, "--first", first]);
    const [pairs]: Pair[][] = await once(child, "message");
    await once(child, "exit");
    const ratios = (pairs ?? []).map((pair) => pair.now / pair.before).sort((one, other) => one - other);
    medians.push(median(ratios));
    rows.push([
      first,
      median((pairs ?? []).map((pair) => pair.before)).toFixed(0),
      median((pairs ?? []).map((pair) => pair.now)).toFixed(0),
      median(ratios).toFixed(3),
      [0.25, 0.75].map((share) => ratios[Math.floor(ratios.length * share)]?.toFixed(3)).join("–"),
    ]);
  }
  const ratio = Math.sqrt(medians.reduce((product, each) => product * each, 1));
  const command = "npm run bench:before -- --before DIR --write";
  const text = `## Fresh local hits beside an earlier build

${machineNote(command)}

Medians of ${PAIRS} interleaved pairs of ${HITS.toLocaleString("en-US")} hits on ${KEYS.toLocaleString("en-US")} keys with a ttl, CPU time; before: ${options.commit || "the build given"}.

${markdownTable(rows)}

- ${ratio.toFixed(3)} times the earlier cost over both orders, goal at most ${GOAL}: ${ratio <= GOAL ? "reached" : "**missed**"}`;
  console.log(text);
  if (options.write) await updateResults("before", text);
}

async function measure(before: string, order: readonly Side[]): Promise<Pair[]> {
  const folders = { before: pathToFileURL(before).href, now: new URL("..", import.meta.url).href.replace(/\/$/, "") };
  const sides = new Map<Side, () => number>();
  for (const side of order) sides.set(side, await warmSide(await import(`${folders[side]}/dist/src/index.js`)));
  const time = (side: Side): number => sides.get(side)?.() ?? Number.NaN;
  const pairs: Pair[] = [];
  for (let pair = -WARM_UP; pair < PAIRS; pair++) {
    const first = pair % 2 === 0 ? time("before") : undefined;
    const now = time("now");
    const sample = { before: first ?? time("before"), now };
    if (pair >= 0) pairs.push(sample);
    // Lets go of the promises.
    await new Promise((resolve) => setImmediate(resolve));
  }
  return pairs;
}

/** One build, warm; each call makes the hits and answers their CPU time in ms. */
async function warmSide({ createCache, defineNode, local }: Package): Promise<() => number> {
  const cache = createCache({ storages: { local: local() } });
  const User = defineNode({ name: "User", key: (id: number) => `user:${id}:info`, load: (id) => ({ id }), caches: [{ storage: "local", ttl: "1h" }] });
  const references = Array.from({ length: KEYS }, (_, id) => User(id));
  for (const reference of references) await cache.get(reference);
  return () => {
    const began = process.threadCpuUsage();
    for (let hit = 0; hit < HITS; hit++) {
      const reference = references[(hit * STRIDE) % KEYS];
      if (reference) void cache.get(reference);
    }
    const { user, system } = process.threadCpuUsage(began);
    return (user + system) / 1_000;
  };
}
