/**
 * How the tests run. They import `../src/...ts`, so `#runtime` has to lead to the source as well, not to what was last built
 * into `dist`: the `source` condition of package.json does that. Two workers at most, because every test file that needs a
 * server starts a process of its own beside them. Limits of time are for what hangs: four times what the slowest test takes on
 * two busy cores.
 *
 * @module
 */
import { defineConfig } from "vitest/config";

const conditions = ["cacheme-source", "node", "import", "module", "default"];

export default defineConfig({
  resolve: { conditions },
  ssr: { resolve: { conditions, externalConditions: conditions } },
  test: {
    include: ["test/**/*.test.ts"],
    pool: "forks",
    maxWorkers: 2,
    testTimeout: 120_000,
    hookTimeout: 180_000,
    teardownTimeout: 30_000,
    expect: { poll: { timeout: 20_000 } },
  },
});
