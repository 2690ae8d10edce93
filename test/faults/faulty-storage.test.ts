import { describe, expect, test } from "vitest";
import { createCache, defineNode, type CacheEvent, type WriteEntry } from "../../src/index.ts";
import { fakeClock, faultyStorage, memoryStorage, type StorageFaultName } from "../../testing/index.ts";
import { runContract } from "../contract/run-contract.ts";
import { isSettled } from "../support/rig.ts";

const FAULTS: readonly StorageFaultName[] = [
  "reject",
  "throw",
  "reject-after",
  "hang",
  "hang-forever",
  "hang-after",
  "short",
  "long",
  "nonsense",
  "swap",
  "drop",
  "garbage",
  "truncate",
];
const signal = new AbortController().signal;
const entry = (key: string, text: string): WriteEntry => ({ key, bytes: new TextEncoder().encode(text), ttlMs: null });
const textOf = (bytes: Uint8Array | undefined): string | undefined => bytes && new TextDecoder().decode(bytes);

let named = 0;

runContract("faultyStorage() that lets all pass", ["plantForeign", "plantText"], () => {
  const clock = fakeClock();
  return { storage: faultyStorage(memoryStorage({ clock })), unique: "u", pass: (ms) => clock.advance(ms) };
});

describe("faultyStorage", () => {
  test("meets what is planned first, then what holds always, until it is healed", async () => {
    const faulty = faultyStorage(memoryStorage());
    faulty.always("remove", "reject");
    faulty.plan("remove", "pass", "throw");
    await faulty.remove(["a"], signal);
    expect(() => faulty.remove(["a"], signal)).toThrow("failed on purpose");
    await expect(faulty.remove(["a"], signal)).rejects.toThrow("failed on purpose");
    await expect(faulty.remove(["a"], signal)).rejects.toThrow("failed on purpose");
    await faulty.raise(["g"], signal);
    faulty.heal();
    await faulty.remove(["a"], signal);
    expect([faulty.calls, faulty.faults]).toEqual([{ read: 0, write: 0, remove: 5, raise: 1, ensure: 0 }, 3]);
  });

  test("applies a call that fails afterwards, and no other", async () => {
    const inner = memoryStorage();
    const faulty = faultyStorage(inner);
    const controller = new AbortController();
    faulty.plan("write", "reject", "reject-after", "hang", "hang-after", "hang-forever");
    await expect(faulty.write([entry("1", "x")], signal)).rejects.toThrow();
    await expect(faulty.write([entry("2", "x")], signal)).rejects.toThrow();
    const hung = faulty.write([entry("3", "x")], controller.signal);
    const after = faulty.write([entry("4", "x")], controller.signal);
    const forever = faulty.write([entry("5", "x")], controller.signal);
    controller.abort(new Error("given up"));
    await expect(hung).rejects.toThrow("given up");
    expect([await isSettled(after), await isSettled(forever)]).toEqual([false, false]);
    expect([...inner.slots.keys()]).toEqual(["2", "4"]);
  });

  test("spoils the slots of reads as it says", async () => {
    const faulty = faultyStorage(memoryStorage());
    await faulty.write([entry("a", "AAAA"), entry("b", "BBBB")], signal);
    const read = async (...keys: string[]): Promise<(string | undefined)[]> => (await faulty.read(keys, [], signal)).slots.map((slot) => textOf(slot?.bytes));
    faulty.plan("read", "swap", "drop", "truncate", "short", "long", "pass", "swap");
    expect(await read("a", "b")).toEqual(["BBBB", "AAAA"]);
    expect(await read("a", "b")).toEqual([undefined, "BBBB"]);
    expect(await read("a", "b")).toEqual(["AA", "BB"]);
    expect(await read("a", "b")).toEqual(["AAAA"]);
    expect(await read("a", "b")).toEqual(["AAAA", "BBBB", "AAAA"]);
    expect(await read("a")).toEqual(["AAAA"]);
    expect(await read("b")).toEqual(["AAAA"]);
    faulty.plan("read", "garbage");
    const [noise] = (await faulty.read(["a"], [], signal)).slots;
    expect([noise?.bytes.length, textOf(noise?.bytes) === "AAAA"]).toEqual([4, false]);
  });

  test("delays by the clock it is given, and then does what follows", async () => {
    const clock = fakeClock();
    const faulty = faultyStorage(memoryStorage({ clock }), { clock });
    faulty.plan("raise", { delayMs: 100 }, { delayMs: 100, fault: "reject" });
    const late = faulty.raise(["g"], signal);
    const failed = faulty.raise(["g"], signal);
    const told = expect(failed).rejects.toThrow("on purpose");
    await clock.advance(99);
    expect([await isSettled(late), await isSettled(failed)]).toEqual([false, false]);
    await clock.advance(1);
    await Promise.all([late, told]);
  });

  test("fails as often as its rates say, by its seed alone", async () => {
    const outcomes = async (seed: number): Promise<string> => {
      const faulty = faultyStorage(memoryStorage(), { seed, rates: { remove: { reject: 0.3, "reject-after": 0.2 } } });
      const settled = await Promise.allSettled(Array.from({ length: 1_000 }, () => faulty.remove(["a"], signal)));
      return settled.map(({ status }) => (status === "rejected" ? "x" : ".")).join("");
    };
    const first = await outcomes(1);
    expect(await outcomes(1)).toBe(first);
    expect(await outcomes(2)).not.toBe(first);
    // By this seed: half of them, give or take.
    expect(Math.abs(first.replaceAll(".", "").length - 500)).toBeLessThan(60);
  });

  test("is no other storage than the one behind, where nothing is planned", async () => {
    const inner = memoryStorage({ name: "mine", traits: { maxBatch: 3 } });
    const faulty = faultyStorage({ ...inner, setup: "create table" });
    await faulty.write([{ ...entry("a", "A"), ttlMs: 1 }], signal);
    expect([faulty.name, faulty.traits, faulty.setup, faulty.close, await faulty.prune?.(0, signal)]).toEqual([
      "mine",
      inner.traits,
      "create table",
      undefined,
      0,
    ]);
    const { ensure: _ensure, ...without } = inner;
    await expect(faultyStorage(without).ensure(["g"], signal)).rejects.toThrow("knows no generations");
  });

  test("refuses faults and calls that there are not, which would let a test pass", () => {
    const faulty = faultyStorage(memoryStorage());
    for (const fault of ["rejct", "toString", 7, null, {}, { delayMs: -1 }, { delayMs: 1, fault: "rejct" }]) {
      expect(() => Reflect.apply(faulty.plan, faulty, ["read", fault])).toThrow("faultyStorage: read: there is no fault");
      expect(() => Reflect.apply(faulty.always, faulty, ["all", fault])).toThrow(TypeError);
    }
    expect(() => Reflect.apply(faulty.always, faulty, ["get", "reject"])).toThrow('there is no call "get"');
    expect(() => Reflect.apply(faultyStorage, undefined, [memoryStorage(), { rates: { get: {} } }])).toThrow('there is no call "get"');
    expect(() => Reflect.apply(faultyStorage, undefined, [memoryStorage(), { rates: { read: { rejct: 0.1 } } }])).toThrow('there is no fault "rejct"');
    expect(() => faultyStorage(memoryStorage(), { seed: Number.NaN })).toThrow("seed must be a finite number, got NaN");
  });

  test("refuses rates that are no likelihoods", () => {
    const make = (rates: Partial<Record<StorageFaultName, number>>) => () => faultyStorage(memoryStorage(), { rates: { read: rates } });
    expect(make({ reject: 1.5 })).toThrow("faultyStorage: read: rates: reject must be from 0 to 1, got 1.5");
    expect(make({ reject: Number.NaN })).toThrow(TypeError);
    expect(make({ reject: 0.6, hang: 0.6 })).toThrow("add up to at most 1");
  });
});

