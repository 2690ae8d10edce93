/** When statistics are written, and that every one of them is written once, whatever fails or dies on the way. */

import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { assert, asyncProperty, array, constantFrom, record } from "fast-check";
import { describe, expect, test } from "vitest";
import { createCache } from "../src/cache.ts";
import { local } from "../src/local/local.ts";
import { createStatsSum } from "../src/stats-batch.ts";
import type { StatsBatch, StatsSink } from "../src/stats-batch.ts";
import type { StatsOption } from "../src/types.ts";
import { fakeClock } from "./support/fake-clock.ts";
import { counted, failure, isSettled, REQUESTS, rig } from "./support/rig.ts";

const WINDOW_MS = 10_000;
const WRITE_MS = 5_000;

type Fate = "stored" | "throws" | "refused" | "stored, then fails" | "hangs" | "stored, then hangs";

/** A sink that keeps batches by their names, as KV does, and fails as told. */
interface Store extends StatsSink {
  fate: Fate;
  readonly offers: StatsBatch[];
  readonly stored: Map<string, StatsBatch>;
  requests(node: string): number | undefined;
}

function store(fate: Fate = "stored"): Store {
  const offers: StatsBatch[] = [];
  const stored = new Map<string, StatsBatch>();
  return {
    fate,
    offers,
    stored,
    requests(node) {
      const sum = createStatsSum();
      for (const { nodes } of stored.values()) sum.add(nodes);
      return sum.stats()[node]?.requestCount;
    },
    write(batch) {
      offers.push(structuredClone(batch));
      if (this.fate === "throws") throw new Error("no token=hunter2abc123hunter2abc123");
      if (this.fate.startsWith("stored")) stored.set(`${batch.isolate}:${batch.sequence}`, structuredClone(batch));
      if (this.fate === "refused" || this.fate === "stored, then fails") return Promise.reject(new Error("no"));
      return this.fate.endsWith("hangs") ? new Promise(() => undefined) : Promise.resolve();
    },
  };
}

