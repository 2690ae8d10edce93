/**
 * Guarantee 2 on the real thing: two isolates in two workerd processes, one real Redis behind the Upstash bridge, and
 * thousands of mixed operations on few keys of a versioned source. The history is recorded and checked: once an
 * invalidation has resolved, no read of the shared tier gives anything older; local copies elsewhere and joined flights
 * stay within their bounds.
 *
 * @module
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { isLeftOut } from "../../servers/process.ts";
import { History, type Read } from "./history.ts";
import { LANES, startLab, type Isolate, type Lab } from "./lab.ts";
import type { KeyReply, Order, Reply } from "./protocol.ts";

const OPERATIONS = 3_200;
const CLIENTS = 16;
const LOCAL_TTL_MS = 40;
const BUDGET_MS = 2_000;
const SLOWEST_LOAD_MS = 60;
/** Keys whose every change waits for the one before; `set` is for these, since racing sets have no order. */
const ORDERED = ["a", "b", "c"];
/** Keys that anybody invalidates at any time. */
const FREE = ["x", "y", "z"];

const BOUNDS = { localMs: LOCAL_TTL_MS + BUDGET_MS, joinedMs: SLOWEST_LOAD_MS + 3 * BUDGET_MS };

let lab: Lab;

beforeAll(async () => {
  if (!isLeftOut("redis")) lab = await startLab();
});

afterAll(async () => {
  await lab?.stop();
});

/** Numbers from 0 to 1 that are the same in every run. */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

function versionOf(reply: KeyReply): number {
  const { value } = reply;
  if (typeof value === "object" && value !== null && "version" in value && typeof value.version === "number") return value.version;
  throw new Error(`not a value of the source: ${JSON.stringify(reply)}`);
}

function originOf({ source, collapsed, ageMs = 0 }: KeyReply, op: Order["op"], elapsedMs: number): Read["from"] {
  // A refresh never joins a load that began before it.
  if (op === "refresh") return "tier";
  if (source === undefined) return "unknown";
  if (source === "local") return "local";
  // A miss may share the load of a refresh that began earlier; the value's age tells.
  const shared = collapsed || (source === "load" && ageMs > elapsedMs);
  return shared ? "joined" : "tier";
}

/** Some clients that send operations at random, one after the other, and write down what they saw. */
class Run {
  readonly history = new History();
  readonly failures: string[] = [];
  operations = 0;
  private readonly isolates: readonly Isolate[];
  private readonly random = seeded(7);
  private readonly turns = new Map<string, Promise<void>>();

  constructor(isolates: readonly Isolate[]) {
    this.isolates = isolates;
  }

  async client(): Promise<void> {
    while (this.operations < OPERATIONS) {
      this.operations++;
      await this.one();
    }
  }

  private pick<Item>(list: readonly Item[]): Item {
    const item = list[Math.floor(this.random() * list.length)];
    if (item === undefined) throw new Error("nothing to pick from");
    return item;
  }

  private async one(): Promise<void> {
    const isolate = Math.floor(this.random() * this.isolates.length);
    const kind = this.random();
    if (kind < 0.16) return this.change(isolate, this.pick(FREE), "invalidate");
    if (kind < 0.23) return this.inTurn(this.pick(ORDERED), (key) => this.change(isolate, key, "invalidate"));
    if (kind < 0.3) return this.inTurn(this.pick(ORDERED), (key) => this.change(isolate, key, "set"));
    const all = [...ORDERED, ...FREE];
    if (kind < 0.42) return this.read(isolate, "refresh", [this.pick(all)]);
    if (kind < 0.58) return this.read(isolate, this.pick(["getAll", "lookupAll"] as const), [this.pick(all), this.pick(all), this.pick(all)]);
    return this.read(isolate, this.pick(["get", "lookup", "lookup"] as const), [this.pick(all)]);
  }

  /** Waits for the changes of the same key that were begun before. */
  private async inTurn(key: string, run: (key: string) => Promise<void>): Promise<void> {
    const mine = (this.turns.get(key) ?? Promise.resolve()).then(() => run(key));
    this.turns.set(key, mine);
    await mine;
  }

  private async change(isolate: number, key: string, op: "invalidate" | "set"): Promise<void> {
    const version = lab.origin.commit(key);
    const order: Order = { op, keys: [key], ...(op === "set" ? { value: { key, version } } : {}) };
    const reply = await this.ask(isolate, order);
    if (reply) this.history.changes.push({ isolate, key, version, resolvedAt: performance.now() });
  }

  private async read(isolate: number, op: Order["op"], keys: readonly string[]): Promise<void> {
    const startedAt = performance.now();
    const order: Order = { op, keys, loadMs: Math.floor(this.random() * SLOWEST_LOAD_MS) };
    if (this.random() < 0.04) {
      // Some die on the way: what they held must not harm the others.
      await this.isolates[isolate]?.send({ ...order, end: "kill", endAfterMs: Math.floor(this.random() * 30) });
      return;
    }
    const reply = await this.ask(isolate, order);
    const elapsedMs = performance.now() - startedAt;
    for (const [index, result] of (reply?.results ?? []).entries()) {
      this.history.reads.push({ isolate, key: keys[index] ?? "", version: versionOf(result), startedAt, from: originOf(result, op, elapsedMs) });
    }
  }

  private async ask(isolate: number, order: Order): Promise<Reply | undefined> {
    const outcome = await this.isolates[isolate]?.send(order);
    if (outcome?.kind === "answer" && outcome.status === 200) return JSON.parse(outcome.body);
    this.failures.push(`${order.op}: ${JSON.stringify(outcome)}`);
    return undefined;
  }
}

describe.skipIf(isLeftOut("redis")).each([LANES[2], LANES[3]].filter((lane) => lane !== undefined))("two isolates and one Redis, on $name", (lane) => {
  test("no read gives what an invalidation that had resolved has cleared", async () => {
    const settings = { localTtlMs: LOCAL_TTL_MS, remotes: [lab.remote(0, 5_000)], budgetMs: BUDGET_MS };
    const isolates = await Promise.all([lab.worker(lane, settings), lab.worker(lane, settings)]);
    const delays = seeded(11);
    for (const bridge of lab.bridges) bridge.fault = () => ({ delayMs: Math.floor(delays() * 12) });
    const run = new Run(isolates);
    await Promise.all(Array.from({ length: CLIENTS }, () => run.client()));
    const { history } = run;

    expect(run.failures).toEqual([]);
    expect(history.violations(BOUNDS)).toEqual([]);
    // The run was a test: all kinds of reads happened, in between thousands of operations.
    expect(run.operations).toBeGreaterThanOrEqual(3_000);
    expect(history.changes.length).toBeGreaterThan(600);
    for (const from of ["tier", "local", "joined"] as const) expect(history.reads.filter((read) => read.from === from).length).toBeGreaterThan(100);
    expect(history.staleReads()).toBeGreaterThan(0);

    // At rest, every isolate gives the newest version.
    await new Promise((resolve) => setTimeout(resolve, LOCAL_TTL_MS + 50));
    for (const bridge of lab.bridges) bridge.fault = () => undefined;
    const keys = [...ORDERED, ...FREE];
    for (const isolate of isolates) {
      const { results } = await isolate.ask({ op: "getAll", keys });
      const newest = keys.map((key) => Math.max(...history.changes.filter((change) => change.key === key).map(({ version }) => version)));
      expect(results.map(versionOf)).toEqual(newest);
    }
    for (const isolate of isolates) await isolate.server.stop();
  });
});
