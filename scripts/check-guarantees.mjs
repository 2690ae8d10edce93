/**
 * Every promise of docs/guarantees.md has a test that is named by its number, and no test is named by a number that is none.
 *
 * @module
 */
import { readdirSync } from "node:fs";
import { finish, root, textOf } from "./lib/tools.mjs";

/** Part of promise 4 that has proofs of its own. */
const PARTS = ["4b"];

const promises = new Set([...Array.from(textOf("docs/guarantees.md").matchAll(/^(\d+)\. \*\*/gm), ([, number]) => number), ...PARTS]);
const proven = new Set();
for (const file of readdirSync(`${root}test`, { recursive: true })) {
  if (!file.endsWith(".test.ts")) continue;
  for (const [, number] of textOf(`test/${file}`).matchAll(/["`]guarantee (\w+):? /g)) proven.add(number);
}
finish(
  [
    ...[...promises].filter((number) => !proven.has(number)).map((number) => `docs/guarantees.md: no test is named "guarantee ${number}: …"`),
    ...[...proven].filter((number) => !promises.has(number)).map((number) => `a test is named "guarantee ${number}", which docs/guarantees.md does not have`),
  ],
  `guarantees: each of ${promises.size} has a test that is named by it`,
);
