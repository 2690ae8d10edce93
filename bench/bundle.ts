/**
 * What an import costs: each subpath of the package and what is usually imported from other libraries, as one bundle for a Worker
 * (esbuild, minified, the conditions of wrangler), gzipped; and how long a fresh Node process takes to import it. Needs a built
 * package; installs the peers.
 *
 *     npm run bench:bundle -- --only cacheme
 *     npm run bench:bundle -- --write
 *
 * @module
 */
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { builtinModules } from "node:module";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";
import { installPeers, versionOf } from "./lib/peers.ts";
import { machineNote, updateResults } from "./lib/report.ts";
import { wholeNumber } from "./lib/rounds.ts";
import { markdownTable, median } from "./lib/table.ts";

interface Subject {
  readonly name: string;
  /** The imports, as a program would write them; names make them side-effect free or not, as the library has it. */
  readonly code: string;
  readonly peer?: boolean;
}

const MOST_KB = 12;
const NEAREST = "@unkey/cache, memory";
const HERE = fileURLToPath(new URL(".", import.meta.url));
const { values: options } = parseArgs({
  options: {
    /** `cacheme`: the package alone. */
    only: { type: "string", default: "" },
    rounds: { type: "string", default: "15" },
    write: { type: "boolean", default: false },
  },
});
const rounds = wholeNumber("--rounds", options.rounds);
if (options.only !== "" && options.only !== "cacheme") throw new TypeError(`--only must be cacheme, got ${JSON.stringify(options.only)}`);
if (options.only === "") installPeers();

const PEERS: readonly Subject[] = [
  { name: "lru-cache", code: `export { LRUCache } from "lru-cache";` },
  { name: "layered-loader", code: `export { Loader } from "layered-loader";` },
  { name: "async-cache-dedupe", code: `export { createCache } from "async-cache-dedupe";` },
  {
    name: "@unkey/cache, memory",
    code: `export { createCache, Namespace, DefaultStatefulContext } from "@unkey/cache"; export { MemoryStore } from "@unkey/cache/stores";`,
  },
  { name: "@epic-web/cachified + lru-cache", code: `export { cachified } from "@epic-web/cachified"; export { LRUCache } from "lru-cache";` },
  { name: "ocache, memory", code: `export { defineCachedFunction, createMemoryStorage } from "ocache";` },
  { name: "cache-manager", code: `export { createCache } from "cache-manager";` },
  { name: "cacheable", code: `export { Cacheable } from "cacheable";` },
  {
    name: "bentocache, memory",
    code: `export { BentoCache, bentostore } from "bentocache"; export { memoryDriver } from "bentocache/drivers/memory";`,
  },
  {
    name: "@unkey/cache, memory and upstash",
    code: `export { createCache, Namespace, DefaultStatefulContext } from "@unkey/cache"; export { MemoryStore, UpstashRedisStore } from "@unkey/cache/stores"; export { Redis } from "@upstash/redis";`,
  },
  {
    name: "ocache, memory and upstash by unstorage",
    code: `export { defineCachedFunction, createMemoryStorage, composeStorage } from "ocache"; export { createStorage } from "unstorage"; export { default as driver } from "unstorage/drivers/upstash";`,
  },
  { name: "@upstash/redis alone", code: `export { Redis } from "@upstash/redis";` },
].map((subject) => ({ ...subject, peer: true }));

const subpaths = Object.keys(JSON.parse(readFileSync(`${HERE}../package.json`, "utf8")).exports).filter((path) => path !== "./package.json" && path !== ".");
const SUBJECTS: readonly Subject[] = [
  { name: "core and local", code: `export { createCache, defineNode, local } from "cacheme";` },
  { name: "core, local and upstash", code: `export { createCache, defineNode, local } from "cacheme"; export { upstash } from "cacheme/upstash";` },
  { name: "core, local and kv", code: `export { createCache, defineNode, local } from "cacheme"; export { kv } from "cacheme/kv";` },
  { name: "cacheme, everything", code: `export * from "cacheme";` },
  ...subpaths.map((path) => ({ name: `cacheme${path.slice(1)}`, code: `export * from "cacheme${path.slice(1)}";` })),
];

