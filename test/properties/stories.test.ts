/**
 * The stories in which some rule of the invalidation protocol was found to be needed, each with a fixed course: without the
 * rule the old value comes back. The simulation (`no-resurrection.test.ts`) finds them by chance; here they have names.
 *
 * @module
 */
import { describe, expect, test } from "vitest";
import { BEAT_MS, LEASE_BEATS } from "../../src/flight.ts";
import { TIMES } from "./judge.ts";
import { strong, weak } from "./scenarios.ts";
import { stage } from "./stage.ts";

const ONE = { tiers: [strong(60)] };
const TWO = { tiers: [strong(60), strong(100)] };
/** Places in `WINDOWS`. */
const IF_ERROR = 1;
const WHILE_LOADING = 2;

describe("set and refresh", () => {
  test("a set that was given up cannot undo an invalidate when it is applied later", async () => {
    const own = stage(ONE);
    await own.ask(0);
    const set = await own.begin("set", 0);
    await own.pass(set, "read L");
    await own.abandon(set, "write L");
    const invalidate = await own.begin("inv", 1);
    await own.pass(invalidate, "write L");
    await own.apply(set, "write L");
    expect(own.holds("L")).toBe("tombstone");
    expect(await own.ask(1)).toBe("v3 from load");
    expect(own.verdict()).toBeUndefined();
  });

  test("a set that was given up cannot undo a later set", async () => {
    const own = stage(ONE);
    const first = await own.begin("set", 0);
    await own.pass(first, "read L", "ensure L");
    await own.abandon(first, "write L");
    const second = await own.begin("set", 1);
    await own.pass(second, "read L", "write L");
    await own.apply(first, "write L");
    expect(own.holds("L")).toBe("v3");
    expect(own.verdict()).toBeUndefined();
  });

  test.each(["set", "refresh"] as const)("a %s that is refused leaves a tombstone and no local copy", async (kind) => {
    const own = stage(ONE);
    const get = await own.begin("get", 1);
    await own.pass(get, "read L", "ensure L", "load source");
    const replace = await own.begin(kind, 0);
    await own.pass(replace, "read L");
    await own.pass(get, "write L");
    if (kind === "refresh") await own.pass(replace, "load source");
    expect(own.holds("L")).toBe("v1");
    await own.pass(replace, "write L");
    await own.pass(replace, "write L");
    expect(own.holds("L")).toBe("tombstone");
    expect(await own.ask(0)).toBe("v2 from load");
    expect(own.verdict()).toBeUndefined();
  });

  test("a get that read a tier before refresh wrote it does not fill the local tier after refresh resolved", async () => {
    const own = stage(ONE);
    await own.ask(1);
    const refresh = await own.begin("refresh", 0);
    const get = await own.begin("get", 0);
    await own.apply(get, "read L");
    await own.pass(refresh, "read L", "load source", "write L");
    await own.answer(get, "read L");
    expect(get.answers).toEqual([{ version: 1, source: "L" }]);
    expect(await own.ask(0)).toBe("v2 from local");
    expect(own.verdict()).toBeUndefined();
  });

  test.each(["set", "refresh"] as const)("a %s that an invalidate overtook keeps no local copy", async (kind) => {
    const own = stage(ONE);
    const replace = await own.begin(kind, 0);
    await own.pass(replace, "read L", "ensure L");
    if (kind === "refresh") await own.pass(replace, "load source");
    await own.apply(replace, "write L");
    const invalidate = await own.begin("inv", 0);
    await own.pass(invalidate, "write L");
    await own.answer(replace, "write L");
    expect(own.holds("L")).toBe("tombstone");
    expect(await own.ask(0)).toBe("v3 from load");
    expect(own.verdict()).toBeUndefined();
  });

  test("a refresh that got too old between two writes leaves a tombstone in the second tier", async () => {
    const own = stage(TWO);
    await own.ask(1);
    const refresh = await own.begin("refresh", 0);
    await own.advance(TIMES.budget - 1_000);
    await own.pass(refresh, "read L", "read R", "load source");
    await own.advance(TIMES.budget);
    expect(own.open(refresh)).toContain("write L");
    await own.apply(refresh, "write L");
    expect(own.holds("L")).toBe("tombstone");
    await own.rest();
    expect(own.verdict()).toBeUndefined();
  });

  test.each(["set", "refresh"] as const)("a %s that an invalidateNode overtook keeps no local copy", async (kind) => {
    const own = stage({ ...ONE, tagged: true });
    const replace = await own.begin(kind, 0);
    await own.pass(replace, "read L", "ensure L");
    if (kind === "refresh") await own.pass(replace, "load source");
    await own.apply(replace, "write L");
    await own.pass(await own.begin("node", 0), "raise L");
    await own.answer(replace, "write L");
    expect(await own.ask(0)).toBe("v3 from load");
    expect(own.verdict()).toBeUndefined();
  });

  test.each(["set", "refresh"] as const)("what a %s stores is of the key's tag as well", async (kind) => {
    const own = stage({ ...ONE, tagged: true });
    await own.begin(kind, 0);
    await own.rest();
    expect(await own.ask(1)).toBe("v2 from L");
    await own.pass(await own.begin("tag", 0), "raise L");
    own.clearLocal(1);
    expect(await own.ask(1)).toBe("v3 from load");
  });

  test.each(["inv", "node"] as const)("nobody who asks after an %s gets the load of a refresh that began before it", async (kind) => {
    const own = stage(ONE);
    const refresh = await own.begin("refresh", 0);
    await own.pass(refresh, "read L", "ensure L");
    await own.apply(refresh, "load source");
    await own.pass(await own.begin(kind, 0), kind === "inv" ? "write L" : "raise L");
    const get = await own.begin("get", 0);
    await own.pass(get, "read L");
    expect(own.open(get)).toEqual(["load source"]);
    await own.answer(refresh, "load source");
    await own.rest();
    expect(get.answers).toEqual([{ version: 2 + 1, source: "load" }]);
    expect(own.verdict()).toBeUndefined();
  });
});

