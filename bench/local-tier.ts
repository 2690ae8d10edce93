/**
 * What an entry of the local tier costs in time and in memory, beside a bare `Map` and packages from npm. Each contestant runs
 * in a process of its own, in turns of some ms (`lib/slices.ts`), so that a busy moment of the machine falls on all: the ratios
 * are good, the rates themselves are not. With a million entries all processes together take some 4 GB.
 *
 *     npm run bench:local-tier                  10,000 and 1,000,000 entries, 5 rounds each, some twenty minutes
 *     npm run bench:local-tier -- --quick       10,000 entries alone
 *     npm run bench:local-tier -- --write       and update bench/results.md
 *
 * Rivals are installed into `bench/node_modules`. Needs a built package. Our own are called as a
 * program calls `local()` alone; where a rival has no expiry it is without, and the row says so.
 *
 * @module
 */
import { parseArgs } from "node:util";
import { LOCAL_CONTESTANTS } from "./lib/local-contestants.ts";
import type { MemoryFigures } from "./lib/local-memory.ts";
import type { LocalFigure, LocalJob } from "./lib/local-run.ts";
import { installPeers } from "./lib/peers.ts";
import { machineNote, updateResults } from "./lib/report.ts";
import { runRounds } from "./lib/rounds.ts";
import { runSlices } from "./lib/slices.ts";
import type { Sliced } from "./lib/slices.ts";
import { markdownTable } from "./lib/table.ts";

type Name = (typeof LOCAL_CONTESTANTS)[number];

const BARE = "bare Map";
const RIVAL = "lru-cache";
const SPEEDS = ["get-hit", "set-existing", "zipf 95/5", "set-new"] as const;
const SMALL = { capacity: 10_000, rounds: 5 };
const LARGE = { capacity: 1_000_000, rounds: 5 };
const NO_EXPIRY = new Set<Name>([BARE, "@neophi/sieve-cache", "mnemonist", "flru"]);
const NODE_ARGS = ["--expose-gc", "--max-old-space-size=6000"];
const OURS = "cacheme, ";
/** By how much a hit's cost may grow beside that of a bare `Map`, from few entries to many. */
const MOST_GROWTH = 1.3;
/** Of a bare `Map`, and of the rival, with the few entries. */
const GOALS: readonly { readonly figure: LocalFigure; readonly base: Name; readonly least: number }[] = [
  { figure: "get-hit", base: BARE, least: 0.65 },
  { figure: "set-new", base: RIVAL, least: 1 },
  { figure: "zipf 95/5", base: RIVAL, least: 1.3 },
];
/** Of a tier with many entries that was filled once. */
const MOST_BYTES: Readonly<Partial<Record<Name, number>>> = { "cacheme, lru": 65, "cacheme, w-tinylfu": 90, "cacheme, adaptive()": 120 };

const { values: options } = parseArgs({
  options: { quick: { type: "boolean", default: false }, only: { type: "string", default: "" }, write: { type: "boolean", default: false } },
});
installPeers();
const names = LOCAL_CONTESTANTS.filter((name) => name === BARE || name === RIVAL || new RegExp(options.only).test(name));

const small = await speeds(SMALL);
const large = options.quick ? undefined : await speeds(LARGE);
const parts = [`### ${count(SMALL.capacity)} entries\n\n${speedTable(small)}`];
if (large) {
  parts.push(`### ${count(LARGE.capacity)} entries\n\n${speedTable(large)}`, `### Growth of a hit's cost\n\n${growthTable(small, large)}`);
}
const memories = new Map<number, Memories>();
for (const { capacity } of options.quick ? [SMALL] : [SMALL, LARGE]) memories.set(capacity, await memoriesOf(capacity));
parts.push(`### Memory\n\n${memoryTable()}`);

const command = ["npm run bench:local-tier", ...(process.argv.length > 2 ? ["--", ...process.argv.slice(2)] : [])].join(" ");
const legend = `Medians of ${SMALL.rounds} rounds of fresh processes, all alive at once, which take turns of 25 ms; M operations a second, in brackets the ratio to the bare \`Map\`, which never evicts, in the same turn. "zipf 95/5" and "set-new" are given beside ${RIVAL} as well. Where there is expiry it is on; "no ttl" marks the others. quick-lru and flru hold up to twice as many entries as they were made for.`;
const report = `## Local tier\n\n${machineNote(command)}\n\n${legend}\n\n${parts.join("\n\n")}\n\n${goalLines().join("\n")}\n\nWhat was tried: docs/decisions/015.`;
console.log(report);
if (options.write) await updateResults("local-tier", report);

type Results = Sliced<Name, LocalFigure>;

/** Of each contestant that is installed. */
type Memories = ReadonlyMap<Name, MemoryFigures>;

