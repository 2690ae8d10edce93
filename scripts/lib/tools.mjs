/**
 * What the scripts share: where the repository is, its tools on the PATH, files by ending, and the way a check ends. Built-ins
 * only.
 *
 * @module
 */
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";

/** The repository's top folder, with a slash at its end. */
export const root = fileURLToPath(new URL("../..", import.meta.url));

/** The manifest. */
export const manifest = JSON.parse(readFileSync(`${root}package.json`, "utf8"));

/** The environment with the repository's own tools first on the PATH: Node 24 and `tsc` among them. */
export function withTools(extra = {}) {
  return { ...process.env, PATH: `${root}node_modules/.bin${delimiter}${process.env.PATH ?? ""}`, ...extra };
}

/** The public subpaths that are code, as `{ subpath, specifier, name, source, types, js }`. */
export function entries() {
  return Object.entries(manifest.exports)
    .filter(([, target]) => typeof target === "object")
    .map(([subpath, target]) => {
      const name = subpath === "." ? "index" : subpath.slice(2);
      return { subpath, specifier: manifest.name + subpath.slice(1), name, source: target["cacheme-source"], types: target.types, js: target.default };
    });
}

/** Paths, relative to the top, of the files under `folder` whose names end so; `[]` if there is no such folder. */
export function filesUnder(folder, ending) {
  if (!existsSync(root + folder)) return [];
  const found = readdirSync(root + folder, { recursive: true }).map((file) => join(folder, file));
  return found.filter((file) => file.endsWith(ending) && !/(^|\/)(node_modules|\.wrangler|dist)\//.test(file)).toSorted();
}

/** A file's text. */
export function textOf(file) {
  return readFileSync(root + file, "utf8");
}

/** Prints what is wrong and ends the process: with 1 if anything is. */
export function finish(problems, summary) {
  for (const problem of problems) console.log(`✗ ${problem}`);
  console.log(problems.length === 0 ? summary : `${problems.length} problem${problems.length === 1 ? "" : "s"}`);
  process.exit(problems.length === 0 ? 0 : 1);
}
