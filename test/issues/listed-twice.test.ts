/** A key that was listed twice was loaded twice, where there was no storage to wait for and the loader answered at once. */
import { expect, test } from "vitest";
import { counted, failure, rig } from "../support/rig.ts";

test("a loader that answers at once is asked once for a key that is listed twice", async () => {
  const { cache } = rig();
  const Item = counted();
  const Other = counted();
  expect(await cache.getAll([Item("a"), Other("a"), Item("b"), Item("a"), Other("a")])).toEqual(["a#1", "a#1", "b#2", "a#1", "a#1"]);
  expect(await cache.lookupAll([Item("c"), Item("c")])).toMatchObject([
    { value: "c#3", collapsed: false },
    { value: "c#3", collapsed: true },
  ]);
  expect([Item.loads, Other.loads]).toEqual([["a", "b", "c"], ["a"]]);
  expect(cache.stats(Item.node)).toMatchObject({ requestCount: 5, missCount: 5, collapsedCount: 2, loadCount: 3 });
});

test("one that throws at once fails a key that is listed twice with one error", async () => {
  const { cache } = rig();
  const Item = counted<string>({
    load: (key) => {
      throw new Error(`no ${key}`);
    },
  });
  const [first, second] = await cache.lookupAll([Item("a"), Item("a")]);
  expect(first).toMatchObject({ error: new Error("no a") });
  expect(second).toEqual(first);
  expect(await failure(cache.getAll([Item("a"), Item("a")]))).toMatchObject({ message: "no a" });
  expect(Item.loads).toEqual(["a", "a"]);
});