describe("where promises may be awaited from anywhere", () => {
  test("what was counted is written once, when the window has passed, and nothing if there is no news", async () => {
    const sink = store();
    const { cache, clock } = rig({ stats: sink });
    const Item = counted();
    const began = clock.now();
    await cache.get(Item("a"));
    await cache.getAll([Item("a"), Item("b")]);
    await clock.advance(WINDOW_MS - 1);
    expect(sink.offers).toEqual([]);
    await clock.advance(1);
    expect(sink.offers).toMatchObject([{ format: 1, sequence: 1, from: began, to: began + WINDOW_MS, failedWrites: 0 }]);
    expect(sink.offers[0]?.isolate).toMatch(/^[0-9a-f]{16}$/);
    expect(sink.offers[0]?.nodes).toMatchObject([
      { node: Item.node.name, hitCount: 1, missCount: 2, loadSuccessCount: 2, loadTimes: [[0, 2]], tiers: [{ tier: "local", hitCount: 1, missCount: 2 }] },
    ]);
    await clock.advance(10 * WINDOW_MS);
    await cache.flush();
    expect(sink.offers.length).toBe(1);
    expect(clock.pending).toBe(0);
  });

  test("a batch holds the differences since the one before, and only nodes with news", async () => {
    const sink = store();
    const { cache } = rig({ stats: sink });
    const [One, Two] = [counted(), counted()];
    await cache.getAll([One("a"), Two("a")]);
    await cache.flush();
    await cache.lookup(One("a"));
    await cache.flush();
    expect(sink.offers.map(({ sequence, nodes }) => [sequence, nodes.map(({ node, hitCount, missCount }) => [node, hitCount, missCount])])).toEqual([
      [1, [One.node.name, Two.node.name].map((name) => [name, 0, 1])],
      [2, [[One.node.name, 1, 0]]],
    ]);
  });

  test("a window ends early once enough was counted, and what follows is written at its end", async () => {
    const sink = store();
    const { cache, clock } = rig({ stats: { sink, every: 5, window: "2s" } });
    const Item = counted();
    for (let request = 0; request < 7; request++) await cache.get(Item("a"));
    await clock.settle();
    expect(sink.requests(Item.node.name)).toBe(5);
    await clock.advance(2_000);
    expect(sink.requests(Item.node.name)).toBe(7);
  });

  test.each(["get", "getAll", "lookup", "maxAge", "bypass", "memoized", "failing"] as const)("a %s is counted towards a window", async (kind) => {
    const sink = store();
    const { cache, clock } = rig({ stats: sink });
    const Item = counted({ load: (key) => (kind === "failing" ? Promise.reject(new Error("no")) : key) });
    const calls = {
      get: () => cache.get(Item("a")),
      getAll: () => cache.getAll([Item("a")]),
      lookup: () => cache.lookup(Item("a")),
      maxAge: () => cache.get(Item("a"), { maxAge: "1s" }),
      bypass: () => cache.get(Item("a"), { bypass: true }),
      memoized: () => cache.memoize(Item, (key: string) => key)("a"),
      failing: () => failure(cache.get(Item("a"))),
    };
    await calls[kind]();
    await calls[kind]();
    await clock.advance(WINDOW_MS);
    expect(sink.requests(Item.node.name)).toBe(2);
  });

  test("a refresh is no request, but its load is written", async () => {
    const sink = store();
    const { cache, clock } = rig({ stats: sink });
    await cache.refresh(counted()("a"));
    await clock.advance(WINDOW_MS);
    expect(sink.offers[0]?.nodes).toMatchObject([{ hitCount: 0, missCount: 0, loadSuccessCount: 1 }]);
  });

  test("close writes what is left, and leaves no timer", async () => {
    const sink = store();
    const { cache, clock } = rig({ stats: sink });
    const Item = counted();
    await cache.get(Item("a"));
    await cache.close();
    expect(sink.requests(Item.node.name)).toBe(1);
    expect(clock.pending).toBe(0);
  });

  test("a load that ends after close opens no window", async () => {
    const sink = store();
    const { cache, clock } = rig({ stats: sink });
    const Item = counted({ load: (key) => new Promise<string>((resolve) => clock.setTimeout(() => resolve(key), 9_000)) });
    const late = cache.get(Item("a"));
    const closed = cache.close();
    await clock.advance(9_000);
    await Promise.all([late, closed]);
    // Close wrote that a tier was asked.
    expect([clock.pending, sink.offers.length]).toEqual([0, 1]);
  });

  test("flush waits a second for a sink that hangs, no longer", async () => {
    const { cache, clock } = rig({ stats: store("hangs") });
    await cache.get(counted()("a"));
    const flushed = cache.flush();
    await clock.advance(999);
    expect(await isSettled(flushed)).toBe(false);
    await clock.advance(1);
    expect(await isSettled(flushed)).toBe(true);
  });

  test("a process may end while a window is open", () => {
    const root = join(import.meta.dirname, "..");
    const script = `
      import { createCache, defineNode, local } from ${JSON.stringify(join(root, "src/index.ts"))};
      const cache = createCache({ storages: { local: local() }, stats: { sink: { write() {} }, window: "10m" } });
      const Item = defineNode({ name: "Item", key: (key) => key, load: (key) => key, caches: [{ storage: "local", ttl: "1m" }] });
      console.log(await cache.get(Item("a")));`;
    const { status, stdout } = spawnSync(process.execPath, ["--conditions=cacheme-source", "--input-type=module", "-e", script], {
      cwd: root,
      timeout: 100_000,
    });
    expect([status, stdout.toString()]).toEqual([0, "a\n"]);
  });
});

describe("a sink that fails", () => {
  test.each<Fate>(["throws", "refused", "stored, then fails", "hangs", "stored, then hangs"])(
    "and %s is reported, harms nobody, and gets the same batch again before a new one",
    async (fate) => {
      const sink = store(fate);
      const { cache, clock, seen } = rig({ stats: sink });
      const Item = counted();
      await cache.get(Item("a"));
      await clock.advance(WINDOW_MS + WRITE_MS);
      expect(seen("stats-failed")).toMatchObject([{ sink: "stats" }]);
      expect(JSON.stringify(seen("stats-failed").map(({ error }) => error.message))).not.toContain("hunter2");
      await cache.get(Item("a"));
      sink.fate = "stored";
      await clock.advance(WINDOW_MS);
      const [first, again, next, ...more] = sink.offers;
      expect(again).toEqual(first);
      expect(next).toMatchObject({ isolate: first?.isolate, sequence: 2, failedWrites: 1, nodes: [{ hitCount: 1, missCount: 0 }] });
      expect(more).toEqual([]);
      expect(sink.requests(Item.node.name)).toBe(2);
    },
  );

  test("holds up no other sink", async () => {
    const [broken, whole] = [store("hangs"), store()];
    const { cache, clock } = rig({ stats: { sink: [broken, whole], window: 1_000 } });
    const Item = counted();
    for (let window = 0; window < 3; window++) {
      await cache.get(Item("a"));
      await clock.advance(1_000);
    }
    expect(whole.requests(Item.node.name)).toBe(3);
    broken.fate = "stored";
    await clock.advance(WRITE_MS);
    await cache.flush();
    expect(broken.requests(Item.node.name)).toBe(3);
  });
});

