/**
 * One load per key per isolate, as a model: whatever callers do at the same time, a key's loads never overlap, end in at most
 * one success, reach every waiter as the same value or error, and leave nothing in flight.
 */

import { array, assert, asyncProperty, boolean, constantFrom, integer, oneof, record } from "fast-check";
import { describe, expect, test } from "vitest";
import { coreOf } from "../../src/cache.ts";
import { local } from "../../src/local/local.ts";
import { defineNode } from "../../src/node.ts";
import { fakeClock } from "../support/fake-clock.ts";
import { freshName, REQUESTS, rig, SHARED } from "../support/rig.ts";
import { puppet } from "../support/storages.ts";
import type { Fault } from "../support/storages.ts";

type Ending = "value" | "reject" | "throw" | "later value" | "later reject" | "never";

const KEYS = ["a", "b", "c"];
const key = constantFrom(...KEYS);
const step = oneof(
  record({ kind: constantFrom("get", "lookup", "memoized"), key }),
  record({ kind: constantFrom("abort"), key }),
  record({ kind: constantFrom("getAll", "all"), keys: array(key, { maxLength: 5 }) }),
  record({ kind: constantFrom("advance"), ms: integer({ min: 0, max: 30 }) }),
);
const endings = array(constantFrom<Ending>("value", "reject", "throw", "later value", "later reject", "never"), { minLength: 1, maxLength: 12 });
const chains = constantFrom(["local"], ["far"], ["local", "far"], ["near", "local", "far"]);

/** A source that keeps the books: what runs, what ended how. */
function bookkeeper(clock: ReturnType<typeof fakeClock>, plan: readonly Ending[]) {
  const running = new Map<string, number>();
  const ended = new Map<string, ("success" | "failure")[]>();
  const given = new Set<unknown>();
  let calls = 0;
  let overlaps = 0;

  function end(own: string, how: "success" | "failure", result: unknown): void {
    running.set(own, (running.get(own) ?? 1) - 1);
    ended.set(own, [...(ended.get(own) ?? []), how]);
    given.add(result);
  }
  function load(own: string): unknown {
    const ending = plan[calls++ % plan.length];
    if ((running.get(own) ?? 0) > 0) overlaps++;
    running.set(own, (running.get(own) ?? 0) + 1);
    const value = `${own}#${calls}`;
    const error = new Error(value);
    const finish = (): unknown => {
      if (ending === "value" || ending === "later value") {
        end(own, "success", value);
        return value;
      }
      end(own, "failure", error);
      throw error;
    };
    if (ending === "throw") return finish();
    if (ending === "value" || ending === "reject") return (async () => finish())();
    return new Promise((resolve, reject) => {
      const fulfil = (): void => {
        try {
          resolve(finish());
        } catch (thrown) {
          reject(thrown);
        }
      };
      // A load that never ends is given up at the hard timeout, and is a failure from then on.
      if (ending === "never") clock.setTimeout(() => end(own, "failure", undefined), HARD_MS);
      else clock.setTimeout(fulfil, 10);
    });
  }
  return { load, ended, given, overlaps: () => overlaps };
}

const HARD_MS = 100;

interface Scene {
  readonly steps: readonly { readonly kind: string; readonly key?: string; readonly keys?: readonly string[]; readonly ms?: number }[];
  readonly plan: readonly Ending[];
  readonly chain: readonly string[];
  readonly requestScoped: boolean;
  readonly awaited: boolean;
  readonly fault: Fault | undefined;
}

