/**
 * `npm test`: every check there is, one after the other, all of them even when one fails. Its last line is
 * `N passed, N failed`, with `, N skipped` where tests were skipped; a check that is no vitest test counts as one. Relies on
 * `setup.mjs` having run. `npm test -- test/key.test.ts` runs those tests alone, `npm test -- --only=lint,format` those checks.
 * `CACHEME_TEST_WITHOUT=redis` does without a server; what was then not tested is said before the last line.
 *
 * @module
 */
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { provide, unwanted } from "./lib/servers.mjs";
import { finish, root, withTools } from "./lib/tools.mjs";
import { runVitest } from "./lib/vitest.mjs";

/** Each check and its command, in the order in which they run. One with a `folder` needs a tsconfig.json there. */
const CHECKS = [
  { name: "build", command: "node scripts/build.mjs" },
  { name: "types: test", command: "tsc --noEmit -p test", folder: "test" },
  { name: "types: test/types", command: "tsc --noEmit -p test/types", folder: "test/types" },
  { name: "types: bench", command: "tsc --noEmit -p bench", folder: "bench" },
  { name: "types: worker-example", command: "tsc --noEmit -p worker-example", folder: "worker-example" },
  { name: "lint", command: "oxlint --type-aware --deny-warnings" },
  { name: "format", command: "oxfmt --check ." },
  { name: "packaging: publint", command: "publint --strict" },
  { name: "packaging: types", command: "attw --pack . --profile esm-only" },
  { name: "packaging: imports", command: "node scripts/check-package.mjs" },
  { name: "exports", command: "node scripts/check-exports.mjs" },
  { name: "leaks", command: "node scripts/check-leaks.mjs", show: true },
  { name: "snippets", command: "node scripts/check-snippets.mjs" },
  { name: "guarantees", command: "node scripts/check-guarantees.mjs" },
  { name: "schemas", command: "node scripts/docs-schemas.mjs --check" },
  { name: "readme figures", command: "node scripts/readme-results.mjs --check" },
];

const NO_TESTS = { passed: 0, failed: 0, skipped: 0, notRun: [] };

const { wanted, patterns } = choose(process.argv.slice(2));
const without = unwanted();
const checks = CHECKS.filter(({ name, folder }) => wanted(name) && (folder === undefined || existsSync(`${root}${folder}/tsconfig.json`)));
const failedChecks = checks.filter((check) => !run(check)).map(({ name }) => name);
const missing = wanted("vitest") ? provide(without) : [];
const tests = wanted("vitest") ? runVitest(patterns) : NO_TESTS;
summarize();

/** What the arguments ask for: names of checks or their beginnings (all, if none), and patterns for vitest. */
function choose(args) {
  const isOption = (argument) => argument.startsWith("--only=");
  const files = args.filter((argument) => !isOption(argument));
  const only = args.filter(isOption).flatMap((option) => option.slice("--only=".length).split(","));
  const names = [...CHECKS.map(({ name }) => name), "vitest"];
  const unknown = only.filter((start) => !names.some((name) => name.startsWith(start)));
  if (unknown.length > 0) finish([`--only=${unknown.join(",")}: the checks are ${names.join(", ")}`]);
  if (only.length === 0 && files.length > 0) only.push("build", "vitest");
  return { patterns: files, wanted: (name) => only.length === 0 || only.some((start) => name.startsWith(start)) };
}

/** Runs one check quietly, unless it fails; answers whether it passed. */
function run({ name, command, show = false }) {
  const began = performance.now();
  const [program, ...args] = command.split(" ");
  const { status, stdout, stderr, error } = spawnSync(program, args, { cwd: root, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"], env: withTools() });
  const output = `${stdout ?? ""}${stderr ?? ""}${error?.message ?? ""}`.trimEnd();
  console.log(`${status === 0 ? "✓" : "✗"} ${name} (${((performance.now() - began) / 1000).toFixed(1)} s)`);
  if ((status !== 0 || show) && output !== "") console.log(output.replaceAll(/^/gm, "    "));
  return status === 0;
}

/** Says what failed and what was not tested, then the closing line. */
function summarize() {
  console.log("");
  for (const sentence of [...failedChecks, ...missing]) console.log(`failed: ${sentence}`);
  if (tests.failed > 0) console.log(`failed: ${tests.failed} in vitest`);
  if (without.length > 0 && wanted("vitest")) console.log(`not tested, as CACHEME_TEST_WITHOUT asks: what needs ${without.join(", ")}`);
  if (tests.notRun.length > 0) console.log("skipped:");
  for (const file of tests.notRun) console.log(`  ${file}`);
  const passed = checks.length - failedChecks.length + tests.passed;
  const failed = failedChecks.length + missing.length + tests.failed;
  console.log(`${passed} passed, ${failed} failed${tests.skipped > 0 ? `, ${tests.skipped} skipped` : ""}`);
  process.exitCode = failed > 0 || passed === 0 ? 1 : 0;
}
