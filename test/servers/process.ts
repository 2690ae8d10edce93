/**
 * Starts a real server as a child process on a free port, with a throw-away directory, and stops it. The server lives
 * behind a shell that waits for the end of its own input: when the test process ends in whatever way, so does the server.
 *
 * @module
 */
import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { connect, createServer, type AddressInfo, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A running server. */
export interface ServerProcess {
  readonly port: number;
  readonly directory: string;
  /** What it has printed so far. */
  log(): string;
  /** Kills it without a chance to say goodbye (`SIGKILL`); its directory stays as it is. Calling it again is no error. */
  kill(): Promise<void>;
  /** Starts it again after `kill`, on the same port and directory, and waits until its port accepts connections. */
  restart(): Promise<void>;
  /** Kills it, and removes its directory. Calling it again is no error. */
  stop(): Promise<void>;
}

/** The watch reads the standard input of the shell under another number, since a background command gets an empty one. */
const WRAPPER = 'exec 3<&0; "$@" </dev/null 3<&- & pid=$!; (cat <&3; kill -9 $pid) >/dev/null 2>&1 & wait $pid';

/** Whether a server was left out on purpose (`CACHEME_TEST_WITHOUT=redis,…`). */
export function isLeftOut(name: string): boolean {
  return (process.env.CACHEME_TEST_WITHOUT ?? "").split(",").includes(name);
}

/** A port that was free a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer();
  const port = await listen(server);
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Listens on 127.0.0.1, on a free port unless one is given. */
export function listen(server: Server, port = 0): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, "127.0.0.1", () => {
      server.off("error", reject);
      resolve(portOf(server.address()));
    });
  });
}

function portOf(address: string | AddressInfo | null): number {
  if (address === null || typeof address === "string") throw new Error("the server does not listen on a port");
  return address.port;
}

/** Starts `command` in a fresh directory and waits until its port accepts connections. */
export async function startProcess(command: string, argumentsFor: (port: number, directory: string) => readonly string[], port = 0): Promise<ServerProcess> {
  if (spawnSync("sh", ["-c", `command -v "$0"`, command]).status !== 0) throw new Error(`${command} is not installed: put it on the PATH`);
  for (let left = port === 0 ? PORTS - 1 : 0; ; left--) {
    try {
      return await startOnce(command, argumentsFor, port);
    } catch (error) {
      if (left === 0) throw error;
    }
  }
}

async function startOnce(command: string, argumentsFor: (port: number, directory: string) => readonly string[], port: number): Promise<ServerProcess> {
  const directory = mkdtempSync(join(tmpdir(), "cacheme-test-"));
  const chosen = port === 0 ? await freePort() : port;
  const args = argumentsFor(chosen, directory);
  let log = "";
  function launch(): { readonly child: ChildProcess; end(): Promise<void> } {
    const child = spawn("sh", ["-c", WRAPPER, "sh", command, ...args], { cwd: directory, stdio: ["pipe", "pipe", "pipe"] });
    for (const stream of [child.stdout, child.stderr]) stream.on("data", (data: Buffer) => (log = (log + data.toString()).slice(-100_000)));
    const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()));
    return {
      child,
      end() {
        child.stdin.end();
        return ended;
      },
    };
  }
  let running = launch();
  async function stop(): Promise<void> {
    await running.end();
    rmSync(directory, { recursive: true, force: true });
  }
  async function isUp(): Promise<void> {
    if (await accepts(chosen, running.child)) return;
    throw new Error(`${command} does not answer on port ${chosen}:\n${log.slice(-2000)}`);
  }
  try {
    await isUp();
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    port: chosen,
    directory,
    log: () => log,
    kill: () => running.end(),
    async restart() {
      await running.end();
      running = launch();
      await isUp();
    },
    stop,
  };
}

/** Long enough for a machine that is busy with other things. */
const START_MS = 60_000;
/** A free port may be taken before the server has it; then another one is tried. */
const PORTS = 3;

async function accepts(port: number, child: ChildProcess): Promise<boolean> {
  const deadline = Date.now() + START_MS;
  while (Date.now() < deadline && child.exitCode === null) {
    if (await canConnect(port)) return true;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return false;
}

function canConnect(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    socket.once("connect", () => resolve(true)).once("error", () => resolve(false));
    socket.once("connect", () => socket.destroy());
  });
}
