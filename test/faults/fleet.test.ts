import { describe, expect, test } from "vitest";
import { defineNode, local, type CacheNode } from "../../src/index.ts";
import { createFleet, memoryStorage, type Fleet, type FleetOptions } from "../../testing/index.ts";

let named = 0;

/** A node of one row, whose loads are messages. */
function price(fleet: Fleet, rows: { price: number }, caches: readonly string[] = ["shared"]): CacheNode<number, number> {
  return defineNode({
    name: `fleet-${++named}`,
    key: (id: number) => `price:${id}`,
    load: () => fleet.source(() => rows.price),
    caches: caches.map((storage) => ({ storage, ttl: "1h" as const })),
  });
}

/** One race of two readers and an invalidation; answers what a third isolate reads afterwards, if the invalidation resolved. */
async function race(options: Partial<FleetOptions> & { readonly seed: number }): Promise<{ after: unknown; story: readonly string[] }> {
  const rows = { price: 1 };
  const fleet = createFleet({ isolates: 3, ...options });
  const Price = price(fleet, rows);
  const [, changed] = await fleet.run([
    { isolate: 0, run: (cache) => cache.get(Price(1)) },
    { isolate: 1, run: (cache) => ((rows.price = 2), cache.invalidate(Price(1))) },
    { isolate: 0, run: (cache) => cache.get(Price(1)) },
    { crash: 0 },
  ]);
  const [after] = await fleet.run([{ isolate: 2, run: (cache) => cache.get(Price(1)) }]);
  fleet.stop();
  return { after: changed?.status !== "fulfilled" ? 2 : after?.status === "fulfilled" ? after.value : after, story: fleet.story };
}

describe("a fleet", () => {
  test("shows no old value after an invalidation, over 300 seeds with faults, crashes and skewed clocks", async () => {
    for (let seed = 1; seed <= 300; seed++) {
      const { after, story } = await race({ seed, skewMs: 600_000, faults: 0.1 });
      expect(after, `seed ${seed}\n${story.join("\n")}`).toBe(2);
    }
  });

  test("finds the old value within 300 seeds where the store takes no conditional writes", async () => {
    const weak = (clock: { now(): number }) => ({ shared: memoryStorage({ clock, traits: { conditional: false, consistency: "eventual" } }) });
    const seen = new Set<unknown>();
    for (let seed = 1; seed <= 300 && !seen.has(1); seed++) seen.add((await race({ seed, storages: weak })).after);
    expect(seen).toContain(1);
  });

  test("goes the same way again with the same seed, and another way with another", async () => {
    const storyOf = async (seed: number): Promise<string> => (await race({ seed, faults: 0.1 })).story.join("\n");
    expect(await storyOf(5)).toBe(await storyOf(5));
    expect(new Set(await Promise.all([1, 2, 3, 4, 5].map(storyOf))).size).toBeGreaterThan(1);
  });

  test("has a local tier for each isolate, and a crash empties it", async () => {
    const fleet = createFleet({ isolates: 2, seed: 1 });
    const Price = price(fleet, { price: 1 }, ["local", "shared"]);
    const sourceOf = async (isolate: number): Promise<unknown> => {
      const [outcome] = await fleet.run([{ isolate, run: async (cache) => (await cache.lookup(Price(1))).source }]);
      return outcome?.status === "fulfilled" ? outcome.value : outcome;
    };
    expect(await sourceOf(0)).toBe("load");
    expect(await sourceOf(0)).toBe("local");
    expect(await sourceOf(1)).toBe("shared");
    expect(await sourceOf(1)).toBe("local");
    await fleet.run([{ crash: 1 }]);
    expect(await sourceOf(1)).toBe("shared");
    expect(await sourceOf(0)).toBe("local");
  });

  test("answers a step whose isolate crashed as crashed, and the others as they end", async () => {
    const fleet = createFleet({ isolates: 2, seed: 3 });
    const Price = price(fleet, { price: 7 });
    let entered = 0;
    const outcomes = await fleet.run([
      {
        isolate: 0,
        run: () => {
          entered += 1;
          return new Promise(() => undefined);
        },
      },
      { crash: 0 },
      { isolate: 1, run: (cache) => cache.get(Price(1)) },
      { isolate: 0, run: () => Promise.reject(new Error("no")) },
    ]);
    expect(entered).toBe(1);
    expect(outcomes).toEqual([
      { status: "crashed" },
      { status: "fulfilled", value: undefined },
      { status: "fulfilled", value: 7 },
      { status: "rejected", reason: new Error("no") },
    ]);
  });

  test("moves time when it is told to: a value lives as long as its tier says, by the store's clock", async () => {
    const rows = { price: 1 };
    const fleet = createFleet({ isolates: 2, seed: 1, skewMs: 60_000 });
    const Price = price(fleet, rows);
    const before = fleet.now();
    await fleet.run([{ isolate: 0, run: (cache) => cache.get(Price(1)) }]);
    rows.price = 2;
    const read = { isolate: 1, run: (cache: { get(reference: ReturnType<typeof Price>): Promise<number> }) => cache.get(Price(1)) };
    expect(await fleet.run([read])).toEqual([{ status: "fulfilled", value: 1 }]);
    await fleet.run([{ advanceMs: 3_600_000 }]);
    expect(fleet.now()).toBe(before + 3_600_000);
    expect(await fleet.run([read])).toEqual([{ status: "fulfilled", value: 2 }]);
  });

  test("a store that is silent costs a budget, and its isolate reports it", async () => {
    const fleet = createFleet({ isolates: 1, seed: 2, faults: 1, guard: { timeout: 500, breaker: false } });
    const Price = price(fleet, { price: 1 });
    const [outcome] = await fleet.run([{ isolate: 0, run: (cache) => cache.peek(Price(1)) ?? "nothing" }]);
    expect(outcome).toEqual({ status: "fulfilled", value: "nothing" });
    const [read] = await fleet.run([{ isolate: 0, run: (cache) => cache.get(Price(1)) }]);
    expect(read).toEqual({ status: "fulfilled", value: 1 });
    expect(fleet.isolate(0).events.map(({ type }) => type)).toContain("storage-failed");
  });

  test("says which step waits for something outside of it", async () => {
    const fleet = createFleet({ isolates: 1, seed: 1, storages: () => ({ local: () => local() }) });
    await expect(fleet.run([{ isolate: 0, run: () => new Promise(() => undefined) }])).rejects.toThrow("step 0 waits for something that is not in the fleet");
    fleet.stop();
  });

  test.each([
    [{ isolates: 0, seed: 1 }, "isolates must be a whole number from 1 to 100, got 0"],
    [{ isolates: 101, seed: 1 }, "isolates"],
    [{ isolates: 1.5, seed: 1 }, "isolates"],
    [{ isolates: 1, seed: Number.NaN }, "seed must be a finite number, got NaN"],
    [{ isolates: 1, seed: 1, skewMs: Number.POSITIVE_INFINITY }, "skewMs"],
    [{ isolates: 1, seed: 1, faults: 1.1 }, "faults must be from 0 to 1, got 1.1"],
  ])("refuses %o", (options, sentence) => {
    expect(() => createFleet(options)).toThrow(sentence);
    expect(() => createFleet(options)).toThrow(TypeError);
  });

  test("has no isolate beyond its number", () => {
    expect(() => createFleet({ isolates: 2, seed: 1 }).isolate(2)).toThrow(RangeError);
  });
});
