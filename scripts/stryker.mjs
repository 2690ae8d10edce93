/**
 * Lets Stryker break the files that everything rests on in every way that it knows, and counts what the tests beside each file
 * notice: below 80 of 100 it fails. It prints what nobody noticed. No part of `npm test`, as it takes some ten minutes;
 * `npm run test:stryker -- flight stamp` takes those files alone.
 *
 * Some survive because nobody could see the difference. Breaker: phases that count down. Envelope: the two short ways for ASCII
 * (the long way gives the same), and a byte past the key, which the payload overwrites. Flight: `?.` where there always is one,
 * the clearing of a timer that was never set, and counting what a shared runtime does not look at. Generations: the short ways
 * for an isolate that never invalidated anything and for a key without tags.
 *
 * @module
 */
import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { finish, root, withTools } from "./lib/tools.mjs";

/** The tests of each file: few and quick, as each mutant runs all that reach it. */
const FILES = {
  breaker: ["test/breaker.test.ts"],
  entry: ["test/entry.test.ts"],
  envelope: ["test/envelope.test.ts"],
  flight: ["test/flight.test.ts"],
  generations: ["test/generations.test.ts"],
  stamp: ["test/stamp.test.ts"],
  "storage-guard": ["test/storage-guard.test.ts", "test/guard-calls.test.ts", "test/redaction.test.ts", "test/breaker.test.ts"],
};
const LEAST_SCORE = 80;
const FOLDER = ".cache/stryker";
const NOTICED = ["Killed", "Timeout"];
const UNNOTICED = ["Survived", "NoCoverage"];

const words = process.argv.slice(2);
const problems = words.filter((word) => !(word in FILES)).map((word) => `no file is called ${word}; the files are: ${Object.keys(FILES).join(", ")}`);
const wanted = Object.keys(FILES).filter((name) => words.length === 0 || words.includes(name));
if (problems.length === 0) for (const name of wanted) tryOut(name);
finish(problems, `each of ${wanted.join(", ")} has a score of ${LEAST_SCORE} or more`);

function tryOut(name) {
  mkdirSync(root + FOLDER, { recursive: true });
  const report = `${FOLDER}/${name}.json`;
  const config = `${FOLDER}/${name}.config.json`;
  rmSync(root + report, { force: true });
  writeFileSync(root + config, JSON.stringify(optionsFor(name, report)));
  const env = withTools({ CACHEME_STRYKER_TESTS: FILES[name].join(",") });
  const { status } = spawnSync("stryker", ["run", config], { cwd: root, stdio: ["ignore", "ignore", "inherit"], env });
  if (status !== 0) {
    problems.push(`${name}: Stryker did not run (exit code ${status})`);
    return;
  }
  const mutants = Object.values(JSON.parse(readFileSync(root + report, "utf8")).files).flatMap((file) => file.mutants);
  const noticed = mutants.filter((mutant) => NOTICED.includes(mutant.status)).length;
  const unnoticed = mutants.filter((mutant) => UNNOTICED.includes(mutant.status));
  const score = (100 * noticed) / (noticed + unnoticed.length);
  console.log(`${name}: ${score.toFixed(1)}, ${noticed} noticed, ${unnoticed.length} not`);
  for (const { location, mutatorName, replacement } of unnoticed) {
    console.log(`  src/${name}.ts:${location.start.line}:${location.start.column} ${mutatorName}: ${replacement.replaceAll(/\s+/g, " ").slice(0, 100)}`);
  }
  if (!(score >= LEAST_SCORE)) problems.push(`${name}: a score of ${score.toFixed(1)}, which is below ${LEAST_SCORE}`);
}

function optionsFor(name, report) {
  return {
    mutate: [`src/${name}.ts`],
    testRunner: "vitest",
    vitest: { configFile: "scripts/stryker-vitest.config.ts", related: false },
    // One at a time: a mutant that takes long on a busy machine would count as noticed.
    concurrency: 1,
    timeoutMS: 10_000,
    reporters: ["json"],
    jsonReporter: { fileName: report },
    tempDirName: `${FOLDER}/sandbox`,
    ignorePatterns: ["dist", "docs", "bench", "worker-example", ".cache"],
    // Stryker would rewrite the real one by a call that TypeScript 7 does not have; nothing of it is needed here.
    tsconfigFile: "none",
  };
}
