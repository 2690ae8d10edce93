/**
 * Guarantees 4b and 10 where requests own their I/O: a breaker opens over requests that know nothing of each other, one of
 * them probes, and when that one is killed while it probes, the next to come after its lease takes its place.
 *
 * @module
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { PROBE_GRACE_MS } from "../../../src/storage-guard.ts";
import { isLeftOut } from "../../servers/process.ts";
import type { BridgeFault } from "../../servers/upstash-bridge.ts";
import { LANES, startLab, type Isolate, type Lab } from "./lab.ts";

const BUDGET_MS = 1_000;
const COOL_DOWN_MS = 1_500;
const NOISE_MS = 500;

/** Time is measured on two slow cores; a single slow run proves nothing, three in a row do. */
const OPTIONS = { retry: 2 };

let lab: Lab;
let unique = 0;

beforeAll(async () => {
  if (!isLeftOut("redis")) lab = await startLab();
});

afterAll(async () => {
  await lab?.stop();
});

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
const until = (at: number): Promise<void> => sleep(Math.max(0, at - performance.now()));

describe.skipIf(isLeftOut("redis")).each([LANES[0], LANES[2], LANES[3]].filter((lane) => lane !== undefined))("on $name", (lane) => {
  let isolate: Isolate;
  const key = (): string => `breaker-${unique++}`;
  const requests = (): number => lab.bridges[0]?.requests.length ?? 0;
  function fault(by: () => BridgeFault | undefined): void {
    const [bridge] = lab.bridges;
    if (bridge) bridge.fault = by;
  }
  async function happened(type: string): Promise<number> {
    return (await isolate.state()).events.filter((event) => event.type === type).length;
  }
  /** A request that gets its value at once, and sends nothing to the store. */
  async function expectRefused(): Promise<void> {
    const before = requests();
    const outcome = await isolate.send({ op: "get", keys: [key()] });
    expect(outcome).toMatchObject({ kind: "answer", status: 200 });
    expect(outcome.ms).toBeLessThan(BUDGET_MS);
    expect(requests()).toBe(before);
  }
  /** A fresh isolate whose breaker has just opened. Answers when that was. */
  async function opened(): Promise<number> {
    fault(() => undefined);
    isolate = await lab.worker(lane, { remotes: [lab.remote(0, 60_000)], budgetMs: BUDGET_MS, breaker: { failures: 2, coolDown: COOL_DOWN_MS } });
    await isolate.ask({ op: "invalidate", keys: [key()] });
    fault(() => ({ status: 503, body: "sick" }));
    for (let call = 0; call < 2; call++) await isolate.ask({ op: "get", keys: [key()] });
    const at = performance.now();
    expect(await happened("breaker-opened")).toBe(1);
    return at;
  }

  test("it opens over requests; while it is open, readers get loads at once and invalidate rejects at once", OPTIONS, async () => {
    await opened();
    for (let call = 0; call < 3; call++) await expectRefused();
    const outcome = await isolate.send({ op: "invalidate", keys: [key()] });
    expect(outcome).toMatchObject({ kind: "answer", status: 500 });
    expect(outcome.kind === "answer" && outcome.body).toContain("remote0");
    expect(await happened("breaker-opened")).toBe(1);
  });

  test("of 50 requests after the cool-down one probes, the others do not wait for it, and it closes", OPTIONS, async () => {
    const openAt = await opened();
    fault(() => ({ delayMs: BUDGET_MS * 0.8 }));
    await until(openAt + COOL_DOWN_MS + 20);
    const before = requests();
    let answered = 0;
    const all = Array.from({ length: 50 }, async () => {
      const outcome = await isolate.send({ op: "get", keys: [key()] });
      answered++;
      return outcome;
    });
    // The one that is not answered yet is the probe.
    await expect.poll(() => answered, { interval: 5 }).toBe(49);
    expect(requests() - before).toBe(1);
    const outcomes = await Promise.all(all);
    expect(outcomes.map((outcome) => outcome.kind === "answer" && outcome.status)).toEqual(Array.from({ length: 50 }, () => 200));
    expect(await happened("breaker-closed")).toBe(1);
    fault(() => undefined);
    await isolate.ask({ op: "invalidate", keys: [key()] });
  });

  test("a probe whose request is killed holds nobody up, and after its lease another request probes and closes it", OPTIONS, async () => {
    const openAt = await opened();
    fault(() => ({ cut: "never" }));
    await until(openAt + COOL_DOWN_MS + 20);
    const before = requests();
    const probeAt = performance.now();
    const dead = isolate.send({ op: "get", keys: [key()], end: "kill", endAfterMs: 60 });
    await expect.poll(() => requests() - before, { interval: 5 }).toBe(1);
    fault(() => undefined);
    for (let call = 0; call < 3; call++) await expectRefused();
    expect(await dead).toMatchObject({ kind: "answer", status: 500 });
    await until(probeAt + BUDGET_MS + PROBE_GRACE_MS - NOISE_MS);
    await expectRefused();
    expect(await happened("breaker-closed")).toBe(0);
    await until(probeAt + BUDGET_MS + PROBE_GRACE_MS + NOISE_MS);
    await isolate.ask({ op: "get", keys: [key()] });
    expect(await happened("breaker-closed")).toBe(1);
    expect(await happened("breaker-opened")).toBe(1);
    await isolate.ask({ op: "invalidate", keys: [key()] });
  });
});
