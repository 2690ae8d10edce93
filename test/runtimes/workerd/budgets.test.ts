/**
 * Guarantee 15, and the timers of 4b: what one request may cost, counted in workerd where `fetch` and `setTimeout` are
 * called, and on the bridge where calls arrive. Two remote tiers, each a real Redis.
 *
 * @module
 */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { BEAT_MS } from "../../../src/flight.ts";
import { isLeftOut } from "../../servers/process.ts";
import type { BridgeRequest } from "../../servers/upstash-bridge.ts";
import { LANES, startLab, type Isolate, type Lab } from "./lab.ts";
import type { Settings } from "./protocol.ts";

/** So much for a call to a store that a slow machine is no failure of it: what is not written is not counted. */
const BUDGET_MS = 20_000;

let lab: Lab;
let unique = 0;

beforeAll(async () => {
  if (!isLeftOut("redis")) lab = await startLab(2);
});

afterAll(async () => {
  await lab?.stop();
});

/** The keys a request to the bridge is about, generations left out. */
function keysOf({ commands: [command = []] }: BridgeRequest): readonly string[] {
  const [name = "", , count = "0"] = command;
  const keys = name.toLowerCase() === "mget" ? command.slice(1) : command.slice(3, 3 + Number(count));
  return keys.filter((key) => key.startsWith("workerd:"));
}

/** Waits until background writes have landed. */
async function atRest(isolate: Isolate): Promise<void> {
  await expect.poll(async () => (await isolate.state()).inFlight, { interval: 10 }).toBe(0);
}

interface Costs {
  readonly reads: readonly number[];
  readonly scripts: readonly number[];
  readonly loads: number;
  readonly mostOpen: number;
}

/** Runs something and counts, by tier, what it cost, once its background writes have landed. */
async function costOf(isolate: Isolate, run: () => Promise<unknown>): Promise<Costs> {
  await atRest(isolate);
  await isolate.reset();
  for (const bridge of lab.bridges) bridge.requests.length = 0;
  await run();
  await atRest(isolate);
  const { fetches, mostOpen } = await isolate.state();
  const counted = (isRead: boolean): number[] =>
    lab.bridges.map(({ requests }) => requests.filter(({ commands: [command] }) => (command?.[0]?.toLowerCase() === "mget") === isRead).length);
  const costs = { reads: counted(true), scripts: counted(false), loads: fetches[lab.origin.url] ?? 0, mostOpen: mostOpen[lab.bridges[0]?.url ?? ""] ?? 0 };
  // Counted where they are sent and where they arrive: nothing is sent twice.
  const sent = lab.bridges.map(({ url }) => fetches[url] ?? 0);
  expect(sent).toEqual(costs.reads.map((reads, index) => reads + (costs.scripts[index] ?? 0)));
  return costs;
}

