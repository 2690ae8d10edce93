/**
 * The hot path in every runtime: hits of the local tier through `get` in Node, Deno, Bun and workerd, each in its own process, in
 * turn, medians of the rounds, ratios to Node in the same round. Wall time, because workerd's own clock stands still: it is timed
 * from outside, less a request that does nothing. Needs a built package.
 *
 *     npm run bench:runtimes -- --only node,workerd --rounds 3
 *     npm run bench:runtimes -- --write
 *
 * @module
 */
import { execFile, execFileSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs, promisify } from "node:util";
import { build } from "esbuild";
import { startWorkerd, workerdBinary } from "../test/servers/workerd.ts";
import { machineNote, updateResults } from "./lib/report.ts";
import { chosen, wholeNumber } from "./lib/rounds.ts";
import type { LoopKind } from "./lib/runtime-loop.ts";
import { markdownTable, median } from "./lib/table.ts";

const RUNTIMES = ["node", "deno", "bun", "workerd"] as const;
type RuntimeName = (typeof RUNTIMES)[number];
type Times = Readonly<Record<LoopKind, number>>;

const GOAL = 0.5;
const GOAL_OF: ReadonlySet<RuntimeName> = new Set<RuntimeName>(["workerd", "bun"]);
const ROOT = fileURLToPath(new URL("..", import.meta.url));
const FOLDER = join(ROOT, ".cache", "bench-runtimes");
const execute = promisify(execFile);

const { values: options } = parseArgs({
  options: {
    only: { type: "string", default: "" },
    rounds: { type: "string", default: "5" },
    /** Hits for each figure; calls of 20 are a fiftieth. */
    hits: { type: "string", default: "1000000" },
    write: { type: "boolean", default: false },
  },
});
const rounds = wholeNumber("--rounds", options.rounds);
const hits = wholeNumber("--hits", options.hits);
const names = chosen(RUNTIMES, options.only);
const plan: readonly [LoopKind, number][] = [
  ["zipf", hits],
  ["oneKey", hits],
  ["batches", Math.ceil(hits / 50)],
];

const run: Readonly<Record<RuntimeName, () => Promise<Times>>> = {
  node: async () => runProcess(process.execPath, [await bundle("node")]),
  deno: async () => runProcess(tool("deno"), ["run", "--no-prompt", "--no-lock", "--quiet", "--allow-env", "--allow-read", await bundle("deno")]),
  bun: async () => runProcess(tool("bun"), [await bundle("bun")]),
  workerd: runWorker,
};
const results = new Map<RuntimeName, Times[]>(names.map((name) => [name, []]));
for (let round = 0; round < rounds; round++) {
  for (const name of round % 2 === 0 ? names : [...names].reverse()) {
    const times = await run[name]();
    results.get(name)?.push(times);
    console.error(`${round + 1}/${rounds} ${name}: ${JSON.stringify(times)}`);
  }
}

const node = results.get("node") ?? [];
const ratio = (name: RuntimeName, kind: LoopKind): number =>
  median((results.get(name) ?? []).map((times, round) => (node[round]?.[kind] ?? Number.NaN) / times[kind]));
const rate = (name: RuntimeName, kind: LoopKind, calls: number): number => median((results.get(name) ?? []).map((times) => calls / times[kind]));
const rows = names.map((name) => [
  versionOf(name),
  ...plan.map(([kind]) => ratio(name, kind).toFixed(2)),
  ...plan.map(([kind, calls]) => (kind === "batches" ? rate(name, kind, calls).toFixed(0) : (rate(name, kind, calls) / 1_000).toFixed(2))),
]);
const goals = names
  .filter((name) => GOAL_OF.has(name) && node.length > 0)
  .map((name) => {
    const value = ratio(name, "zipf");
    return `- ${name}: ${value.toFixed(2)} of Node's rate of zipf hits, goal at least ${GOAL}: ${value >= GOAL ? "reached" : "**missed**"}`;
  });
const command = ["npm run bench:runtimes", ...(process.argv.length > 2 ? ["--", ...process.argv.slice(2)] : [])].join(" ");
const report = `## Runtimes

${machineNote(command)}

Medians of ${rounds} rounds, wall time; hits of 10,000 keys, each awaited and checked, a life of 1 h.

${markdownTable([["", "zipf, beside Node", "one key", "getAll of 20", "zipf M/s", "one key M/s", "getAll of 20 k/s"], ...rows])}

${goals.join("\n")}`;
console.log(report);
if (options.write) await updateResults("runtimes", report);

async function runProcess(program: string, args: readonly string[]): Promise<Times> {
  const env = { ...process.env, DENO_DIR: join(FOLDER, "deno-cache"), DENO_NO_UPDATE_CHECK: "1", NO_COLOR: "1" };
  const { stdout } = await execute(program, [...args, JSON.stringify(plan)], { env, cwd: ROOT });
  const times: Times = JSON.parse(stdout);
  return times;
}

async function runWorker(): Promise<Times> {
  const code = await bundleWorker();
  const server = await startWorkerd({ modules: { "worker.js": code } });
  const ask = async (kind: LoopKind, calls: number): Promise<number> => {
    const began = performance.now();
    const response = await fetch(`${server.url}/?kind=${kind}&calls=${calls}`);
    if ((await response.text()) !== "done") throw new Error(`workerd answered ${response.status}\n${server.log().slice(-2_000)}`);
    return performance.now() - began;
  };
  try {
    const times: Record<LoopKind, number> = { oneKey: 0, zipf: 0, batches: 0 };
    for (const [kind, calls] of plan) {
      // The first two are for the compiler.
      await ask(kind, calls);
      await ask(kind, calls);
      const nothing = median([await ask(kind, 0), await ask(kind, 0), await ask(kind, 0)]);
      times[kind] = (await ask(kind, calls)) - nothing;
    }
    return times;
  } finally {
    await server.stop();
  }
}

/** A program for a process, as a file. */
async function bundle(runtime: "node" | "deno" | "bun"): Promise<string> {
  mkdirSync(FOLDER, { recursive: true });
  const outfile = join(FOLDER, `${runtime}.mjs`);
  await build({ ...common(["import", runtime]), entryPoints: [join(ROOT, "bench/lib/runtime-main.ts")], outfile, external: ["node:*"] });
  return outfile;
}

async function bundleWorker(): Promise<string> {
  const contents = `import { handle } from "./runtime-worker.ts";\nexport default { fetch: handle };`;
  const { outputFiles } = await build({
    ...common(["workerd", "worker", "browser"]),
    stdin: { contents, resolveDir: join(ROOT, "bench/lib"), loader: "ts" },
    write: false,
    external: ["cloudflare:*"],
  });
  return outputFiles[0]?.text ?? "";
}

function common(conditions: readonly string[]): { bundle: true; format: "esm"; platform: "neutral"; target: string; conditions: string[]; logLevel: "silent" } {
  return { bundle: true, format: "esm", platform: "neutral", target: "es2022", conditions: [...conditions], logLevel: "silent" };
}

function tool(name: string): string {
  return join(ROOT, "node_modules/.bin", name);
}

function versionOf(name: RuntimeName): string {
  if (name === "node") return `Node ${process.versions.node}`;
  const text = execFileSync(name === "workerd" ? workerdBinary() : tool(name), ["--version"], { encoding: "utf8" });
  return `${name} ${/\d[\w.-]*/.exec(text)?.[0] ?? "unknown"}`;
}
