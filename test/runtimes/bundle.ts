/**
 * Bundles a source file of this folder for another runtime, with the conditions that its own tools would use, so that the
 * right `#runtime` is picked the way it is picked for users. It reads the package's source, never `dist`.
 *
 * @module
 */
import { build } from "esbuild";

/** Conditions by which wrangler and its kind resolve packages. */
const WORKERD = ["cacheme-source", "workerd", "worker", "browser"];
const EDGE_LIGHT = ["cacheme-source", "edge-light", "worker", "browser"];

/** A Worker as one module: `handle`, exported by `file`, becomes its fetch handler. */
export async function bundleWorker(file: string): Promise<string> {
  const entry = `import { handle } from ${JSON.stringify(file)};\nexport default { fetch: handle };\n`;
  const result = await build({
    stdin: { contents: entry, resolveDir: import.meta.dirname, loader: "ts" },
    bundle: true,
    write: false,
    format: "esm",
    platform: "neutral",
    target: "es2022",
    mainFields: ["module", "main"],
    conditions: WORKERD,
    external: ["cloudflare:*"],
    logLevel: "silent",
  });
  return textOf(result);
}

/** A script that leaves what `file` exports in the global `name`, for an edge runtime without modules. */
export async function bundleEdgeScript(file: string, name: string): Promise<string> {
  const result = await build({
    entryPoints: [file],
    bundle: true,
    write: false,
    format: "iife",
    globalName: name,
    platform: "neutral",
    target: "es2022",
    mainFields: ["module", "main"],
    conditions: EDGE_LIGHT,
    logLevel: "silent",
  });
  return textOf(result);
}

function textOf(result: { readonly outputFiles: readonly { readonly text: string }[] }): string {
  const [file] = result.outputFiles;
  if (file === undefined) throw new Error("esbuild wrote nothing");
  return file.text;
}
