/**
 * The trace beside other libraries: 200,000 zipf gets drained by 1,000 to 100,000 workers through a memory tier of 3,000 entries and
 * a real Redis. Commands are counted on the wire by a proxy. Each library in its own process on an emptied server, in turn, medians of
 * the rounds. It fails when this library's loads differ from unique keys or an answer is not its key's; what the others get wrong is
 * in the last column. Needs `redis-server` on PATH and a built package; installs the peers.
 *
 *     npm run bench:trace-peers -- --only cacheme,bentocache --workers 1000
 *     npm run bench:trace-peers -- --write
 *
 * @module
 */
import { parseArgs } from "node:util";
import { installPeers, versionOf } from "./lib/peers.ts";
import { runPlan } from "./lib/plan.ts";
import type { Result } from "./lib/plan.ts";
import { REDIS_PEERS } from "./lib/redis-peers.ts";
import { machineNote, updateResults } from "./lib/report.ts";
import { chosen, wholeNumber } from "./lib/rounds.ts";
import { startServers } from "./lib/servers.ts";
import { faultsOf, lineOf, markdownTable, median } from "./lib/table.ts";
import { LOCAL_ENTRIES, short } from "./lib/variants.ts";
import type { ContestantName, Variant } from "./lib/variants.ts";

const NAMES: readonly ContestantName[] = ["cacheme", "reference", ...REDIS_PEERS];
const OURS: ReadonlySet<ContestantName> = new Set<ContestantName>(["cacheme", "reference"]);
const CPU_GROWTH = 1.2;

const { values: options } = parseArgs({
  options: {
    only: { type: "string", default: "" },
    workers: { type: "string", default: "1000,10000,100000" },
    gets: { type: "string", default: "200000" },
    rounds: { type: "string", default: "1" },
    seed: { type: "string", default: "1" },
    write: { type: "boolean", default: false },
  },
});
const rounds = wholeNumber("--rounds", options.rounds);
const calls = wholeNumber("--gets", options.gets);
const workers = options.workers.split(",").map((text) => wholeNumber("--workers", text));
const names = chosen(NAMES, options.only);
const others = names.filter((name) => !OURS.has(name));
if (others.length > 0) installPeers();
const variants: Variant[] = workers.flatMap((count) =>
  names.map((contestant) => ({ id: `${contestant}/get/local+redis/${short(count)}`, contestant, calls, batch: 1, local: LOCAL_ENTRIES, workers: count })),
);

for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => process.exit(1));
const servers = await startServers();
let results: Result[] = [];
try {
  const onResult = (result: Result): void => console.error(lineOf(result));
  results = await runPlan(variants, servers, { rounds, seed: wholeNumber("--seed", options.seed), profiles: undefined, onResult });
} finally {
  await servers.stop();
}

const command = ["npm run bench:trace-peers", ...(process.argv.length > 2 ? ["--", ...process.argv.slice(2)] : [])].join(" ");
const goals = workers.slice(1).map((count, at) => goalLine(count, workers[at] ?? count));
const report = `## Trace beside other libraries

${machineNote(command, { Redis: servers.redisVersion })}
- peers: ${others.map((name) => versionOf(name)).join(", ")}

${calls.toLocaleString("en-US")} gets of a zipf stream, a load of 100 ms, tiers of memory (${LOCAL_ENTRIES.toLocaleString("en-US")} entries) and Redis; \`async-cache-dedupe\` has the Redis alone. Median of ${rounds}; commands are counted on the wire.

${workers.map(section).join("\n\n")}${names.includes("cacheme") && goals.length > 0 ? `\n\n${goals.join("\n")}` : ""}`;
console.log(report);
const faults = results.filter(({ variant }) => variant.contestant === "cacheme").flatMap(faultsOf);
for (const fault of faults) console.error(`WRONG: ${fault}`);
if (faults.length > 0) process.exitCode = 1;
else if (options.write) await updateResults("trace-peers", report);

function section(count: number): string {
  const head = ["", "read commands", "write commands", "loads", "unique keys", "client CPU s", "wall s", "Redis CPU s", "peak MB", "faults"];
  const rows = names.map((name) => {
    const runs = runsOf(name, count);
    const middle = (pick: (run: Result) => number): number => median(runs.map(pick));
    const failed = runs.reduce((sum, run) => sum + run.failed + run.wrong, 0);
    return [
      OURS.has(name) ? `**${name}**` : name,
      ...[(run: Result) => run.reads, (run: Result) => run.writes, (run: Result) => run.loads, (run: Result) => run.uniques].map((pick) =>
        Math.round(middle(pick)).toLocaleString("en-US"),
      ),
      middle((run) => run.cpuS).toFixed(2),
      middle((run) => run.wallS).toFixed(2),
      middle((run) => run.redisCpuS).toFixed(2),
      middle((run) => run.peakMb).toFixed(0),
      failed === 0 ? "" : `${failed} calls failed`,
    ];
  });
  return `### ${calls.toLocaleString("en-US")} gets, ${count.toLocaleString("en-US")} workers\n\n${markdownTable([head, ...rows])}`;
}

function runsOf(name: ContestantName, count: number): Result[] {
  return results.filter(({ variant }) => variant.contestant === name && variant.workers === count);
}

/** What more workers cost in CPU time. */
function goalLine(many: number, few: number): string {
  const [after, before] = [many, few].map((count) => median(runsOf("cacheme", count).map(({ cpuS }) => cpuS)));
  const growth = (after ?? Number.NaN) / (before ?? Number.NaN);
  const [more, fewer] = [many, few].map((count) => count.toLocaleString("en-US"));
  return `- CPU with ${more} workers beside ${fewer}: ${growth.toFixed(2)}, goal at most ${CPU_GROWTH}: ${growth <= CPU_GROWTH ? "reached" : "**missed**"}`;
}
