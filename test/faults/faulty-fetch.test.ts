import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { fakeClock, faultyFetch } from "../../testing/index.ts";
import { startHttpGate, type HttpGate } from "../servers/http-gate.ts";
import { isSettled } from "../support/rig.ts";

let server: HttpGate;

beforeAll(async () => {
  server = await startHttpGate(async ({ method, path, body }) => ({ status: 201, body: JSON.stringify({ method, path, body }) }));
});

afterAll(() => server.stop());

const post = (path: string, signal?: AbortSignal): [url: string, init: RequestInit] => [
  server.url + path,
  { method: "POST", body: "0123456789", headers: { "x-own": "1" }, ...(signal && { signal }) },
];
const answerTo = (path: string): string => JSON.stringify({ method: "POST", path, body: "0123456789" });

describe("faultyFetch", () => {
  test("passes requests on as they are, until it is told otherwise", async () => {
    const fetch = faultyFetch();
    const reply = await fetch(...post("/a"));
    expect([reply.status, await reply.text()]).toEqual([201, answerTo("/a")]);
    expect(server.requests.at(-1)?.headers["x-own"]).toBe("1");
    expect(await (await fetch(new URL(`${server.url}/b`))).json()).toMatchObject({ method: "GET", path: "/b" });
    expect(fetch.counts).toEqual({ requests: 2, faults: 0 });
  });

  test.each(["429", "500", "503"] as const)("answers %s in place of the server", async (fault) => {
    const fetch = faultyFetch();
    const before = server.requests.length;
    fetch.plan(fault);
    const reply = await fetch(...post("/"));
    expect([reply.status, await reply.json(), server.requests.length]).toEqual([
      Number(fault),
      { message: "failed on purpose", error: "failed on purpose" },
      before,
    ]);
  });

  test("answers a page with status 200", async () => {
    const fetch = faultyFetch();
    fetch.plan("html");
    const reply = await fetch(...post("/"));
    expect([reply.status, reply.headers.get("content-type")]).toEqual([200, "text/html; charset=utf-8"]);
    await expect(reply.json()).rejects.toThrow(SyntaxError);
  });

  test("resets before the server is asked, or after", async () => {
    const fetch = faultyFetch();
    const before = server.requests.length;
    fetch.plan("reset", "reset-after");
    await expect(fetch(...post("/"))).rejects.toThrow(TypeError);
    expect(server.requests.length).toBe(before);
    await expect(fetch(...post("/"))).rejects.toThrow(TypeError);
    expect(server.requests.length).toBe(before + 1);
  });

  test("hangs until the signal is aborted, before the server is asked or after", async () => {
    const fetch = faultyFetch();
    const before = server.requests.length;
    const controller = new AbortController();
    fetch.plan("hang", "hang-after");
    const hung = [fetch(...post("/", controller.signal)), fetch(...post("/", controller.signal))];
    while (server.requests.length === before) await new Promise((resolve) => setTimeout(resolve, 1));
    for (const each of hung) expect(await isSettled(each)).toBe(false);
    controller.abort(new Error("given up"));
    for (const each of hung) await expect(each).rejects.toThrow("given up");
    expect(server.requests.length).toBe(before + 1);
  });

  test("spoils bodies, and keeps status and headers", async () => {
    const fetch = faultyFetch();
    fetch.plan("truncate", "cut-short", "empty", "garbage");
    const [truncated, short, empty, garbage] = [await fetch(...post("/")), await fetch(...post("/")), await fetch(...post("/")), await fetch(...post("/"))];
    await expect(truncated.text()).rejects.toThrow(TypeError);
    const whole = answerTo("/");
    expect(await short.text()).toBe(whole.slice(0, whole.length >> 1));
    expect(await empty.text()).toBe("");
    const noise = new Uint8Array(await garbage.arrayBuffer());
    expect([noise.length, new TextDecoder().decode(noise) === whole]).toEqual([whole.length, false]);
    expect([short.status, short.headers.get("content-type"), short.headers.get("content-length")]).toEqual([201, "application/json", null]);
  });

  test("delays requests and drips bodies by the clock it is given", async () => {
    const clock = fakeClock();
    let asks = 0;
    const fetch = faultyFetch(async () => (++asks, new Response("0123456789")), { clock, dripMs: 50 });
    fetch.plan({ delayMs: 100, fault: "slow-body" });
    const asked = fetch("http://127.0.0.1/");
    await clock.advance(99);
    expect([await isSettled(asked), asks]).toEqual([false, 0]);
    await clock.advance(1);
    expect(asks).toBe(1);
    // Five pieces of two bytes.
    const text = (await asked).text();
    await clock.advance(199);
    expect(await isSettled(text)).toBe(false);
    await clock.advance(1);
    expect(await text).toBe("0123456789");
  });

  test("a delay ends with its signal", async () => {
    const fetch = faultyFetch(undefined, { clock: fakeClock() });
    const controller = new AbortController();
    fetch.plan({ delayMs: 100 });
    const asked = fetch(...post("/", controller.signal));
    controller.abort(new Error("given up"));
    await expect(asked).rejects.toThrow("given up");
  });

  test("gives two requests one another's replies, and one that waits its own when it is healed", async () => {
    const fetch = faultyFetch();
    fetch.always("swap");
    const [first, second] = await Promise.all([fetch(...post("/first")), fetch(...post("/second"))]);
    expect([await first.text(), await second.text()].sort()).toEqual([answerTo("/first"), answerTo("/second")]);
    fetch.heal();
    const spoiled = faultyFetch(async (request) => new Response(request.url));
    const [here, there] = ["http://127.0.0.1/here", "http://127.0.0.1/there"];
    spoiled.plan("swap", "swap", "swap");
    const one = spoiled(here);
    expect(await isSettled(one)).toBe(false);
    expect([await (await spoiled(there)).text(), await (await one).text()]).toEqual([here, there]);
    const alone = spoiled(here);
    expect(await isSettled(alone)).toBe(false);
    spoiled.heal();
    expect(await (await alone).text()).toBe(here);
  });

  test("fails as often as its rates say, by its seed alone", async () => {
    const outcomes = async (seed: number): Promise<string> => {
      const fetch = faultyFetch(async () => new Response("fine"), { seed, rates: { "503": 0.25, reset: 0.25 } });
      const settled = await Promise.allSettled(Array.from({ length: 400 }, () => fetch("http://127.0.0.1/")));
      return settled.map((one) => (one.status === "rejected" ? "x" : String(one.value.status)[0])).join("");
    };
    const first = await outcomes(1);
    expect(await outcomes(1)).toBe(first);
    expect(await outcomes(2)).not.toBe(first);
    expect(new Set(first)).toEqual(new Set(["2", "5", "x"]));
  });

  test("refuses what is no likelihood and no fault", () => {
    const fetch = faultyFetch();
    for (const fault of ["404", 503, {}, { delayMs: Number.NaN }, { delayMs: 1, fault: "late" }])
      expect(() => Reflect.apply(fetch.plan, fetch, [fault])).toThrow("faultyFetch: there is no fault");
    expect(() => faultyFetch(undefined, { rates: { html: 2 } })).toThrow("faultyFetch: rates: html must be from 0 to 1, got 2");
  });
});
