/** Single calls through a guard: the probe's lease, reads that are tried once more, and a table that is missing. */

import { describe, expect, test } from "vitest";
import { isCacheError } from "../src/errors.ts";
import { createEmitter } from "../src/events.ts";
import type { CacheEvent } from "../src/events.ts";
import { createGuard, guardOf, PROBE_GRACE_MS } from "../src/storage-guard.ts";
import type { Guard, Operation } from "../src/storage-guard.ts";
import type { GuardOptions } from "../src/types.ts";
import { fakeClock } from "./support/fake-clock.ts";
import type { FakeClock } from "./support/fake-clock.ts";
import { failure, isSettled, rig, counted } from "./support/rig.ts";
import { stub } from "./support/storages.ts";

interface Bench {
  readonly clock: FakeClock;
  readonly events: CacheEvent[];
  readonly guard: Guard;
  ask(run: () => Promise<unknown>, operation?: Operation): Promise<unknown>;
}

const BUDGET_MS = 200;
const fails = async (): Promise<never> => {
  throw new Error("connect ECONNREFUSED");
};
const never = (): Promise<never> => new Promise(() => undefined);

function bench(options: GuardOptions = {}, setup?: string): Bench {
  const clock = fakeClock();
  const events: CacheEvent[] = [];
  const storage = stub({ setup });
  const guard = createGuard(
    { clock, emitter: createEmitter((event) => void events.push(event)) },
    "far",
    storage,
    guardOf(storage, { timeout: BUDGET_MS, ...options }),
  );
  return { clock, events, guard, ask: (run, operation = "write") => guard.call({ operation, secrets: [], run, check: () => undefined }) };
}

describe("the lease of a probe whose request was killed", () => {
  test("ends after its budget and 400 ms: until then everybody is refused at once, then one may probe", async () => {
    expect(PROBE_GRACE_MS).toBe(400);
    const { clock, events, ask } = bench({ breaker: { failures: 1, coolDown: "1s" } });
    await failure(ask(fails));
    await clock.advance(1_000);
    void clock.killed(() => ask(never));
    expect(clock.pending).toBe(0);
    await clock.advance(BUDGET_MS + PROBE_GRACE_MS - 1);
    let sent = 0;
    const counts = async (): Promise<number> => ++sent;
    expect(String(await failure(ask(counts)))).toContain("breaker is open");
    expect(sent).toBe(0);
    await clock.advance(1);
    const all = Array.from({ length: 100 }, () => ask(counts).catch(() => undefined));
    expect(sent).toBe(1);
    expect((await Promise.all(all)).filter((value) => value === 1).length).toBe(1);
    expect(events.map(({ type }) => type)).toEqual(["storage-failed", "breaker-opened", "breaker-closed"]);
    expect(await ask(counts)).toBe(2);
  });

  test("passes on: of five probes that die in a row each costs a lease, and the sixth closes it", async () => {
    const { clock, ask } = bench({ breaker: { failures: 1, coolDown: "1s" } });
    await failure(ask(fails));
    await clock.advance(1_000);
    for (let death = 0; death < 5; death++) {
      let begun = false;
      void clock.killed(() => ask(() => ((begun = true), never())));
      expect(begun).toBe(true);
      await clock.advance(BUDGET_MS + PROBE_GRACE_MS);
    }
    expect(await ask(async () => "healed")).toBe("healed");
    expect(await ask(async () => "open to all")).toBe("open to all");
  });

  test("what a probe says after its lease neither closes nor reopens", async () => {
    const { clock, events, ask } = bench({ timeout: "10s", breaker: { failures: 1, coolDown: "1s" } });
    await failure(ask(fails));
    await clock.advance(1_000);
    const slow = Promise.withResolvers<string>();
    const first = clock.killed(() => ask(() => slow.promise));
    await clock.advance(10_000 + PROBE_GRACE_MS);
    const second = ask(never);
    slow.resolve("late");
    expect(await first).toBe("late");
    expect(await isSettled(second)).toBe(false);
    expect(isCacheError(await failure(ask(fails)), "ERR_STORAGE_WRITE")).toBe(true);
    expect(events.map(({ type }) => type)).toEqual(["storage-failed", "breaker-opened"]);
  });

  test("calls that were under way when it opened do not count once it has closed", async () => {
    const { clock, events, ask } = bench({ breaker: { failures: 2, coolDown: 50 } });
    const old = Array.from({ length: 4 }, () => failure(ask(never)));
    await failure(ask(fails));
    await failure(ask(fails));
    await clock.advance(50);
    await ask(async () => "probe");
    await clock.advance(BUDGET_MS);
    await Promise.all(old);
    expect(await ask(async () => "still closed")).toBe("still closed");
    expect(events.filter(({ type }) => type === "breaker-opened").length).toBe(1);
  });
});