async function play({ steps, plan, chain, requestScoped, awaited, fault }: Scene) {
  const clock = fakeClock();
  const far = puppet({ clock });
  if (fault) far.fault("all", fault);
  const books = bookkeeper(clock, plan);
  const { cache, inFlight } = rig({ runtime: requestScoped ? REQUESTS : SHARED, clock, storages: { near: local(), local: local(), far } });
  const Item = defineNode<string, unknown>({
    name: freshName(),
    key: (own) => own,
    load: books.load,
    caches: chain.map((storage) => ({ storage, ttl: null })),
    hardTimeout: HARD_MS,
    writes: awaited ? "await" : "background",
  });
  const memoized = cache.memoize(Item, books.load);
  const waiting: Promise<unknown>[] = [];
  for (const { kind, key: own = "a", keys = [], ms = 0 } of steps) {
    if (kind === "advance") await clock.advance(ms);
    else if (kind === "abort") {
      const controller = new AbortController();
      waiting.push(cache.get(Item(own), { signal: controller.signal }));
      controller.abort("gone");
    } else if (kind === "getAll") waiting.push(cache.getAll(keys.map((each) => Item(each))));
    else if (kind === "all") waiting.push(memoized.all(keys.map((each) => [each])));
    else waiting.push(kind === "get" ? cache.get(Item(own)) : kind === "lookup" ? cache.lookup(Item(own)).then(({ value }) => value) : memoized(own));
    waiting.at(-1)?.catch(() => undefined);
  }
  const settled = Promise.allSettled(waiting);
  await clock.advance(20_000);
  return { results: await settled, books, far, clock, cache, Item, inFlight };
}

const scene = record({ steps: array(step, { maxLength: 25 }), plan: endings, chain: chains, requestScoped: boolean(), awaited: boolean() });

async function check(given: Scene): Promise<void> {
  const { results, books, far, clock, cache, Item, inFlight } = await play(given);
  expect(books.overlaps()).toBe(0);
  // Failures are not cached, so there may be many; after a success there is nothing more to load.
  for (const ways of books.ended.values()) expect(ways.slice(0, -1)).not.toContain("success");
  for (const result of results) {
    const outcomes = result.status === "rejected" ? [result.reason] : Array.isArray(result.value) ? result.value : [result.value];
    for (const outcome of outcomes) expect(outcome === "gone" || books.given.has(outcome) || isTimeout(outcome)).toBe(true);
  }
  const written = far.log.filter(({ method }) => method === "write").flatMap(({ keys }) => keys);
  if (!given.fault) expect(new Set(written).size).toBe(written.length);
  expect(inFlight()).toBe(0);
  expect(clock.pending).toBe(0);
  const stats = cache.stats(Item);
  expect(stats.loadCount).toBe([...books.ended.values()].flat().length);
}

function isTimeout(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ERR_LOAD_TIMEOUT";
}

describe("guarantee 3: one load per key", () => {
  test("holds for any callers, chain, host and source", async () => {
    await assert(
      asyncProperty(scene, (given) => check({ ...given, fault: undefined })),
      { numRuns: 300 },
    );
  });

  test("holds where a local tier stands before a storage that fails in any way", async () => {
    const faults = constantFrom<Fault>("reject", "throw", "hang", "short", "long", "garbage", "lose");
    await assert(
      asyncProperty(scene, faults, (given, fault) => check({ ...given, chain: ["local", "far"], fault })),
      { numRuns: 200 },
    );
  });

  test("holds for 10,000 callers of one key at once", async () => {
    const clock = fakeClock();
    const books = bookkeeper(clock, ["later value"]);
    const { cache } = rig({ clock, storages: { local: local(), far: puppet({ clock }) } });
    const caches = [
      { storage: "local", ttl: null },
      { storage: "far", ttl: null },
    ] as const;
    const Item = defineNode<string, unknown>({ name: freshName(), key: (own) => own, load: books.load, caches });
    const all = Promise.all(Array.from({ length: 10_000 }, () => cache.get(Item("a"))));
    await clock.advance(10);
    expect(new Set(await all)).toEqual(new Set(["a#1"]));
    await cache.flush();
    expect(coreOf(cache).inFlight()).toBe(0);
    expect(cache.stats(Item)).toMatchObject({ requestCount: 10_000, collapsedCount: 9_999, loadCount: 1 });
  });
});
