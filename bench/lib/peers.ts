/**
 * The packages that benchmarks compare this one with. They live in `bench/package.json`, so that the package has no such
 * dependencies, and are installed when a benchmark first asks for one. They are imported by name at run time and described by
 * the few methods that are called, so that the types of this folder need none of them.
 *
 * @module
 */
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";

const FOLDER = fileURLToPath(new URL("..", import.meta.url));
const STAMP = `${FOLDER}node_modules/.cacheme-setup`;
const MANIFESTS = [`${FOLDER}package.json`, `${FOLDER}package-lock.json`];

/** Installs the peers if `bench/package.json` or its lock changed since the last time; no install script of theirs is run. */
export function installPeers(): void {
  const hash = createHash("sha256");
  for (const file of MANIFESTS) hash.update(existsSync(file) ? readFileSync(file) : "").update("\0");
  const wanted = hash.digest("hex");
  if (existsSync(STAMP) && readFileSync(STAMP, "utf8") === wanted) return;
  console.error("installing the benchmarks' peers into bench/node_modules");
  const flags = ["--ignore-scripts", "--no-save", "--no-audit", "--no-fund", "--loglevel=error"];
  const { status, stdout, stderr, error } = spawnSync("npm", ["install", ...flags], { cwd: FOLDER, encoding: "utf8" });
  if (status !== 0) throw new Error(`\`npm install\` in bench failed${error ? `: ${error.message}` : ""}\n${stdout ?? ""}${stderr ?? ""}`);
  writeFileSync(STAMP, wanted);
}

/** A peer's module, as the caller describes it. Rejects with what to run where it is not installed. */
export async function peer<Module>(name: string): Promise<Module> {
  try {
    const module: Module = await import(name);
    return module;
  } catch (error) {
    throw new Error(`${name} did not load; run \`npm install --ignore-scripts\` in bench/`, { cause: error });
  }
}

/** The exports of a peer, whatever they are, or `undefined` if it is not installed. */
export async function optionalPeer(name: string): Promise<Readonly<Record<string, unknown>> | undefined> {
  try {
    const exports: unknown = await import(name);
    return typeof exports === "object" && exports !== null ? { ...exports } : undefined;
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ERR_MODULE_NOT_FOUND") return undefined;
    throw error;
  }
}

/** `lru-cache 11.5.3`, by its package.json, which a package may not export. */
export function versionOf(name: string): string {
  const paths = createRequire(import.meta.url).resolve.paths(name) ?? [];
  const file = paths.map((path) => `${path}/${name}/package.json`).find((path) => existsSync(path));
  const { version = "unknown" }: { version?: string } = file === undefined ? {} : JSON.parse(readFileSync(file, "utf8"));
  return `${name} ${version}`;
}
