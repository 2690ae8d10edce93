/** `memoize`: functions whose results are cached, and what hangs on them. */

import { describe, expect, test } from "vitest";
import { isCacheError } from "../../src/errors.ts";
import { dynamicNode, defineNode } from "../../src/node.ts";
import { counted, failure, freshName, rig } from "../support/rig.ts";

const LOCAL = [{ storage: "local", ttl: "1m" }] as const;

describe("memoize", () => {
  test("runs the function once for each key, instead of the node's own load", async () => {
    const { cache } = rig();
    const Item = counted();
    let runs = 0;
    const square = cache.memoize(Item, async (key: string) => `${key}${++runs}`);
    expect(await square("a")).toBe("a1");
    expect(await square("a")).toBe("a1");
    expect(await square("b")).toBe("b2");
    expect(Item.loads).toEqual([]);
    expect(await cache.get(Item("a"))).toBe("a1");
  });

  test("runs once for callers at the same time", async () => {
    const { cache, inFlight } = rig();
    let runs = 0;
    const slow = cache.memoize(counted(), async (key: string) => `${key}${++runs}`);
    expect(new Set(await Promise.all(Array.from({ length: 50 }, () => slow("a"))))).toEqual(new Set(["a1"]));
    expect(inFlight()).toBe(0);
  });

  test("works on a node without a loader, dynamic ones included", async () => {
    const { cache } = rig();
    const Plain = defineNode<number, string>({ name: freshName(), key: (id) => `${id}`, caches: LOCAL });
    const Dynamic = dynamicNode<string>({ name: freshName(), caches: LOCAL });
    expect(await cache.memoize(Plain, (id: number) => `plain ${id}`)(1)).toBe("plain 1");
    const user = cache.memoize(
      (id: number) => Dynamic(`user:${id}`),
      (id: number) => `user ${id}`,
    );
    expect(await user(1)).toBe("user 1");
    expect(cache.peek(Dynamic("user:1"))).toBe("user 1");
  });

  test("takes several arguments, of which the key may leave some out", async () => {
    const { cache } = rig();
    const Item = dynamicNode<string>({ name: freshName(), caches: LOCAL });
    const page = cache.memoize(
      (id: number, _language: string) => Item(`${id}`),
      (id: number, language: string) => `${id} in ${language}`,
    );
    expect(await page(1, "en")).toBe("1 in en");
    expect(await page(1, "de")).toBe("1 in en");
  });

  test("never throws synchronously, whatever throws", async () => {
    const { cache, inFlight } = rig();
    const error = new Error("no");
    const fail = (): never => {
      throw error;
    };
    const Item = counted();
    const badNode = cache.memoize(fail, () => "x");
    const badFunction = cache.memoize(Item, fail);
    const calls = [badNode(), badNode.invalidate(), badNode.refresh(), badNode.all([[]]), badFunction("a"), badFunction.refresh("a"), badFunction.all([["a"]])];
    for (const call of calls) expect(await failure(call)).toBe(error);
    expect(inFlight()).toBe(0);
  });

  test("all gives the results of many calls, aligned, with one run for each key", async () => {
    const { cache } = rig();
    const ran: string[] = [];
    const greet = cache.memoize(counted(), async (key: string) => {
      ran.push(key);
      return `hi ${key}`;
    });
    expect(await greet("a")).toBe("hi a");
    expect(await greet.all([["b"], ["a"], ["b"]])).toEqual(["hi b", "hi a", "hi b"]);
    expect(ran).toEqual(["a", "b"]);
    expect(await greet.all([])).toEqual([]);
  });

  test("all fails with the first failing call, and keeps the others", async () => {
    const { cache } = rig();
    const Item = counted();
    const check = cache.memoize(Item, async (key: string) => {
      if (key === "bad") throw new Error("bad");
      return key;
    });
    expect(await failure(check.all([["a"], ["bad"], ["b"]]))).toEqual(new Error("bad"));
    expect([cache.peek(Item("a")), cache.peek(Item("b"))]).toEqual(["a", "b"]);
  });

  test("refresh runs the function anew and replaces; invalidate forgets", async () => {
    const { cache } = rig();
    let runs = 0;
    const count = cache.memoize(counted(), (_key: string) => `${++runs}`);
    await count("a");
    expect(await count.refresh("a")).toBe("2");
    expect(await count("a")).toBe("2");
    await count.invalidate("a");
    expect(await count("a")).toBe("3");
  });

  test("does not cache a failure", async () => {
    const { cache } = rig();
    let runs = 0;
    const flaky = cache.memoize(counted(), (_key: string) => {
      if (++runs === 1) throw new Error("first");
      return "second";
    });
    await failure(flaky("a"));
    expect(await flaky("a")).toBe("second");
  });

  test("refuses a result that cannot be shared, as a load does", async () => {
    const { cache } = rig();
    const Item = counted<unknown>({ load: () => 1 });
    const fetched = cache.memoize(Item, async () => new Response("body"));
    expect(isCacheError(await failure(fetched("a")), "ERR_SERIALIZE")).toBe(true);
  });

  test("passes on what toNode gives through a view", async () => {
    const { cache } = rig();
    const Item = counted();
    const view = cache.with({ prefix: "other" });
    const inView = view.memoize(Item, () => "in the view");
    expect(await inView("a")).toBe("in the view");
    expect(cache.peek(Item("a"))).toBe(undefined);
    expect(view.peek(Item("a"))).toBe("in the view");
  });
});
