/**
 * A real server that speaks MongoDB's protocol: `mongod` if it is on the PATH, else FerretDB 1.24 over SQLite, built once with
 * Go into `.cache/go-bin` and used again from there. FerretDB does not keep two updates of one document apart, nor knows it a
 * TTL index; its clients must use one connection.
 *
 * @module
 */
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, renameSync } from "node:fs";
import { MongoClient } from "mongodb";
import { startProcess, type ServerProcess } from "./process.ts";

/** A running server and a client of one connection. */
export interface MongoServer extends ServerProcess {
  readonly kind: "mongod" | "FerretDB";
  readonly url: string;
  readonly client: MongoClient;
}

const source = new URL("ferretdb/", import.meta.url).pathname;
const binaries = new URL("../../.cache/go-bin/", import.meta.url).pathname;

/** Builds FerretDB unless this very source was built before; answers the program's path. */
export function buildFerretdb(): string {
  const hash = createHash("sha256");
  for (const file of ["main.go", "go.mod", "go.sum"]) hash.update(readFileSync(source + file)).update("\0");
  const program = `${binaries}ferretdb-${hash.digest("hex").slice(0, 16)}`;
  if (existsSync(program)) return program;
  mkdirSync(binaries, { recursive: true });
  // Two test files may build at once: each builds its own and the last one moved stays, whole.
  const mine = `${program}.${process.pid}`;
  const { status, stderr, error } = spawnSync("go", ["build", "-trimpath", "-buildvcs=false", "-o", mine, "."], {
    cwd: source,
    encoding: "utf8",
    timeout: 300_000,
  });
  if (status !== 0) throw new Error(`FerretDB could not be built with Go: ${error?.message ?? stderr.trim().split("\n").at(-1)}`);
  renameSync(mine, program);
  return program;
}

/** Starts the server with throw-away data. */
export async function startMongo(): Promise<MongoServer> {
  const real = spawnSync("mongod", ["--version"], { stdio: "ignore" }).status === 0;
  const server = real
    ? await startProcess("mongod", (port, directory) => ["--port", String(port), "--bind_ip", "127.0.0.1", "--dbpath", directory])
    : await startProcess(buildFerretdb(), (port, directory) => [`127.0.0.1:${port}`, directory]);
  const url = `mongodb://127.0.0.1:${server.port}/`;
  const client = new MongoClient(url, { maxPoolSize: 1, retryWrites: false, retryReads: false, serverSelectionTimeoutMS: 5_000 });
  await client.connect();
  return {
    ...server,
    kind: real ? "mongod" : "FerretDB",
    url,
    client,
    async stop() {
      await client.close();
      await server.stop();
    },
  };
}
