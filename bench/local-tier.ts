/**
 * What an entry of the local tier costs in time and in memory, beside a bare `Map` and packages from npm. Each contestant runs
 * in a process of its own; rounds go through all of them before the next begins, and every second one runs backwards, so that a
 * busy minute of the machine falls on all. Rates count CPU time; the ratios of a round are good, the rates themselves are not.
 *
 *     npm run bench:local-tier                  10,000 and 1,000,000 entries, 5 rounds (3 of the large ones)
 *     npm run bench:local-tier -- --quick       10,000 entries alone
 *     npm run bench:local-tier -- --write       and update bench/results.md
 *
 * Rivals are installed into `bench/node_modules`. Needs a built package. Our own are called as a
 * program calls `local()` alone; where a rival has no expiry it is without, and the row says so.
 *
 * @module
 */
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { parseArgs, promisify } from "node:util";
import { LOCAL_CONTESTANTS } from "./lib/local-contestants.ts";
import type { LocalFigures, LocalJob } from "./lib/local-run.ts";
import { installPeers } from "./lib/peers.ts";
import { machineNote, updateResults } from "./lib/report.ts";
import { markdownTable, median } from "./lib/table.ts";

const BARE = "bare Map";
const RIVAL = "lru-cache";
const SPEEDS = ["get-hit", "set-existing", "zipf 95/5", "set-new"];
const SMALL = { capacity: 10_000, rounds: 5 };
const LARGE = { capacity: 1_000_000, rounds: 3 };
const NO_EXPIRY = new Set([BARE, "@neophi/sieve-cache", "mnemonist", "flru"]);
const TIMEOUT_MS = 600_000;
const OURS = "cacheme, ";
/** Of a bare `Map`, and of the rival, with the few entries. */
const GOALS: readonly { readonly figure: string; readonly base: string; readonly least: number }[] = [
  { figure: "get-hit", base: BARE, least: 0.65 },
  { figure: "set-new", base: RIVAL, least: 1 },
  { figure: "zipf 95/5", base: RIVAL, least: 1.3 },
];
/** Of a tier with many entries that was filled once. */
const MOST_BYTES: Readonly<Record<string, number>> = { "cacheme, lru": 65, "cacheme, w-tinylfu": 90, "cacheme, adaptive()": 120 };

const { values: options } = parseArgs({
  options: { quick: { type: "boolean", default: false }, only: { type: "string", default: "" }, write: { type: "boolean", default: false } },
});
const execute = promisify(execFile);
installPeers();
const names = LOCAL_CONTESTANTS.filter((name) => name === BARE || name === RIVAL || new RegExp(options.only).test(name));

const small = await runAll(SMALL, false);
const parts = [`### ${count(SMALL.capacity)} entries\n\n${speedTable(small)}`];
if (!options.quick) {
  const large = await runAll(LARGE, false);
  parts.push(`### ${count(LARGE.capacity)} entries\n\n${speedTable(large)}`, `### Growth of a hit's cost\n\n${growthTable(small, large)}`);
}
const memories = new Map<number, Results>();
for (const { capacity } of options.quick ? [SMALL] : [SMALL, LARGE]) memories.set(capacity, await runAll({ capacity, rounds: 1 }, true));
parts.push(`### Memory\n\n${memoryTable(memories)}`);

const command = ["npm run bench:local-tier", ...(process.argv.length > 2 ? ["--", ...process.argv.slice(2)] : [])].join(" ");
const legend = `Medians of ${SMALL.rounds} rounds (${LARGE.rounds} with ${count(LARGE.capacity)} entries), M operations for each CPU second; in brackets the median of the rounds' ratios to the bare \`Map\`, which never evicts. "zipf 95/5" and "set-new" are given beside ${RIVAL} as well. Where there is expiry it is on; "no ttl" marks the others. quick-lru and flru hold up to twice as many entries as they were made for.`;
const report = `## Local tier\n\n${machineNote(command)}\n\n${legend}\n\n${parts.join("\n\n")}\n\n${goalLines().join("\n")}\n\nWhat was tried: docs/decisions/015.`;
console.log(report);
if (options.write) await updateResults("local-tier", report);

/** For each contestant the figures of its rounds. */
type Results = ReadonlyMap<string, readonly LocalFigures[]>;

