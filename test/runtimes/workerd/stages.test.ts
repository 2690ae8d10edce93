/**
 * Guarantee 4 and 4b, one death at a time: the owner of some work is killed at each stage at which others may depend on it.
 * Whoever follows has to be answered within two leases and its own load, the isolate must stay responsive meanwhile, and
 * nothing the dead held may stay held.
 *
 * @module
 */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { BEAT_MS, LEASE_BEATS } from "../../../src/flight.ts";
import type { HttpOutcome } from "../../servers/http-client.ts";
import { isLeftOut } from "../../servers/process.ts";
import type { BridgeFault, BridgeRequest } from "../../servers/upstash-bridge.ts";
import { LANES, startLab, type Isolate, type Lab } from "./lab.ts";
import type { KeyReply, Order, Reply } from "./protocol.ts";

const TWO_LEASES_MS = 2 * BEAT_MS * LEASE_BEATS;
const NOISE_MS = 1_000;
const LOAD_MS = 50;
/** Far beyond every bound: whoever waits for it to the end has failed. */
const FOREVER_MS = 8_000;
const BUDGET_MS = 1_000;

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

/** Lets the first request to the bridge that matches go unanswered, and all others pass. */
function hangFirst(matches: (request: BridgeRequest) => boolean): void {
  let hung = false;
  const [bridge] = lab.bridges;
  if (!bridge) return;
  bridge.fault = (request): BridgeFault | undefined => {
    if (hung || !matches(request)) return undefined;
    hung = true;
    return { cut: "never" };
  };
}

const isRead =
  (key: string) =>
  ({ commands: [command] }: BridgeRequest): boolean =>
    command?.[0]?.toLowerCase() === "mget" && command.some((part) => part.includes(key));
const isScript =
  (key: string) =>
  ({ commands: [command] }: BridgeRequest): boolean =>
    command?.[0]?.toLowerCase().startsWith("eval") === true && command.some((part) => part.includes(key));

function answerOf(outcome: HttpOutcome): readonly KeyReply[] {
  if (outcome.kind !== "answer" || outcome.status !== 200) throw new Error(JSON.stringify(outcome));
  const { results }: Reply = JSON.parse(outcome.body);
  return results;
}

/** Sends the order of the one that dies, then those of its followers, and sees how the isolate fares meanwhile. */
async function strand(isolate: Isolate, victim: Order, followers: readonly Order[], joinAfterMs = 20): Promise<readonly HttpOutcome[]> {
  const dead = isolate.send({ endAfterMs: 60, ...victim, end: "kill" });
  await sleep(joinAfterMs);
  const outcomes = Promise.all(followers.map((order) => isolate.send(order)));
  await sleep(100);
  const ping = await isolate.send({ op: "state" });
  expect(ping.kind).toBe("answer");
  expect(ping.ms).toBeLessThan(NOISE_MS);
  expect(await dead).toMatchObject({ kind: "answer", status: 500 });
  return outcomes;
}

/** Every follower got the values of its keys, in time. */
function expectServed(outcomes: readonly HttpOutcome[], keys: readonly string[], deaths = 1): void {
  for (const outcome of outcomes) {
    expect(answerOf(outcome).map(({ value }) => value)).toMatchObject(keys.map((key) => ({ key })));
    expect(outcome.ms).toBeLessThan(deaths * TWO_LEASES_MS + LOAD_MS + NOISE_MS);
  }
}