describe("back-fills", () => {
  test("a back-fill is refused after an invalidate elsewhere, and takes its local copy with it", async () => {
    const own = stage(ONE);
    const get = await own.begin("get", 0);
    await own.pass(get, "read L", "ensure L", "load source");
    const invalidate = await own.begin("inv", 1);
    await own.pass(invalidate, "write L");
    await own.pass(get, "write L");
    expect(own.holds("L")).toBe("tombstone");
    expect(await own.ask(0)).toBe("v2 from load");
    expect(own.verdict()).toBeUndefined();
  });

  test("a value of a short life does not uncover what the tombstone below it shielded", async () => {
    const own = stage({ tiers: [strong(2)] });
    const slow = await own.begin("get", 0);
    await own.pass(slow, "read L", "ensure L");
    await own.apply(slow, "load source");
    const invalidate = await own.begin("inv", 1);
    await own.pass(invalidate, "write L");
    expect(await own.ask(1)).toBe("v2 from load");
    await own.advance(7_000);
    await own.answer(slow, "load source");
    await own.apply(slow, "write L");
    expect(own.holds("L")).toBe("v2");
    expect(own.verdict()).toBeUndefined();
  });

  test("a tier whose read failed is not written", async () => {
    const own = stage(TWO);
    const get = await own.begin("get", 0);
    await own.lose(get, "read L");
    await own.lose(get, "read L");
    await own.pass(get, "read R", "ensure R", "load source");
    expect(own.open(get)).toEqual(["write R"]);
    await own.rest();
    expect(own.holds("L")).toBe("nothing");
    expect(own.holds("R")).toBe("v1");
  });

  test("a load that failed is not remembered", async () => {
    const own = stage(ONE);
    const get = await own.begin("get", 0);
    await own.pass(get, "read L", "ensure L");
    await own.lose(get, "load source");
    expect(get.failed).toBe(true);
    expect(await own.ask(0)).toBe("v1 from load");
  });

  test("a copy lives no longer than what was left where it came from", async () => {
    const own = stage({ tiers: [strong(60), strong(10)], local: false });
    const get = await own.begin("get", 0);
    await own.lose(get, "read L");
    await own.lose(get, "read L");
    await own.pass(get, "read R", "ensure R", "load source", "write R");
    await own.advance(7_000);
    expect(await own.ask(1)).toBe("v1 from R");
    expect(await own.ask(0)).toBe("v1 from L");
    await own.advance(4_000);
    expect(await own.ask(1)).toBe("v1 from load");
  });

  test("a flight older than storeWithin answers and stores nothing", async () => {
    const own = stage({ tiers: [strong(60)], local: false });
    const get = await own.begin("get", 0);
    await own.advance(TIMES.budget - 1_000);
    await own.pass(get, "read L", "ensure L");
    await own.advance(TIMES.hard - 1_000);
    await own.pass(get, "load source");
    expect(get.answers).toEqual([{ version: 1, source: "load" }]);
    expect(own.open(get)).toEqual([]);
    expect(own.holds("L")).toBe("nothing");
  });

  test("what a weak tier still shows after an invalidate is not copied into a strong one", async () => {
    const own = stage({ tiers: [strong(60), weak(15)], local: false });
    await own.ask(0);
    await own.advance(9_000);
    const invalidate = await own.begin("inv", 0);
    await own.pass(invalidate, "remove R", "write L");
    own.showOld();
    const get = await own.begin("get", 1);
    await own.pass(get, "read L", "read R");
    expect(get.answers).toEqual([{ version: 1, source: "R" }]);
    expect(own.open(get)).toEqual([]);
    expect(own.holds("L")).toBe("tombstone");
  });
});

