/** The breaker: its state machine against a model, and what a cache on a fake clock makes of it, opening, probing and closing. */

import { array, assert, boolean, constant, integer, nat, oneof, property, record } from "fast-check";
import { describe, expect, test } from "vitest";
import { createBreaker } from "../src/breaker.ts";
import type { BreakerState } from "../src/breaker.ts";
import { isCacheError } from "../src/errors.ts";
import { local } from "../src/local/local.ts";
import { guarded } from "../src/storage-guard.ts";
import { counted, failure, isSettled, REQUESTS, rig, SHARED } from "./support/rig.ts";
import { puppet, weakPuppet } from "./support/storages.ts";
import type { Fault } from "./support/storages.ts";

const FAR = [{ storage: "far", ttl: "1m" }] as const;
const NEAR_AND_FAR = [{ storage: "local", ttl: "1m" }, ...FAR] as const;

describe("guarantee 10: the state machine", () => {
  const RULES = { failures: 3, coolDownMs: 50, leaseMs: 14 };
  const steps = array(
    oneof(
      { weight: 3, arbitrary: record({ kind: constant("ask" as const) }) },
      { weight: 3, arbitrary: record({ kind: constant("end" as const), which: nat(7), ok: oneof(constant(false), constant(false), boolean()) }) },
      { weight: 2, arbitrary: record({ kind: constant("pass" as const), ms: oneof(integer({ min: 0, max: 15 }), constant(50), constant(14)) }) },
    ),
    { maxLength: 150, size: "max" },
  );

  // The model knows no tickets: it keeps the set of calls whose end counts, and empties it at each change.
  test("is that of the model, whatever is asked, ends late or never ends", () => {
    let [closings, reprobes] = [0, 0];
    assert(
      property(steps, (all) => {
        const breaker = createBreaker(RULES);
        const model: { state: BreakerState; changedAt: number; streak: number } = { state: "closed", changedAt: 0, streak: 0 };
        let now = 1_000;
        let counting = new Set<number>();
        const made: number[] = [];
        const tickets: number[] = [];
        const change = (state: BreakerState): void => {
          Object.assign(model, { state, changedAt: now, streak: 0 });
          counting = new Set();
        };
        for (const step of all) {
          if (step.kind === "pass") now += step.ms;
          else if (step.kind === "ask") {
            const due = model.state === "closed" || now >= model.changedAt + (model.state === "open" ? RULES.coolDownMs : RULES.leaseMs);
            if (due && model.state === "probing") reprobes++;
            if (due && model.state !== "closed") change("probing");
            const ticket = breaker.admit(now);
            expect(ticket !== undefined).toBe(due);
            if (ticket === undefined) continue;
            counting.add(tickets.length);
            made.push(tickets.length);
            tickets.push(ticket);
          } else {
            // A call ends once; one that is never chosen died.
            const [call] = made.splice(step.which, 1);
            if (call === undefined) continue;
            let told: "opened" | "closed" | undefined;
            if (counting.delete(call)) {
              model.streak = step.ok ? 0 : model.streak + 1;
              if (model.state === "probing") {
                told = step.ok ? "closed" : undefined;
                closings += step.ok ? 1 : 0;
                change(step.ok ? "closed" : "open");
              } else if (model.streak === RULES.failures) {
                told = "opened";
                change("open");
              }
            }
            expect(breaker.end(tickets[call] ?? -1, step.ok, now)).toBe(told);
          }
          expect(breaker.state).toBe(model.state);
        }
      }),
      { numRuns: 1_000, seed: 10 },
    );
    expect(closings).toBeGreaterThan(100);
    expect(reprobes).toBeGreaterThan(100);
  });
});

