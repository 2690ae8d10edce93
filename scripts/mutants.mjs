/**
 * Breaks the source on purpose, one change at a time, and checks that the test file named beside the change notices: a test
 * that cannot fail is a defect. The changes are in `test/properties/mutants.ts`; each is applied to a copy of the tree in the
 * system's temporary folder, never to the tree itself. `npm run test:mutants -- stamp` tries only those whose name holds the word.
 *
 * @module
 */
import { spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { MUTANTS } from "../test/properties/mutants.ts";
import { finish, root, withTools } from "./lib/tools.mjs";

const COPIED = ["src", "adapters", "testing", "test", "package.json", "tsconfig.json", "vitest.config.ts"];
/** A test that takes so many times as long as without a change hangs, and has noticed; but none is given up before this, in ms. */
const PATIENCE = 10;
const LEAST_MS = 60_000;
const LONGEST_MS = 5 * 60_000;
/** What `timeout` exits with then. */
const KILLED = 137;

const words = process.argv.slice(2);
const wanted = MUTANTS.filter(({ name }) => words.length === 0 || words.some((word) => name.includes(word)));
const folder = mkdtempSync(join(tmpdir(), "mutants-"));
const problems = [];
try {
  for (const part of COPIED) cpSync(join(root, part), join(folder, part), { recursive: true });
  symlinkSync(join(root, "node_modules"), join(folder, "node_modules"));
  const before = new Map([...new Set(wanted.map(({ test }) => test))].map((test) => [test, healthy(test)]));
  for (const mutant of wanted) problems.push(...tryOut(mutant, before.get(mutant.test)));
} finally {
  rmSync(folder, { recursive: true, force: true });
}
if (wanted.length === 0) problems.push(`no mutant is named ${words.join(", ")}`);
finish(problems, `all ${wanted.length} mutants were noticed`);

/** The tests of a file that fail without any change; they prove nothing. `undefined` if the file cannot be run. */
function healthy(test) {
  const began = performance.now();
  const { failed, ran } = run(test, [], LONGEST_MS);
  if (ran === 0) problems.push(`${test} does not run, or holds no test`);
  for (const name of failed) problems.push(`${test}: "${name}" fails without any change`);
  return ran === 0 ? undefined : { failed, limitMs: Math.max(LEAST_MS, PATIENCE * (performance.now() - began)) };
}

/** Applies one change, looks whether it is noticed, and takes it back. */
function tryOut({ name, edits, test }, before) {
  if (before === undefined) return [`${name}: nothing to notice it`];
  const originals = new Map(edits.map(({ file }) => [file, readFileSync(join(folder, file), "utf8")]));
  const texts = new Map(originals);
  for (const { file, find, replace } of edits) {
    const pieces = texts.get(file).split(find);
    if (pieces.length !== 2) return [`${name}: its text occurs ${pieces.length - 1} times in ${file}: ${JSON.stringify(find)}`];
    texts.set(file, pieces.join(replace));
  }
  for (const [file, text] of texts) writeFileSync(join(folder, file), text);
  const { failed, ran, hung } = run(test, ["--bail=3"], before.limitMs);
  for (const [file, text] of originals) writeFileSync(join(folder, file), text);
  const noticed = failed.filter((title) => !before.failed.includes(title));
  const by = hung ? "it hangs" : noticed[0];
  console.log(by === undefined ? `✗ ${name}` : `✓ ${name}: ${by}`);
  if (by !== undefined) return [];
  return [ran === 0 ? `${name}: the changed source does not run` : `${name}: not noticed by ${test}`];
}

/** Runs one test file of the copy. `timeout` ends the workers as well, which may be in a loop that never looks up. */
function run(test, options, limitMs) {
  const report = join(folder, "report.json");
  rmSync(report, { force: true });
  if (!existsSync(join(folder, test))) return { failed: [], ran: 0, hung: false };
  const command = ["vitest", "run", test, "--reporter=json", `--outputFile=${report}`, ...options];
  const { error, status, signal } = spawnSync("timeout", ["--signal=KILL", String(Math.ceil(limitMs / 1000)), ...command], { cwd: folder, env: withTools() });
  if (error) throw error;
  if (signal === "SIGKILL" || status === KILLED) return { failed: [], ran: 0, hung: true };
  if (!existsSync(report)) return { failed: [], ran: 0, hung: false };
  const results = JSON.parse(readFileSync(report, "utf8")).testResults.flatMap(({ assertionResults }) => assertionResults);
  const of = (...states) => results.filter(({ status: state }) => states.includes(state)).map(({ fullName }) => fullName);
  return { failed: of("failed"), ran: of("failed", "passed").length, hung: false };
}
