/**
 * A real MariaDB on a free port, with a throw-away data directory that never syncs to disk. It comes from the PATH, or from
 * where Debian puts it. It stands in for MySQL: statements keep to what both understand.
 *
 * @module
 */
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { startProcess, type ServerProcess } from "./process.ts";

/** A running MariaDB; `root` enters without a password. */
export interface MariadbServer extends ServerProcess {
  readonly url: string;
  readonly user: string;
  readonly database: string;
}

const DATABASE = "test";

/** Starts one with an empty database. `args` are options of `mariadbd`. */
export async function startMariadb({ port = 0, args = [] }: { readonly port?: number; readonly args?: readonly string[] } = {}): Promise<MariadbServer> {
  const user = process.getuid?.() === 0 ? ["--user=root"] : [];
  const server = await startProcess(
    program(),
    (chosen, directory) => {
      const data = `--datadir=${join(directory, "data")}`;
      install(directory, [data, ...user]);
      const network = [`--port=${chosen}`, "--bind-address=127.0.0.1", `--socket=${join(directory, "socket")}`, "--skip-name-resolve"];
      const quick = ["--skip-log-bin", "--sync-binlog=0", "--innodb-flush-log-at-trx-commit=0", "--innodb-flush-method=nosync"];
      return ["--no-defaults", data, ...user, ...network, ...quick, ...args];
    },
    port,
  );
  return { ...server, url: `mysql://root@127.0.0.1:${server.port}/${DATABASE}`, user: "root", database: DATABASE };
}

function install(directory: string, args: readonly string[]): void {
  const options = ["--no-defaults", "--auth-root-authentication-method=normal", ...args];
  const { status, stdout, stderr, error } = spawnSync("mariadb-install-db", options, { cwd: directory, encoding: "utf8" });
  if (status !== 0) throw new Error(`mariadb-install-db failed: ${error?.message ?? `${stdout}${stderr}`}`);
}

/** Debian's folder is not on every user's PATH. */
function program(): string {
  return existsSync("/usr/sbin/mariadbd") ? "/usr/sbin/mariadbd" : "mariadbd";
}