describe.skipIf(isLeftOut("redis")).each([LANES[0], LANES[2], LANES[3]].filter((lane) => lane !== undefined))("guarantee 4b: on $name", (lane) => {
  let isolate: Isolate;
  let key: string;
  const order = (op: Order["op"], more: Partial<Order> = {}): Order => ({ op, keys: [key], loadMs: LOAD_MS, ...more });
  const five = (one: Order): Order[] => Array.from({ length: 5 }, () => one);

  beforeAll(async () => {
    isolate = await lab.worker(lane, { remotes: [lab.remote(0, 60_000)] });
    await isolate.ask({ op: "get", keys: ["warm"] });
  });

  beforeEach(() => {
    key = `stage-${unique++}-`;
    for (const bridge of lab.bridges) bridge.fault = () => undefined;
  });

  test("a leader killed before its batch was sent strands nobody", OPTIONS, async () => {
    const outcomes = await strand(isolate, order("get", { endAfterMs: undefined }), five(order("get")), 3);
    expectServed(outcomes, [key]);
  });

  test("a leader killed while it reads the remote tier strands nobody", OPTIONS, async () => {
    hangFirst(isRead(key));
    expectServed(await strand(isolate, order("get"), five(order("get"))), [key]);
  });

  test("a leader killed while it loads strands nobody", OPTIONS, async () => {
    expectServed(await strand(isolate, order("get", { loadMs: FOREVER_MS }), [...five(order("get")), order("lookup"), order("memoize")]), [key]);
    // The one that died, and one of its followers: the others joined that one.
    expect(lab.origin.loads.get(key)).toBe(2);
  });

  test("a memoized function killed while it runs strands nobody", OPTIONS, async () => {
    expectServed(await strand(isolate, order("memoize", { loadMs: FOREVER_MS }), five(order("memoize"))), [key]);
  });

  test("a getAll killed while it loads strands none of its keys", OPTIONS, async () => {
    const keys = Array.from({ length: 20 }, (_, index) => `${key}${index}`);
    const outcomes = await strand(isolate, { op: "getAll", keys, loadMs: FOREVER_MS }, [
      { op: "getAll", keys, loadMs: 5 },
      { op: "getAll", keys: keys.toReversed(), loadMs: 5 },
    ]);
    expectServed(outcomes.slice(0, 1), keys);
    expectServed(outcomes.slice(1), keys.toReversed());
  });

  test("a leader killed while it makes a node's generation strands nobody", OPTIONS, async () => {
    const node = `Node ${key}`;
    hangFirst(isScript(node));
    expectServed(await strand(isolate, order("get", { node }), five(order("get", { node }))), [key]);
  });

  test.each(["early", "throw", "reset"] as const)("a leader that ends by %s goes on loading under waitUntil, and nobody loads again", OPTIONS, async (end) => {
    const dying = end === "reset" ? isolate.send(order("get", { loadMs: 250 }), { resetAfterMs: 60 }) : isolate.send(order("get", { loadMs: 250, end }));
    await sleep(20);
    const outcomes = await Promise.all(five(order("get")).map((one) => isolate.send(one)));
    expect(outcomes.map((outcome) => outcome.kind === "answer" && outcome.status)).toEqual([200, 200, 200, 200, 200]);
    expect(lab.origin.loads.get(key)).toBe(1);
    await dying;
  });

  test("three leaders killed one after the other cost two leases each at most", OPTIONS, async () => {
    const victims = five(order("get", { loadMs: FOREVER_MS, end: "kill", endAfterMs: 60 })).slice(0, 2);
    const late = victims.map(async (victim, index) => {
      // Each joins while the one before leads, takes over when it is dead, and dies in its turn.
      await sleep(5 + index);
      return isolate.send({ ...victim, endAfterMs: 700 + index * 600 });
    });
    const outcomes = await strand(isolate, order("get", { loadMs: FOREVER_MS }), five(order("get")));
    expectServed(outcomes, [key], 3);
    await Promise.all(late);
  });

  test("a refresh killed while it loads holds up neither readers nor the next refresh", OPTIONS, async () => {
    expectServed(await strand(isolate, order("refresh", { loadMs: FOREVER_MS }), five(order("get"))), [key]);
    expectServed(await strand(isolate, order("refresh", { loadMs: FOREVER_MS }), five(order("refresh"))), [key]);
  });

  test("a refresh killed while it writes does not hold up the next refresh", OPTIONS, async () => {
    hangFirst(isScript(key));
    expectServed(await strand(isolate, order("refresh", { loadMs: 1, endAfterMs: 100 }), five(order("refresh"))), [key], 2);
  });

  test("a set killed while it writes does not hold up the next set", OPTIONS, async () => {
    hangFirst(isScript(key));
    const [outcome] = await strand(isolate, order("set", { value: { key } }), [order("set", { value: { key, second: true } })]);
    expect(outcome).toMatchObject({ kind: "answer", status: 200 });
    expect(outcome?.ms).toBeLessThan(TWO_LEASES_MS + NOISE_MS);
    expectServed([await isolate.send(order("get"))], [key]);
  });

  test("an invalidate killed on its way does not hold up the next one, nor readers", OPTIONS, async () => {
    await isolate.ask(order("get"));
    hangFirst(isScript(key));
    const [first, second] = await strand(isolate, order("invalidate"), [order("invalidate"), order("get")]);
    expect(first).toMatchObject({ kind: "answer", status: 200 });
    expectServed(second ? [second] : [], [key]);
  });

  test("a leader killed while it writes back answers its followers, and its key cannot be joined beyond one storage budget", OPTIONS, async () => {
    hangFirst(isScript(key));
    const [first] = await strand(isolate, order("lookup", { endAfterMs: LOAD_MS + 60 }), [order("lookup")]);
    const settledAt = performance.now();
    const [own] = first ? answerOf(first) : [];
    expect(own).toMatchObject({ collapsed: true, source: "load" });
    const { results } = await isolate.ask(order("lookup"));
    expect(results).toMatchObject([{ collapsed: true, value: own?.value }]);
    await sleep(BUDGET_MS + 50 - (performance.now() - settledAt));
    const later = await isolate.ask(order("lookup"));
    expect(later.results).toMatchObject([{ collapsed: false, source: "load" }]);
  });

  test("nothing stays in flight once each key was asked for again", OPTIONS, async () => {
    const stages = Array.from({ length: unique }, (_, index) => `stage-${index}-`);
    await Promise.all(stages.flatMap((one) => [isolate.ask({ op: "refresh", keys: [one] }), isolate.ask({ op: "set", keys: [one], value: { key: one } })]));
    await isolate.ask({ op: "getAll", keys: stages });
    await expect.poll(async () => (await isolate.state()).inFlight).toBe(0);
  });
});
