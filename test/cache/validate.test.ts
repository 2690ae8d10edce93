/** `validate`: stored values that a node's schema does not take are misses, and what it makes of the others is served. */

import { describe, expect, test } from "vitest";
import { local } from "../../src/local/local.ts";
import type { StandardSchema } from "../../src/node-types.ts";
import { fakeClock } from "../support/fake-clock.ts";
import { counted, isSettled, rig } from "../support/rig.ts";
import { puppet } from "../support/storages.ts";

const FAR = [{ storage: "far", ttl: "1m" }] as const;
const BOTH = [{ storage: "local", ttl: "1m" }, ...FAR] as const;
type Verdict = ReturnType<StandardSchema["~standard"]["validate"]>;

/** A schema as any library may write it. */
function schema(validate: (value: unknown) => unknown): StandardSchema {
  return { "~standard": { version: 1, vendor: "test", validate: validate as (value: unknown) => Verdict } };
}

/** The same, as a library whose schemas are functions makes it. */
function callable(validate: (value: unknown) => unknown): StandardSchema {
  return Object.assign(() => undefined, schema(validate));
}

const refuse = { issues: [{ message: "no" }] };

function setUp() {
  const clock = fakeClock();
  const far = puppet({ clock });
  const isolate = () => rig({ clock, storages: { local: local(), far } });
  return { ...isolate(), isolate, far };
}

/** What another isolate answers for a value that this one has loaded and stored. */
async function found(validate: StandardSchema, { value }: { readonly value: unknown } = { value: "old" }, caches: typeof FAR | typeof BOTH = FAR) {
  const own = setUp();
  const Item = counted<unknown>({ caches, validate, load: (_key, nth) => (nth === 1 ? value : "new") });
  await own.cache.get(Item("a"));
  await own.cache.flush();
  const other = own.isolate();
  const answer = other.cache.lookup(Item("a"));
  expect(await isSettled(answer)).toBe(true);
  return { ...own, other, Item, lookup: await answer };
}

/** No promise, but it can be waited for. */
function thenable(then: unknown): object {
  // oxlint-disable-next-line unicorn/no-thenable -- that is the case
  return { then };
}

describe.each([
  ["at once", (verdict: unknown) => () => verdict],
  ["later", (verdict: unknown) => async () => verdict],
  ["later, by a thenable that is no promise", (verdict: unknown) => () => thenable((done: (verdict: unknown) => void) => done(verdict))],
] as const)("a schema that answers %s", (_when, answering) => {
  test.each([schema, callable])("serves what it makes of the value", async (make) => {
    const { lookup, events, other, Item } = await found(make(answering({ value: "made of it" })));
    expect(lookup).toMatchObject({ value: "made of it", source: "far", state: "fresh" });
    expect(events).toEqual([]);
    expect(other.cache.stats(Item.node)).toMatchObject({ hitCount: 1, missCount: 0 });
  });

  test("makes a miss of what it refuses, which is loaded, replaced and reported", async () => {
    const { lookup, other, Item, far, clock, isolate } = await found(schema(answering(refuse)));
    expect(lookup).toMatchObject({ value: "new", source: "load" });
    expect(other.seen("entry-rejected")).toMatchObject([{ storage: "far", node: Item.node.name, reason: expect.stringContaining("schema") }]);
    expect(other.cache.stats(Item.node)).toMatchObject({ missCount: 1, errorCount: 1, tiers: { far: { errorCount: 1, missCount: 1, hitCount: 0 } } });
    await clock.settle();
    expect(far.calls.write).toBe(2);
    // The slot that was refused has been replaced: this isolate and a third find the new value, where their schema takes that.
    expect(other.cache.stats(Item.node)).toMatchObject({ fencedCount: 0, tiers: { far: { refusedCount: 0 } } });
    const third = await isolate().cache.lookup(counted<unknown>({ name: Item.node.name, allowRedefine: true, caches: FAR, load: () => "unused" })("a"));
    expect(third).toMatchObject({ value: "new", source: "far" });
  });

  test("keeps the local copy of what it let through after a refusal", async () => {
    const refusesOld = (value: unknown): unknown => answering(value === "old" ? refuse : { value })();
    const { other, Item, clock } = await found(schema(refusesOld), { value: "old" }, BOTH);
    await clock.settle();
    expect(await other.cache.lookup(Item("a"))).toMatchObject({ value: "new", source: "local" });
    expect(Item.loads.length).toBe(2);
  });

  test("of nonsense has not judged: the value is loaded and answered, not stored, with an event", async () => {
    for (const nonsense of [undefined, null, 5, "fine", true]) {
      const { lookup, other, Item, far, clock } = await found(schema(answering(nonsense)));
      expect(lookup).toMatchObject({ value: "new", source: "load" });
      expect(other.seen("not-stored")).toMatchObject([{ node: Item.node.name, reason: "hook" }]);
      await clock.settle();
      expect([far.calls.write, other.inFlight()]).toEqual([1, 0]);
    }
  });
});

