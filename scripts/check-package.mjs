/**
 * Packs the package as for publishing, unpacks it where nothing of the repository is, and imports every public subpath from there:
 * a file that the manifest leaves out is missing there only. Drivers and msgpackr come from the repository's own installation.
 *
 * @module
 */
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { entries, finish, manifest, root, withTools } from "./lib/tools.mjs";

const folder = mkdtempSync(join(tmpdir(), "cacheme-pack-"));
const problems = [];
try {
  const modules = join(folder, "node_modules");
  mkdirSync(modules);
  const [{ filename, files }] = JSON.parse(run("npm", ["pack", "--json", "--ignore-scripts", "--pack-destination", folder], root));
  run("tar", ["-xzf", filename, "-C", modules], folder);
  run("mv", [join(modules, "package"), join(modules, manifest.name)], folder);
  for (const dependency of readdirSync(`${root}node_modules`).filter((name) => name !== manifest.name && !name.startsWith("."))) {
    mkdirSync(dirname(join(modules, dependency)), { recursive: true });
    symlinkSync(`${root}node_modules/${dependency}`, join(modules, dependency));
  }
  for (const { specifier } of entries()) {
    const program = `const names = Object.keys(await import(${JSON.stringify(specifier)})); if (names.length === 0) throw new Error("exports nothing");`;
    try {
      run("node", ["--input-type=module", "--eval", program], folder);
    } catch (error) {
      problems.push(`${specifier}: ${String(error.stderr ?? error.message).trim()}`);
    }
  }
  const source = files.filter(({ path }) => path.endsWith(".ts") && !path.endsWith(".d.ts"));
  for (const { path } of source) problems.push(`${path} is packed, and is no part of the package`);
} finally {
  rmSync(folder, { recursive: true, force: true });
}
finish(problems, `${entries().length} subpaths of the packed package can be imported`);

function run(program, args, cwd) {
  return execFileSync(program, args, { cwd, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"], env: withTools() });
}
