/**
 * The program around the edge runtime, itself for Node: it evaluates the script that is its second argument in Vercel's
 * own VM, a simulator of the platform that has its globals and refuses `eval`. `lanes.ts` runs it.
 *
 * @module
 */
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { EdgeVM } from "@edge-runtime/vm";

const [, , addresses = "{}", script = ""] = process.argv;
const { version }: { version: string } = createRequire(import.meta.url)("@edge-runtime/vm/package.json");
console.log(`@edge-runtime/vm ${version}`);
const vm = new EdgeVM({ codeGeneration: { strings: false, wasm: false }, extend: (context) => Object.assign(context, { report: console.log }) });
vm.evaluate(readFileSync(script, "utf8"));
await vm.evaluate(`edge.run(${JSON.stringify(addresses)}, report)`);
