/**
 * The hot path in a process of Node, Deno or Bun; prints ms for the calls that were asked for, as one line of JSON.
 *
 * @module
 */
import process from "node:process";
import { loop } from "./runtime-loop.ts";
import type { LoopKind } from "./runtime-loop.ts";

const plan: [LoopKind, number][] = JSON.parse(process.argv[2] ?? "[]");
const figures: Record<string, number> = {};
for (const [kind, calls] of plan) {
  // The first two are for the compiler.
  await loop(kind, calls);
  await loop(kind, calls);
  const began = performance.now();
  await loop(kind, calls);
  figures[kind] = performance.now() - began;
}
console.log(JSON.stringify(figures));
