/**
 * Compiles `src`, `adapters` and `testing` into `dist`, file to file, and deletes what an earlier build left there. It
 * overwrites in place, so that a program which reads `dist` meanwhile never finds it empty. Relies on `tsc` being on the PATH,
 * as it is in every npm script.
 *
 * @module
 */
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, rmSync } from "node:fs";
import { join, relative, resolve } from "node:path";
import { root, withTools } from "./lib/tools.mjs";

const { status, stdout, stderr } = spawnSync("tsc", ["-p", "tsconfig.json", "--listEmittedFiles"], { cwd: root, encoding: "utf8", env: withTools() });
const lines = `${stdout ?? ""}${stderr ?? ""}`.split("\n");
const prefix = "TSFILE: ";
const emitted = new Set(lines.filter((line) => line.startsWith(prefix)).map((line) => resolve(root, line.slice(prefix.length).trim())));
for (const line of lines) if (line.trim() !== "" && !line.startsWith(prefix)) console.error(line);

const dist = join(root, "dist");
const files = existsSync(dist) ? readdirSync(dist, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile()) : [];
const stale = files.map((entry) => join(entry.parentPath, entry.name)).filter((file) => !emitted.has(file));
// A build that failed may have emitted nothing; what stands is then better than nothing.
if (status === 0) for (const file of stale) rmSync(file);
console.log(
  `build: ${emitted.size} files in ${relative(process.cwd(), dist) || "."}${status === 0 && stale.length > 0 ? `, ${stale.length} stale ones deleted` : ""}`,
);
process.exit(status ?? 1);
