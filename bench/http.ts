/**
 * The trace over HTTP: 20,000 zipf gets drained by 1,000 and 10,000 workers, a memory tier and an Upstash database behind it that
 * adds 5 ms to each request (the bridge of the tests in front of a real Redis). Requests and connections are counted at the
 * server. It fails when this library's loads differ from unique keys or an answer is not its key's. Each library in its own
 * process, in turn, medians of the rounds. Needs a built package and `redis-server` on PATH; installs the peers.
 *
 *     npm run bench:http -- --only cacheme,reference --rounds 5
 *     npm run bench:http -- --write
 *
 * @module
 */
import { fork } from "node:child_process";
import { once } from "node:events";
import { parseArgs } from "node:util";
import type { BridgeAddress, BridgeCounts } from "./lib/bridge.ts";
import { HTTP_NAMES } from "./lib/http-contestants.ts";
import type { HttpName } from "./lib/http-contestants.ts";
import type { HttpJob } from "./lib/http-run.ts";
import type { Measure, Workload } from "./lib/measure.ts";
import { installPeers, versionOf } from "./lib/peers.ts";
import { machineNote, updateResults } from "./lib/report.ts";
import { chosen, runRounds, wholeNumber } from "./lib/rounds.ts";
import { markdownTable, median } from "./lib/table.ts";

type HttpFigures = Measure & BridgeCounts;

const { values: options } = parseArgs({
  options: {
    only: { type: "string", default: "" },
    rounds: { type: "string", default: "3" },
    workers: { type: "string", default: "1000,10000" },
    gets: { type: "string", default: "20000" },
    delay: { type: "string", default: "5" },
    seed: { type: "string", default: "1" },
    write: { type: "boolean", default: false },
  },
});
const GOALS: Readonly<Record<number, number>> = { 1_000: 500, 10_000: 100 };
const SOCKETS = 16;
const WALL = 1.3;
const CPU = 1.2;

const names = chosen(HTTP_NAMES, options.only);
if (names.some((name) => name !== "cacheme" && name !== "reference")) installPeers();
const rounds = wholeNumber("--rounds", options.rounds);
const calls = wholeNumber("--gets", options.gets);
const seed = wholeNumber("--seed", options.seed);
const workers = options.workers.split(",").map((text) => wholeNumber("--workers", text));

const bridge = fork(new URL("lib/bridge.ts", import.meta.url), [options.delay]);
const [address]: [BridgeAddress] = await once(bridge, "message").then(([first]) => [first]);
const take = async (): Promise<BridgeCounts> => {
  const answer = once(bridge, "message");
  bridge.send("counts");
  const [counts]: [BridgeCounts] = await answer.then(([first]) => [first]);
  return counts;
};

const sections: string[] = [];
const goals: string[] = [];
const faults: string[] = [];
const cpuAt = new Map<number, number>();
try {
  for (const count of workers) sections.push(await section(count));
} finally {
  bridge.disconnect();
}
const [few, many] = workers.map((count) => cpuAt.get(count));
if (few !== undefined && many !== undefined) goals.push(goalLine(`CPU with ${workers[1]} workers beside ${workers[0]}`, many / few, CPU, 2));
const command = ["npm run bench:http", ...(process.argv.length > 2 ? ["--", ...process.argv.slice(2)] : [])].join(" ");
const peers = names.filter((name) => name !== "cacheme" && name !== "reference").map((name) => versionOf(name));
const report = `## Over HTTP

${machineNote(command, { Redis: address.redisVersion })}
- peers: ${[...peers, versionOf("@upstash/redis")].join(", ")}

${calls.toLocaleString("en-US")} gets of a zipf stream, a load of 100 ms, tiers of memory (3,000 entries) and Upstash's REST protocol with ${options.delay} ms added to each request. Medians of ${rounds} rounds; ratios are of the hand-written reference in the same round. Requests and connections are counted at the server, commands are what it was asked to run.

${sections.join("\n\n")}

${goals.map((line) => `- ${line}`).join("\n")}

What was tried: docs/decisions/015.`;
console.log(report);
for (const fault of faults) console.error(`WRONG: ${fault}`);
if (faults.length > 0) process.exitCode = 1;
else if (options.write) await updateResults("http", report);

