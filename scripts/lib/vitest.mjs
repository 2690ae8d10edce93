/**
 * Runs vitest and reads its JSON report, since its own output has no line that a program could rely on.
 *
 * @module
 */
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, rmSync } from "node:fs";
import { relative } from "node:path";
import { root, withTools } from "./tools.mjs";

/** A run that takes longer hangs. */
const LIMIT_MS = 30 * 60_000;
const REPORT = `${root}.cache/vitest.json`;

/** Runs the test files that match `patterns` (all, if empty); answers `{ passed, failed, skipped, notRun }`, `notRun` by file. */
export function runVitest(patterns) {
  rmSync(REPORT, { force: true });
  const args = ["run", "--reporter=default", "--reporter=json", `--outputFile.json=${REPORT}`, ...patterns];
  const { status } = spawnSync("vitest", args, { cwd: root, stdio: ["ignore", "inherit", "inherit"], env: withTools(), timeout: LIMIT_MS });
  if (!existsSync(REPORT)) return { passed: 0, failed: 1, skipped: 0, notRun: [] };
  const files = JSON.parse(readFileSync(REPORT, "utf8")).testResults.map(({ name, status: outcome, assertionResults }) => {
    const count = (...states) => assertionResults.filter((result) => states.includes(result.status)).length;
    const tests = { file: relative(root, name), passed: count("passed"), failed: count("failed") };
    // A file that fails outside its tests (it does not load, a hook throws) counts as one failure of its own.
    if (outcome === "failed" && tests.failed === 0) tests.failed = 1;
    return { ...tests, skipped: assertionResults.length - count("passed", "failed") };
  });
  const sum = (key) => files.reduce((total, file) => total + file[key], 0);
  const failed = sum("failed");
  return {
    passed: sum("passed"),
    // An error outside every file, or no test at all, is known by vitest's exit code alone.
    failed: failed === 0 && status !== 0 ? 1 : failed,
    skipped: sum("skipped"),
    notRun: files.filter((file) => file.skipped > 0).map((file) => `${file.file} (${file.skipped} of ${file.passed + file.failed + file.skipped})`),
  };
}