describe("a schema", () => {
  test("that throws, rejects, or cannot even be asked leaves what was loaded unstored, with an event", async () => {
    const broken = [
      () => JSON.parse("{"),
      async () => JSON.parse("{"),
      () => thenable(() => JSON.parse("{")),
      () => Object.defineProperty({}, "issues", { get: () => JSON.parse("{") }),
      () => Object.defineProperty({}, "value", { get: () => JSON.parse("{") }),
      () => new Proxy({}, { has: () => JSON.parse("{") }),
    ];
    for (const validate of broken) {
      const { lookup, other, far, clock } = await found(schema(validate), { value: "old" }, BOTH);
      expect(lookup).toMatchObject({ value: "new", source: "load" });
      await clock.settle();
      expect(other.events).toMatchObject([{ type: "not-stored", reason: "hook" }]);
      expect([far.calls.write, other.inFlight()]).toEqual([1, 0]);
    }
  });

  test.each([null, undefined])("is asked about %s as about any value", async (value) => {
    const asked: unknown[] = [];
    const accepting = schema((one) => (asked.push(one), { value: one }));
    expect((await found(accepting, { value })).lookup).toMatchObject({ value, source: "far" });
    expect(asked).toEqual([value]);
    const refusing = schema((one) => (one === value ? refuse : { value: one }));
    expect((await found(refusing, { value })).lookup).toMatchObject({ value: "new", source: "load" });
  });

  test("may make null, undefined or 0 of a value", async () => {
    for (const value of [null, undefined, 0, "", false]) expect((await found(schema(() => ({ value })))).lookup).toMatchObject({ value, source: "far" });
  });

  test("sees what was stored remotely; neither what load gave, nor what a local tier holds, nor what is set", async () => {
    const { cache, isolate, far } = setUp();
    const asked: unknown[] = [];
    const validate = schema((value) => {
      asked.push(value);
      return { value };
    });
    const Item = counted<unknown>({ caches: BOTH, validate, load: () => "loaded" });
    await cache.get(Item("a"));
    await cache.get(Item("a"));
    await cache.set(Item("b"), "set");
    await cache.get(Item("b"));
    await cache.refresh(Item("a"));
    expect(asked).toEqual([]);
    const other = isolate();
    await other.cache.getAll([Item("a"), Item("b"), Item("a")]);
    await other.cache.get(Item("a"));
    expect(asked).toEqual(["loaded", "set"]);
    expect(far.calls.read).toBeGreaterThan(0);
  });

  test("makes a value once for each read of a tier, and the local tier keeps what it made", async () => {
    let made = 0;
    const { other, Item, lookup } = await found(
      schema((value) => ({ value: { of: value, nth: ++made } })),
      { value: "old" },
      BOTH,
    );
    expect(lookup).toMatchObject({ value: { of: "old", nth: 1 }, source: "far" });
    expect(await other.cache.lookup(Item("a"))).toMatchObject({ value: { of: "old", nth: 1 }, source: "local" });
  });

  test("judges old values as well: one that it refuses is neither served nor offered", async () => {
    const { cache, clock, seen } = setUp();
    const offered: unknown[] = [];
    const load = (_key: string, nth: number, { stale }: { readonly stale: unknown }): string => {
      offered.push(stale);
      return `v${nth}`;
    };
    const Item = counted<string>({ caches: FAR, staleWhileRevalidate: "1h", validate: schema(() => refuse), load });
    await cache.get(Item("a"));
    await clock.settle();
    await clock.advance(60_000);
    expect(await cache.lookup(Item("a"))).toMatchObject({ value: "v2", state: "fresh", source: "load" });
    expect([offered, seen("entry-rejected").length]).toEqual([[undefined, undefined], 1]);
  });

  test("that takes its time, in a tier to the left of one that answers at once, mixes nothing up", async () => {
    const { cache, clock, isolate } = setUp();
    const slow = schema((value) => new Promise((resolve) => void clock.setTimeout(() => resolve({ value: `${value} seen` }), value === "a#1" ? 500 : 5)));
    const Item = counted({ caches: FAR, validate: slow });
    await cache.getAll([Item("a"), Item("b")]);
    await cache.flush();
    const other = isolate();
    const both = other.cache.getAll([Item("a"), Item("b"), Item("a")]);
    await clock.advance(499);
    expect(await isSettled(both)).toBe(false);
    await clock.advance(1);
    expect(await both).toEqual(["a#1 seen", "b#2 seen", "a#1 seen"]);
  });

  test("is protected by clone like any value", async () => {
    const shared = { leaves: [1] };
    for (const clone of ["freeze", "structured"] as const) {
      const { cache, isolate } = setUp();
      const Item = counted<typeof shared>({ caches: BOTH, clone, validate: schema(() => ({ value: shared })), load: () => ({ leaves: [] }) });
      await cache.get(Item("a"));
      await cache.flush();
      const other = isolate();
      const [one, two] = await Promise.all([other.cache.get(Item("a")), other.cache.get(Item("a"))]);
      if (clone === "freeze") expect(() => one.leaves.push(2)).toThrow(TypeError);
      else {
        one.leaves.push(2);
        expect([two.leaves, (await other.cache.get(Item("a"))).leaves]).toEqual([[1], [1]]);
      }
    }
  });
});
