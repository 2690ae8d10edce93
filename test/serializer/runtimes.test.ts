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

describe.for(["2023-01-01", "2026-06-01"])("in workerd of %s", (compatibilityDate) => {
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

  async function unpack(gzip: Buffer): Promise<unknown> {
    const response = await fetch(server.url, { method: "POST", body: Uint8Array.from(gzip) });
    return response.json();
  }

  test("compressed() takes what gzip of another maker made", async () => {
    expect(await unpack(gzipSync(Buffer.from("text ".repeat(1_000))))).toMatchObject({ rejected: false });
  });

  test("compressed() rejects a bomb that lies about its size after one slice of it", async () => {
    const gzip = gzipSync(Buffer.alloc(100_000_000));
    gzip.writeUInt32LE(10_000_000, gzip.length - 4);
    expect(await unpack(gzip)).toEqual({ rejected: true, fed: 32_768 });
  });

  test("compressed() rejects a gzip that is cut or continued, which workerd of old dates lets pass", async () => {
    const gzip = gzipSync(Buffer.from("text ".repeat(1_000)));
    // Stored as it is, so that the cut end reads as a plausible size: 4,096.
    const stored = gzipSync(Buffer.from("00100000".repeat(2_000), "hex"), { level: 0 });
    for (const body of [gzip.subarray(0, -3), Buffer.concat([gzip, Buffer.from("more")]), stored.subarray(0, 15 + 2_000)]) {
      expect(await unpack(body)).toMatchObject({ rejected: true });
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
