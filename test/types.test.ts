/**
 * Runs every supported compiler over the programs in `types/`, against the declarations in `dist` as users get them. The
 * build comes first; without it there is nothing to check, and the tests say so.
 */

import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";

const COMPILERS = ["typescript-5.4", "typescript-5.9", "typescript-6.0", "typescript"];
const root = fileURLToPath(new URL("..", import.meta.url));

interface Outcome {
  readonly code: number;
  readonly output: string;
}

/** Type-checks one program, and gives the exit code and all that the compiler said. */
function check(compiler: string, project: string): Promise<Outcome> {
  if (!existsSync(`${root}dist/src/index.d.ts`)) throw new Error("dist/src/index.d.ts is missing: run `npm run build` first");
  const args = [`${root}node_modules/${compiler}/bin/tsc`, "--noEmit", "--pretty", "false", "-p", `${root}test/types/${project}`];
  return new Promise((resolve) => {
    execFile(process.execPath, args, { cwd: root, maxBuffer: 10_000_000 }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : 1, output: stdout + stderr });
    });
  });
}

describe.each(COMPILERS)("under %s", (compiler) => {
  test.each([
    ["the types infer what they promise and refuse the rest", "tsconfig.json"],
    ["so they do without exactOptionalPropertyTypes", "tsconfig.loose.json"],
    ["a registered env and registered storages reach every node", "registered/tsconfig.json"],
  ])("%s", async (_promise, project) => {
    expect(await check(compiler, project)).toEqual({ code: 0, output: "" });
  });

  test("mistakes are refused in words that help", async () => {
    const { code, output } = await check(compiler, "wrong/tsconfig.json");
    expect(code).toBe(1);
    for (const words of [
      `Did you mean '"redis"'?`,
      "Expected 0 arguments, but got 1.",
      "is missing the following properties from type 'Reference<",
      "cacheme: give the node a `load` (above `ttlFor`), or annotate it as CacheNode<Params, Value>",
      `Type '"30sec"' is not assignable to type 'Duration | null'.`,
      "Did you mean to write 'hardTimeout'?",
    ]) {
      expect(output).toContain(words);
    }
    const places = Array.from(output.matchAll(/^(\S+)\((\d+),\d+\): error/gm), ([, file, line]) => `${file}:${line}`);
    expect(new Set(places).size).toBe(6);
    expect(places.filter((place) => !place.startsWith("test/types/wrong/wrong.ts:"))).toEqual([]);
  });

  test("one mistake in a definition is one error, whatever it does to what is inferred", async () => {
    const { code, output } = await check(compiler, "single/tsconfig.json");
    expect(code).toBe(1);
    expect(output).not.toContain("cacheme: give the node");
    const lines = Array.from(output.matchAll(/^\S+single\.ts\((\d+),\d+\): error/gm), ([, line]) => Number(line));
    expect(lines).toEqual(Array.from({ length: 9 }, (_, index) => index + 11));
  });
});
