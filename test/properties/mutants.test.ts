/** The changes that `npm run test:mutants` makes can still be made: a rule that moved must not go unbroken from then on. */

import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { MUTANTS } from "./mutants.ts";

const pathOf = (file: string): string => fileURLToPath(new URL(`../../${file}`, import.meta.url));

test("each change names a test that is there, and a text that occurs once", () => {
  const lost = MUTANTS.flatMap(({ name, test: by, edits }) => [
    ...(existsSync(pathOf(by)) ? [] : [`${name}: ${by}`]),
    ...edits.filter(({ file, find }) => readFileSync(pathOf(file), "utf8").split(find).length !== 2).map(({ file, find }) => `${name}: ${file}: ${find}`),
  ]);
  expect(lost).toEqual([]);
});

test("no two changes have one name", () => {
  expect(new Set(MUTANTS.map(({ name }) => name)).size).toBe(MUTANTS.length);
});