describe("a cache on a storage that fails", () => {
  /** A cache on a faulty storage, a node that loads the row of the moment, and one call of it. */
  function setUp() {
    const clock = fakeClock();
    const inner = memoryStorage({ clock });
    const faulty = faultyStorage(inner, { clock });
    const events: CacheEvent[] = [];
    const cache = createCache({
      clock,
      storages: { shared: faulty },
      guard: { timeout: 200, breaker: { failures: 3, coolDown: 1_000 } },
      onEvent: (event) => void events.push(event),
    });
    const rows = new Map<string, string>();
    const Row = defineNode({
      name: `faulty-${++named}`,
      key: (id: string) => `canary-key-${id}`,
      load: (id) => rows.get(id) ?? "none",
      caches: [{ storage: "shared", ttl: "1h" }],
    });
    return { clock, inner, faulty, events, cache, rows, Row };
  }

  /** Lets a promise settle, moving time on as long as it waits; answers it with how long it took. */
  async function within<Value>(clock: ReturnType<typeof fakeClock>, promise: Promise<Value>): Promise<{ settled: PromiseSettledResult<Value>; ms: number }> {
    const began = clock.monotonic();
    let settled: PromiseSettledResult<Value> | undefined;
    void Promise.allSettled([promise]).then(([result]) => (settled = result));
    for (await clock.settle(); settled === undefined && clock.monotonic() - began < 60_000; await clock.advance(10));
    if (settled === undefined) throw new Error("it hangs");
    return { settled, ms: clock.monotonic() - began };
  }

  for (const operation of ["read", "write", "ensure", "all"] as const) {
    test.each(FAULTS)(`${operation} meets %s: the value is right and within the budgets, nothing leaks, and it heals`, async (fault) => {
      const { clock, faulty, events, cache, rows, Row } = setUp();
      rows.set("a", "canary-value-1").set("b", "canary-value-2");
      // Both are stored before, so that there is something to swap.
      await cache.getAll([Row("a"), Row("b")]);
      await clock.settle();
      faulty.always(operation, fault);
      for (const id of ["a", "b", "c"]) {
        const { settled, ms } = await within(clock, cache.get(Row(id)));
        expect(settled).toEqual({ status: "fulfilled", value: rows.get(id) ?? "none" });
        expect(ms).toBeLessThanOrEqual(410);
      }
      const all = await within(clock, cache.getAll([Row("a"), Row("b"), Row("c")]));
      expect(all.settled).toEqual({ status: "fulfilled", value: ["canary-value-1", "canary-value-2", "none"] });
      rows.set("a", "canary-value-3");
      const { settled: invalidated } = await within(clock, cache.invalidate(Row("a")));
      if (invalidated.status === "rejected") expect(invalidated.reason).toMatchObject({ code: "ERR_STORAGE_WRITE" });
      faulty.heal();
      await clock.advance(5_000);
      const { settled: again } = await within(clock, cache.invalidate(Row("a")));
      expect(again.status).toBe("fulfilled");
      expect((await within(clock, cache.get(Row("a")))).settled).toEqual({ status: "fulfilled", value: "canary-value-3" });
      await clock.settle();
      expect((await within(clock, cache.lookup(Row("a")))).settled).toMatchObject({ value: { value: "canary-value-3", source: "shared" } });
      expect(JSON.stringify(events) + events.map((event) => ("error" in event ? `${event.error?.stack}` : "")).join()).not.toContain("canary-");
    });
  }

  test("loads by chance alone: 2,000 reads and invalidations under every fault give no value that was replaced", async () => {
    const rates = Object.fromEntries(FAULTS.map((fault) => [fault, 0.02]));
    const clock = fakeClock();
    const faulty = faultyStorage(memoryStorage({ clock }), { clock, seed: 42, rates: { read: rates, write: rates, ensure: rates } });
    const cache = createCache({ clock, storages: { shared: faulty }, guard: { timeout: 200, breaker: false } });
    const rows = new Map<number, number>();
    const Row = defineNode({
      name: `faulty-${++named}`,
      key: (id: number) => `row:${id}`,
      load: (id) => rows.get(id) ?? 0,
      caches: [{ storage: "shared", ttl: "1h" }],
    });
    const floors = new Map<number, number>();
    let rejected = 0;
    for (let step = 0; step < 2_000; step++) {
      const id = step % 7;
      if (step % 5 !== 0) {
        const { settled } = await within(clock, cache.get(Row(id)));
        if (settled.status === "rejected") throw settled.reason;
        expect(settled.value, `step ${step}`).toBeGreaterThanOrEqual(floors.get(id) ?? 0);
        continue;
      }
      rows.set(id, step);
      const { settled } = await within(clock, cache.invalidate(Row(id)));
      if (settled.status === "fulfilled") floors.set(id, step);
      else rejected += 1;
    }
    expect([rejected > 0, floors.size, faulty.faults > 200]).toEqual([true, 7, true]);
  });
});