describe("a read that fails", () => {
  async function attempts(operation: Operation, run: (clock: FakeClock, nth: number) => Promise<unknown>): Promise<[sent: number, outcome: unknown]> {
    const { clock, ask } = bench();
    let sent = 0;
    const outcome = ask(() => run(clock, ++sent), operation).catch((error: unknown) => error);
    await clock.advance(BUDGET_MS);
    return [sent, await outcome];
  }
  const failsFirst = async (_clock: FakeClock, nth: number): Promise<string> => (nth === 1 ? fails() : "second");
  const after = (ms: number) => async (clock: FakeClock, nth: number) => {
    await new Promise<void>((resolve) => void clock.setTimeout(resolve, ms));
    return failsFirst(clock, nth);
  };

  test("at once is tried once more, also where it was thrown, and no third time", async () => {
    expect(await attempts("read", failsFirst)).toEqual([2, "second"]);
    const throwing = (clock: FakeClock, nth: number): Promise<unknown> => {
      if (nth === 1) throw new Error("at once");
      return failsFirst(clock, nth);
    };
    expect(await attempts("read", throwing)).toEqual([2, "second"]);
    const [sent, error] = await attempts("read", fails);
    expect([sent, isCacheError(error, "ERR_STORAGE_READ")]).toEqual([2, true]);
  });

  test("is tried again while half of its budget is left, and not later", async () => {
    expect(await attempts("read", after(BUDGET_MS / 2 - 1))).toEqual([2, "second"]);
    expect((await attempts("read", after(BUDGET_MS / 2 + 1)))[0]).toBe(1);
  });

  test("is not tried again after its budget, and both attempts share one budget", async () => {
    expect((await attempts("read", never))[0]).toBe(1);
    const { clock, ask } = bench();
    let sent = 0;
    const shared = failure(ask(() => (++sent === 1 ? fails() : never()), "read"));
    await clock.advance(BUDGET_MS - 1);
    expect([sent, await isSettled(shared)]).toEqual([2, false]);
    await clock.advance(1);
    expect(isCacheError(await shared, "ERR_STORAGE_TIMEOUT")).toBe(true);
  });

  test("because its budget ended is not tried again, even on a clock that stands still", async () => {
    const timers = fakeClock();
    const storage = stub();
    const guard = createGuard({ clock: { ...timers, monotonic: () => 0 }, emitter: createEmitter(undefined) }, "far", storage, guardOf(storage, {}));
    let sent = 0;
    const run = (signal: AbortSignal): Promise<never> => {
      sent++;
      return new Promise((_, reject) => signal.addEventListener("abort", () => reject(new Error("aborted"))));
    };
    const error = failure(guard.call({ operation: "read", secrets: [], run, check: () => undefined }));
    await timers.advance(1_000);
    expect(isCacheError(await error, "ERR_STORAGE_TIMEOUT")).toBe(true);
    expect(sent).toBe(1);
  });

  test("and is no read is never tried again", async () => {
    for (const operation of ["write", "remove", "ensure", "raise"] as const) expect((await attempts(operation, failsFirst))[0]).toBe(1);
  });

  test("twice counts once towards opening", async () => {
    const { events, ask } = bench({ breaker: { failures: 3 } });
    for (let call = 0; call < 2; call++) await failure(ask(fails, "read"));
    expect(events.map(({ type }) => type)).toEqual(["storage-failed", "storage-failed"]);
  });
});

