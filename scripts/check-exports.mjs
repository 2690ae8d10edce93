/**
 * Checks that a public subpath is complete: built, importable under its name with named exports only, tested, and named in the
 * README and the changelog; that a storage runs the contract in `test/contract`; and that no adapter is forgotten in the manifest
 * or leans on another public one. So adding a storage is five files, and this names the one that is missing. Needs a build.
 *
 * @module
 */
import { existsSync } from "node:fs";
import { basename } from "node:path";
import { entries, filesUnder, finish, root, textOf } from "./lib/tools.mjs";

/** Public subpaths made to be built upon: other adapters may import them. */
const SHARED = new Set(["sql"]);

const problems = [];
const publicEntries = entries();
const tests = filesUnder("test", ".ts").map(textOf).join("\n");
const contracts = filesUnder("test/contract", ".test.ts");
const PROSE = ["README.md", "CHANGELOG.md"];
const prose = PROSE.filter((file) => existsSync(root + file)).map((file) => ({ file, text: textOf(file) }));
for (const file of PROSE) if (!existsSync(root + file)) problems.push(`${file} is missing`);

for (const { subpath, specifier, name, source, types, js } of publicEntries) {
  const missing = [source, types, js].filter((file) => !existsSync(root + file));
  if (missing.length > 0) {
    problems.push(`exports["${subpath}"]: ${missing.join(", ")} does not exist`);
    continue;
  }
  problems.push(...(await importProblems(specifier)));
  if (!tests.includes(`/${source.slice(2)}"`) && !tests.includes(`"${specifier}"`)) problems.push(`${specifier}: no file under test/ imports ${source}`);
  const unnamed = subpath === "." ? [] : prose.filter(({ text }) => !text.includes(`\`${specifier}\``));
  for (const { file } of unnamed) problems.push(`${specifier}: ${file} does not name it`);
  if (isStorage(source) && !contracts.some((file) => runsContractOf(file, name, source)))
    problems.push(`${specifier}: no test/contract/${name}.test.ts runs the contract on what ${source} makes`);
}

const sources = new Map(publicEntries.map(({ source, name }) => [source.slice(2), name]));
const adapters = filesUnder("adapters", ".ts").filter((file) => !file.endsWith(".d.ts"));
for (const file of adapters) {
  const imports = [...textOf(file).matchAll(/\bfrom\s+"\.\/([^"]+)"/g)].map((match) => `adapters/${match[1]}`);
  for (const imported of imports) {
    const name = sources.get(imported);
    if (name !== undefined && !SHARED.has(name)) problems.push(`${file} imports the public adapter ${imported}; move what they share into a file of its own`);
  }
  if (!sources.has(file) && !adapters.some((other) => textOf(other).includes(`from "./${basename(file)}"`))) {
    problems.push(`${file} is neither exported by package.json nor imported by another adapter`);
  }
}
finish(problems, `exports: ${publicEntries.length} subpaths complete`);

async function importProblems(specifier) {
  try {
    const names = Object.keys(await import(specifier));
    if (names.length === 0) return [`${specifier} exports nothing`];
    return names.includes("default") ? [`${specifier} has a default export`] : [];
  } catch (error) {
    return [`${specifier} cannot be imported: ${error instanceof Error ? error.message : error}`];
  }
}

/** Whether an adapter has a public function that gives a storage. */
function isStorage(source) {
  return source.startsWith("./adapters/") && /^export function \w+\(.*\): Storage \{$/m.test(textOf(source));
}

/** Whether a file is `NAME.test.ts`, or `NAME-more.test.ts`, and runs the contract on this adapter. */
function runsContractOf(file, name, source) {
  const own = basename(file) === `${name}.test.ts` || basename(file).startsWith(`${name}-`);
  return own && textOf(file).includes("runContract(") && textOf(file).includes(`/${source.slice(2)}"`);
}
