/**
 * Makes a fresh clone ready: installs the development dependencies, Node 24 among them, if package.json or the lock changed
 * since the last time. Runs before every npm script that needs them, on the machine's own Node, so it uses built-ins only and
 * nothing newer than Node 20. It builds nothing and installs nothing outside `node_modules`.
 *
 * @module
 */
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const stamp = `${root}node_modules/.cacheme-setup`;

/** Packages that do not work without their install script: both fetch the binary of this platform. */
const SCRIPTED = ["node", "bun"];

const hash = createHash("sha256").update(`${process.platform} ${process.arch}\0`);
for (const file of ["package.json", "package-lock.json"]) hash.update(readFileSync(root + file)).update("\0");
const wanted = hash.digest("hex");

if (Number.parseInt(process.versions.node, 10) < 20) fail(`Node 20 or newer is needed to set up, this is ${process.version}.`);
if (!existsSync(stamp) || readFileSync(stamp, "utf8") !== wanted) {
  console.log("setup: installing the development dependencies into node_modules (1 GB, about half a minute)");
  // Not `npm ci`: the lock names the platform packages of the machine that wrote it, and `ci` refuses any other.
  // No install scripts, then those of two packages by name: npm 10 and 11 agree on that, and no other script runs.
  // `npm pack --dry-run` comes here too, and hands that option on.
  npm("install", "--no-dry-run", "--ignore-scripts", "--include=dev", "--no-save", "--no-audit", "--no-fund", "--loglevel=error");
  npm("rebuild", ...SCRIPTED, "--ignore-scripts=false", "--loglevel=error");
  writeFileSync(stamp, wanted);
}

// `bench/` has a package.json of its own, for its peers; from there a package cannot name the one around it without this link.
if (!existsSync(`${root}node_modules/cacheme`)) symlinkSync("..", `${root}node_modules/cacheme`, "junction");

function npm(...args) {
  const { status, stdout, stderr, error } = spawnSync("npm", args, { cwd: root, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
  if (status === 0) return;
  fail(`\`npm ${args[0]}\` failed${error ? `: ${error.message}` : ""}; the network or a proxy may be the reason.\n${stdout ?? ""}${stderr ?? ""}`);
}

function fail(sentence) {
  console.error(`setup: ${sentence}`);
  process.exit(1);
}
