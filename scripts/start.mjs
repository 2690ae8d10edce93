// `npm start`: builds the package, fills the example's database once, runs the worker example under `wrangler dev`, and prints
// its address when it answers. Ends on SIGINT or SIGTERM with everything that it started. Relies on a Node that
// runs TypeScript, which npm scripts get from node_modules/.bin.
//
//   PORT=8787       the port on 127.0.0.1; 0 takes a free one
//   UPSTASH_REDIS_REST_URL, UPSTASH_REDIS_REST_TOKEN
//                   both set: the chain is [local, upstash] instead of [local, kv]
//   --no-build      uses the `dist` that is there
//   --state DIR     where D1 and KV keep their files, default .wrangler/state

import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { ROOT, killGroup, run, runWrangler, stopGroup } from "./lib/wrangler.mjs";

const READY_WITHIN_MS = 60_000;

const { values: options } = parseArgs({
  options: { "no-build": { type: "boolean", default: false }, state: { type: "string", default: join(ROOT, ".wrangler/state") } },
});
const state = resolve(options.state);
let secrets; // a directory, if there is something to hide
let child; // the one that runs now: build, fill, then wrangler
let exitCode; // set once: the run is ending

function fail(message) {
  console.error(message);
  if (secrets) rmSync(secrets, { recursive: true });
  process.exit(1);
}

/** The port to use: checked now, because wrangler would quietly take another one. */
async function choosePort(wanted = "8787") {
  if (!/^\d{1,5}$/.test(wanted) || Number(wanted) > 65_535) fail(`PORT must be a number from 0 to 65535, got ${JSON.stringify(wanted)}`);
  const server = createServer();
  return new Promise((done) => {
    server.once("error", ({ code }) => fail(`Port ${wanted} cannot be used (${code}). Choose another one: PORT=8788 npm start`));
    server.listen(Number(wanted), "127.0.0.1", () => {
      const { port } = server.address();
      server.close(() => done(port));
    });
  });
}

/** Arguments that hand the two Upstash variables to the Worker; in a file, because arguments show in the process list. */
function upstashArguments() {
  const names = ["UPSTASH_REDIS_REST_URL", "UPSTASH_REDIS_REST_TOKEN"];
  const given = names.filter((name) => process.env[name]);
  if (given.length === 0) return [];
  if (given.length === 1) fail(`${given[0]} is set, the other one of ${names.join(" and ")} is not. Set both, or neither.`);
  const broken = names.find((name) => /['\r\n]/.test(process.env[name]));
  if (broken) fail(`${broken} must not contain a quote or a line break.`);
  secrets = mkdtempSync(join(tmpdir(), "cacheme-example-"));
  const file = join(secrets, "upstash.env");
  writeFileSync(file, names.map((name) => `${name}='${process.env[name]}'\n`).join(""), { mode: 0o600 });
  return ["--env-file", file];
}

/** Runs a script to its end. */
async function step(script, ...args) {
  child = run(script, args);
  const [status] = await once(child, "exit");
  if (exitCode === undefined && status !== 0) fail(`${script} failed, so there is nothing to start.`);
}

async function waitUntilItAnswers(address) {
  const giveUpAt = Date.now() + READY_WITHIN_MS;
  while (Date.now() < giveUpAt && exitCode === undefined) {
    const answer = await fetch(address, { signal: AbortSignal.timeout(2_000) }).catch(() => undefined);
    if (answer?.ok) return true;
    await sleep(100);
  }
  return false;
}

async function stop(code) {
  if (exitCode !== undefined) return;
  exitCode = code;
  if (child) await stopGroup(child.pid);
  if (secrets) rmSync(secrets, { recursive: true, force: true });
  process.exit(exitCode);
}

async function serve() {
  child = runWrangler({ port, state, args });
  child.on("exit", () => stop(1));
  const address = `http://127.0.0.1:${port}/`;
  if (await waitUntilItAnswers(address)) return console.log(`The worker example answers at ${address} (Ctrl+C ends it)`);
  if (exitCode === undefined) console.error(`The worker example did not answer at ${address}.`);
  return stop(1);
}

for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => stop(0));
// A killed npm, or the shell between, takes its last word along; under npm a lost parent therefore counts as a signal.
const parent = process.ppid;
if (process.env.npm_lifecycle_event) setInterval(() => process.ppid !== parent && stop(0), 500);
process.on("exit", () => child && killGroup(child.pid)); // where an error of ours ended the run

if (!process.features.typescript) fail(`Node ${process.versions.node} is too old here. Start it by \`npm start\`, which brings its own.`);
const port = await choosePort(process.env.PORT);
const args = upstashArguments();
if (!options["no-build"]) await step("scripts/build.mjs");
if (exitCode === undefined) await step("scripts/seed-d1.mjs", "--state", state);
if (exitCode === undefined) await serve();
