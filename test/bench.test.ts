/**
 * The benchmarks start, in tiny sizes and without their peers, and the fleet simulator keeps the bounds that the library promises.
 * No figure is looked at that depends on the machine.
 *
 * @module
 */
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { CHAINS } from "../bench/lib/fleet/chains.ts";
import { createTimeline } from "../bench/lib/fleet/timeline.ts";
import { runFleet, type FleetFigures, type FleetSettings } from "../bench/lib/fleet/world.ts";
import { PLOTS } from "../bench/lib/plots.ts";
import { numberIn, tablesOf } from "../bench/lib/results.ts";
import { isLeftOut } from "./servers/process.ts";

const ROOT = join(import.meta.dirname, "..");

/** What was printed; the arguments come after `node bench/`. */
function bench(program: string, ...args: readonly string[]): { status: number | null; stdout: string; stderr: string } {
  return spawnSync(process.execPath, [join(ROOT, "bench", program), ...args], { cwd: ROOT, encoding: "utf8", timeout: 110_000 });
}

const STARTS: readonly [program: string, args: readonly string[], row: string][] = [
  ["fleet.ts", ["--only", "^kv", "--isolates", "3", "--gets", "200", "--warm-up", "100"], "| `kv 5m` |"],
  ["hot-peers.ts", ["--only", "cacheme", "--rounds", "1", "--entries", "500"], "| **cacheme** |"],
  ["serializers.ts", ["--only", "json(),structured(),msgpack()", "--rounds", "1", "--ms", "1"], "| **structured()** |"],
  ["doorkeeper.ts", ["--only", "cacheme", "--rounds", "1", "--keys", "1000"], "| **cacheme** |"],
  ["bundle.ts", ["--only", "cacheme", "--rounds", "1"], "| **core and local** |"],
  ["runtimes.ts", ["--only", "node", "--rounds", "1", "--hits", "1000"], "| Node "],
];

describe("each benchmark starts and prints its table", () => {
  test.for(STARTS)("%s", ([program, args, row]) => {
    const { status, stdout, stderr } = bench(program, ...args);
    expect(stderr).not.toContain("WRONG");
    expect(stdout, stderr).toContain(row);
    expect(status).toBe(0);
  });

  test.skipIf(isLeftOut("redis")).for(["http.ts", "trace-peers.ts"])("%s, with exact loads", (program) => {
    const { status, stdout, stderr } = bench(program, "--only", "cacheme,reference", "--rounds", "1", "--gets", "400", "--workers", "50");
    expect(stderr).not.toContain("WRONG");
    expect(stdout, stderr).toContain("| **reference** |");
    const [table] = tablesOf(`<!-- begin it -->\n${stdout}\n<!-- end it -->`, "it");
    expect(table?.rows).toHaveLength(2);
    for (const row of table?.rows ?? []) expect(row[table?.head.indexOf("loads") ?? 0]).toBe(row[table?.head.indexOf("unique keys") ?? 0]);
    expect(status).toBe(0);
  });
});

test("a wrong option is refused with its name and value", () => {
  expect(bench("fleet.ts", "--upstash", "10").stderr).toContain("--upstash must be a median and a 99th percentile in ms, as 10,60, got");
  expect(bench("fleet.ts", "--only", "nothing").stderr).toContain('--only must match a chain, got "nothing"');
  expect(bench("hot-peers.ts", "--only", "nobody").stderr).toContain("--only must name some of cacheme, ");
  expect(bench("growth.ts", "--only", "redis", "--write").stderr).toContain(
    '--write replaces the figures of all subjects, so --only must be left out, got "redis"',
  );
  expect(bench("fleet.ts", "--only", "^kv", "--write").stderr).toContain('--write replaces the figures of all chains, so --only must be left out, got "^kv"');
  expect(bench("http.ts", "--rounds", "0").stderr).toContain('--rounds must be a positive whole number, got "0"');
});