describe("where requests own their I/O", () => {
  /** A cache whose requests register what they keep alive for. */
  function scoped(stats: StatsOption): ReturnType<typeof rig> & { readonly kept: Promise<unknown>[] } {
    const kept: Promise<unknown>[] = [];
    const made = rig({ runtime: REQUESTS, stats, waitUntil: (promise) => void kept.push(promise) });
    return { ...made, kept };
  }

  test("the first request of a window lives until what all have counted is written", async () => {
    const sink = store();
    const { cache, clock, kept } = scoped(sink);
    const Item = counted();
    await cache.get(Item("a"));
    const registered = kept.length;
    for (let request = 0; request < 9; request++) await cache.get(Item("a"));
    expect(kept.length).toBe(registered);
    expect(await isSettled(Promise.all(kept))).toBe(false);
    await clock.advance(WINDOW_MS);
    expect(await isSettled(Promise.all(kept))).toBe(true);
    expect(sink.requests(Item.node.name)).toBe(10);
    expect(clock.pending).toBe(0);
  });

  test("a view's own waitUntil is the one that is used", async () => {
    const [own, others]: Promise<unknown>[][] = [[], []];
    const sink = store();
    const { cache, clock } = rig({ runtime: REQUESTS, stats: sink, waitUntil: (promise) => void others?.push(promise) });
    const Item = counted();
    const view = cache.with({ waitUntil: (promise) => void own?.push(promise) });
    await view.get(Item("a"));
    expect(others).toEqual([]);
    await clock.advance(WINDOW_MS);
    await Promise.all(own ?? []);
    expect(sink.requests(Item.node.name)).toBe(1);
  });

  test("when the one who lingered has died, the next request writes", async () => {
    const sink = store();
    const { cache, clock, kept } = scoped(sink);
    const Item = counted();
    await cache.set(Item("a"), "warm");
    await clock.killed(() => cache.get(Item("a")));
    await cache.get(Item("a"));
    await clock.advance(WINDOW_MS + 1_000);
    expect(sink.offers).toEqual([]);
    kept.length = 0;
    await cache.get(Item("a"));
    await clock.settle();
    expect(kept.length).toBe(1);
    expect(sink.requests(Item.node.name)).toBe(3);
    // And it did not end the lingering for good.
    await cache.get(Item("a"));
    await clock.advance(WINDOW_MS);
    expect(sink.requests(Item.node.name)).toBe(4);
  });

  test.each<Fate>(["hangs", "stored, then hangs"])("when a request died while its write %s, the same batch is written by another one", async (fate) => {
    const sink = store(fate);
    const { cache, clock } = scoped({ sink, every: 2 });
    const Item = counted();
    await cache.set(Item("a"), "warm");
    await cache.get(Item("a"));
    // Its write was sent, and the timer of its budget died with it.
    await clock.killed(() => cache.get(Item("a")));
    sink.fate = "stored";
    await cache.get(Item("a"));
    await clock.advance(WRITE_MS - 1);
    await cache.get(Item("a"));
    await clock.settle();
    expect(sink.offers.length).toBe(1);
    await clock.advance(WINDOW_MS);
    expect(sink.offers[1]).toEqual(sink.offers[0]);
    expect(sink.requests(Item.node.name)).toBe(4);
  });

  test("without waitUntil there is no timer, the first request after the window writes, and one event says what is missing", async () => {
    const sink = store();
    const { cache, clock, seen } = rig({ runtime: { ...REQUESTS, waitUntil: undefined }, stats: sink });
    const Item = counted();
    await cache.get(Item("a"));
    expect(clock.pending).toBe(0);
    await clock.advance(WINDOW_MS + 1_000);
    await cache.get(Item("a"));
    await cache.get(Item("a"));
    await clock.settle();
    expect(sink.requests(Item.node.name)).toBe(2);
    expect(seen("no-wait-until").length).toBe(1);
  });

  test("a waitUntil that throws, as it does outside of a request, harms nobody", async () => {
    const sink = store();
    const { cache, clock } = rig({ runtime: REQUESTS, stats: { sink, every: 1 }, waitUntil: () => undefined });
    const Item = counted();
    const view = cache.with({
      waitUntil: () => {
        throw new Error("outside");
      },
    });
    await cache.set(Item("a"), "warm");
    expect(await view.get(Item("a"))).toBe("warm");
    await clock.settle();
    expect(sink.requests(Item.node.name)).toBe(1);
  });
});