describe("a table that is missing", () => {
  const SETUP = "create table cacheme (k bytea primary key)";
  const error = (message: string, over: object = {}): Error => Object.assign(new Error(message), over);
  const said: readonly (readonly [string, unknown])[] = [
    ["Postgres", error('relation "cacheme" does not exist', { code: "42P01" })],
    ["MySQL", error("Table 'test.cacheme' doesn't exist", { code: "ER_NO_SUCH_TABLE", errno: 1146 })],
    ["MySQL by name", error("Table 'test.cacheme' doesn't exist", { code: "ER_NO_SUCH_TABLE" })],
    ["MySQL by number", error("Table 'test.cacheme' doesn't exist", { errno: 1146 })],
    ["PlanetScale", error("target: db.-.primary: vttablet: rpc error: code = NotFound desc = Table 'db.cacheme' doesn't exist (errno 1146) (sqlstate 42S02)")],
    ["SQLite", error("no such table: cacheme", { code: "ERR_SQLITE_ERROR" })],
    ["libSQL", error("SQLITE_ERROR: no such table: cacheme", { code: "SQLITE_ERROR" })],
    ["D1", error("D1_ERROR: no such table: cacheme: SQLITE_ERROR")],
    ["a driver that wraps", error("Failed query", { cause: error("relation", { code: "42P01" }) })],
  ];

  test.each(said)("as %s says it is one event a minute that holds what to run", async (_name, thrown) => {
    const { clock, events, ask } = bench({ breaker: false }, SETUP);
    let sent = 0;
    const missing = async (): Promise<never> => {
      sent++;
      throw thrown;
    };
    for (let call = 0; call < 5; call++) await failure(ask(missing, "read"));
    expect(sent).toBe(5);
    expect(events).toMatchObject([{ type: "storage-not-ready", storage: "far", setup: SETUP, error: { code: "ERR_STORAGE_READ" } }]);
    await clock.advance(59_999);
    await failure(ask(missing));
    expect(events.length).toBe(1);
    await clock.advance(1);
    await failure(ask(missing));
    expect(events.length).toBe(2);
  });

  test("counts towards opening, and other failures are reported as ever", async () => {
    const { events, ask } = bench({ breaker: { failures: 3 } });
    const [, [, thrown] = []] = said;
    await failure(ask(() => Promise.reject(thrown)));
    await failure(ask(fails));
    await failure(ask(() => Promise.reject(error("connect ECONNREFUSED 127.0.0.1:1146"))));
    expect(events.map(({ type }) => type)).toEqual(["storage-not-ready", "storage-failed", "storage-failed", "breaker-opened"]);
    expect("setup" in (events[0] ?? {})).toBe(false);
  });

  test("is a slow miss for a reader, and told without the key", async () => {
    const noTable = async (): Promise<never> => {
      throw error("no such table: cacheme near canary");
    };
    const far = stub({ read: noTable, write: noTable, setup: SETUP });
    const { cache, events } = rig({ storages: { far } });
    const Item = counted({ caches: [{ storage: "far", ttl: "1m" }] });
    expect(await cache.get(Item("canary"))).toBe("canary#1");
    expect(events.map(({ type }) => type)).toEqual(["storage-not-ready"]);
  });
});

describe("bad options", () => {
  test.each([
    [{ breaker: true }, "breaker must be an object or false, got true"],
    [{ breaker: null }, "breaker"],
    [{ breaker: { failures: 0 } }, "breaker.failures must be a whole number of at least 1, got 0"],
    [{ breaker: { failures: 1.5 } }, "breaker.failures"],
    [{ breaker: { failures: "5" } }, "breaker.failures"],
    [{ breaker: { failures: null } }, "breaker.failures"],
    [{ breaker: { coolDown: 0 } }, "breaker.coolDown must be above 0, got 0"],
    [{ breaker: { coolDown: null } }, "breaker.coolDown"],
    [{ breaker: { coolDown: "5 s" } }, "breaker.coolDown"],
    [{ breaker: { cooldown: "5s" } }, 'did you mean "coolDown"'],
    [{ braker: false }, 'did you mean "breaker"'],
  ])("%j is a TypeError that says what", (options, named) => {
    const make = (): unknown => Reflect.apply(guardOf, undefined, [stub(), options]);
    expect(make).toThrow(TypeError);
    expect(make).toThrow(named);
  });

  test("what is left out has its default", () => {
    expect(guardOf(stub(), undefined)).toEqual({ timeoutMs: 1_000, breaker: { failures: 5, coolDownMs: 5_000 } });
    expect(guardOf(stub(), { breaker: { failures: undefined, coolDown: undefined } }).breaker).toEqual({ failures: 5, coolDownMs: 5_000 });
    expect(guardOf(stub(), { breaker: false }).breaker).toBe(undefined);
  });

  test("a setup that is no text is refused", () => {
    const far = stub();
    Reflect.set(far, "setup", 5);
    expect(() => rig({ storages: { far } })).toThrow('storage "far": setup must be a string, got 5');
  });
});
