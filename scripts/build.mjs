/**
 * Builds `dist`: the declarations file to file by `tsc`, the code as one module for each public subpath, with what subpaths share
 * in `dist/chunks`. (Sixty small modules took three times as long to import.) It overwrites in place and deletes last what an
 * earlier build left, so that a program which reads `dist` meanwhile never finds it empty. Relies on `tsc` being on the PATH, as
 * it is in every npm script.
 *
 * @module
 */
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, rmSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { rolldown } from "rolldown";
import { entries, manifest, root, withTools } from "./lib/tools.mjs";

const dist = join(root, "dist");
const declarations = spawnSync("tsc", ["-p", "tsconfig.json", "--emitDeclarationOnly", "--listEmittedFiles"], {
  cwd: root,
  encoding: "utf8",
  env: withTools(),
});
const lines = `${declarations.stdout ?? ""}${declarations.stderr ?? ""}`.split("\n");
const prefix = "TSFILE: ";
const emitted = new Set(lines.filter((line) => line.startsWith(prefix)).map((line) => resolve(root, line.slice(prefix.length).trim())));
for (const line of lines) if (line.trim() !== "" && !line.startsWith(prefix)) console.error(line);
// A build that failed may have emitted nothing; what stands is then better than nothing.
if (declarations.status !== 0) process.exit(declarations.status ?? 1);

// Which host a program runs on is for the program's own resolver to say: the three variants stay modules of their own.
const hosts = Object.values(manifest.imports["#runtime"]["cacheme-source"]);
const [core, ...others] = entries().map(({ source }) => source);
const common = { cwd: root, platform: "neutral", external: [/^(?![./])/] };
const written = { dir: "dist", format: "esm", entryFileNames: "[name].js", comments: { legal: true, annotation: true, jsdoc: false } };
const named = (sources) => Object.fromEntries(sources.map((source) => [source.replace(/^\.\/|\.ts$/g, ""), source]));

// The core is one file beside that of its host: each file takes an import the better part of a millisecond.
await bundle({ input: named([core, ...hosts]) });
// Whoever builds on the core takes its one copy by the public entry, and a copy of the few stateless helpers beside it.
await bundle({
  input: named(others),
  plugins: [
    {
      name: "core-is-built",
      resolveId(source, importer) {
        const path = importer === undefined ? "" : join(dirname(importer), source);
        if (![core, ...hosts].some((built) => join(root, built) === path)) return null;
        // Outputs stand to each other as their sources do.
        return { id: path.replace(/\.ts$/, ".js"), external: "relative" };
      },
    },
  ],
});

async function bundle(options) {
  const made = await rolldown({ ...common, ...options });
  const { output } = await made.write({ ...written, chunkFileNames: "chunks/[name]-[hash].js" });
  await made.close();
  for (const { fileName } of output) emitted.add(join(dist, fileName));
}

const files = existsSync(dist) ? readdirSync(dist, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile()) : [];
const stale = files.map((entry) => join(entry.parentPath, entry.name)).filter((file) => !emitted.has(file));
for (const file of stale) rmSync(file);
console.log(`build: ${emitted.size} files in ${relative(process.cwd(), dist) || "."}${stale.length > 0 ? `, ${stale.length} stale ones deleted` : ""}`);
