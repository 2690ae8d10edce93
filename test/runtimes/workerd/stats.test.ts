/**
 * Guarantee 17 on raw workerd over real sockets: what was counted is written at least once and read once, though clients go away,
 * requests are killed, and writes are interrupted or repeated.
 *
 * @module
 */
import { createServer } from "node:http";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { createStatsSum } from "../../../src/stats-batch.ts";
import type { StatsBatch } from "../../../src/stats-batch.ts";
import { fetchOnce, type HttpOutcome } from "../../servers/http-client.ts";
import { listen } from "../../servers/process.ts";
import { startWorkerd, workerdBinary, type WorkerdServer } from "../../servers/workerd.ts";
import { bundleWorker } from "../bundle.ts";
import { LANES } from "./lab.ts";

const WINDOW_MS = 500;
const NEVER = 1_000_000;

/** What becomes of a write: applied and answered, applied and cut off, cut off, refused, or applied and never answered. */
type Fate = "answered" | "applied, then cut" | "cut" | "refused" | "applied, then silent";

/** A sink on a socket that keeps batches by name. */
interface Sink {
  readonly url: string;
  /** Fates of the writes to come; after those all are answered. */
  fates: Fate[];
  offers: StatsBatch[];
  stored: Map<string, StatsBatch>;
  requests(): number;
  stop(): Promise<void>;
}

async function startSink(): Promise<Sink> {
  // An idle connection that is closed just when a slow client uses it again is a request lost: none is closed.
  const server = createServer({ keepAliveTimeout: 0 }, (request, response) => {
    let body = "";
    request.setEncoding("utf8").on("data", (text: string) => (body += text));
    request.on("end", () => {
      const batch: StatsBatch = JSON.parse(body);
      const fate = sink.fates.shift() ?? "answered";
      sink.offers.push(batch);
      if (fate !== "cut" && fate !== "refused") sink.stored.set(`${batch.isolate}:${batch.sequence}`, batch);
      if (fate.endsWith("cut")) request.socket.resetAndDestroy();
      else if (!fate.endsWith("silent")) response.writeHead(fate === "refused" ? 503 : 200).end();
    });
  });
  const sink: Sink = {
    url: `http://127.0.0.1:${await listen(server)}`,
    fates: [],
    offers: [],
    stored: new Map(),
    requests() {
      const sum = createStatsSum();
      for (const { nodes } of sink.stored.values()) sum.add(nodes);
      return sum.stats()["Item"]?.requestCount ?? 0;
    },
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return sink;
}

function bodyOf(outcome: HttpOutcome): string {
  if (outcome.kind !== "answer") throw new Error(JSON.stringify(outcome));
  return outcome.body;
}

/** Time is measured on two slow cores; a single slow run proves nothing, three in a row do. */
const OPTIONS = { retry: 2 };

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

let sink: Sink;
let code: string;

beforeAll(async () => {
  sink = await startSink();
  code = await bundleWorker(join(import.meta.dirname, "stats.worker.ts"));
});

afterAll(async () => {
  await sink.stop();
});

describe.each([LANES[0], LANES[2], LANES[3]].filter((lane) => lane !== undefined))("guarantee 17: on $name", ({ runtime, date }) => {
  let worker: WorkerdServer | undefined;

  beforeEach(() => {
    sink.fates = [];
    sink.offers = [];
    sink.stored = new Map();
  });
  afterEach(async () => {
    await worker?.stop();
    worker = undefined;
  });

  async function start(every = NEVER): Promise<(path: string, resetAfterMs?: number) => Promise<HttpOutcome>> {
    const { url, stop, ...rest } = await startWorkerd({
      modules: { "worker.js": code },
      compatibilityDate: date,
      compatibilityFlags: ["experimental"],
      bindings: { SETTINGS: JSON.stringify({ sink: sink.url, windowMs: WINDOW_MS, every }) },
      binary: workerdBinary(runtime),
    });
    worker = { ...rest, url, stop };
    return (path, resetAfterMs) => fetchOnce(`${url}${path}`, resetAfterMs === undefined ? {} : { resetAfterMs });
  }

  test("100 requests, 10 of them reset: 100 are counted, in few writes", OPTIONS, async () => {
    const get = await start();
    const sent: Promise<HttpOutcome>[] = [];
    const startedAt = performance.now();
    for (let request = 0; request < 100; request++) {
      // The first loads, lingers, and is among the reset.
      sent.push(request % 10 === 0 ? get("/?key=warm&hold=300", 150) : get("/?key=warm&hold=100"));
      await sleep(12);
    }
    const outcomes = await Promise.all(sent);
    expect(outcomes.filter(({ kind }) => kind === "reset").length).toBe(10);
    await expect.poll(() => sink.requests()).toBe(100);
    expect(sink.offers.length).toBe(sink.stored.size);
    // One for each window, and one for each linger that was cut short.
    expect(sink.offers.length).toBeLessThanOrEqual((performance.now() - startedAt) / WINDOW_MS + 5);
    expect(bodyOf(await get("/events"))).toBe("[]");
  });

  test("clients that go away while their own key is loaded are counted as well", OPTIONS, async () => {
    const get = await start(7);
    await Promise.all(Array.from({ length: 30 }, (_, index) => get(`/?key=${index}`, index % 3 === 0 ? 45 : undefined)));
    await sleep(100);
    // A client that was gone before its request arrived asked nothing.
    const counted = Number(bodyOf(await get("/count")));
    expect(counted).toBeGreaterThanOrEqual(20);
    await expect.poll(() => sink.requests()).toBe(counted);
  });

  test("when every request that lingers is killed, the next request after the window writes all", OPTIONS, async () => {
    const get = await start();
    for (let round = 1; round <= 2; round++) {
      await get("/?key=warm&end=kill");
      await Promise.all(Array.from({ length: 9 }, () => get("/?key=warm")));
      expect(sink.requests()).toBe((round - 1) * 11);
      await sleep(WINDOW_MS + 1_100);
      await get("/?key=warm");
      await expect.poll(() => sink.requests()).toBe(round * 11);
    }
  });

  test("writes that are cut off, refused or applied unseen are repeated under their name, and read once", OPTIONS, async () => {
    const get = await start();
    sink.fates = ["applied, then cut", "cut", "refused", "applied, then cut"];
    for (let round = 1; round <= 5; round++) {
      await Promise.all(Array.from({ length: 4 }, () => get("/?key=warm")));
      const before = sink.offers.length;
      await expect.poll(() => sink.offers.length).toBeGreaterThan(before);
      await sleep(50);
    }
    await get("/flush");
    expect(sink.requests()).toBe(20);
    expect(sink.offers.length).toBeGreaterThan(sink.stored.size);
    const firsts = new Map<number, StatsBatch>();
    for (const batch of sink.offers) expect(batch).toEqual(firsts.get(batch.sequence) ?? firsts.set(batch.sequence, batch).get(batch.sequence));
  });

  test("when a request is killed while its write is on the way, another one repeats it once its lease has run out", OPTIONS, async () => {
    const get = await start(5);
    sink.fates = ["applied, then silent"];
    await Promise.all(Array.from({ length: 4 }, () => get("/?key=warm")));
    await get("/?key=warm&hold=30&end=kill");
    expect(sink.offers.length).toBe(1);
    await Promise.all(Array.from({ length: 3 }, () => get("/?key=warm")));
    await sleep(5_100);
    await get("/?key=warm");
    await expect.poll(() => sink.requests()).toBe(9);
    expect(sink.offers[1]).toEqual(sink.offers[0]);
  });
});
