/**
 * Runs all benchmarks but `storages`, `prune`, `growth` and `before`, one after the other, writes their figures into
 * `bench/results.md` and draws the plots. One that fails does not stop the others; they are named at the end. Nothing else should
 * run on the machine meanwhile.
 *
 *     npm run bench:report
 *     npm run bench:report -- --only fleet,http
 *
 * @module
 */
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { chosen } from "./lib/rounds.ts";

/**
 * Each benchmark and its program. The others are run by themselves: `storages` and `prune` need a database server each, `growth`
 * needs the garbage collector exposed, `before` an earlier build.
 */
const PROGRAMS = {
  trace: ["trace.ts"],
  "trace-peers": ["trace-peers.ts"],
  reference: ["trace.ts", "--reference", "--only", "get/local"],
  http: ["http.ts"],
  hot: ["hot.ts"],
  "hot-peers": ["hot-peers.ts"],
  "hit-ratio": ["hit-ratio.ts"],
  "local-tier": ["local-tier.ts"],
  serializers: ["serializers.ts"],
  doorkeeper: ["doorkeeper.ts"],
  bundle: ["bundle.ts"],
  runtimes: ["runtimes.ts"],
  fleet: ["fleet.ts"],
} as const;
type ProgramName = keyof typeof PROGRAMS;

const NAMES = Object.keys(PROGRAMS).filter((name): name is ProgramName => name in PROGRAMS);
const folder = fileURLToPath(new URL(".", import.meta.url));
const { values: options } = parseArgs({ options: { only: { type: "string", default: "" } } });
const failed: string[] = [];
for (const name of chosen(NAMES, options.only)) {
  const [program, ...args] = PROGRAMS[name];
  if (!existsSync(folder + program)) {
    console.log(`${name}: there is no bench/${program}`);
    continue;
  }
  run(name, [program, ...args, "--write"]);
}
run("plots", ["plots.ts"]);
run("the README's figures", ["../scripts/readme-results.mjs"]);
for (const name of failed) console.log(`failed: ${name}`);
process.exitCode = failed.length > 0 ? 1 : 0;

function run(name: string, [program = "", ...args]: readonly string[]): void {
  const began = performance.now();
  const { status } = spawnSync(process.execPath, [folder + program, ...args], { stdio: ["ignore", "ignore", "inherit"], cwd: `${folder}..` });
  console.log(`${status === 0 ? "✓" : "✗"} ${name} (${((performance.now() - began) / 1_000).toFixed(0)} s)`);
  if (status !== 0) failed.push(name);
}
