/** What `local()` gives is an object that V8 finds properties in quickly, and whose functions can be taken off it. */

import { execFileSync } from "node:child_process";
import { expect, test } from "vitest";
import { local } from "../../src/local/local.ts";

test("tiers share one shape, and none is a dictionary", () => {
  const program = `
    import { local } from ${JSON.stringify(new URL("../../src/local/local.ts", import.meta.url).href)};
    const [one, other] = [local(), local({ policy: "lru", maxEntries: 5 })];
    console.log(%HasFastProperties(one), %HasFastProperties(other), %HaveSameMap(one, other));
  `;
  const printed = execFileSync(
    process.execPath,
    ["--allow-natives-syntax", "--conditions=cacheme-source", "--disable-warning=ExperimentalWarning", "--input-type=module", "-e", program],
    { encoding: "utf8" },
  );
  expect(printed.trim()).toBe("true true true");
});

test("a tier's functions can be taken off it", () => {
  const tier = local<number>({ maxEntries: 2 });
  const { get, set, has, delete: remove, clear } = tier;
  expect([set("a", 1), get("a"), has("a"), tier.size, remove("a"), tier.size]).toEqual([true, 1, true, 1, true, 0]);
  set("b", 2);
  clear();
  expect([tier.size, tier.bytes, get("b")]).toEqual([0, 0, undefined]);
});
