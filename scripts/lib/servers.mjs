/**
 * The servers the tests need, and how to come by them: from the PATH, else from `apt-get` where this user may run it. It
 * installs at most; the tests start what they need themselves, on free ports, with throw-away data.
 *
 * @module
 */
import { spawnSync } from "node:child_process";
import { finish } from "./tools.mjs";

/** Name as in `CACHEME_TEST_WITHOUT`, program to look for, Debian package that has it. */
const SERVERS = [{ name: "redis", program: "redis-server", debian: "redis-server" }];

/** The servers the caller can do without. A name that is none of ours ends the run: a typing error must not pass unseen. */
export function unwanted(list = process.env.CACHEME_TEST_WITHOUT ?? "") {
  const names = list
    .split(",")
    .map((name) => name.trim())
    .filter((name) => name !== "");
  const known = SERVERS.map((server) => server.name);
  const unknown = names.filter((name) => !known.includes(name));
  if (unknown.length > 0) finish(unknown.map((name) => `CACHEME_TEST_WITHOUT names ${JSON.stringify(name)}; the servers are: ${known.join(", ")}`));
  return names;
}

/** Makes sure of each server but the unwanted ones; answers one sentence for each that cannot be had. */
export function provide(without) {
  return SERVERS.filter(({ name }) => !without.includes(name)).flatMap(({ name, program, debian }) => {
    if (isThere(program)) return [];
    console.log(`servers: ${program} is not on the PATH; asking apt-get for ${debian}`);
    const reason = install(debian);
    if (isThere(program)) return [];
    const remedy = `Install it (Debian: apt-get install ${debian}), or test without it: CACHEME_TEST_WITHOUT=${name} npm test`;
    return [`${program} is needed and could not be had: ${reason}. ${remedy}`];
  });
}

function isThere(program) {
  return spawnSync(program, ["--version"], { stdio: "ignore" }).status === 0;
}

/** Answers why it failed, or `undefined`. */
function install(debian) {
  const root = process.getuid?.() === 0;
  if (!root && spawnSync("sudo", ["-n", "true"], { stdio: "ignore" }).status !== 0) return "this user may not install packages";
  for (const args of [["update"], ["install", "-y", "--no-install-recommends", debian]]) {
    const [program, ...rest] = [...(root ? [] : ["sudo", "-n", "DEBIAN_FRONTEND=noninteractive"]), "apt-get", "-qq", ...args];
    const { status, stderr, error } = spawnSync(program, rest, { encoding: "utf8", env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" } });
    if (status !== 0) return `apt-get ${args[0]} failed (${(error?.message ?? stderr).trim().split("\n").at(-1)})`;
  }
  return "the package does not hold the program";
}
