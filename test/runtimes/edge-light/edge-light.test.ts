/**
 * The package as Vercel's edge runtime takes it: bundled under the condition `edge-light` and evaluated in that runtime's
 * own VM, which is a simulator of the platform (it has its globals and refuses `eval`, and knows no request lifetimes).
 *
 * @module
 */
import { join } from "node:path";
import { EdgeVM } from "@edge-runtime/vm";
import { beforeAll, describe, expect, test } from "vitest";
import { bundleEdgeScript } from "../bundle.ts";
import type { Findings } from "./edge.worker.ts";

let vm: EdgeVM;

beforeAll(async () => {
  vm = new EdgeVM({ codeGeneration: { strings: false, wasm: false } });
  vm.evaluate(await bundleEdgeScript(join(import.meta.dirname, "edge.worker.ts"), "edge"));
});

async function run(withWaitUntil: boolean): Promise<Findings> {
  return JSON.parse(await vm.evaluate(`edge.run(${withWaitUntil})`));
}

describe("in the edge runtime", () => {
  test("get, getAll, lookup and invalidate work on a local and a shared tier", async () => {
    const findings = await run(true);
    expect(findings.single).toEqual({ n: 3, square: 9, load: 1 });
    expect(findings.many).toMatchObject([
      { n: 3, load: 1 },
      { n: 4, square: 16 },
      { n: 4, square: 16 },
      { n: 5, square: 25 },
    ]);
    expect(findings.source).toBe("local");
    expect(findings.afterInvalidate).toMatchObject({ n: 3, load: 4 });
    expect(findings.loads).toBe(4);
  });

  test("with waitUntil passed in, writes go on in the background under it", async () => {
    const findings = await run(true);
    expect(findings.keptAlive).toBeGreaterThan(0);
    expect(findings.storedAtAnswer).toBe(0);
    expect(findings.events).toEqual([]);
  });

  test("without waitUntil writes are awaited, and one event names the remedy", async () => {
    const findings = await run(false);
    expect(findings.keptAlive).toBe(0);
    expect(findings.storedAtAnswer).toBe(1);
    expect(findings.events).toEqual(["no-wait-until"]);
  });
});