describe("invalidate", () => {
  test("a reader cannot copy the old value from a tier that is not yet cleared into one that is", async () => {
    const own = stage({ ...TWO, local: false });
    await own.ask(0);
    const invalidate = await own.begin("inv", 0);
    expect(own.open(invalidate)).toEqual(["write R"]);
    await own.apply(invalidate, "write R");
    expect(own.open(invalidate)).toEqual(["write R"]);
    await own.answer(invalidate, "write R");
    expect(own.open(invalidate)).toEqual(["write L"]);
    await own.rest();
    expect([own.holds("L"), own.holds("R")]).toEqual(["tombstone", "tombstone"]);
  });

  test("a get that read a tier before it was cleared does not fill the local tier after invalidate resolved", async () => {
    const own = stage(ONE);
    await own.ask(1);
    const invalidate = await own.begin("inv", 0);
    const get = await own.begin("get", 0);
    await own.apply(get, "read L");
    await own.pass(invalidate, "write L");
    await own.answer(get, "read L");
    expect(get.answers).toEqual([{ version: 1, source: "L" }]);
    expect(await own.ask(0)).toBe("v2 from load");
    expect(own.verdict()).toBeUndefined();
  });

  test("a request that dies in the middle of invalidate has dropped its isolate's copy", async () => {
    const own = stage(ONE);
    await own.ask(0);
    const invalidate = await own.begin("inv", 0);
    await own.apply(invalidate, "write L");
    own.kill(invalidate);
    expect(await own.ask(0)).toBe("v2 from load");
  });

  test("a tombstone is no value, and the next load replaces it", async () => {
    const own = stage(ONE);
    await own.ask(0);
    const invalidate = await own.begin("inv", 1);
    await own.pass(invalidate, "write L");
    expect(await own.ask(1)).toBe("v2 from load");
    expect(own.holds("L")).toBe("v2");
    own.clearLocal(0);
    expect(await own.ask(0)).toBe("v2 from L");
  });
});

describe("generations", () => {
  test("an entry whose generation was lost is absent", async () => {
    const own = stage({ ...ONE, local: false });
    await own.ask(0);
    own.loseGenerations("L");
    expect(await own.ask(1)).toBe("v1 from load");
    expect(await own.ask(0)).toBe("v1 from L");
  });

  test("a generation made anew below the old one revives nothing, and is believed from then on", async () => {
    const own = stage(ONE);
    await own.advance(10_000);
    await own.ask(0);
    own.loseGenerations("L");
    own.stepBack("L", 9_000);
    expect(await own.ask(1, 1)).toBe("v1 from load");
    expect(await own.ask(1)).toBe("v1 from load");
    expect(await own.ask(1)).toBe("v1 from local");
    own.clearLocal(0);
    expect(await own.ask(0)).toBe("v1 from L");
    expect(await own.ask(0)).toBe("v1 from local");
  });

  test("two storages with two clocks do not make each other's entries absent", async () => {
    const own = stage(TWO);
    await own.advance(10_000);
    own.stepBack("L", 9_000);
    expect(await own.ask(0)).toBe("v1 from load");
    expect(await own.ask(0, 1)).toBe("v1 from load");
    expect(await own.ask(0)).toBe("v1 from local");
    expect(await own.ask(1)).toBe("v1 from L");
    expect(await own.ask(1)).toBe("v1 from local");
  });

  test("a missing generation is made before anything to the right is asked", async () => {
    const own = stage(TWO);
    const get = await own.begin("get", 0);
    await own.pass(get, "read L");
    expect(own.open(get)).toEqual(["ensure L"]);
    await own.pass(get, "ensure L");
    expect(own.open(get)).toEqual(["read R"]);
  });

  test("an entry is stored under the generation that stood before its load", async () => {
    const own = stage({ ...ONE, local: false });
    await own.ask(0, 1);
    const get = await own.begin("get", 0);
    await own.pass(get, "read L");
    await own.apply(get, "load source");
    own.loseGenerations("L");
    await own.ask(1, 1);
    await own.answer(get, "load source");
    await own.rest();
    expect(own.holds("L")).toBe("v1");
    expect(await own.ask(0)).toBe("v1 from load");
  });

  test("a tier whose ensure failed is not written", async () => {
    const own = stage(TWO);
    const get = await own.begin("get", 0);
    await own.pass(get, "read L");
    await own.lose(get, "ensure L");
    await own.pass(get, "read R", "ensure R", "load source");
    expect(own.open(get)).toEqual(["write R"]);
  });

  test("a local copy made under a generation that was replaced meanwhile is no hit", async () => {
    const own = stage(ONE);
    await own.ask(1, 1);
    const get = await own.begin("get", 0);
    await own.pass(get, "read L");
    own.loseGenerations("L");
    expect(await own.ask(0, 1)).toContain("from");
    await own.rest();
    expect(get.answers).toEqual([{ version: 1, source: "load" }]);
    expect(await own.ask(0)).not.toContain("from local");
  });
});