describe("the fleet simulator", () => {
  test("a guarded tier alone is never behind by more than an invalidate takes", async () => {
    const { staleGets, worstStaleMs, failed, loads } = await fleet("upstash 5m");
    expect(failed).toBe(0);
    expect(loads).toBeGreaterThan(0);
    expect(worstStaleMs).toBeLessThan(1_000);
    expect(staleGets).toBeLessThan(20);
  });

  test("a local tier is behind by at most its ttl, a stale window is added to that, and without invalidate the longest ttl counts", async () => {
    const near = await fleet("local 30s, upstash 5m");
    expect(near.worstStaleMs).toBeGreaterThan(10_000);
    expect(near.worstStaleMs).toBeLessThanOrEqual(30_000);
    const window = await fleet("local 30s, upstash 5m; staleWhileRevalidate 1m");
    expect(window.worstStaleMs).toBeGreaterThan(near.worstStaleMs);
    expect(window.worstStaleMs).toBeLessThanOrEqual(90_000);
    const never = await fleet("local 30s, upstash 5m; never invalidated");
    expect(never.staleGets).toBeGreaterThan(near.staleGets);
    expect(never.worstStaleMs).toBeLessThanOrEqual(300_000);
  });

  test("KV is behind by its copies in other locations, and a tier with nothing before it is asked once a get, less those that share a flight", async () => {
    const weak = await fleet("kv 5m");
    expect(weak.worstStaleMs).toBeGreaterThan(5_000);
    expect(weak.kv.reads).toBeLessThanOrEqual(weak.gets);
    expect(weak.kv.reads).toBeGreaterThan(0.9 * weak.gets);
    const strong = await fleet("upstash 5m");
    expect(strong.upstash.reads).toBeGreaterThan(0.9 * strong.gets);
    expect(strong.kv.requests).toBe(0);
  });

  test("the same seed gives the same figures, another one does not", async () => {
    expect(await fleet("local 30s, kv 5m")).toEqual(await fleet("local 30s, kv 5m"));
    expect(await fleet("local 30s, kv 5m", { seed: 2 })).not.toEqual(await fleet("local 30s, kv 5m"));
  });

  test("its timeline runs events by time, then by the order in which they were added, and none that was cleared", () => {
    const timeline = createTimeline();
    const seen: number[] = [];
    const times = Array.from({ length: 500 }, (_, index) => (index * 7919) % 101);
    const timers = times.map((ms, index) => timeline.clock.setTimeout(() => seen.push(index), ms));
    for (let index = 0; index < timers.length; index += 10) timeline.clock.clearTimeout(timers[index]);
    while (timeline.step());
    const expected = times.map((ms, index) => ({ ms, index })).filter(({ index }) => index % 10 !== 0);
    expect(seen).toEqual(expected.sort((a, b) => a.ms - b.ms || a.index - b.index).map(({ index }) => index));
    expect(timeline.now()).toBe(100);
  });
});

test("plots show the figures of the tables, and nothing where there are none", () => {
  const results = `<!-- begin fleet -->
## Fleet

### 1,000 isolates

|  | loads per M gets | p50 ms | p99 ms | worst staleness s | dollars a month |
| --- | --: | --: | --: | --: | --: |
| \`kv 5m\` | 12,345 | 11.2 | 260 | 59.8 | 450 |
<!-- end fleet -->
`;
  expect(tablesOf(results, "fleet")).toEqual([
    {
      title: "1,000 isolates",
      head: ["", "loads per M gets", "p50 ms", "p99 ms", "worst staleness s", "dollars a month"],
      rows: [["kv 5m", "12,345", "11.2", "260", "59.8", "450"]],
    },
  ]);
  expect([numberIn("12,345"), numberIn("0.5 %"), numberIn(""), numberIn(undefined)]).toEqual([12_345, 0.5, Number.NaN, Number.NaN]);
  const drawn = PLOTS.flatMap(({ name, spec }) => (spec(results) ? [name] : []));
  expect(drawn).toEqual(["fleet-chains"]);
  const text = JSON.stringify(PLOTS.find(({ name }) => name === "fleet-chains")?.spec(results));
  expect(text).toContain('{"name":"kv 5m","isolates":1000,"figure":"loads of the source, in a million gets","value":12345}');
});

async function fleet(name: string, more: Partial<FleetSettings> = {}): Promise<FleetFigures> {
  const chain = CHAINS.find((one) => one.name === name);
  if (!chain) throw new Error(`there is no chain ${name}`);
  const kv = { hot: { p50: 5, p99: 30 }, cold: { p50: 60, p99: 300 }, write: { p50: 100, p99: 500 } };
  const latency = { source: { p50: 50, p99: 250 }, upstash: { p50: 10, p99: 60 }, kv };
  const traffic = { gets: 3_000, warmUp: 3_000, rate: 20, keys: 30, changes: 0.01 };
  return runFleet({ chain, isolates: 5, seed: 1, localEntries: 100, perLocation: 1, lifeS: 900, latency, ...traffic, ...more });
}
