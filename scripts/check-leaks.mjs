/**
 * Bundles every public subpath alone and looks at what is inside: no host global, no `node:`, no package but the drivers the
 * manifest names, and no word of a vendor or of SQL where it does not belong. It names what leaked and from which file, which a
 * limit of bytes could not; the sizes are printed beside it, drivers left out. Needs a build.
 *
 * @module
 */
import { gzipSync } from "node:zlib";
import { build } from "esbuild";
import { entries, finish, manifest, root } from "./lib/tools.mjs";

/** Words that belong together: a subpath whose name is in a family may say the family's words; all others may not. */
const FAMILIES = [
  { names: ["redis", "upstash"], words: ["redis", "upstash"] },
  { names: ["sql", "neon", "planetscale", "libsql", "d1"], words: ["neon", "planetscale", "libsql", "select ", "insert into", "delete from", "create table"] },
  { names: ["mongodb", "mongo-data-api", "mongo-data-api-server"], words: ["mongo"] },
];

/** The hosts a subpath is bundled for. Only the core asks which host it is on. */
const HOSTS = { any: [], workerd: ["workerd", "worker", "browser"], "edge-light": ["edge-light", "browser"] };

/** Free names, not properties, become these markers. */
const GLOBALS = { process: "LEAK_process", Buffer: "LEAK_Buffer", require: "LEAK_require", __dirname: "LEAK_dirname" };
const FORBIDDEN = [/LEAK_\w+/, /globalThis\.(process|Buffer|require)/, /["`']node:\w+/];

const drivers = new Set([...Object.keys(manifest.dependencies ?? {}), ...Object.keys(manifest.peerDependencies ?? {})]);
const problems = [];
const rows = [];

for (const entry of entries()) {
  for (const [host, conditions] of Object.entries(HOSTS)) {
    if (entry.subpath !== "." && host !== "any") continue;
    const label = `${entry.specifier}${entry.subpath === "." ? ` (${host})` : ""}`;
    try {
      await inspect(entry, label, host, conditions);
    } catch (error) {
      problems.push(`${label}: does not bundle: ${error.message}`);
    }
  }
}
for (const row of rows) console.log(row);
finish(problems, `leaks: none in ${rows.length} bundles`);

async function inspect(entry, label, host, conditions) {
  const result = await build({
    stdin: { contents: `export * from "${entry.specifier}";`, resolveDir: root },
    absWorkingDir: root,
    bundle: true,
    minify: true,
    format: "esm",
    target: "es2022",
    platform: "neutral",
    conditions,
    define: GLOBALS,
    metafile: true,
    write: false,
    logLevel: "silent",
    plugins: [{ name: "leave-packages-out", setup: (bundler) => bundler.onResolve({ filter: /^[^./#]/ }, leaveOut) }],
  });
  const text = result.outputFiles[0].text;
  const imports = Object.values(result.metafile.outputs).flatMap((output) => output.imports.map((imported) => imported.path));
  const foreign = imports.filter((path) => !allowed(entry, host, path));
  if (foreign.length > 0) problems.push(`${label}: imports ${foreign.join(", ")}`);

  const words = FAMILIES.filter((family) => !family.names.includes(entry.name)).flatMap((family) => family.words);
  for (const pattern of [...FORBIDDEN, ...words.map((word) => new RegExp(word, "i"))]) {
    const found = pattern.exec(text);
    if (found) problems.push(`${label}: contains "${found[0]}": …${text.slice(Math.max(0, found.index - 60), found.index + 60).replaceAll(/\s+/g, " ")}…`);
  }
  const rest = imports.length > 0 ? `, and ${[...new Set(imports)].join(", ")}` : "";
  rows.push(`${label.padEnd(22)} ${kilobytes(text.length)} min, ${kilobytes(gzipSync(text).length)} gzip${rest}`);
}

function leaveOut({ path, importer }) {
  const own = path === manifest.name || path.startsWith(`${manifest.name}/`);
  return own && importer.endsWith("<stdin>") ? undefined : { path, external: true };
}

function allowed(entry, host, path) {
  if (path === "cloudflare:workers") return entry.subpath === "." && host === "workerd";
  const owner = path.startsWith("@") ? path.split("/", 2).join("/") : path.split("/", 1)[0];
  return entry.subpath !== "." && entry.name !== "testing" && drivers.has(owner);
}

function kilobytes(bytes) {
  return `${(bytes / 1024).toFixed(1).padStart(5)} kB`;
}
