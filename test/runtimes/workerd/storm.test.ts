/**
 * Guarantee 4 as a storm: thousands of requests over real sockets for a dozen keys, a third of them bad leaders (the client
 * resets its socket, the request ends early, throws, or is killed), through a chain of a local tier and a real Redis, with
 * loads from a slow source. Every request that survives has to be answered, with the right value and in time.
 *
 * @module
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { BEAT_MS, LEASE_BEATS } from "../../../src/flight.ts";
import { keyDigest } from "../../../src/key.ts";
import { isLeftOut } from "../../servers/process.ts";
import type { HttpOutcome } from "../../servers/http-client.ts";
import { LANES, startLab, type Isolate, type Lab, type Lane } from "./lab.ts";
import type { Order, Reply, State } from "./protocol.ts";

const KEYS = Array.from({ length: 12 }, (_, index) => `k${index}`);
/** Only these are refreshed: a refresh cuts off what runs for its key, so that the deaths behind it are not reported. */
const REFRESHED = KEYS.slice(0, 3);
const QUIET = KEYS.slice(3);
/** In each wave, so many requests for each key. */
const CROWD = 10;
const WAVES = 17;
const REQUESTS = KEYS.length * CROWD * WAVES;
const WAVE_MS = 220;
const LOADS_MS = [5, 30, 120, 400];
const LOCAL_TTL_MS = 20;
const REMOTE_TTL_MS = 60;
/** A follower notices a death within one lease and one beat; two are promised. */
const TWO_LEASES_MS = 2 * BEAT_MS * LEASE_BEATS;
/** Two slow cores serve a dozen processes: what is not the library's doing. How slow they are is measured meanwhile. */
const NOISE_MS = 1_000;
const PING_EVERY_MS = 50;
/** A request waits in so many queues at most: the isolate's, the store's and the source's, and on its way back. */
const QUEUES = 6;
/** The next wave waits for this, else a machine that is slower than the storm is drowned by it. */
const MOST_OPEN = 4 * KEYS.length * CROWD;
/** So much for a call to the store that a slow machine is no failure of it. */
const BUDGET_MS = 20_000;

let lab: Lab;

beforeAll(async () => {
  if (!isLeftOut("redis")) lab = await startLab();
});

afterAll(async () => {
  await lab?.stop();
});

/** A request of the storm, and what became of it. */
interface Ride {
  readonly order: Order;
  readonly bad: boolean;
  readonly startedAt: number;
  readonly outcome: HttpOutcome;
}

/** Numbers from 0 to 1 that are the same in every run. */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

const OPS: readonly Order["op"][] = ["get", "get", "get", "getAll", "getAll", "memoize", "lookup"];
const ENDS = ["early", "throw", "kill", "reset"] as const;
const ENDS_OF_LEADERS = [...ENDS, "kill", "kill"] as const;

function pick<Item>(list: readonly Item[], random: () => number): Item {
  const item = list[Math.floor(random() * list.length)];
  if (item === undefined) throw new Error("nothing to pick from");
  return item;
}

interface Plan {
  readonly order: Order;
  readonly resetAfterMs?: number;
  /** When it is sent, after the wave begins. */
  readonly afterMs: number;
}

/** One request; a leader is the first of its wave, and has something to load for long enough to die meanwhile. */
function planOf(key: string, leads: boolean, random: () => number): Plan {
  const refreshed = REFRESHED.includes(key);
  const group = refreshed ? REFRESHED : QUIET;
  const op = refreshed && random() < 0.25 ? "refresh" : pick(OPS, random);
  const keys = op === "getAll" ? [key, pick(group, random), pick(group, random)] : [key];
  const bad = random() < (leads ? 0.7 : 0.3);
  const order: Order = { op, keys, loadMs: pick(leads && bad ? LOADS_MS.slice(-2) : LOADS_MS, random) };
  const afterMs = leads ? 0 : 5 + Math.floor(random() * 120);
  if (!bad) return { order, afterMs };
  const end = pick(leads ? ENDS_OF_LEADERS : ENDS, random);
  const dieAfterMs = Math.floor(random() * 60);
  if (end === "reset") return { order, afterMs, resetAfterMs: 5 + dieAfterMs };
  return { order: { ...order, end, ...(end === "early" ? {} : { endAfterMs: dieAfterMs }) }, afterMs };
}

/** The storm, and what else is to be allowed for: by the longest answer to a question that the cache has no part in. */
async function storm(isolate: Isolate): Promise<{ readonly rides: readonly Ride[]; readonly noiseMs: number }> {
  let slowestMs = 0;
  let blowing = true;
  async function ping(): Promise<void> {
    while (blowing) {
      slowestMs = Math.max(slowestMs, (await isolate.send({ op: "state" })).ms);
      await new Promise((resolve) => setTimeout(resolve, PING_EVERY_MS));
    }
  }
  const pinging = ping();
  const rides = await ride(isolate);
  blowing = false;
  await pinging;
  return { rides, noiseMs: NOISE_MS + QUEUES * slowestMs };
}

