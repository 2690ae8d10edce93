/**
 * Bundles the program of each runtime with the conditions under which that runtime resolves packages, runs it once, and
 * reads what it found. Node, Deno and Bun find drivers in `node_modules` by themselves; Workers and the edge runtime get
 * them in the bundle, as they do in a deployment. Nothing reaches beyond 127.0.0.1.
 *
 * @module
 */
import { spawn, spawnSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { isBuiltin } from "node:module";
import { join } from "node:path";
import { build, type BuildOptions, type Plugin } from "esbuild";
import { Miniflare, type MiniflareOptions } from "miniflare";
import { schema } from "../../../adapters/d1.ts";
import { clausesOf } from "../../contract/clauses.ts";
import { isLeftOut } from "../../servers/process.ts";
import { workerdBinary } from "../../servers/workerd.ts";
import { ROWS, type Row, type Runtime } from "./cells.ts";
import type { Addresses, Findings, Outcome } from "./protocol.ts";

export const ROOT: string = join(import.meta.dirname, "../../..");
const FOLDER = join(ROOT, ".cache/runtimes");
const TOOLS = join(ROOT, "node_modules/.bin");

/** A runtime that takes longer hangs. */
const LANE_MS = 240_000;

/** The oldest date under which every driver that needs no flag works. */
const COMPATIBILITY_DATE = "2022-01-01";

/** From this date on, the flag `nodejs_compat` brings every module of Node that the drivers load; before, a bundler adds some. */
const NODE_COMPATIBILITY_DATE = "2026-03-17";

export const LANES: Readonly<Record<Runtime, (addresses: Addresses) => Promise<Findings>>> = {
  async node(addresses) {
    const program = await bundle("node.main.ts", ["node", "import"], "process");
    return runProgram(join(TOOLS, "node"), [program, JSON.stringify(addresses)]);
  },
  async deno(addresses) {
    const program = await bundle("deno.main.ts", ["deno", "node", "import"], "process");
    const flags = ["--no-prompt", "--no-remote", "--cached-only", "--node-modules-dir=manual", "--no-lock", "--quiet"];
    const permissions = ["--allow-net=127.0.0.1", "--allow-env", "--allow-read", "--allow-sys"];
    return runProgram(join(TOOLS, "deno"), ["run", ...flags, ...permissions, program, JSON.stringify(addresses)]);
  },
  async bun(addresses) {
    const program = await bundle("bun.main.ts", ["bun", "node", "import"], "process");
    return runProgram(join(TOOLS, "bun"), [program, JSON.stringify(addresses)]);
  },
  async edge(addresses) {
    const script = await bundle("edge.ts", ["edge-light", "worker", "browser"], "script");
    const program = await bundle("edge.main.ts", ["node", "import"], "process");
    return runProgram(join(TOOLS, "node"), [program, JSON.stringify(addresses), script]);
  },
  workerd: runWorkers,
};

/** Bundles a file of this folder; answers the path of what came out. A Worker's `handle` becomes its fetch handler. */
async function bundle(file: string, conditions: readonly string[], kind: "process" | "worker" | "script"): Promise<string> {
  const outfile = join(FOLDER, file.replace(/\.ts$/, ".mjs"));
  const worker = `import { handle } from "./${file}";\nexport default { fetch: handle };`;
  const entry: BuildOptions =
    kind === "worker" ? { stdin: { contents: worker, resolveDir: import.meta.dirname, loader: "ts" } } : { entryPoints: [join(import.meta.dirname, file)] };
  const options: BuildOptions = kind === "process" ? { platform: "node", packages: "external" } : { platform: "neutral", mainFields: ["module", "main"] };
  mkdirSync(FOLDER, { recursive: true });
  await build({
    ...options,
    ...entry,
    outfile,
    bundle: true,
    format: kind === "script" ? "iife" : "esm",
    ...(kind === "script" ? { globalName: "edge" } : {}),
    target: "es2022",
    conditions: ["cacheme-source", ...conditions],
    external: ["cloudflare:*"],
    plugins: kind === "worker" ? [nodeModules] : [],
    logLevel: "silent",
  });
  return outfile;
}

/** Workers import the modules of Node, also where a driver requires them, as every bundler for Workers sees to. */
const nodeModules: Plugin = {
  name: "node-modules",
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /./ }, ({ path, kind }) => {
      const name = path.replace(/^node:/, "");
      if (!isBuiltin(name)) return undefined;
      return kind === "require-call" ? { path: name, namespace: "required" } : { path: `node:${name}`, external: true };
    });
    onLoad({ filter: /./, namespace: "required" }, ({ path }) => ({ contents: `import it from "node:${path}"; module.exports = it;` }));
  },
};

