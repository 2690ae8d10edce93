/**
 * The checker itself, on histories made by hand: what it has to find, and what it has to let pass. The key `near:0` has local
 * copies that live 100 ms, `far:0` has none. Version 1 came in by the load of operation 1, and operation 50 put version 2 in
 * its place, from 100 to 110, on Worker 0.
 *
 * @module
 */
import { describe, expect, test } from "vitest";
import { check, tell, type Act, type Rules } from "./checker.ts";

const RULES: Rules = {
  localTtlMs: (name) => (name === "near:0" ? 100 : 0),
  askedBy: (from) => (from.startsWith("load by ") ? Number(from.slice(8)) : undefined),
};

function act(id: number, worker: number, op: string, startAt: number, endAt: number, more: Partial<Act> = {}): Act {
  return { id, worker, name: "near:0", op, startAt, endAt, landedAt: endAt, ...more };
}

const OLD = { version: 1, from: "load by 1" };
const NEW = { version: 2, from: "load by 60" };
const CHANGE = act(50, 0, "invalidate", 100, 110, { floor: 2 });
/** Got the old value on the other Worker, in time. */
const EARLY = act(1, 1, "get", 50, 60, { value: OLD, way: "untold" });

/** A refresh that loads the old value, and a flight that began after the change and shares its load. */
const LOADING = act(1, 1, "refresh", 50, 150, { value: OLD });
const SHARING = act(70, 1, "get", 112, 160, { value: OLD, way: "load" });

function read(startAt: number, worker: number, way: Act["way"], value = OLD): Act {
  return act(99, worker, "lookup", startAt, startAt + 5, { value, way });
}

/** What the checker says of the last act. */
function judge(...acts: readonly Act[]): string {
  const { violations, excused } = check(acts, RULES);
  const violation = violations.find((one) => one.read === acts.at(-1));
  if (violation) return violation.rule;
  return Object.entries(excused).find(([, count]) => count > 0)?.[0] ?? "fine";
}

const FOREIGN = "another Worker had changed it";
const OWN = "the same Worker had changed it";