const chosen = options.only === "" ? [...SUBJECTS, ...PEERS] : SUBJECTS;
const sizes = new Map<Subject, Awaited<ReturnType<typeof sizeOf>>>();
for (const subject of chosen) sizes.set(subject, await sizeOf(subject.code));
const times = new Map<Subject, number[]>(chosen.map((subject) => [subject, []]));
for (let round = 0; round < rounds; round++) {
  for (const subject of round % 2 === 0 ? chosen : [...chosen].reverse()) times.get(subject)?.push(importTime(subject.code));
}

const rows = chosen.map((subject) => {
  const { minified = 0, gzipped = 0, builtins = [] } = sizes.get(subject) ?? {};
  const name = subject.peer ? subject.name : `**${subject.name}**`;
  return [name, kB(gzipped), kB(minified), median(times.get(subject) ?? []).toFixed(1), builtins.join(", ") || "none"];
});
const command = ["npm run bench:bundle", ...(process.argv.length > 2 ? ["--", ...process.argv.slice(2)] : [])].join(" ");
const peers = [
  "lru-cache",
  "layered-loader",
  "async-cache-dedupe",
  "@unkey/cache",
  "@epic-web/cachified",
  "ocache",
  "cache-manager",
  "cacheable",
  "bentocache",
  "unstorage",
];
const report = `## Bundles and cold imports

${machineNote(command)}
- peers: ${[...(options.only === "" ? peers : []), "@upstash/redis", "msgpackr"].map(versionOf).join(", ")}

One bundle for a Worker by esbuild, a kB is 1,000 bytes; drivers are in it where the subpath imports one. Cold import: a fresh Node process, the time of \`import()\`, median of ${rounds} interleaved rounds.

${markdownTable([["", "min + gzip kB", "minified kB", "cold import ms", "Node built-ins left in the bundle"], ...rows])}

${goalLines().join("\n")}

What was tried: docs/decisions/013 and 014.`;
console.log(report);
if (options.write) await updateResults("bundle", report);

async function sizeOf(code: string): Promise<{ minified: number; gzipped: number; builtins: string[] }> {
  const builtins = new Set<string>();
  const { outputFiles } = await build({
    stdin: { contents: code, resolveDir: HERE, loader: "js" },
    bundle: true,
    write: false,
    minify: true,
    format: "esm",
    platform: "browser",
    target: "es2022",
    conditions: ["workerd", "worker", "browser"],
    external: ["cloudflare:*"],
    logLevel: "silent",
    plugins: [
      {
        name: "built-ins",
        setup({ onResolve }) {
          onResolve({ filter: /.*/ }, ({ path }) => {
            const name = path.replace(/^node:/, "");
            if (!builtinModules.includes(name)) return undefined;
            builtins.add(name);
            return { path, external: true };
          });
          // Optional parts that nobody installed are left out, as a bundler is told to.
          onResolve({ filter: /^@node-rs\/|^ioredis$|^redis$/ }, ({ path }) => ({ path, external: true }));
        },
      },
    ],
  });
  const bytes = outputFiles[0]?.contents ?? new Uint8Array(0);
  return { minified: bytes.length, gzipped: gzipSync(bytes, { level: 9 }).length, builtins: [...builtins].sort() };
}

/** In ms. */
function importTime(code: string): number {
  const names = [...code.matchAll(/from "([^"]+)"/g)].map(([, name]) => JSON.stringify(name));
  const program = `const began = performance.now(); ${names.map((name) => `await import(${name});`).join(" ")} console.log(performance.now() - began); process.exit();`;
  return Number(execFileSync(process.execPath, ["--input-type=module", "--eval", program], { cwd: HERE, encoding: "utf8" }));
}

function goalLines(): string[] {
  const core = SUBJECTS[0];
  const nearest = PEERS.find(({ name }) => name === NEAREST);
  const { gzipped = 0 } = (core && sizes.get(core)) ?? {};
  const lines = [`- core and local: ${kB(gzipped)} kB, goal at most ${MOST_KB}: ${verdict(gzipped <= MOST_KB * 1_000)}`];
  if (!core || !nearest || !times.has(nearest)) return lines;
  const [own, its] = [median(times.get(core) ?? []), median(times.get(nearest) ?? [])];
  return [...lines, `- cold import: ${own.toFixed(1)} ms, goal at most that of ${NEAREST}, ${its.toFixed(1)}: ${verdict(own <= its)}`];
}

function verdict(reached: boolean): string {
  return reached ? "reached" : "**missed**";
}

function kB(bytes: number): string {
  return (bytes / 1_000).toFixed(1);
}
