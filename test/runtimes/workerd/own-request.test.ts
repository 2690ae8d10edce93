/**
 * Whoever waits for another request's load goes on in its own request, also in code that V8 has optimized. workerd marks
 * promises with their request; optimized code makes them without a mark, and those who follow such a promise go on in the
 * request of whoever settles it, and die with it. That takes thousands of requests as a rule; here V8 optimizes at once.
 *
 * @module
 */
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { fetchOnce, type HttpOutcome } from "../../servers/http-client.ts";
import { startWorkerd, workerdBinary, type WorkerdServer } from "../../servers/workerd.ts";
import { bundleWorker } from "../bundle.ts";
import { LANES, type Lane } from "./lab.ts";

/** Optimizes what has been called a few times, and while it is called. */
const EAGER = ["--no-lazy-feedback-allocation", "--invocation-count-for-maglev=1", "--invocation-count-for-turbofan=2", "--no-concurrent-recompilation"];
/** Also the oldest date on the newer workerd: there a promise settled by another request is not handed back to its own. */
const ALL: readonly Lane[] = [...LANES, { name: "workerd of November 2026, date 2022-01-01", runtime: "wrangler", date: "2022-01-01" }];
const WAVES = 5;
const CROWD = 40;
const KEYS = 4;
const LOAD_MS = 50;

describe.each(ALL)("with an eager optimizer on $name", ({ runtime, date }) => {
  let server: WorkerdServer;

  beforeAll(async () => {
    const code = await bundleWorker(join(import.meta.dirname, "own-request.worker.ts"));
    server = await startWorkerd({ modules: { "worker.js": code }, compatibilityDate: date, binary: workerdBinary(runtime), v8Flags: EAGER });
  });

  afterAll(async () => {
    await server?.stop();
  });

  /** How many loads there were, after many more by `op`, if it is given. */
  async function loads(op = ""): Promise<number> {
    const outcome = await fetchOnce(`${server.url}/?${new URLSearchParams({ op })}`);
    if (outcome.kind !== "answer" || outcome.status !== 200) throw new Error(JSON.stringify(outcome));
    return JSON.parse(outcome.body).loads;
  }

  /** Many requests for few keys, at once; what is wrong with their answers. */
  async function wave(op: string, number: number): Promise<string[]> {
    const asked = Array.from({ length: CROWD }, (_, place) => ({ key: `${op} ${number} ${place % KEYS}`, body: `body ${place}` }));
    const outcomes = await Promise.all(
      asked.map(({ key, body }) => fetchOnce(`${server.url}/?${new URLSearchParams({ op, key, ms: `${LOAD_MS}` })}`, { method: "POST", body })),
    );
    return outcomes.flatMap((outcome, place) => wrongIn(outcome, asked[place]) ?? []);
  }

  async function storm(op: string): Promise<string[]> {
    const wrong: string[] = [];
    for (let number = 0; number < WAVES; number++) wrong.push(...(await wave(op, number)));
    return wrong;
  }

  test.each(["get", "getAll", "lookup", "lookupAll", "memoize", "refresh"])("those who follow a load by %s go on in their own requests", async (op) => {
    const before = await loads(op);
    expect(await storm(op)).toEqual([]);
    // Many did follow, however late a slow machine let them in.
    expect((await loads()) - before).toBeLessThan(WAVES * CROWD * 0.75);
  });

  // If this fails, the runtime has been mended, and `flight.ts` may make its promises as it likes.
  test("those who follow a promise of `new Promise` do not", async () => {
    expect((await storm("new Promise")).length).toBeGreaterThan(0);
  });
});

function wrongIn(outcome: HttpOutcome, asked: { readonly key: string; readonly body: string } | undefined): string | undefined {
  if (outcome.kind !== "answer" || outcome.status !== 200) return JSON.stringify({ ...outcome, headers: undefined });
  const expected = JSON.stringify({ value: `value of ${asked?.key}`, body: asked?.body });
  return outcome.body === expected ? undefined : `${outcome.body} instead of ${expected}`;
}