describe("the checker", () => {
  test.each<[string, string, readonly Act[]]>([
    ["the new value, after the change", "fine", [EARLY, act(60, 1, "get", 111, 115, { value: NEW, way: "load" }), read(120, 1, "remote", NEW)]],
    ["the old value, by a read that began before the change had resolved", "fine", [EARLY, read(109, 1, "remote")]],
    ["the old value from the store, after the change", FOREIGN, [EARLY, read(111, 1, "remote")]],
    [
      "the old value from the store, by somebody whose Worker made the change",
      OWN,
      [act(1, 0, "get", 50, 60, { value: OLD, way: "load" }), read(111, 0, "remote")],
    ],
    ["the old value from a local tier, where the change was made", OWN, [act(1, 0, "get", 50, 60, { value: OLD, way: "load" }), read(111, 0, "local")]],
    ["a local copy within its ttl", "a local copy", [EARLY, read(161, 1, "local")]],
    ["a local copy beyond its ttl", FOREIGN, [EARLY, read(163, 1, "local")]],
    ["a local copy that nobody of that Worker had got in time", FOREIGN, [{ ...EARLY, worker: 0 }, read(111, 1, "local")]],
    ["a local copy that was made after the change", FOREIGN, [act(1, 1, "get", 111, 115, { value: OLD, way: "load" }), read(120, 1, "local")]],
    ["a local copy of a flight that lasted longer than the change", "a local copy", [{ ...EARLY, endAt: 150, landedAt: 150 }, read(240, 1, "local")]],
    ["an old value of a get that may have been local", "a local copy", [EARLY, read(161, 1, "untold")]],
    ["an old value of a get that cannot have been local", FOREIGN, [EARLY, read(163, 1, "untold")]],
    ["a flight that was joined before its writes had landed", "a flight that was joined", [{ ...EARLY, landedAt: 130 }, read(129, 1, "joined")]],
    ["a flight that was joined after its writes had landed", FOREIGN, [{ ...EARLY, landedAt: 130 }, read(131, 1, "joined")]],
    ["a flight that was joined though it began after the change", FOREIGN, [act(1, 1, "get", 111, 140, { value: OLD, way: "load" }), read(120, 1, "joined")]],
    ["a local copy, said to be from the store", FOREIGN, [EARLY, read(120, 1, "remote")]],
    ["the load of a refresh that began before the change", "a refresh whose load was shared", [LOADING, read(120, 1, "load")]],
    ["the same, when the refresh has ended", FOREIGN, [act(1, 1, "refresh", 50, 115, { value: OLD }), read(120, 1, "load")]],
    [
      "the load of a refresh that was then rejected",
      "a refresh whose load was shared",
      [act(1, 1, "refresh", 50, 150, { rejected: true }), read(120, 1, "load")],
    ],
    ["the load of another Worker's refresh", FOREIGN, [act(1, 0, "refresh", 50, 150, { value: OLD }), read(120, 1, "load")]],
    ["the load of a refresh that began after the change", FOREIGN, [act(1, 1, "refresh", 111, 150, { rejected: true }), read(120, 1, "load")]],
    ["a value from the store, while a refresh that loaded it runs", FOREIGN, [LOADING, read(120, 1, "remote")]],
    ["a flight that was joined, and had shared the load of a refresh", "a refresh whose load was shared", [LOADING, SHARING, read(155, 1, "joined")]],
    ["the same, after the flight had landed", FOREIGN, [LOADING, SHARING, read(165, 1, "joined")]],
    ["the same, if the flight began when the refresh had ended", FOREIGN, [LOADING, { ...SHARING, startAt: 151 }, read(155, 1, "joined")]],
    ["a value from the store, while a flight that shared it runs", FOREIGN, [LOADING, SHARING, read(155, 1, "remote")]],
    [
      "a set that ran while the change did",
      "a set raced",
      [act(2, 1, "set", 90, 101, { value: { version: 1, from: "set 2" }, floor: 1 }), read(300, 1, "remote", { version: 1, from: "set 2" })],
    ],
    [
      "a set that had ended before the change began",
      FOREIGN,
      [act(2, 1, "set", 90, 99, { value: { version: 1, from: "set 2" }, floor: 1 }), read(300, 1, "remote", { version: 1, from: "set 2" })],
    ],
    [
      "a set that was rejected, whenever it reached the store",
      "a set raced",
      [act(2, 1, "set", 90, 99, { value: { version: 1, from: "set 2" }, rejected: true }), read(300, 1, "remote", { version: 1, from: "set 2" })],
    ],
    ["a value that nobody made", "a value of this key that nobody made", [read(50, 1, "remote", { version: 9, from: "set 7" })]],
    [
      "a refresh that joined a load from before it",
      "a refresh gave what stood in the source before it began",
      [act(60, 1, "refresh", 100, 150, { value: OLD, floor: 1, least: 2 })],
    ],
  ])("judges %s: %s", (_, verdict, acts) => {
    expect(judge(CHANGE, ...acts)).toBe(verdict);
  });

  test("lets no local copy pass where there is no local tier", () => {
    const far = (one: Act): Act => ({ ...one, name: "far:0" });
    const late = { ...EARLY, endAt: 110, landedAt: 110 };
    expect(judge(CHANGE, late, read(111, 1, "untold"))).toBe("a local copy");
    expect(judge(far(CHANGE), far(late), far(read(111, 1, "untold")))).toBe(FOREIGN);
  });

  test("asks for an excuse from the first change that was missed, not from the last", () => {
    const earlier = act(40, 0, "invalidate", 20, 30, { floor: 2 });
    expect(judge(earlier, CHANGE, EARLY, read(120, 1, "local"))).toBe(FOREIGN);
  });

  test("finds changes in whatever order they were written down", () => {
    const later = act(55, 0, "invalidate", 200, 210, { floor: 2 });
    expect(judge(later, CHANGE, EARLY, read(150, 1, "remote"))).toBe(FOREIGN);
  });

  test("holds nobody to a change that was rejected, and keeps keys apart", () => {
    expect(judge({ ...CHANGE, floor: undefined, rejected: true }, EARLY, read(300, 1, "remote"))).toBe("fine");
    expect(judge({ ...CHANGE, name: "near:1" }, EARLY, read(300, 1, "remote"))).toBe("fine");
  });

  test("tells a violation with what happened around it", () => {
    const acts = [CHANGE, EARLY, read(111, 1, "remote")];
    const [violation] = check(acts, RULES).violations;
    expect(violation && tell(violation, acts).split("\n")).toEqual([
      "near:0: another Worker had changed it",
      "    get #1 on 1: 50.0 to 60.0, landed 60.0; v1 (load by 1, untold)",
      "  ! invalidate #50 on 0: 100.0 to 110.0, landed 110.0; nothing below v2",
      "  > lookup #99 on 1: 111.0 to 116.0, landed 116.0; v1 (load by 1, remote)",
    ]);
  });
});
