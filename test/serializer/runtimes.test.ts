/**
 * The serializers where code runs that is not Node: in the real workerd, which refuses `eval` and streams at module scope, and
 * in the VM of Vercel's edge runtime, which has no CompressionStream.
 *
 * @module
 */
import { gzipSync } from "node:zlib";
import { EdgeVM } from "@edge-runtime/vm";
import { build } from "esbuild";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startWorkerd, type WorkerdServer } from "../servers/workerd.ts";

async function bundle(contents: string, format: "esm" | "iife", conditions: readonly string[]): Promise<string> {
  const result = await build({
    stdin: { contents, resolveDir: import.meta.dirname, loader: "ts" },
    bundle: true,
    write: false,
    format,
    globalName: format === "iife" ? "bundled" : "",
    platform: "neutral",
    target: "es2022",
    conditions: [...conditions],
  });
  return result.outputFiles[0]?.text ?? "";
}

describe.for(["2024-01-01", "2026-06-01"])("in workerd of %s", (compatibilityDate) => {
  let server: WorkerdServer;

  beforeAll(async () => {
    const source = await bundle('export { worker as default } from "./in-runtime.ts";', "esm", ["workerd", "worker", "browser"]);
    server = await startWorkerd({ modules: { "worker.js": source }, compatibilityDate });
  });

  afterAll(() => server?.stop());

  test("every serializer gives back its values and rejects foreign bytes", async () => {
    const response = await fetch(server.url);
    expect(await response.json()).toEqual({ failures: [], compressed: [] });
  });

  test.for([
    ["a bomb that lies about its size", 100_000_000, 10_000_000],
    ["a gzip that says it is empty", 1_000, 0],
  ] as const)("compressed() rejects %s", async ([, size, declared]) => {
    const gzip = gzipSync(Buffer.alloc(size));
    gzip.writeUInt32LE(declared, gzip.length - 4);
    const response = await fetch(server.url, { method: "POST", body: gzip });
    expect(await response.json()).toBe(true);
  });

  test("compressed() rejects a gzip that is cut or continued, which old dates let pass", async () => {
    const gzip = gzipSync(Buffer.from("text ".repeat(1_000)));
    for (const body of [gzip.subarray(0, -3), Buffer.concat([gzip, Buffer.from("more")])]) {
      const response = await fetch(server.url, { method: "POST", body });
      expect(await response.json()).toBe(true);
    }
  });
});

describe("in the VM of the edge runtime", () => {
  let vm: EdgeVM;

  beforeAll(async () => {
    vm = new EdgeVM();
    vm.evaluate(await bundle('export { failures, compressedFailures } from "./in-runtime.ts";', "iife", ["edge-light"]));
  });

  test("json(), msgpack() and structured() give back their values and reject foreign bytes", async () => {
    expect(JSON.stringify(await vm.evaluate("bundled.failures()"))).toBe("[]");
  });

  test("compressed() says at construction that there is no CompressionStream", async () => {
    const lines: unknown = await vm.evaluate("bundled.compressedFailures()");
    expect(JSON.stringify(lines)).toContain("TypeError: compressed() needs CompressionStream, which this runtime does not have");
  });
});