describe("invalidateNode and invalidateTags", () => {
  test.each(["node", "tag"] as const)("an isolate that raised the generation of a %s serves none of its own local copies", async (kind) => {
    const own = stage({ ...ONE, tagged: true });
    expect(await own.ask(0)).toBe("v1 from load");
    expect(await own.ask(0)).toBe("v1 from local");
    const raise = await own.begin(kind, 0);
    await own.pass(raise, "raise L");
    expect(await own.ask(0)).toBe("v2 from load");
    expect(own.verdict()).toBeUndefined();
  });

  test.each(["node", "tag"] as const)("nobody who asks after a %s was invalidated joins a flight from before, and that flight stores nothing", async (kind) => {
    const own = stage({ ...ONE, tagged: true });
    await own.ask(1);
    const before = await own.begin("get", 0, { key: 0 });
    await own.apply(before, "read L");
    const raise = await own.begin(kind, 0);
    await own.pass(raise, "raise L");
    const after = await own.begin("get", 0);
    await own.pass(after, "read L");
    expect(own.open(after)).toEqual(["load source"]);
    await own.answer(before, "read L");
    expect(before.answers).toEqual([{ version: 1, source: "L" }]);
    await own.rest();
    expect(after.answers).toEqual([{ version: 2, source: "load" }]);
    expect(await own.ask(0)).toBe("v2 from local");
    expect(own.verdict()).toBeUndefined();
  });

  test("what began while a generation was being raised is cut off when it is", async () => {
    const own = stage({ ...ONE, tagged: true });
    await own.ask(1);
    const raise = await own.begin("tag", 0);
    const get = await own.begin("get", 0);
    await own.pass(get, "read L");
    expect(get.answers).toEqual([{ version: 1, source: "L" }]);
    await own.pass(raise, "raise L");
    expect(await own.ask(0)).toBe("v2 from load");
    expect(own.verdict()).toBeUndefined();
  });

  test("an epoch that was forgotten to keep the table small still cuts off what it cut off", async () => {
    const own = stage({ ...ONE, tagged: true, capped: true });
    await own.ask(0, 1);
    expect(await own.ask(0, 1)).toBe("v1 from local");
    for (const kind of ["node", "tag", "forget"] as const) await own.pass(await own.begin(kind, 0), "raise L");
    expect(await own.ask(0, 1)).toBe("v2 from load");
    expect(own.verdict()).toBeUndefined();
  });

  test("a generation that was forgotten to keep the table small is not trusted in local copies, and learned again", async () => {
    const own = stage({ ...ONE, tagged: true, capped: true });
    await own.ask(0);
    await own.pass(await own.begin("forget", 0, { x: 3 }), "read L", "ensure L", "load source", "write L");
    expect(await own.ask(0)).toBe("v1 from L");
    expect(await own.ask(0)).toBe("v1 from local");
  });

  test("generations are raised in the right tier first", async () => {
    const own = stage({ ...TWO, tagged: true, local: false });
    for (const kind of ["node", "tag"] as const) {
      const raise = await own.begin(kind, 0);
      expect(own.open(raise)).toEqual(["raise R"]);
      await own.pass(raise, "raise R");
      expect(own.open(raise)).toEqual(["raise L"]);
      await own.pass(raise, "raise L");
    }
  });

  test("what a flight copies from the right tier while both are raised is of the old generation", async () => {
    const own = stage({ ...TWO, tagged: true, local: false });
    await own.ask(0);
    own.loseGenerations("L");
    const get = await own.begin("get", 1);
    await own.pass(get, "read L", "ensure L");
    await own.apply(get, "read R");
    const raise = await own.begin("node", 0);
    await own.pass(raise, "raise R", "raise L");
    await own.answer(get, "read R");
    await own.rest();
    expect(get.answers).toEqual([{ version: 1, source: "R" }]);
    expect(await own.ask(0)).toBe("v2 from load");
    expect(own.verdict()).toBeUndefined();
  });

  test("the tag of one key leaves the other alone", async () => {
    const own = stage({ ...ONE, tagged: true });
    await own.ask(1, 0);
    await own.ask(1, 1);
    await own.pass(await own.begin("tag", 0), "raise L");
    own.clearLocal(1);
    expect(await own.ask(1, 0)).toBe("v2 from load");
    expect(await own.ask(1, 1)).toBe("v1 from L");
  });
});

