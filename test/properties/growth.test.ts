/**
 * Guarantee 12, in small: what `bench/growth.ts` does ten million times, two hundred thousand times, in a process whose heap is
 * nobody else's. One name that is kept for each operation is at least 60 bytes an operation; the bound leaves room for a table
 * that grows once to its limit.
 *
 * @module
 */
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { beforeAll, describe, expect, test } from "vitest";
import type { Growth } from "../../bench/growth.ts";

const OPERATIONS = 200_000;
const MOST_BYTES = 30;
const SUBJECTS = ["get", "doorkeeper", "tagged", "set", "invalidate", "invalidateTags"];

const found = new Map<string, Growth>();

beforeAll(async () => {
  const file = fileURLToPath(new URL("../../bench/growth.ts", import.meta.url));
  const args = ["--expose-gc", "--conditions=cacheme-source", file, "--json", `--only=${SUBJECTS.join(",")}`, `--keys=${OPERATIONS}`];
  const { stdout } = await promisify(execFile)(process.execPath, args, { timeout: 175_000 });
  const results: Growth[] = JSON.parse(stdout.trim().split("\n").at(-1) ?? "");
  for (const [index, result] of results.entries()) found.set(SUBJECTS[index] ?? "", result);
});

describe(`guarantee 12: after ${OPERATIONS.toLocaleString("en-US")} operations on names never seen before the heap is as large as it was:`, () => {
  test.for(SUBJECTS)("%s", (name) => {
    const growth = found.get(name);
    expect(growth?.operations).toBe(OPERATIONS);
    expect(growth?.bytes).toHaveLength(11);
    expect(growth?.slope).toBeLessThan(MOST_BYTES);
  });
});