async function ride(isolate: Isolate): Promise<Ride[]> {
  const random = seeded(42);
  const rides: Promise<Ride>[] = [];
  let open = 0;
  async function send(plan: Plan): Promise<Ride> {
    open++;
    const ended = await take(isolate, plan);
    open--;
    return ended;
  }
  for (let wave = 0; wave < WAVES; wave++) {
    for (const key of KEYS) {
      for (let place = 0; place < CROWD; place++) rides.push(send(planOf(key, place === 0, random)));
    }
    do await new Promise((resolve) => setTimeout(resolve, WAVE_MS));
    while (open > MOST_OPEN);
  }
  return Promise.all(rides);
}

async function take(isolate: Isolate, { order, resetAfterMs, afterMs }: Plan): Promise<Ride> {
  await new Promise((resolve) => setTimeout(resolve, afterMs));
  const startedAt = Date.now();
  const outcome = await isolate.send(order, { timeoutMs: 60_000, ...(resetAfterMs === undefined ? {} : { resetAfterMs }) });
  return { order, bad: order.end !== undefined || resetAfterMs !== undefined, startedAt, outcome };
}

/** What is wrong with the answer of a request that survived; nothing if all is well. */
function wrongIn({ order, startedAt, outcome }: Ride, noiseMs: number): string | undefined {
  if (outcome.kind !== "answer") return outcome.kind;
  if (outcome.status !== 200) return `${outcome.status} ${outcome.body.slice(0, 120)}`;
  const { results }: Reply = JSON.parse(outcome.body);
  if (results.length !== order.keys?.length) return `${results.length} results for ${order.keys?.length} keys`;
  for (const [index, { value }] of results.entries()) {
    if (!isValue(value) || value.key !== order.keys[index]) return `a wrong value: ${JSON.stringify(value)}`;
    const age = startedAt - value.at;
    if (age > LOCAL_TTL_MS + REMOTE_TTL_MS + Math.max(...LOADS_MS) + TWO_LEASES_MS + noiseMs) return `a value ${age} ms old`;
  }
  return undefined;
}

function isValue(value: unknown): value is { readonly key: string; readonly at: number } {
  return typeof value === "object" && value !== null && "key" in value && "at" in value && typeof value.at === "number";
}

/** How many leaders of the request's keys were reported dead while it ran. */
function deathsMet({ order, startedAt, outcome }: Ride, { events }: State): number {
  const digests = new Set((order.keys ?? []).map((key) => keyDigest(`Item:${key}`)));
  return events.filter(({ type, key, at }) => type === "leader-lost" && digests.has(key ?? "") && at >= startedAt && at <= startedAt + outcome.ms).length;
}

/** By how much a request took longer than the load and two leases for each dead leader. */
function latenessMs(one: Ride, state: State, noiseMs: number): number {
  return one.outcome.ms - Math.max(...LOADS_MS) - deathsMet(one, state) * TWO_LEASES_MS - noiseMs;
}

interface Storm {
  readonly lane: Lane;
  readonly waitUntil?: false;
}

const STORMS: readonly Storm[] = [...LANES.map((lane) => ({ lane })), ...LANES.slice(-2).map((lane) => ({ lane, waitUntil: false as const }))];

describe.skipIf(isLeftOut("redis"))("guarantee 4: a storm of 2,000 requests, a third of them bad leaders", () => {
  for (const { lane, waitUntil } of STORMS) {
    test(`leaves nobody hung, lost or with a wrong value on ${lane.name}${waitUntil === false ? ", without waitUntil" : ""}`, async () => {
      const isolate = await lab.worker(lane, {
        localTtlMs: LOCAL_TTL_MS,
        budgetMs: BUDGET_MS,
        remotes: [lab.remote(0, REMOTE_TTL_MS)],
        ...(waitUntil === false ? { waitUntil } : {}),
      });
      const { rides, noiseMs } = await storm(isolate);
      const survivors = rides.filter(({ bad }) => !bad);
      expect(survivors.length).toBeGreaterThan(REQUESTS / 2);
      expect(rides.length).toBeGreaterThanOrEqual(2_000);
      expect(rides.length - survivors.length).toBeGreaterThan(REQUESTS / 3.3);
      expect(survivors.map((one) => wrongIn(one, noiseMs)).filter((wrong) => wrong !== undefined)).toEqual([]);

      const state = await isolate.state();
      // The storm was one: leaders died and were replaced; how many are missed in time depends on the machine.
      expect(state.events.filter(({ type }) => type === "leader-lost").length).toBeGreaterThan(0);
      const quiet = survivors.filter(({ order }) => order.keys?.every((key) => QUIET.includes(key)));
      const late = quiet.filter((one) => latenessMs(one, state, noiseMs) > 0);
      expect(late).toEqual([]);

      // Later callers are served at once, and what the dead left behind goes with them.
      const later = await Promise.all(KEYS.flatMap((key) => [isolate.send({ op: "refresh", keys: [key] }), isolate.send({ op: "get", keys: [key] })]));
      expect(later.filter((outcome) => outcome.kind !== "answer" || outcome.status !== 200)).toEqual([]);
      await expect.poll(async () => (await isolate.state()).inFlight).toBe(0);
      await isolate.server.stop();
    });
  }
});