describe("views that know of an invalidation", () => {
  test("they take no local copy, though another isolate made the invalidation", async () => {
    const own = stage({ ...ONE, tagged: true });
    await own.ask(1);
    await own.pass(await own.begin("tag", 0), "raise L");
    expect(await own.ask(1)).toBe("v1 from local");
    const after = await own.begin("after", 1);
    await own.rest();
    expect(after.answers).toEqual([{ version: 2, source: "load" }]);
    expect(await own.ask(1)).toBe("v2 from local");
  });

  test("they do not join a flight that began before them", async () => {
    const own = stage({ ...ONE, isolates: 2 });
    await own.ask(0);
    const before = await own.begin("get", 1);
    await own.apply(before, "read L");
    await own.pass(await own.begin("inv", 0), "write L");
    const after = await own.begin("after", 1);
    expect(own.open(after)).toEqual(["read L"]);
    await own.rest();
    expect(before.answers).toEqual([{ version: 1, source: "L" }]);
    expect(after.answers).toEqual([{ version: 2, source: "load" }]);
    expect(await own.ask(1)).toBe("v2 from local");
  });

  test("they do not share the load of a refresh that began before them", async () => {
    const own = stage(ONE);
    await own.ask(0);
    const refresh = await own.begin("refresh", 1);
    await own.pass(refresh, "read L");
    await own.apply(refresh, "load source");
    await own.pass(await own.begin("inv", 0), "write L");
    const after = await own.begin("after", 1);
    await own.pass(after, "read L");
    expect(own.open(after)).toEqual(["load source"]);
    await own.rest();
    expect(after.answers).toEqual([{ version: 3, source: "load" }]);
    expect(own.verdict()).toBeUndefined();
  });

  test.each(["before", "after"])("nor do they by way of a flight that began after them, if they join it %s it shares that load", async (when) => {
    const own = stage(ONE);
    await own.ask(0);
    const refresh = await own.begin("refresh", 1);
    await own.pass(refresh, "read L");
    await own.apply(refresh, "load source");
    await own.pass(await own.begin("inv", 0, { x: 5 }), "write L");
    // The invalidation was of both keys; the view is made here, with the other one.
    const other = await own.begin("after", 1, { key: 1 });
    await own.pass(other, "read L", "load source", "write L");
    const plain = await own.begin("get", 1);
    const early = when === "before" ? await own.begin("after", 1) : undefined;
    if (early) expect(own.open(early)).toEqual([]);
    await own.pass(plain, "read L");
    expect(own.open(plain)).toEqual([]);
    const after = early ?? (await own.begin("after", 1));
    await own.answer(refresh, "load source");
    expect(plain.answers).toEqual([{ version: 2, source: "load" }]);
    await own.rest();
    expect(after.answers).toEqual([{ version: 3, source: "load" }]);
    expect(own.verdict()).toBeUndefined();
  });

  test.each([IF_ERROR, WHILE_LOADING])("they do not fall back on a stale local copy (windows %i)", async (windows) => {
    const own = stage(ONE, windows);
    await own.ask(1);
    await own.pass(await own.begin("inv", 0), "write L");
    await own.advance(TIMES.local);
    const after = await own.begin("after", 1);
    await own.lose(after, "read L");
    await own.lose(after, "read L");
    await own.lose(after, "load source");
    expect(after.answers).toEqual([]);
    expect(after.failed).toBe(true);
  });

  test("they do not get the stale local copy of a flight that began after them either", async () => {
    const own = stage(ONE, IF_ERROR);
    await own.ask(1);
    await own.pass(await own.begin("inv", 0, { x: 5 }), "write L");
    // The invalidation was of both keys; the view is made here, with the other one.
    await own.begin("after", 1, { key: 1 });
    await own.rest();
    await own.advance(TIMES.local);
    const plain = await own.begin("get", 1);
    const after = await own.begin("after", 1);
    // It shares the load; what the flight falls back on is for those who take old copies, and it asks anew.
    expect(own.open(after)).toEqual([]);
    for (const op of [plain, after]) {
      await own.lose(op, "read L");
      await own.lose(op, "read L");
      await own.lose(op, "load source");
    }
    expect(plain.answers).toEqual([{ version: 1, source: "local", stale: true }]);
    expect(after.answers).toEqual([]);
    expect(after.failed).toBe(true);
  });

  test("nor that of a flight that took over from a dead one", async () => {
    const own = stage(ONE, IF_ERROR);
    await own.ask(1);
    await own.pass(await own.begin("inv", 0, { x: 5 }), "write L");
    await own.begin("after", 1, { key: 1 });
    await own.rest();
    await own.advance(TIMES.local);
    const dead = await own.begin("after", 1);
    const plain = await own.begin("get", 1);
    const after = await own.begin("after", 1);
    own.kill(dead);
    await own.advance(2 * BEAT_MS * LEASE_BEATS);
    expect([own.open(plain), own.open(after)]).toEqual([["read L"], []]);
    for (const op of [plain, after]) {
      await own.lose(op, "read L");
      await own.lose(op, "read L");
      await own.lose(op, "load source");
    }
    expect(plain.answers).toEqual([{ version: 1, source: "local", stale: true }]);
    expect(after.answers).toEqual([]);
    expect(after.failed).toBe(true);
  });
});

