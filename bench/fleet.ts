/**
 * The fleet simulator: the real core on a virtual clock, 1 to 1,000 isolates, zipf traffic with changes of the source that are
 * invalidated, stores that answer late. For each chain and policy it tells what the source and the stores are asked, what callers
 * wait, how old an answer may be, and what the stores cost in a month at list prices. The latencies are assumptions; give your own.
 * Needs a built package, no server and no peer.
 *
 *     npm run bench:fleet -- --only kv --isolates 10,100 --gets 20000
 *     npm run bench:fleet -- --rate 50 --keys 100000 --changes 0.001 --upstash 30,120
 *     npm run bench:fleet -- --write
 *
 * @module
 */
import { isDeepStrictEqual, parseArgs } from "node:util";
import { CHAINS, LONGEST_TTL_S, MONTH_S, PRICES } from "./lib/fleet/chains.ts";
import type { Chain } from "./lib/fleet/chains.ts";
import type { Latency } from "./lib/fleet/latency.ts";
import { runFleet } from "./lib/fleet/world.ts";
import type { FleetFigures, FleetSettings } from "./lib/fleet/world.ts";
import { machineNote, updateResults } from "./lib/report.ts";
import { wholeNumber } from "./lib/rounds.ts";
import { markdownTable } from "./lib/table.ts";
import { seededRandom } from "./lib/zipf.ts";

const { values: options } = parseArgs({
  options: {
    /** Regular expression over the chains' names. */
    only: { type: "string", default: "" },
    isolates: { type: "string", default: "1,10,100,1000" },
    gets: { type: "string", default: "60000" },
    /** Gets before those that are counted; default: as many as come in the longest ttl, and at least 60,000. */
    "warm-up": { type: "string" },
    /** Gets a second, by the whole fleet. */
    rate: { type: "string", default: "200" },
    keys: { type: "string", default: "5000" },
    /** Changes of the source for each get. */
    changes: { type: "string", default: "0.002" },
    "local-entries": { type: "string", default: "1000" },
    "per-location": { type: "string", default: "10" },
    "life-s": { type: "string", default: "900" },
    /** Median and 99th percentile of a call, in ms. */
    source: { type: "string", default: "50,250" },
    upstash: { type: "string", default: "10,60" },
    "kv-hot": { type: "string", default: "5,30" },
    "kv-cold": { type: "string", default: "60,300" },
    "kv-write": { type: "string", default: "100,500" },
    seed: { type: "string", default: "1" },
    /** Seeds, from `--seed` on, over which policies are set beside their chain; the tables are of the first. */
    seeds: { type: "string", default: "3" },
    write: { type: "boolean", default: false },
  },
});

const rate = positive("--rate", options.rate);
const common: Omit<FleetSettings, "chain" | "isolates"> = {
  seed: wholeNumber("--seed", options.seed),
  gets: wholeNumber("--gets", options.gets),
  warmUp: options["warm-up"] === undefined ? Math.max(60_000, Math.ceil(rate * LONGEST_TTL_S)) : wholeNumber("--warm-up", options["warm-up"]),
  rate,
  keys: wholeNumber("--keys", options.keys),
  changes: share("--changes", options.changes),
  localEntries: wholeNumber("--local-entries", options["local-entries"]),
  perLocation: wholeNumber("--per-location", options["per-location"]),
  lifeS: positive("--life-s", options["life-s"]),
  latency: {
    source: latency("--source", options.source),
    upstash: latency("--upstash", options.upstash),
    kv: { hot: latency("--kv-hot", options["kv-hot"]), cold: latency("--kv-cold", options["kv-cold"]), write: latency("--kv-write", options["kv-write"]) },
  },
};
const pattern = new RegExp(options.only);
const chains = CHAINS.filter(({ name }) => pattern.test(name));
if (chains.length === 0)
  throw new TypeError(`--only must match a chain, got ${JSON.stringify(options.only)}; there are ${CHAINS.map(({ name }) => name).join(" | ")}`);
if (options.write && chains.length < CHAINS.length)
  throw new TypeError(`--write replaces the figures of all chains, so --only must be left out, got ${JSON.stringify(options.only)}`);
const seeds = wholeNumber("--seeds", options.seeds);

const HEAD = [
  "",
  "loads per M gets",
  "store operations per M",
  "store requests per M",
  "p50 ms",
  "p99 ms",
  "stale answers",
  "worst staleness s",
  "dollars a month",
];
const done = new Map<string, FleetFigures>();
const sections: string[] = [];
for (const isolates of options.isolates.split(",").map((text) => wholeNumber("--isolates", text))) {
  const rows: string[][] = [];
  const notes: string[] = [];
  for (const chain of chains) {
    const figures = await run(chain, isolates, common.seed);
    const plain = plainOf(chain);
    if (chain.policy !== undefined && plain && isDeepStrictEqual(figures, await run(plain, isolates, common.seed))) {
      notes.push(`\`policy ${chain.policy}\` is left out: every figure is that of the same chain without it, since no entry had to leave before its end.`);
    } else rows.push(rowOf(chain, figures));
  }
  const beside = await besideTheirChain(isolates);
  if (beside !== undefined) notes.unshift(beside);
  sections.push([`### ${isolates.toLocaleString("en-US")} ${isolates === 1 ? "isolate" : "isolates"}`, markdownTable([HEAD, ...rows]), ...notes].join("\n\n"));
}
const command = ["npm run bench:fleet", ...(process.argv.length > 2 ? ["--", ...process.argv.slice(2)] : [])].join(" ");
const told = (name: string, { p50, p99 }: Latency): string => `${name} ${p50} / ${p99}`;
const { source, upstash, kv } = common.latency;
const report = `## Fleet

${machineNote(command)}
- traffic: ${rate} gets a second by the whole fleet, zipf (s 1.001) over ${common.keys.toLocaleString("en-US")} keys, one change of the source in ${Math.round(1 / common.changes)} gets, of popular rows the more often, each followed by \`invalidate\` where it happened; ${common.gets.toLocaleString("en-US")} gets counted after ${common.warmUp.toLocaleString("en-US")} that were not; seed ${common.seed}
- isolates: ${common.localEntries.toLocaleString("en-US")} local entries, a mean life of ${common.lifeS} s, ${common.perLocation} in a location
- assumed latencies, median / 99th percentile in ms: ${[told("source", source), told("Upstash", upstash), told("KV with a copy in the location", kv.hot), told("KV without", kv.cold), told("KV write", kv.write)].join(", ")}
- prices, dollars for a million: Upstash ${PRICES.upstash.read} a command; KV ${PRICES.kv.read} a key read, ${PRICES.kv.write} a key written or deleted; what a plan includes is not deducted, traffic and stored bytes are not counted

A simulation on virtual time: counts are those of the library's own core, times follow from the assumed latencies. An operation is what is billed. An answer is stale if its row had changed before the get began; the worst is how long before. A month is ${Math.round((rate * MONTH_S) / 1e6)} million gets.

${sections.join("\n\n")}`;
console.log(report);
if (options.write) await updateResults("fleet", report);