describe.each([
  ["a shared runtime", SHARED],
  ["a runtime of requests", REQUESTS],
] as const)("on %s", (_name, runtime) => {
  function sick(options: { readonly fault?: Fault; readonly maxBatch?: number } = {}) {
    const far = puppet({ traits: { maxBatch: options.maxBatch } });
    far.fault("all", options.fault ?? "reject");
    const made = rig({ runtime, storages: { local: local(), far: guarded(far, { timeout: "200ms", breaker: { failures: 2, coolDown: "1s" } }) } });
    const Item = counted({ caches: NEAR_AND_FAR });
    let asked = 0;
    const reads = (): number => far.log.filter(({ method }) => method === "read").length;
    return { ...made, far, Item, reads, ask: () => made.cache.get(Item(`key${asked++}`)) };
  }
  type Sick = ReturnType<typeof sick>;
  async function open({ ask, clock, seen }: Sick): Promise<void> {
    for (let call = 0; call < 2; call++) {
      const value = ask();
      await clock.advance(200);
      await value;
    }
    expect(seen("breaker-opened")).toEqual([{ type: "breaker-opened", storage: "far", failures: 2, coolDownMs: 1_000 }]);
  }

  test.each<Fault>(["reject", "throw", "hang", "short", "garbage"])(
    "%s as often as it takes opens it once; then nothing is sent and nobody waits",
    async (fault) => {
      const own = sick({ fault });
      await open(own);
      const [sent, events] = [own.far.log.length, own.events.length];
      for (let call = 0; call < 20; call++) expect(await own.ask()).toContain("key");
      expect(own.far.log.length).toBe(sent);
      expect(own.events.length).toBe(events);
      expect(own.cache.stats(own.Item.node).tiers["far"]).toMatchObject(fault === "hang" ? { errorCount: 20, timeoutCount: 2 } : { errorCount: 22 });
      expect(own.clock.pending).toBe(0);
      expect(own.inFlight()).toBe(0);
    },
  );

  test("a success in between starts the count anew", async () => {
    const own = sick();
    for (let round = 0; round < 5; round++) {
      own.far.fault("all", "reject");
      await own.ask();
      own.far.fault("all", undefined);
      await own.ask();
      await own.clock.settle();
    }
    expect(own.seen("breaker-opened")).toEqual([]);
  });

  test("a write that was refused is no failure", async () => {
    const own = sick();
    own.far.fault("all", undefined);
    for (let round = 0; round < 5; round++) {
      const release = own.far.hold("write");
      const setting = own.cache.set(own.Item("one"), "value");
      await own.clock.settle();
      own.far.slots.set(own.cache.keyOf(own.Item("one")), { bytes: new Uint8Array(20).fill(round), expiresAt: Number.POSITIVE_INFINITY });
      release();
      await setting;
    }
    expect(own.cache.stats(own.Item.node).tiers["far"]?.refusedCount).toBe(5);
    expect(own.seen("breaker-opened")).toEqual([]);
  });

  test("invalidate, set and refresh reject at once while it is open, naming the tier, and leave no local copy", async () => {
    const own = sick({ fault: "hang" });
    await open(own);
    await own.cache.get(own.Item("held"));
    const calls = [() => own.cache.invalidate(own.Item("held")), () => own.cache.set(own.Item("held"), "new"), () => own.cache.refresh(own.Item("held"))];
    for (const call of calls) {
      const error = failure(call());
      expect(await isSettled(error)).toBe(true);
      expect(isCacheError(await error, "ERR_STORAGE_WRITE")).toBe(true);
      expect(String(await error)).toContain('"far"');
      expect(own.cache.peek(own.Item("held"))).toBe(undefined);
    }
  });

  test("a weak storage's removals are refused as well", async () => {
    const far = weakPuppet();
    far.fault("all", "reject");
    const { cache, seen } = rig({ runtime, storages: { far }, guard: { breaker: { failures: 1 } } });
    const Item = counted({ caches: FAR });
    for (let call = 0; call < 2; call++) expect(isCacheError(await failure(cache.invalidate(Item("a"))), "ERR_STORAGE_WRITE")).toBe(true);
    expect(far.log.length).toBe(1);
    expect(seen("storage-failed").length).toBe(1);
  });

  test("1,000 callers after the cool-down make one call between them; the others do not wait, and when it succeeds 1,000 more are let in by the usual batches", async () => {
    const own = sick({ fault: "hang", maxBatch: 10 });
    await open(own);
    await own.clock.advance(999);
    await own.ask();
    own.far.fault("all", undefined);
    const before = own.reads();
    await own.clock.advance(1);
    const release = own.far.hold("read");
    const all = Array.from({ length: 1_000 }, own.ask);
    await own.clock.settle();
    expect(own.reads() - before).toBe(1);
    const states = await Promise.all(all.map(isSettled));
    expect(states.filter((settled) => !settled).length).toBe(10);
    const late = Array.from({ length: 100 }, own.ask);
    expect((await Promise.all(late)).length).toBe(100);
    expect(own.reads() - before).toBe(1);
    expect(own.seen("breaker-closed")).toEqual([]);
    release();
    await Promise.all(all);
    expect(own.seen("breaker-closed")).toEqual([{ type: "breaker-closed", storage: "far" }]);
    await Promise.all(Array.from({ length: 1_000 }, own.ask));
    expect(own.reads() - before).toBe(101);
    expect(own.seen("breaker-opened").length).toBe(1);
  });

  test("a probe that fails reopens it for another cool-down, without a second event, and is not repeated", async () => {
    const own = sick();
    await open(own);
    for (let round = 0; round < 3; round++) {
      const before = own.reads();
      await own.clock.advance(1_000);
      for (let call = 0; call < 5; call++) await own.ask();
      expect(own.reads() - before).toBe(1);
      own.clock.step(10_000_000);
      await own.clock.advance(999);
      await own.ask();
      expect(own.reads() - before).toBe(1);
      await own.clock.advance(1);
    }
    expect(own.seen("breaker-opened").length).toBe(1);
    own.far.fault("all", undefined);
    await own.ask();
    expect(own.seen("breaker-closed").length).toBe(1);
  });

  test("a write may be the probe", async () => {
    const own = sick();
    await open(own);
    own.far.fault("all", undefined);
    await own.clock.advance(1_000);
    await own.cache.invalidate(own.Item("a"));
    expect(own.seen("breaker-closed").length).toBe(1);
  });

  test("breaker: false never opens", async () => {
    const far = puppet();
    far.fault("all", "reject");
    const { cache } = rig({ runtime, storages: { far }, guard: { breaker: false } });
    const Item = counted({ caches: FAR });
    for (let call = 0; call < 20; call++) await cache.get(Item(`key${call}`));
    expect(far.log.length).toBe(40);
  });
});