describe("stale copies", () => {
  test("they answer where the source fails", async () => {
    const own = stage({ tiers: [strong(12)] }, IF_ERROR);
    await own.ask(0);
    await own.advance(12_000);
    const get = await own.begin("get", 0);
    await own.pass(get, "read L");
    await own.lose(get, "load source");
    expect(get.answers).toEqual([{ version: 1, source: expect.any(String), stale: true }]);
    await own.advance(TIMES.ifError);
    const late = await own.begin("get", 0);
    await own.pass(late, "read L");
    await own.lose(late, "load source");
    expect(late.answers).toEqual([]);
  });

  test("a flight that read a tombstone does not fall back on its isolate's stale copy", async () => {
    const own = stage(ONE, IF_ERROR);
    await own.ask(1);
    await own.pass(await own.begin("inv", 0), "write L");
    await own.advance(TIMES.local);
    const get = await own.begin("get", 1);
    await own.pass(get, "read L");
    await own.lose(get, "load source");
    expect(get.answers).toEqual([]);
    expect(get.failed).toBe(true);
  });

  test("a flight that read another generation does not fall back on its isolate's stale copy", async () => {
    const own = stage({ ...ONE, tagged: true }, IF_ERROR);
    await own.ask(1);
    await own.pass(await own.begin("node", 0), "raise L");
    await own.advance(TIMES.local);
    const get = await own.begin("get", 1);
    await own.pass(get, "read L");
    await own.lose(get, "load source");
    expect(get.answers).toEqual([]);
    expect(get.failed).toBe(true);
  });

  test("a flight that read another generation in the right tier does not fall back on the stale copy of the left one", async () => {
    const own = stage({ ...TWO, tagged: true, local: false }, IF_ERROR);
    await own.ask(0);
    await own.advance(61_000);
    const raise = await own.begin("node", 0);
    await own.pass(raise, "raise R");
    await own.lose(raise, "raise L");
    const get = await own.begin("get", 1);
    await own.pass(get, "read L", "read R");
    await own.lose(get, "load source");
    expect(get.answers).toEqual([]);
    expect(get.failed).toBe(true);
  });

  test("a stale copy whose window closes while the source is asked is no answer", async () => {
    const own = stage({ tiers: [strong(12)] }, IF_ERROR);
    await own.ask(0);
    await own.advance(12_000);
    const get = await own.begin("get", 0);
    await own.pass(get, "read L");
    await own.advance(TIMES.ifError);
    await own.lose(get, "load source");
    expect(get.answers).toEqual([]);
    expect(get.failed).toBe(true);
  });

  test("a stale copy is no answer once the tombstone was read, though a generation has yet to be made", async () => {
    const own = stage(ONE, WHILE_LOADING);
    const first = await own.begin("get", 1);
    await own.pass(first, "read L");
    await own.lose(first, "ensure L");
    await own.pass(first, "load source");
    await own.advance(TIMES.local);
    await own.pass(await own.begin("inv", 0), "write L");
    const early = await own.begin("get", 1);
    expect(early.answers).toEqual([{ version: 1, source: "local", stale: true }]);
    await own.pass(early, "read L");
    expect(own.open(early)).toEqual(["ensure L"]);
    const late = await own.begin("get", 1);
    expect(late.answers).toEqual([]);
    await own.rest();
    expect(late.answers).toEqual([{ version: 2, source: "load" }]);
    expect(own.verdict()).toBeUndefined();
  });

  test("a slow load is not waited for where a stale copy may answer", async () => {
    const own = stage({ tiers: [strong(12)], local: false }, WHILE_LOADING);
    await own.ask(0);
    await own.advance(12_000 + TIMES.whileLoading);
    const get = await own.begin("get", 0);
    await own.pass(get, "read L");
    expect(get.answers).toEqual([]);
    await own.advance(TIMES.soft);
    expect(get.answers).toEqual([{ version: 1, source: "L", stale: true }]);
    await own.rest();
    expect(own.holds("L")).toBe("v1");
    expect(await own.ask(0)).toBe("v1 from L");
  });

  test("nor does a later flight, once an earlier one has read the tombstone", async () => {
    const own = stage(ONE, IF_ERROR);
    await own.ask(1);
    await own.pass(await own.begin("inv", 0), "write L");
    await own.advance(TIMES.local);
    const told = await own.begin("get", 1);
    await own.pass(told, "read L");
    await own.lose(told, "load source");
    const later = await own.begin("get", 1);
    await own.lose(later, "read L");
    await own.lose(later, "read L");
    await own.lose(later, "load source");
    expect(later.answers).toEqual([]);
    expect(own.verdict()).toBeUndefined();
  });

  test.each(["before", "after"])("nor does a flight that began %s a refresh read the tombstone", async (when) => {
    const own = stage(ONE, IF_ERROR);
    await own.ask(1);
    await own.pass(await own.begin("inv", 0), "write L");
    await own.advance(TIMES.local);
    const refresh = await own.begin("refresh", 1);
    const early = when === "before" ? await own.begin("get", 1) : undefined;
    await own.pass(refresh, "read L");
    await own.lose(refresh, "load source");
    const get = early ?? (await own.begin("get", 1));
    await own.lose(get, "read L");
    await own.lose(get, "read L");
    await own.lose(get, "load source");
    expect(get.answers).toEqual([]);
    expect(get.failed).toBe(true);
  });

  test("a stale copy that answers while the source is asked is stored nowhere", async () => {
    const own = stage(TWO, WHILE_LOADING);
    await own.ask(0);
    own.clearLocal(0);
    await own.advance(100_500);
    const get = await own.begin("get", 0);
    await own.pass(get, "read L", "read R");
    expect(get.answers).toEqual([{ version: 1, source: "R", stale: true }]);
    expect(own.open(get)).toEqual(["load source"]);
    await own.lose(get, "load source");
    expect(own.open(get)).toEqual([]);
    expect(own.holds("L")).toBe("nothing");
    expect(await own.ask(0)).toBe("stale v1 from R");
  });

  test("a stale copy is no answer once its key was invalidated in its isolate", async () => {
    const own = stage(ONE, WHILE_LOADING);
    await own.ask(0);
    await own.advance(TIMES.local);
    await own.pass(await own.begin("inv", 0), "write L");
    expect(await own.ask(0)).toBe("v2 from load");
  });
});