test.each([
  ["where promises may be awaited from anywhere", false],
  ["where requests own their I/O", true],
] as const)("a sink that is slower than requests come has one who writes and one who waits, and misses nothing, %s", async (_where, scoped) => {
  const clock = fakeClock();
  const sink = store();
  const write = sink.write.bind(sink);
  const slow: StatsSink = { write: (batch) => new Promise((resolve) => void clock.setTimeout(() => resolve(write(batch)), 1_000)) };
  const { cache } = rig({ clock, stats: { sink: slow, every: 1, window: "50ms" }, ...(scoped ? { runtime: REQUESTS, waitUntil: () => undefined } : {}) });
  const Item = counted();
  await cache.set(Item("a"), "warm");
  let most = 0;
  for (let request = 0; request < 500; request++) {
    await cache.get(Item("a"));
    await clock.advance(10);
    most = Math.max(most, clock.pending);
  }
  // The write and the timer of its budget, whoever waits for their turn, and a window or two.
  expect(most).toBeLessThanOrEqual(6);
  await clock.advance(WINDOW_MS);
  expect(sink.requests(Item.node.name)).toBe(500);
});

test("whatever fails and dies, what is stored in the end is what was counted", async () => {
  const fates = constantFrom<Fate[]>("stored", "throws", "refused", "stored, then fails", "hangs", "stored, then hangs");
  const step = record({ fate: fates, key: constantFrom("a", "b", "c"), killed: constantFrom(false, false, true), waitMs: constantFrom(0, 300, 2_000, 12_000) });
  await assert(
    asyncProperty(array(step, { maxLength: 25 }), constantFrom(true, false), async (steps, scoped) => {
      const clock = fakeClock();
      const sink = store();
      const { cache } = rig({ clock, stats: { sink, every: 3, window: "2s" }, ...(scoped ? { runtime: REQUESTS } : {}) });
      const Item = counted();
      await cache.setAll(["a", "b", "c"].map((key) => [Item(key), key] as const));
      for (const { fate, key, killed, waitMs } of steps) {
        sink.fate = fate;
        const hit = (): Promise<unknown> => cache.get(Item(key));
        await (scoped && killed && cache.peek(Item(key)) !== undefined ? clock.killed(hit) : hit());
        await clock.advance(waitMs);
      }
      sink.fate = "stored";
      await clock.advance(2 * WINDOW_MS);
      await cache.flush();
      const sum = createStatsSum();
      for (const { nodes } of sink.stored.values()) sum.add(nodes);
      expect(sum.stats()).toEqual(steps.length === 0 ? {} : cache.stats());
    }),
    { numRuns: 60 },
  );
});

describe("createCache refuses, and names,", () => {
  test.each<[string, unknown, RegExp]>([
    ["null", null, /stats must be an object, got null/],
    ["a word", "kv", /stats must be an object, got "kv"/],
    ["a sink without write", { sink: {} }, /stats must be a sink with write\(batch\), got an object/],
    ["no sink", { every: 5 }, /stats must be a sink with write\(batch\), got undefined/],
    ["a list with a hole", [undefined], /stats must be a sink with write\(batch\), got undefined/],
    ["an option that there is not", { sink: store(), windw: 5 }, /unknown option "windw", did you mean "window"/],
    ["a window of 0", { sink: store(), window: 0 }, /stats.window must be from 1 to 2147483647 ms, got 0/],
    ["a window longer than a timer can wait", { sink: store(), window: "30d" }, /stats.window must be from 1 to 2147483647 ms, got "30d"/],
    ["a window without end", { sink: store(), window: Infinity }, /stats.window must be a finite duration/],
    ["every 0", { sink: store(), every: 0 }, /stats.every must be a whole number of at least 1, got 0/],
    ["every 1.5", { sink: store(), every: 1.5 }, /stats.every must be a whole number of at least 1, got 1.5/],
  ])("%s for stats", (_, stats, message) => {
    const make = (): unknown => createCache({ storages: { local: local() }, stats: stats as StatsOption });
    expect(make).toThrow(TypeError);
    expect(make).toThrow(message);
  });

  test("a window longer than a request lives after its answer, where requests own their I/O", () => {
    expect(() => rig({ runtime: REQUESTS, stats: { sink: store(), window: "16s" } })).toThrow(/stats.window must be at most 15 s/);
    expect(() => rig({ stats: { sink: store(), window: "1m" } })).not.toThrow();
  });
});