describe.skipIf(isLeftOut("redis")).each([LANES[2], LANES[3]].filter((lane) => lane !== undefined))("guarantee 15: what a request costs, on $name", (lane) => {
  let isolate: Isolate;
  let other: Isolate;
  let key: string;

  const make = async (settings: Omit<Settings, "origin">): Promise<Isolate> => {
    const made = await lab.worker(lane, { budgetMs: BUDGET_MS, ...settings });
    // The node's generation and the scripts are known from here on.
    await made.ask({ op: "refresh", keys: ["warm"] });
    return made;
  };
  const both = (maxBatch?: number): Settings["remotes"] =>
    [0, 1].map((index) => lab.remote(index, 60_000 * (index + 1), maxBatch === undefined ? {} : { maxBatch }));
  const many = (count: number): string[] => Array.from({ length: count }, (_, index) => `${key}${index}`);

  beforeAll(async () => {
    [isolate, other] = await Promise.all([make({ remotes: both() }), make({ remotes: both() })]);
  });

  beforeEach(() => {
    key = `cost-${unique++}-`;
    for (const bridge of lab.bridges) bridge.fault = () => undefined;
  });

  test("a get asks each remote tier once, and fills those that missed with one write each", async () => {
    const miss = await costOf(isolate, () => isolate.ask({ op: "get", keys: [key] }));
    expect(miss).toMatchObject({ reads: [1, 1], scripts: [1, 1], loads: 1 });
    const hit = await costOf(isolate, () => isolate.ask({ op: "get", keys: [key] }));
    expect(hit).toMatchObject({ reads: [1, 0], scripts: [0, 0], loads: 0 });
  });

  test("a node that is new costs each tier one more call, once", async () => {
    const node = `Node ${key}`;
    const first = await costOf(isolate, () => isolate.ask({ op: "get", keys: [key], node }));
    expect(first).toMatchObject({ reads: [1, 1], scripts: [2, 2] });
    const second = await costOf(isolate, () => isolate.ask({ op: "get", keys: [`${key}2`], node }));
    expect(second).toMatchObject({ reads: [1, 1], scripts: [1, 1] });
  });

  test("a getAll asks each storage once at each position, whatever each key needs", async () => {
    const keys = many(30);
    // A third stands in the right tier only, a third in both, a third in none.
    const right = await make({ remotes: both().slice(1) });
    await right.ask({ op: "getAll", keys: keys.slice(0, 10) });
    await isolate.ask({ op: "getAll", keys: keys.slice(10, 20) });
    await atRest(right);
    const costs = await costOf(isolate, () => isolate.ask({ op: "getAll", keys }));
    expect(costs.reads).toEqual([1, 1]);
    expect(costs.loads).toBe(10);
    await right.server.stop();
  });

  test("a getAll of misses reads each tier once, and one of hits the left tier only", async () => {
    const keys = many(30);
    const costs = await costOf(isolate, () => isolate.ask({ op: "getAll", keys }));
    expect(costs).toMatchObject({ reads: [1, 1], loads: 30 });
    const again = await costOf(isolate, () => isolate.ask({ op: "getAll", keys }));
    expect(again).toMatchObject({ reads: [1, 0], scripts: [0, 0], loads: 0 });
  });

  test("above maxBatch a batch goes out in chunks, at most six at once", async () => {
    const chunked = await make({ remotes: both(1).slice(0, 1) });
    const keys = many(20);
    for (const bridge of lab.bridges) bridge.fault = () => ({ delayMs: 10 });
    const reads = await costOf(chunked, () => chunked.ask({ op: "lookupAll", keys }));
    expect(reads.reads).toEqual([20, 0]);
    const hits = await costOf(chunked, () => chunked.ask({ op: "lookupAll", keys }));
    expect(hits).toMatchObject({ reads: [20, 0], loads: 0, mostOpen: 6 });
    const cleared = await costOf(chunked, () => chunked.ask({ op: "invalidate", keys }));
    expect(cleared).toMatchObject({ reads: [0, 0], scripts: [20, 0], mostOpen: 6 });
    await chunked.server.stop();
  });

  test("a getAll that misses keeps at most six calls to a storage open, reads and writes together", async () => {
    const chunked = await make({ remotes: both(1).slice(0, 1) });
    for (const bridge of lab.bridges) bridge.fault = () => ({ delayMs: 10 });
    const misses = await costOf(chunked, () => chunked.ask({ op: "getAll", keys: many(20), loadMs: 20 }));
    expect(misses).toMatchObject({ reads: [20, 0], loads: 20 });
    expect(misses.mostOpen).toBeLessThanOrEqual(6);
    await chunked.server.stop();
  });

  test("back-fills of one getAll share calls, though its loads end at different times", async () => {
    for (const bridge of lab.bridges) bridge.fault = () => ({ delayMs: 60 });
    const costs = await costOf(isolate, () => isolate.ask({ op: "getAll", keys: many(60), loadMs: 10 }));
    expect(costs).toMatchObject({ reads: [1, 1], loads: 60 });
    for (const scripts of costs.scripts) expect(scripts).toBeLessThan(20);
    expect(costs.mostOpen).toBeLessThanOrEqual(6);
  });

  test("an invalidate clears each tier with one call, the right one before the left", async () => {
    await isolate.ask({ op: "getAll", keys: many(5) });
    await atRest(isolate);
    const order: string[] = [];
    for (const [index, bridge] of lab.bridges.entries()) {
      bridge.fault = () => {
        order.push(`asks ${index}`);
        return {
          delayMs: 20,
          mangle(body) {
            order.push(`answers ${index}`);
            return body;
          },
        };
      };
    }
    const costs = await costOf(isolate, () => isolate.ask({ op: "invalidate", keys: many(5) }));
    expect(costs).toMatchObject({ reads: [0, 0], scripts: [1, 1] });
    expect(order).toEqual(["asks 1", "answers 1", "asks 0", "answers 0"]);
  });

  test("a set and a refresh cost each tier two calls", async () => {
    const set = await costOf(isolate, () => isolate.ask({ op: "set", keys: [key], value: { key } }));
    expect(set).toMatchObject({ reads: [1, 1], scripts: [1, 1], loads: 0 });
    const refresh = await costOf(isolate, () => isolate.ask({ op: "refresh", keys: [key] }));
    expect(refresh).toMatchObject({ reads: [1, 1], scripts: [1, 1], loads: 1 });
  });

  test("a refresh that a tier refuses costs that tier one call more", async () => {
    await isolate.ask({ op: "get", keys: [key] });
    let begun: (() => void) | undefined;
    const reads = new Promise<void>((resolve) => (begun = resolve));
    const costs = await costOf(isolate, async () => {
      const refreshing = isolate.ask({ op: "refresh", keys: [key], loadMs: 300 });
      setTimeout(() => begun?.(), 100);
      await reads;
      // Straight at the tiers, so that only the refresh is counted: another stamp than the one it read.
      for (const redis of lab.redises) for (const name of namesIn(await redis.command("KEYS", `workerd:*${key}*`))) await redis.command("SET", name, "foreign");
      await refreshing;
    });
    expect(costs).toMatchObject({ reads: [1, 1], scripts: [2, 2], loads: 1 });
  });

  test("a batch never holds keys of two requests", async () => {
    const requests = Array.from({ length: 60 }, (_, index) => `${key}r${index}-`);
    for (const bridge of lab.bridges) bridge.requests.length = 0;
    await Promise.all(
      requests.map((tag, index) => {
        const keys = Array.from({ length: 5 }, (_, place) => `${tag}${place}`);
        return index % 3 === 0 ? isolate.ask({ op: "get", keys: [`${tag}0`], loadMs: 5 }) : isolate.ask({ op: "getAll", keys, loadMs: index % 7 });
      }),
    );
    await atRest(isolate);
    const calls = lab.bridges.flatMap((bridge) => bridge.requests.map(keysOf));
    const mixed = calls.filter((keys) => new Set(keys.map((one) => /-r\d+-/.exec(one)?.[0])).size > 1);
    expect(mixed).toEqual([]);
    // The requests met in the isolate, and their own keys did travel together.
    expect(calls.filter((keys) => keys.length === 5).length).toBeGreaterThanOrEqual(2 * 40);
  });

  test("a call has one heartbeat, however many keys it leads or follows", async () => {
    const keys = many(20);
    const loadMs = 2 * BEAT_MS + BEAT_MS / 2;
    await isolate.reset();
    const leader = isolate.ask({ op: "getAll", keys, loadMs });
    await new Promise((resolve) => setTimeout(resolve, 30));
    await Promise.all([leader, isolate.ask({ op: "getAll", keys, loadMs })]);
    const { beats } = await isolate.state();
    // Twenty loads, six at a time, take four times as long as one; two calls beat meanwhile, and a little longer.
    const rounds = Math.ceil(20 / 6);
    expect(beats).toBeGreaterThanOrEqual(rounds * 2);
    expect(beats).toBeLessThanOrEqual(2 * (rounds * 3 + 6));
  });

  test("what another isolate has filled is read, not loaded", async () => {
    await isolate.ask({ op: "getAll", keys: many(3) });
    await atRest(isolate);
    const costs = await costOf(other, () => other.ask({ op: "getAll", keys: many(3) }));
    expect(costs).toMatchObject({ reads: [1, 0], scripts: [0, 0], loads: 0 });
  });
});

function namesIn(reply: unknown): string[] {
  return Array.isArray(reply) ? reply.map(String) : [];
}