describe("what servers must do, and what bounds a weak one", () => {
  test("a slot that has expired is absent to a conditional write as well, pruned or not", async () => {
    const own = stage({ ...ONE, local: false });
    await own.ask(0);
    await own.advance(100_000);
    expect(own.holds("L")).toBe("nothing");
    expect(await own.ask(0)).toBe("v1 from load");
    expect(own.holds("L")).toBe("v1");
  });

  test("a refresh that was refused writes its older value to a weak tier, for no longer than its ttl from then", async () => {
    const own = stage({ tiers: [weak(15), strong(60)], local: false });
    const refresh = await own.begin("refresh", 0);
    await own.pass(refresh, "read L", "read R", "ensure R", "load source");
    const set = await own.begin("set", 1);
    await own.pass(set, "read L", "read R", "write R", "write L");
    await own.pass(refresh, "write R");
    expect(own.holds("R")).toBe("v3");
    await own.pass(refresh, "write R", "write L");
    expect([own.holds("L"), own.holds("R")]).toEqual(["v2", "tombstone"]);
    const get = await own.begin("get", 1);
    await own.pass(get, "read L");
    expect(get.answers).toEqual([{ version: 2, source: "L" }]);
    await own.advance(15_000);
    expect(await own.ask(1)).toBe("v3 from load");
    expect(own.verdict()).toBeUndefined();
  });
});

