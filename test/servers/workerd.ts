/**
 * A bare `workerd serve` on a real socket: no test pool, no proxy, nothing that hides what happens to a request whose
 * client goes away. The binary comes with miniflare; another one can be named. It serves one Worker.
 *
 * @module
 */
import { writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { startProcess, type ServerProcess } from "./process.ts";

/** The Worker to serve. */
export interface WorkerdOptions {
  /** Source by module name; the first is the main module, and modules import each other as `"./name"`. */
  readonly modules: Readonly<Record<string, string>>;
  readonly compatibilityDate?: string;
  readonly compatibilityFlags?: readonly string[];
  /** Text bindings, seen in `env`. */
  readonly bindings?: Readonly<Record<string, string>>;
  /** Switches of V8, as `"--no-maglev"`. */
  readonly v8Flags?: readonly string[];
  /** The binary to run. Default: {@link workerdBinary}. */
  readonly binary?: string;
}

/** A running workerd. */
export interface WorkerdServer extends ServerProcess {
  readonly url: string;
}

/** The `workerd` that miniflare uses, or the newer one that wrangler brings. */
export function workerdBinary(of: "miniflare" | "wrangler" = "miniflare"): string {
  const from = createRequire(import.meta.url);
  const owner = createRequire(from.resolve(`${of}/package.json`));
  const launcher = createRequire(owner.resolve("workerd/package.json"));
  const platform = `${process.platform}-${process.arch === "x64" ? "64" : process.arch}`;
  return join(dirname(launcher.resolve(`@cloudflare/workerd-${platform}/package.json`)), "bin", "workerd");
}

/** Starts a workerd and waits until it listens. A Worker that does not load ends it: the error holds its log. */
export async function startWorkerd(options: WorkerdOptions): Promise<WorkerdServer> {
  const server = await startProcess(options.binary ?? workerdBinary(), (port, directory) => {
    for (const [name, source] of Object.entries(options.modules)) writeFileSync(join(directory, name), source);
    writeFileSync(join(directory, "config.capnp"), configOf(options, port));
    return ["serve", "config.capnp", "--experimental", "--verbose"];
  });
  return { ...server, url: `http://127.0.0.1:${server.port}` };
}

function configOf(options: WorkerdOptions, port: number): string {
  const { modules, bindings = {}, compatibilityDate = "2026-06-01", compatibilityFlags = [], v8Flags = [] } = options;
  const quote = (text: string): string => `"${Array.from(text, (char) => (/[\w .:/?&=#%+~-]/.test(char) ? char : escapeChar(char))).join("")}"`;
  const moduleList = Object.keys(modules).map((name) => `(name = ${quote(name)}, esModule = embed ${quote(name)})`);
  const bindingList = Object.entries(bindings).map(([name, text]) => `(name = ${quote(name)}, text = ${quote(text)})`);
  return `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    (name = "main", worker = .worker),
    (name = "internet", network = (allow = ["public", "private"]))
  ],
  sockets = [(name = "http", address = "127.0.0.1:${port}", http = (), service = "main")],
  v8Flags = [${v8Flags.map(quote).join(", ")}]
);
const worker :Workerd.Worker = (
  modules = [${moduleList.join(", ")}],
  compatibilityDate = ${quote(compatibilityDate)},
  compatibilityFlags = [${compatibilityFlags.map(quote).join(", ")}],
  bindings = [${bindingList.join(", ")}]
);
`;
}

/** Cap'n Proto text takes bytes as octal escapes. */
function escapeChar(char: string): string {
  return Array.from(Buffer.from(char), (byte) => `\\${byte.toString(8).padStart(3, "0")}`).join("");
}