async function runProgram(command: string, args: readonly string[]): Promise<Findings> {
  const env = { ...process.env, DENO_DIR: join(FOLDER, "deno"), DENO_NO_UPDATE_CHECK: "1", NO_COLOR: "1" };
  const child = spawn(command, args, { cwd: ROOT, env, stdio: ["ignore", "pipe", "pipe"], detached: true });
  // What npm puts in .bin may be a program that starts the real one: both go, as a group.
  const end = (): unknown => child.pid !== undefined && process.kill(-child.pid, "SIGKILL");
  const limit = setTimeout(end, LANE_MS);
  process.once("exit", end);
  let [stdout, stderr] = ["", ""];
  child.stdout.on("data", (data: Buffer) => (stdout += data.toString()));
  child.stderr.on("data", (data: Buffer) => (stderr += data.toString()));
  const code = await new Promise<number | null>((resolve, reject) => child.once("error", reject).once("close", resolve));
  clearTimeout(limit);
  process.off("exit", end);
  const [runtime = "", ...lines] = stdout.trim().split("\n");
  const outcomes = lines.map((line): Outcome => JSON.parse(line));
  // What was found until then is of use also where the program broke down.
  return { runtime, outcomes, ...(code === 0 ? {} : { failure: `it ended with ${code} after ${lines.length} clauses:\n${stderr.slice(-2000)}` }) };
}

/** Workers run in the workerd that miniflare starts, which brings the platform's bindings. Two, as only one has a flag. */
async function runWorkers(addresses: Addresses): Promise<Findings> {
  const rows = ROWS.filter(({ clients, server }) => clients.workerd !== undefined && !(server !== undefined && isLeftOut(server)));
  const bindings = { ADDRESSES: JSON.stringify(addresses) };
  const outcomes = await Promise.all([
    runWorker(
      "workerd.main.ts",
      { compatibilityDate: COMPATIBILITY_DATE, bindings, kvNamespaces: ["KV"], kvPersist: false, d1Databases: ["DB"], d1Persist: false },
      rows.filter(({ flag }) => flag === undefined),
    ),
    runWorker(
      "workerd-node.main.ts",
      { compatibilityDate: NODE_COMPATIBILITY_DATE, compatibilityFlags: ["nodejs_compat"], bindings },
      rows.filter(({ flag }) => flag !== undefined),
    ),
  ]);
  const version = spawnSync(workerdBinary(), ["--version"], { encoding: "utf8" }).stdout.trim();
  return { runtime: version, outcomes: outcomes.flat() };
}

async function runWorker(file: string, options: Partial<MiniflareOptions>, rows: readonly Row[]): Promise<readonly Outcome[]> {
  const scriptPath = await bundle(file, ["workerd", "worker", "browser"], "worker");
  const modulesRules = [{ type: "ESModule" as const, include: ["**/*.mjs"] }];
  const miniflare = new Miniflare({ modules: true, modulesRules, scriptPath, cf: false, host: "127.0.0.1", port: 0, ...options });
  try {
    const url = await miniflare.ready;
    if (rows.some(({ storage }) => storage === "d1")) {
      const database = await miniflare.getD1Database("DB");
      for (const statement of schema().split(/;\n/).filter(Boolean)) await database.prepare(statement).run();
    }
    return (await Promise.all(rows.map((row) => askWorker(url, row)))).flat();
  } finally {
    await miniflare.dispose();
  }
}

async function askWorker(url: URL, { storage, lacking }: Row): Promise<readonly Outcome[]> {
  const outcomes: Outcome[] = [];
  for (const { name } of clausesOf(lacking)) {
    // A connection that waited for its next clause may be closed by workerd just as that is sent.
    const response = await fetch(url, { method: "POST", headers: { connection: "close" }, body: JSON.stringify({ storage, clause: name }) });
    outcomes.push({ storage, clause: name, error: (await response.text()) || null });
  }
  return outcomes;
}