function speeds({ capacity, rounds }: { readonly capacity: number; readonly rounds: number }): Promise<Results> {
  return runSlices<Name, LocalFigure>({
    contestants: names,
    rounds,
    program: "local-run.ts",
    job: (name): LocalJob => ({ name, capacity }),
    nodeArgs: NODE_ARGS,
    figures: SPEEDS,
    once: ["zipf hit share"],
  });
}

async function memoriesOf(capacity: number): Promise<Memories> {
  const results = await runRounds<Name, MemoryFigures>({
    contestants: names,
    rounds: 1,
    program: "local-memory.ts",
    job: (name): LocalJob => ({ name, capacity }),
    nodeArgs: NODE_ARGS,
  });
  return new Map([...results].flatMap(([name, [figures = {}]]) => (Object.keys(figures).length > 0 ? [[name, figures] as const] : [])));
}

function speedTable(results: Results): string {
  const head = ["", "get-hit", "set-existing", "zipf 95/5", `beside ${RIVAL}`, "zipf hit share", "set-new", `beside ${RIVAL}`];
  const body = results.names().map((name) => {
    const [hit, existing, mixed, fresh] = SPEEDS.map((speed) => `${results.middle(name, speed).toFixed(1)} (${results.ratio(name, BARE, speed).toFixed(2)})`);
    const share = `${(100 * results.middle(name, "zipf hit share")).toFixed(0)} %`;
    const besides = (["zipf 95/5", "set-new"] as const).map((speed) => results.ratio(name, RIVAL, speed).toFixed(2));
    return [labelOf(name), hit ?? "", existing ?? "", mixed ?? "", besides[0] ?? "", share, fresh ?? "", besides[1] ?? ""];
  });
  return markdownTable([head, ...body]);
}

/** How many times as long as with few entries a hit takes with many, and that beside the bare `Map`'s own growth. */
function growthTable(few: Results, many: Results): string {
  const grown = (name: Name): number => few.middle(name, "get-hit") / many.middle(name, "get-hit");
  const body = few.names().map((name) => [labelOf(name), grown(name).toFixed(1), growthBesideMap(few, many, name).toFixed(2)]);
  return markdownTable([["", "times as long", "beside the bare Map"], ...body]);
}

/** Both ratios are of turns, so the machine's moods are out of it. */
function growthBesideMap(few: Results, many: Results, name: Name): number {
  return few.ratio(name, BARE, "get-hit") / many.ratio(name, BARE, "get-hit");
}

function memoryTable(): string {
  const kinds = ["bytes, filled", "bytes, after evictions"];
  const head = [
    "bytes an entry, keys and values excluded",
    ...[...memories.keys()].flatMap((capacity) => kinds.map((kind) => `${count(capacity)}: ${kind.slice(7)}`)),
  ];
  const body = names.map((name) => [
    labelOf(name),
    ...[...memories.values()].flatMap((results) => kinds.map((kind) => results.get(name)?.[kind]?.toFixed(0) ?? "")),
  ]);
  return markdownTable([head, ...body]);
}

function goalLines(): string[] {
  const ours = names.filter((name) => name.startsWith(OURS));
  const speeds = GOALS.flatMap(({ figure, base, least }) =>
    ours.map((name) => {
      const value = small.ratio(name, base, figure);
      return `- ${figure}, ${name.slice(OURS.length)}: ${value.toFixed(2)} of ${base}, goal at least ${least}: ${verdict(value >= least)}`;
    }),
  );
  const filled = memories.get(LARGE.capacity);
  if (!filled || !large) return speeds;
  const growths = ours.map((name) => {
    const value = growthBesideMap(small, large, name);
    return `- growth of a hit's cost, ${name.slice(OURS.length)}: ${value.toFixed(2)} of a bare Map's, goal at most ${MOST_GROWTH}: ${verdict(value <= MOST_GROWTH)}`;
  });
  const bytes = ours.map((name) => {
    const value = filled.get(name)?.["bytes, filled"] ?? Number.NaN;
    const most = MOST_BYTES[name] ?? 0;
    return `- memory of ${count(LARGE.capacity)} entries, ${name.slice(OURS.length)}: ${value.toFixed(0)} bytes each, goal at most ${most}: ${verdict(value <= most)}`;
  });
  return [...speeds, ...growths, ...bytes];
}

function verdict(reached: boolean): string {
  return reached ? "reached" : "**missed**";
}

function labelOf(name: Name): string {
  const label = NO_EXPIRY.has(name) ? `${name} (no ttl)` : name;
  return name.startsWith("cacheme") ? `**${label}**` : label;
}

function count(value: number): string {
  return value.toLocaleString("en-US");
}
