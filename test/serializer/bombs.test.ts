/**
 * Guarantee 8, by hand: every bomb of the corpus becomes what it should, within bounds of time and memory that a decoder which
 * believed its bytes would break by far. They go off in a process of their own, so that one that kills it is known by its name.
 *
 * @module
 */
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { beforeAll, describe, expect, test } from "vitest";
import type { Report } from "./bomb-process.ts";
import { BOMBS } from "./bombs.ts";

/** Above what the worst that may be decoded takes; without limits the worst took gigabytes. */
const MOST_MB = 450;
/** Ten times what the slowest takes on two busy cores; without limits the slowest took hours. */
const MOST_MS = 60_000;

const reports = new Map<string, Report>();
let end = "";

beforeAll(async () => {
  const file = fileURLToPath(new URL("bomb-process.ts", import.meta.url));
  const args = ["--expose-gc", "--max-old-space-size=1024", "--conditions=cacheme-source", file];
  const { stdout, problem } = await promisify(execFile)(process.execPath, args, { timeout: 170_000, maxBuffer: 1 << 24 }).then(
    (output) => ({ stdout: output.stdout, problem: "" }),
    (error: { readonly stdout?: string; readonly message?: string }) => ({ stdout: error.stdout ?? "", problem: error.message ?? "" }),
  );
  for (const line of stdout.split("\n").filter((text) => text.startsWith("{"))) {
    const report: Report = JSON.parse(line);
    reports.set(report.name, report);
  }
  end = problem;
});

describe("a bomb does no harm:", () => {
  test.for(Object.entries(BOMBS))("%s", ([name, { becomes }]) => {
    const report = reports.get(name);
    if (!report)
      throw new Error(
        `the process did not live to tell of it, or was too slow; the last it told of was ${JSON.stringify([...reports.keys()].at(-1))}: ${end.slice(0, 500)}`,
      );
    expect(report).toMatchObject({ outcome: becomes, changed: false });
    expect(report.grownMb).toBeLessThan(MOST_MB);
    expect(report.ms).toBeLessThan(MOST_MS);
  });
});