describe("requests that die", () => {
  test("one of two followers takes over a dead leader, and the other follows it", async () => {
    const own = stage({ ...ONE, isolates: 1 });
    const leader = await own.begin("get", 0);
    const followers = [await own.begin("get", 0), await own.begin("get", 0)];
    own.kill(leader);
    await own.advance(2 * BEAT_MS * LEASE_BEATS);
    expect(followers.map((op) => own.open(op)).filter((open) => open.length > 0)).toEqual([["read L"]]);
    await own.rest();
    expect(followers.map((op) => op.answers)).toEqual([[{ version: 1, source: "load" }], [{ version: 1, source: "load" }]]);
    expect(followers.reduce((sum, op) => sum + (op.calls.get("load source") ?? 0), 0)).toBe(1);
  });

  test("a leader that is alive and slow keeps its followers", async () => {
    const own = stage({ ...ONE, isolates: 1 });
    const leader = await own.begin("get", 0);
    const follower = await own.begin("get", 0);
    await own.pass(leader, "read L", "ensure L");
    await own.advance(10_000);
    expect(own.open(follower)).toEqual([]);
    await own.rest();
    expect(follower.calls.size).toBe(0);
    expect(follower.answers).toEqual([{ version: 1, source: "load" }]);
  });

  test("a flight that settled and whose request died is joined for one storage budget, no longer", async () => {
    const own = stage({ ...ONE, isolates: 1, local: false });
    const leader = await own.begin("get", 0);
    await own.pass(leader, "read L", "ensure L", "load source");
    own.kill(leader);
    const early = await own.begin("get", 0);
    expect(early.answers).toEqual([{ version: 1, source: "load" }]);
    expect(early.calls.size).toBe(0);
    await own.advance(TIMES.budget + 1);
    const late = await own.begin("get", 0);
    expect(own.open(late)).toEqual(["read L"]);
  });

  test("a key stays in flight until its write has landed", async () => {
    const own = stage({ ...ONE, isolates: 1, local: false });
    const leader = await own.begin("get", 0);
    await own.pass(leader, "read L", "ensure L", "load source");
    await own.apply(leader, "write L");
    const joined = await own.begin("get", 0);
    expect(joined.answers).toEqual([{ version: 1, source: "load" }]);
    await own.answer(leader, "write L");
    const later = await own.begin("get", 0);
    expect(own.open(later)).toEqual(["read L"]);
  });

  test("a get that shares the load of a dead refresh loads by itself within two leases", async () => {
    const own = stage({ ...ONE, isolates: 1 });
    const refresh = await own.begin("refresh", 0);
    await own.pass(refresh, "read L", "ensure L");
    const get = await own.begin("get", 0);
    await own.pass(get, "read L");
    expect(own.open(get)).toEqual([]);
    own.kill(refresh);
    await own.advance(2 * BEAT_MS * LEASE_BEATS);
    expect(own.open(get)).toEqual(["load source"]);
  });

  test("a refresh that waits for a dead one takes over", async () => {
    const own = stage({ ...ONE, isolates: 1 });
    const dead = await own.begin("refresh", 0);
    const waiting = await own.begin("refresh", 0);
    own.kill(dead);
    await own.advance(2 * BEAT_MS * LEASE_BEATS);
    expect(own.open(waiting)).toEqual(["read L"]);
    await own.rest();
    expect(waiting.answers).toEqual([{ version: 3, source: undefined }]);
    expect(own.verdict()).toBeUndefined();
  });

  test("a set that waits for a dead one takes its turn", async () => {
    const own = stage({ ...ONE, isolates: 1 });
    const dead = await own.begin("set", 0);
    const waiting = await own.begin("set", 0);
    expect(own.open(waiting)).toEqual([]);
    own.kill(dead);
    await own.advance(2 * BEAT_MS * LEASE_BEATS);
    expect(own.open(waiting)).toEqual(["read L"]);
    await own.rest();
    expect(own.holds("L")).toBe("v3");
    expect(own.verdict()).toBeUndefined();
  });
});
