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
import { join, relative, resolve } from "node:path";
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
const bundle = await rolldown({
  cwd: root,
  input: Object.fromEntries([...entries().map(({ source }) => source), ...hosts].map((source) => [source.replace(/^\.\/|\.ts$/g, ""), source])),
  platform: "neutral",
  external: [/^(?![./])/],
  // No module has side effects, so none is imported for them; bundlers would warn of such imports.
  plugins: [
    {
      name: "no-bare-imports",
      generateBundle(_, chunks) {
        for (const chunk of Object.values(chunks)) if (chunk.type === "chunk") chunk.code = chunk.code.replaceAll(/^import "\.[^"]+";\n/gm, "");
      },
    },
  ],
});
// What the core shares with adapters goes into one file, since each file costs an import a fraction of a millisecond.
const { output } = await bundle.write({
  dir: "dist",
  format: "esm",
  entryFileNames: "[name].js",
  chunkFileNames: "chunks/[name]-[hash].js",
  codeSplitting: { groups: [{ name: "shared", test: /src\/(errors|duration|stats|stats-batch|storage|redact|serializer\/(bounds|plain))\.ts$/ }] },
  comments: { legal: true, annotation: true, jsdoc: false },
});
await bundle.close();
for (const { fileName } of output) emitted.add(join(dist, fileName));

const files = existsSync(dist) ? readdirSync(dist, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile()) : [];
const stale = files.map((entry) => join(entry.parentPath, entry.name)).filter((file) => !emitted.has(file));
for (const file of stale) rmSync(file);
console.log(`build: ${emitted.size} files in ${relative(process.cwd(), dist) || "."}${stale.length > 0 ? `, ${stale.length} stale ones deleted` : ""}`);