async function run(chain: Chain, isolates: number, seed: number): Promise<FleetFigures> {
  const key = `${isolates} isolates, ${chain.name}, seed ${seed}`;
  const known = done.get(key);
  if (known !== undefined) return known;
  const began = performance.now();
  // The core draws its salts and jitter from here: one seed, one result, whatever was run before.
  Math.random = seededRandom(seed + 2);
  const figures = await runFleet({ ...common, seed, chain, isolates });
  done.set(key, figures);
  console.error(`${key}: ${((performance.now() - began) / 1_000).toFixed(1)} s, ${JSON.stringify(figures)}`);
  return figures;
}

/** The same chain without the policy, if it has one. */
function plainOf({ name }: Chain): Chain | undefined {
  return name.includes("; ") ? CHAINS.find((chain) => chain.name === name.split("; ")[0]) : undefined;
}

/** What each policy changes of the store operations of its chain, as a range over seeds: what spans zero is chance. */
async function besideTheirChain(isolates: number): Promise<string | undefined> {
  if (seeds < 2) return undefined;
  const told: string[] = [];
  for (const chain of chains) {
    const plain = plainOf(chain);
    if (plain === undefined) continue;
    const changes: number[] = [];
    for (let seed = common.seed; seed < common.seed + seeds; seed++) {
      const figures = await run(chain, isolates, seed);
      changes.push(operationsPerMillion(figures) - operationsPerMillion(await run(plain, isolates, seed)));
    }
    if (changes.some((change) => change !== 0))
      told.push(`${chain.name.slice(plain.name.length + 2)} ${signed(Math.min(...changes))} to ${signed(Math.max(...changes))}`);
  }
  if (told.length === 0) return undefined;
  return `Store operations per M beside the same chain without the policy, least and most over the seeds ${common.seed} to ${common.seed + seeds - 1}: ${told.join("; ")}.`;
}

function operationsPerMillion({ gets, upstash: redis, kv: pairs }: FleetFigures): number {
  return Math.round(((redis.reads + redis.writes + pairs.reads + pairs.writes) / gets) * 1e6);
}

function signed(count: number): string {
  return `${count > 0 ? "+" : count < 0 ? "−" : ""}${Math.abs(count).toLocaleString("en-US")}`;
}

function rowOf({ name }: Chain, figures: FleetFigures): string[] {
  const { gets, failed, loads, upstash: redis, kv: pairs, p50Ms, p99Ms, staleGets, worstStaleMs } = figures;
  if (failed > 0) {
    console.error(`WRONG: ${name}: ${failed} gets failed`);
    process.exitCode = 1;
  }
  const perMillion = (count: number): string => Math.round((count / gets) * 1e6).toLocaleString("en-US");
  const dollars =
    (redis.reads * PRICES.upstash.read + redis.writes * PRICES.upstash.write + pairs.reads * PRICES.kv.read + pairs.writes * PRICES.kv.write) / gets;
  return [
    `\`${name.split("; ")[0] ?? ""}\`${name.includes("; ") ? `, ${name.split("; ")[1] ?? ""}` : ""}`,
    perMillion(loads),
    operationsPerMillion(figures).toLocaleString("en-US"),
    perMillion(redis.requests + pairs.requests),
    p50Ms.toFixed(1),
    p99Ms.toFixed(0),
    `${((staleGets / gets) * 100).toFixed(2)} %`,
    (worstStaleMs / 1_000).toFixed(1),
    ((dollars * rate * MONTH_S) / 1e6).toFixed(0),
  ];
}

function positive(option: string, text: string): number {
  const number = Number(text);
  if (!(number > 0 && Number.isFinite(number))) throw new TypeError(`${option} must be a number above 0, got ${JSON.stringify(text)}`);
  return number;
}

function share(option: string, text: string): number {
  const number = Number(text);
  if (!(number >= 0 && number <= 1)) throw new TypeError(`${option} must be from 0 to 1, got ${JSON.stringify(text)}`);
  return number;
}

function latency(option: string, text: string): Latency {
  const [p50 = Number.NaN, p99 = Number.NaN] = text.split(",").map(Number);
  if (!(p50 > 0 && p99 >= p50 && Number.isFinite(p99)))
    throw new TypeError(`${option} must be a median and a 99th percentile in ms, as 10,60, got ${JSON.stringify(text)}`);
  return { p50, p99 };
}
