/**
 * The storage that docs/adapters.md teaches is taken out of the page as it stands and held against the contract.
 *
 * @module
 */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { build } from "esbuild";
import { expect, test } from "vitest";
import type { Storage } from "../src/storage.ts";
import { runContract } from "./contract/run-contract.ts";

const ROOT = join(import.meta.dirname, "..");

/** The first block of the chapter. */
function snippet(): string {
  const page = readFileSync(join(ROOT, "docs/adapters.md"), "utf8");
  const [, block] = /## Write your own\n.*?```ts\n(.*?)```/s.exec(page) ?? [];
  if (block === undefined) throw new Error("docs/adapters.md has no block of code under its heading");
  return block;
}

/** Compiles it against the package's source and loads what came out. */
async function load(): Promise<(now: () => number) => Storage> {
  const folder = join(ROOT, ".cache/docs-adapter");
  const outfile = join(folder, "map-storage.mjs");
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "map-storage.ts"), snippet());
  await build({
    entryPoints: [join(folder, "map-storage.ts")],
    outfile,
    bundle: true,
    format: "esm",
    target: "es2022",
    conditions: ["cacheme-source"],
    alias: { cacheme: join(ROOT, "src/index.ts") },
    logLevel: "silent",
  });
  const { mapStorage }: { mapStorage: (now: () => number) => Storage } = await import(pathToFileURL(outfile).href);
  return mapStorage;
}

const mapStorage = await load();
let now = 1_700_000_000_000;
const storage = mapStorage(() => now);

runContract("the storage of docs/adapters.md", ["plantForeign", "plantText"], () => ({
  storage,
  unique: "docs",
  pass: (ms) => void (now += ms),
}));

test("the storage of docs/adapters.md is about 40 lines long", () => {
  const lines = snippet()
    .split("\n")
    .filter((line) => line.trim() !== "" && !line.trim().startsWith("//"));
  expect(lines.length).toBeLessThanOrEqual(42);
});
