/**
 * A smoke test in a real Bun process: the source runs there as it is, on the runtime that needs no `waitUntil`.
 *
 * @module
 */
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { expect, test } from "vitest";

const ROOT = join(import.meta.dirname, "../../..");

test("get, getAll, invalidate and refresh work in Bun, and a load is shared there", () => {
  const { status, stdout, stderr } = spawnSync(join(ROOT, "node_modules/.bin/bun"), ["--conditions=cacheme-source", join(import.meta.dirname, "smoke.ts")], {
    cwd: ROOT,
    encoding: "utf8",
    timeout: 100_000,
  });
  expect(stderr).toBe("");
  expect(status).toBe(0);
  const found: Record<string, unknown> = JSON.parse(stdout);
  expect(found).toMatchObject({
    runtime: "Bun",
    one: 1,
    many: [4, 9, 9, 16],
    loads: 6,
    // One for the first get, one for the keys of the getAll that were not there, one after the invalidation, one to refresh.
    reads: 4,
    stats: { requestCount: 107, loadCount: 6, loadFailureCount: 0 },
  });
  expect(found["after"]).toEqual([expect.any(Number), expect.any(Number), 3]);
});
