/** Single calls through a guard: the probe's lease, reads that are tried once more, and what no later call mends. */

import { inspect } from "node:util";
import { describe, expect, test } from "vitest";
import { isCacheError } from "../src/errors.ts";
import { createEmitter } from "../src/events.ts";
import type { CacheEvent, NotReadyReason } from "../src/events.ts";
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

describe("what no later call mends", () => {
  const error = (message: string, over: object = {}): Error => Object.assign(new Error(message), over);
  const mongo = (code: number, codeName: string): Error => error("command failed", { name: "MongoServerError", code, codeName });
  const said: readonly (readonly [string, NotReadyReason, unknown])[] = [
    ["Postgres", "credentials", error('password authentication failed for user "canary"', { code: "28P01" })],
    ["Postgres without such a role", "credentials", error('role "canary" does not exist', { code: "28000" })],
    ["MySQL", "credentials", error("Access denied for user 'canary'@'h' (using password: YES)", { code: "ER_ACCESS_DENIED_ERROR", errno: 1045 })],
    ["PlanetScale", "credentials", error("invalid authentication credentials", { name: "DatabaseError", status: 401 })],
    ["Redis without a password", "credentials", error("NOAUTH Authentication required.")],
    ["Redis", "credentials", error("WRONGPASS invalid username-password pair or user is disabled.")],
    ["Upstash", "credentials", error('Unauthorized, command was: ["get","canary"]')],
    ["libSQL", "credentials", error("SERVER_ERROR: Server returned HTTP status 401", { code: "SERVER_ERROR" })],
    ["the Data API", "credentials", error("find was answered with 401 (InvalidKey)", { code: "InvalidKey" })],
    ["MongoDB", "credentials", mongo(18, "AuthenticationFailed")],
    ["MongoDB about rights", "rights", mongo(13, "Unauthorized")],
    ["MongoDB about room", "room", mongo(14_031, "OutOfDiskSpace")],
    ["Postgres about rights", "rights", error("permission denied for table cacheme", { code: "42501" })],
    ["MySQL about rights", "rights", error("SELECT command denied to user 'canary'@'h'", { code: "ER_TABLEACCESS_DENIED_ERROR", errno: 1142 })],
    ["PlanetScale about rights", "rights", error("target: db.-.primary: vttablet: rpc error: INSERT denied to user 'canary' (errno 1142) (sqlstate 42000)")],
    ["Redis about rights", "rights", error("NOPERM this user has no permissions to run the 'canary' command")],
    ["SQLite about rights", "rights", error("attempt to write a readonly database", { code: "ERR_SQLITE_ERROR" })],
    ["a server about rights", "rights", error("Server returned HTTP status 403")],
    ["Redis about room", "room", error("OOM command not allowed when used memory > 'maxmemory'.")],
    ["SQLite about room", "room", error("database or disk is full", { code: "ERR_SQLITE_ERROR" })],
    ["Postgres about room", "room", error("could not extend file: No space left on device", { code: "53100" })],
    ["MySQL about room", "room", error("The table 'canary' is full", { code: "ER_RECORD_FILE_FULL", errno: 1114 })],
    ["the system about room", "room", error("write ENOSPC", { code: "ENOSPC", errno: -28 })],
    ["ioredis", "closed", error("Connection is closed.")],
    ["node-redis", "closed", error("The client is closed")],
    ["pg", "closed", error("Cannot use a pool after calling end on the pool")],
    ["mysql2", "closed", error("Pool is closed.")],
    ["libSQL's client", "closed", error("UNKNOWN: Client is closed: ClientError: Client was manually closed", { code: "UNKNOWN" })],
    ["node:sqlite", "closed", error("database is not open", { code: "ERR_INVALID_STATE" })],
    ["MongoDB's client", "closed", error("Client must be connected before running operations", { name: "MongoNotConnectedError" })],
    ["a driver that wraps", "credentials", error("Failed query", { cause: error("no", { code: "28P01" }) })],
    ["a driver that throws text", "room", "database or disk is full"],
  ];

  test.each(said)("as %s says it (%s) is one event a minute, whose message says what to do", async (_name, reason, thrown) => {
    const { clock, events, ask } = bench({ breaker: false }, "create table");
    for (let call = 0; call < 5; call++) await failure(ask(() => Promise.reject(thrown)));
    expect(events).toMatchObject([{ type: "storage-not-ready", storage: "far", reason }]);
    expect(events[0]).not.toHaveProperty("setup");
    expect(String(events[0] && "error" in events[0] ? events[0].error : "")).toMatch(/ \(its .+: .+\)$| \(it .+: .+\)$/);
    expect(inspect(events, { depth: 9 })).not.toContain("canary");
    await clock.advance(59_999);
    await failure(ask(() => Promise.reject(thrown)));
    expect(events.length).toBe(1);
    await clock.advance(1);
    await failure(ask(() => Promise.reject(thrown)));
    expect(events.length).toBe(2);
  });

  test("is told apart: one does not hide another", async () => {
    const { events, ask } = bench({ breaker: false });
    for (const message of ["NOAUTH", "OOM", "NOAUTH", "OOM", "Pool is closed."]) await failure(ask(() => Promise.reject(error(message))));
    expect(events.map((event) => "reason" in event && event.reason)).toEqual(["credentials", "room", "closed"]);
  });

  test("makes a read try once, but for a connection that was lost, which may have been opened anew", async () => {
    for (const [message, sent] of [
      ["WRONGPASS", 1],
      ["Connection is closed.", 2],
    ] as const) {
      const { ask } = bench({ breaker: false });
      let asked = 0;
      const run = async (): Promise<never> => {
        asked++;
        throw error(message);
      };
      await failure(ask(run, "read"));
      expect([message, asked]).toEqual([message, sent]);
    }
  });

  test("is not read out of what may be a key or a value, nor out of other numbers", async () => {
    const others = [
      error("cannot parse 'OOM; WRONGPASS; Pool is closed; database or disk is full; status 401'"),
      error('no slot for "no space left on device"'),
      error("connect ECONNREFUSED 127.0.0.1:1045", { code: "ECONNREFUSED", errno: -111 }),
      error("failed", { code: 18 }),
      error("Server returned HTTP status 4010"),
      error("GOOMBA NOAUTHOR"),
    ];
    const { events, ask } = bench({ breaker: false });
    for (const other of others) await failure(ask(() => Promise.reject(other)));
    expect(events.map(({ type }) => type)).toEqual(others.map(() => "storage-failed"));
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
    [{ timeout: 0 }, "timeout must be from 1 to 2147483647 ms, got 0"],
    // A host's timer would fire at once.
    [{ timeout: Number.MAX_SAFE_INTEGER }, "timeout must be from 1 to 2147483647 ms, got 9007199254740991"],
    [{ timeout: "25d" }, 'timeout must be from 1 to 2147483647 ms, got "25d"'],
    [{ timeout: Number.POSITIVE_INFINITY }, "timeout must be a finite duration"],
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