async function section(count: number): Promise<string> {
  const workload: Workload = { calls, batch: 1, workers: count };
  const results = await runRounds<HttpName, HttpFigures>({
    contestants: names,
    rounds,
    program: "http-run.ts",
    job: (name): HttpJob => ({ name, database: { url: address.url, token: address.token }, workload, seed }),
    async around() {
      await take();
      return take;
    },
  });
  const reference = results.get("reference") ?? [];
  const head = [
    "",
    "wall, beside reference",
    "CPU, beside reference",
    "HTTP requests",
    "connections",
    "commands",
    "loads",
    "unique keys",
    "wall s",
    "client CPU s",
    "peak MB",
    "faults",
  ];
  const rows = [...results].map(([name, runs]) => {
    const middle = (figure: (run: HttpFigures) => number): number => median(runs.map(figure));
    const beside = (figure: (run: HttpFigures) => number): string =>
      reference.length === 0 ? "" : median(runs.map((run, round) => figure(run) / (reference[round] ? figure(reference[round]) : Number.NaN))).toFixed(2);
    const wrong = runs.reduce((sum, run) => sum + run.wrong + run.failed, 0);
    if (name === "cacheme") judge(count, runs, reference);
    return [
      name === "cacheme" || name === "reference" ? `**${name}**` : name,
      beside((run) => run.wallS),
      beside((run) => run.cpuS),
      ...[(run: HttpFigures) => run.requests, (run: HttpFigures) => run.sockets, (run: HttpFigures) => run.commands, (run: HttpFigures) => run.loads].map(
        (figure) => Math.round(middle(figure)).toLocaleString("en-US"),
      ),
      (runs[0]?.uniques ?? 0).toLocaleString("en-US"),
      middle((run) => run.wallS).toFixed(2),
      middle((run) => run.cpuS).toFixed(2),
      middle((run) => run.peakMb).toFixed(0),
      wrong === 0 ? "" : `${wrong} calls failed`,
    ];
  });
  return `### ${calls.toLocaleString("en-US")} gets over HTTP, ${count.toLocaleString("en-US")} workers\n\n${markdownTable([head, ...rows])}`;
}

function judge(count: number, runs: readonly HttpFigures[], reference: readonly HttpFigures[]): void {
  const at = `${count.toLocaleString("en-US")} workers`;
  for (const { loads, uniques, wrong, failed, firstError } of runs) {
    if (loads !== uniques) faults.push(`${at}: ${loads} loads for ${uniques} unique keys`);
    if (wrong + failed > 0) faults.push(`${at}: ${wrong} wrong answers, ${failed} calls failed, the first with ${firstError ?? "nothing"}`);
  }
  cpuAt.set(count, median(runs.map(({ cpuS }) => cpuS)));
  const most = GOALS[count];
  if (most !== undefined && calls === 20_000) goals.push(goalLine(`${at}, requests`, median(runs.map(({ requests }) => requests)), most, 0));
  goals.push(goalLine(`${at}, connections`, Math.max(...runs.map(({ sockets }) => sockets)), SOCKETS, 0));
  if (reference.length > 0) {
    const ratio = median(runs.map(({ wallS }, round) => wallS / (reference[round]?.wallS ?? Number.NaN)));
    goals.push(goalLine(`${at}, wall beside the reference`, ratio, WALL, 2));
  }
}

function goalLine(what: string, value: number, most: number, digits: number): string {
  return `${what}: ${value.toFixed(digits)}, goal at most ${most}: ${value <= most ? "reached" : "**missed**"}`;
}