async function runAll({ capacity, rounds }: { readonly capacity: number; readonly rounds: number }, memory: boolean): Promise<Results> {
  const results = new Map<string, LocalFigures[]>();
  for (let round = 0; round < rounds; round++) {
    for (const name of round % 2 === 0 ? names : [...names].reverse()) {
      const figures = await runOne({ name, capacity, memory });
      console.error(`${name}, ${capacity}: ${JSON.stringify(figures)}`);
      if (Object.keys(figures).length === 0) continue;
      const all = results.get(name) ?? [];
      all.push(figures);
      results.set(name, all);
    }
  }
  return results;
}

async function runOne(job: LocalJob): Promise<LocalFigures> {
  const child = fileURLToPath(new URL("lib/local-run.ts", import.meta.url));
  const { stdout } = await execute(process.execPath, ["--expose-gc", "--max-old-space-size=6000", child, JSON.stringify(job)], { timeout: TIMEOUT_MS });
  const figures: LocalFigures = JSON.parse(stdout);
  return figures;
}

function speedTable(results: Results): string {
  const head = ["", "get-hit", "set-existing", "zipf 95/5", `beside ${RIVAL}`, "zipf hit share", "set-new", `beside ${RIVAL}`];
  const body = [...results].map(([name, rounds]) => {
    const [hit, existing, mixed, fresh] = SPEEDS.map((speed) => `${middle(rounds, speed).toFixed(1)} (${ratio(results, name, BARE, speed).toFixed(2)})`);
    const share = `${(100 * middle(rounds, "zipf hit share")).toFixed(0)} %`;
    const besides = ["zipf 95/5", "set-new"].map((speed) => ratio(results, name, RIVAL, speed).toFixed(2));
    return [labelOf(name), hit ?? "", existing ?? "", mixed ?? "", besides[0] ?? "", share, fresh ?? "", besides[1] ?? ""];
  });
  return markdownTable([head, ...body]);
}

/** How many times as long as with few entries a hit takes with many, and that beside the bare `Map`'s own growth. */
function growthTable(few: Results, many: Results): string {
  const grown = (name: string): number => middle(few.get(name) ?? [], "get-hit") / middle(many.get(name) ?? [], "get-hit");
  const body = [...few.keys()].map((name) => [labelOf(name), grown(name).toFixed(1), (grown(name) / grown(BARE)).toFixed(2)]);
  return markdownTable([["", "times as long", "beside the bare Map"], ...body]);
}

function memoryTable(byCapacity: ReadonlyMap<number, Results>): string {
  const kinds = ["bytes, filled", "bytes, after evictions"];
  const head = [
    "bytes an entry, keys and values excluded",
    ...[...byCapacity.keys()].flatMap((capacity) => kinds.map((kind) => `${count(capacity)}: ${kind.slice(7)}`)),
  ];
  const body = names.map((name) => [
    labelOf(name),
    ...[...byCapacity.values()].flatMap((results) => kinds.map((kind) => (results.has(name) ? middle(results.get(name) ?? [], kind).toFixed(0) : ""))),
  ]);
  return markdownTable([head, ...body]);
}

function goalLines(): string[] {
  const ours = names.filter((name) => name.startsWith(OURS));
  const speeds = GOALS.flatMap(({ figure, base, least }) =>
    ours.map((name) => {
      const value = ratio(small, name, base, figure);
      return `- ${figure}, ${name.slice(OURS.length)}: ${value.toFixed(2)} of ${base}, goal at least ${least}: ${verdict(value >= least)}`;
    }),
  );
  const filled = memories.get(LARGE.capacity);
  if (!filled) return speeds;
  const bytes = ours.map((name) => {
    const value = middle(filled.get(name) ?? [], "bytes, filled");
    const most = MOST_BYTES[name] ?? 0;
    return `- memory of ${count(LARGE.capacity)} entries, ${name.slice(OURS.length)}: ${value.toFixed(0)} bytes each, goal at most ${most}: ${verdict(value <= most)}`;
  });
  return [...speeds, ...bytes];
}

function verdict(reached: boolean): string {
  return reached ? "reached" : "**missed**";
}

function middle(rounds: readonly LocalFigures[], figure: string): number {
  return median(rounds.map((round) => round[figure] ?? Number.NaN));
}

function ratio(results: Results, name: string, base: string, figure: string): number {
  const bases = results.get(base) ?? [];
  return median((results.get(name) ?? []).map((round, index) => (round[figure] ?? Number.NaN) / (bases[index]?.[figure] ?? Number.NaN)));
}

function labelOf(name: string): string {
  const label = NO_EXPIRY.has(name) ? `${name} (no ttl)` : name;
  return name.startsWith("cacheme") ? `**${label}**` : label;
}

function count(value: number): string {
  return value.toLocaleString("en-US");
}
