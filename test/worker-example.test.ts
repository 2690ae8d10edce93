/**
 * The worker example as a user meets it: `scripts/start.mjs` runs it under the real wrangler, on a real D1 table of 135,233
 * cities and a real KV, and everything is asked over HTTP. Relies on `dist`, since the example imports the package by name.
 *
 * @module
 */

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Lookup } from "../src/types.ts";
import { describeLookup, describeLookups } from "../worker-example/src/cache-status.ts";
import { isLeftOut } from "./servers/process.ts";
import { type RedisServer, startRedis } from "./servers/redis.ts";
import { startUpstashBridge } from "./servers/upstash-bridge.ts";

const ROOT = join(import.meta.dirname, "..");
const HAMBURG = { id: 2911298, name: "Hamburg", country: "DE" };
const LONDON = { id: 2643743, name: "London", country: "GB" };
const NO_CITY = 1;

interface Example {
  readonly address: string;
  readonly process: ChildProcess;
  /** What it has printed so far. */
  output(): string;
  /** Sends SIGTERM and resolves with the exit code. */
  stop(): Promise<number | null>;
}

function runStart(state: string, environment: Readonly<Record<string, string>>): { child: ChildProcess; output: () => string } {
  const child = spawn(process.execPath, ["scripts/start.mjs", "--no-build", "--state", state], {
    cwd: ROOT,
    env: { ...process.env, PORT: "0", ...environment },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding("utf8").on("data", (text: string) => (output += text));
  return { child, output: () => output };
}

async function startExample(state: string, environment: Readonly<Record<string, string>> = {}): Promise<Example> {
  if (!existsSync(join(ROOT, "dist/src/index.js"))) throw new Error("the example needs dist: run `npm run build` first");
  const { child, output } = runStart(state, environment);
  const address = await new Promise<string>((resolve, reject) => {
    child.stdout?.on("data", () => {
      const match = /answers at (\S+)\//.exec(output());
      if (match?.[1]) resolve(match[1]);
    });
    child.once("exit", (code) => reject(new Error(`the example ended with ${code}:\n${output()}`)));
  });
  return {
    address,
    process: child,
    output,
    async stop() {
      if (child.exitCode === null && child.kill("SIGTERM")) await once(child, "exit");
      return child.exitCode;
    },
  };
}

interface Reply {
  readonly status: number;
  readonly headers: Headers;
  readonly cacheStatus: string | null;
  /** Parsed if it is JSON, else the text. */
  readonly body: unknown;
}

async function ask({ address }: Example, path: string, method = "GET"): Promise<Reply> {
  const answer = await fetch(`${address}${path}`, { method });
  const text = await answer.text();
  const body = answer.headers.get("Content-Type")?.startsWith("application/json") && text ? JSON.parse(text) : text;
  return { status: answer.status, headers: answer.headers, cacheStatus: answer.headers.get("Cache-Status"), body };
}

type Counts = Readonly<Record<"requestCount" | "hitCount" | "missCount" | "loadCount", number>>;

async function statsOf(example: Example, node: string): Promise<Counts> {
  const { nodes }: { nodes: Record<string, Counts | undefined> } = await (await fetch(`${example.address}/stats`)).json();
  return nodes[node] ?? { requestCount: 0, hitCount: 0, missCount: 0, loadCount: 0 };
}

/** Every living process under `pid`, by the tables of the kernel. */
function descendants(pid: number): number[] {
  const children = new Map<number, number[]>();
  for (const entry of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    const parent = Number(parseStat(entry)?.[1] ?? -1);
    children.set(parent, [...(children.get(parent) ?? []), Number(entry)]);
  }
  const under = (parent: number): number[] => (children.get(parent) ?? []).flatMap((child) => [child, ...under(child)]);
  return under(pid);
}

/** How many keys of a Redis name a city. */
async function slotsIn(redis: RedisServer, id: string): Promise<number> {
  const keys = await redis.command("KEYS", `*city:${id}*`);
  return Array.isArray(keys) ? keys.length : 0;
}

/** State and parent of a process; nothing if it has gone. The name in front may hold blanks, so it is cut off first. */
function parseStat(pid: number | string): string[] | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  } catch {
    return undefined;
  }
}

function isRunning(pid: number): boolean {
  return !["Z", "X", undefined].includes(parseStat(pid)?.[0]);
}

let state: string;
let example: Example;

beforeAll(async () => {
  state = mkdtempSync(join(tmpdir(), "cacheme-worker-example-"));
  example = await startExample(state);
}, 240_000);

afterAll(async () => {
  await example?.stop();
  rmSync(state, { recursive: true, force: true });
}, 120_000);

describe("routes, on the chain [local, kv]", () => {
  test("the page explains itself, names its source and loads nothing from elsewhere", async () => {
    const { status, headers, cacheStatus, body } = await ask(example, "/");
    expect(status).toBe(200);
    expect(headers.get("Content-Type")).toBe("text/html; charset=utf-8");
    expect(cacheStatus).toBe("cacheme; fwd=bypass");
    expect(body).toContain("[local, kv]");
    expect(body).toContain("GeoNames");
    expect(body).not.toMatch(/<(?:script|img|link)[^>]+(?:src|href)=/);
  });

  test("a city is loaded once and then a local hit that says how long it stays fresh", async () => {
    const first = await ask(example, `/cities/${HAMBURG.id}`);
    expect(first).toMatchObject({ status: 200, body: HAMBURG, cacheStatus: "cacheme-City; fwd=miss; stored" });
    expect(first.headers.get("Server-Timing")).toMatch(/^handler;dur=\d+$/);
    const second = await ask(example, `/cities/${HAMBURG.id}`);
    expect(second.body).toEqual(first.body);
    const ttl = /^cacheme-City; hit; ttl=(\d+); detail=local$/.exec(second.cacheStatus ?? "")?.[1];
    expect(Number(ttl)).toBeGreaterThan(0);
    expect(Number(ttl)).toBeLessThanOrEqual(30);
  });

  test("that a city does not exist is cached like any other answer", async () => {
    const first = await ask(example, `/cities/${NO_CITY}`);
    expect(first).toMatchObject({ status: 404, body: { error: "no city has the id 1" }, cacheStatus: "cacheme-City; fwd=miss; stored" });
    const second = await ask(example, `/cities/${NO_CITY}`);
    expect(second.status).toBe(404);
    expect(second.cacheStatus).toMatch(/^cacheme-City; hit; .*detail=local$/);
  });

  test("many cities come in the order of their ids, repeated and unknown ones included, and only the missing are loaded", async () => {
    await ask(example, `/cities/${HAMBURG.id}`);
    const path = `/cities?ids=${LONDON.id},${HAMBURG.id},${NO_CITY + 1},${LONDON.id}`;
    const first = await ask(example, path);
    expect(first.body).toMatchObject([LONDON, HAMBURG, null, LONDON]);
    expect(first.cacheStatus).toMatch(/^cacheme-City; fwd=partial; stored; detail="/);
    const second = await ask(example, path);
    expect(second.body).toEqual(first.body);
    expect(second.cacheStatus).toMatch(/^cacheme-City; hit; ttl=\d+; detail="4 local"$/);
  });

  test("a hundred new cities in one request are all loaded", async () => {
    const ids = Array.from({ length: 100 }, (_, index) => 3_039_154 + index);
    const { status, body, cacheStatus } = await ask(example, `/cities?ids=${ids.join(",")}`);
    expect(status).toBe(200);
    expect(body).toHaveLength(100);
    expect(body).toHaveProperty("0.name", "El Tarter");
    expect(cacheStatus).toBe('cacheme-City; fwd=miss; stored; detail="100 load"');
  });

  test("a search is memoized, and spellings that find the same share one entry", async () => {
    const first = await ask(example, "/search?q=zuric");
    expect(first.status).toBe(200);
    expect(first.cacheStatus).toBe("cacheme-Search; fwd=miss; stored");
    expect(first.body).toHaveProperty("cities.0.name", "Zürich");
    const second = await ask(example, `/search?q=${encodeURIComponent("  ZÜRIC ")}`);
    expect(second.cacheStatus).toBe("cacheme-Search; hit; detail=local");
    expect(second.body).toEqual({ ...Object(first.body), query: "  ZÜRIC " });
  });

  test("a search that finds nothing, and one made of SQL, are ordinary answers", async () => {
    for (const q of ["qqqqqq", "' or 1=1 --", "100%_", "a\0b", "🏙️🏙️"]) {
      expect(await ask(example, `/search?q=${encodeURIComponent(q)}`)).toMatchObject({ status: 200, body: { query: q, cities: [] } });
    }
  });

  test("a hundred requests for one search at the same time scan the table once", async () => {
    const before = await statsOf(example, "Search");
    const replies = await Promise.all(Array.from({ length: 100 }, () => ask(example, "/search?q=burg")));
    const after = await statsOf(example, "Search");
    expect(new Set(replies.map(({ status }) => status))).toEqual(new Set([200]));
    expect(new Set(replies.map(({ body }) => JSON.stringify(body))).size).toBe(1);
    expect(after.loadCount - before.loadCount).toBe(1);
    expect(after.requestCount - before.requestCount).toBe(100);
  });

  test("the list of countries is loaded once, then served", async () => {
    const first = await ask(example, "/countries");
    expect(first.cacheStatus).toBe("cacheme-Countries; fwd=miss; stored");
    expect(first.body).toHaveLength(246);
    expect(first.body).toHaveProperty("0", expect.objectContaining({ country: "CN", largest: "Shanghai" }));
    expect((await ask(example, "/countries")).cacheStatus).toMatch(/^cacheme-Countries; hit; ttl=\d+; detail=local$/);
  });

  test("after invalidate the next get is a miss in every tier", async () => {
    await ask(example, `/cities/${LONDON.id}`);
    const invalidated = await ask(example, `/cities/${LONDON.id}/invalidate`, "POST");
    expect(invalidated).toMatchObject({ status: 200, body: { invalidated: LONDON.id }, cacheStatus: "cacheme-City; detail=invalidated" });
    expect((await ask(example, `/cities/${LONDON.id}`)).cacheStatus).toBe("cacheme-City; fwd=miss; stored");
  });

  test("refresh loads although a fresh copy is there", async () => {
    await ask(example, `/cities/${LONDON.id}`);
    const before = await statsOf(example, "City");
    const refreshed = await ask(example, `/cities/${LONDON.id}/refresh`, "POST");
    expect(refreshed).toMatchObject({ status: 200, body: LONDON, cacheStatus: "cacheme-City; fwd=request; stored" });
    const after = await statsOf(example, "City");
    expect(after.loadCount - before.loadCount).toBe(1);
    expect((await ask(example, `/cities/${LONDON.id}`)).cacheStatus).toMatch(/; hit; /);
    expect((await ask(example, `/cities/${NO_CITY}/refresh`, "POST")).status).toBe(404);
  });

  test("stats name the chain, and their books balance", async () => {
    const { body, cacheStatus } = await ask(example, "/stats");
    expect(cacheStatus).toBe("cacheme; fwd=bypass");
    expect(body).toMatchObject({ chain: ["local", "kv"] });
    for (const node of ["City", "Countries", "Search"]) {
      const { requestCount, hitCount, missCount } = await statsOf(example, node);
      expect(requestCount).toBeGreaterThan(0);
      expect(hitCount + missCount).toBe(requestCount);
    }
  });

  test.each([
    ["letters", "/cities/x", 'a city\'s id is a whole number above 0, got "x"'],
    ["nothing", "/cities/", 'a city\'s id is a whole number above 0, got ""'],
    ["zero", "/cities/0", 'a city\'s id is a whole number above 0, got "0"'],
    ["a negative number", "/cities/-1", 'a city\'s id is a whole number above 0, got "-1"'],
    ["an exponent", "/cities/1e3", 'a city\'s id is a whole number above 0, got "1e3"'],
    ["an unsafe integer", "/cities/99999999999999999999", 'a city\'s id is a whole number above 0, got "99999999999999999999"'],
    ["no ids", "/cities", 'a city\'s id is a whole number above 0, got ""'],
    ["a gap between ids", "/cities?ids=1,,2", 'a city\'s id is a whole number above 0, got ""'],
    ["101 ids", `/cities?ids=${Array.from({ length: 101 }, (_, index) => index + 1).join(",")}`, "ids takes at most 100 numbers, got 101"],
    ["no text", "/search", 'q is a text of 2 to 50 characters, got ""'],
    ["one character among blanks", "/search?q=%20a%20", 'q is a text of 2 to 50 characters, got " a "'],
    ["accents alone", "/search?q=%CC%81%CC%81%CC%81", 'q is a text of 2 to 50 characters, got "\u0301\u0301\u0301"'],
    ["51 characters", `/search?q=${"x".repeat(51)}`, `q is a text of 2 to 50 characters, got "${"x".repeat(51)}"`],
  ])("a request with %s is refused with a reason", async (_, path, error) => {
    expect(await ask(example, path)).toMatchObject({ status: 400, body: { error }, cacheStatus: "cacheme; fwd=bypass" });
  });

  test("an unknown route is a 404 that leads to the page", async () => {
    expect(await ask(example, "/nowhere")).toMatchObject({ status: 404, body: { error: "no such route; the page at / lists them" } });
  });

  test("a route asked by another method says which one it takes", async () => {
    const reply = await ask(example, `/cities/${HAMBURG.id}/invalidate`);
    expect(reply).toMatchObject({ status: 405, body: { error: "this route takes POST" } });
    expect(reply.headers.get("Allow")).toBe("POST");
    expect((await ask(example, "/countries", "HEAD")).status).toBe(200);
  });
});

describe("the Cache-Status header", () => {
  const node = { name: "City", version: "v1" };
  const found = (changes: Partial<Lookup<unknown>>): Lookup<unknown> => ({
    value: 1,
    source: "load",
    state: "fresh",
    ageMs: 0,
    ttlMs: 30_000,
    collapsed: false,
    guarded: true,
    ...changes,
  });

  test.each([
    [{}, "cacheme-City; fwd=miss; stored"],
    [{ collapsed: true }, "cacheme-City; fwd=miss; stored; collapsed"],
    [{ source: "kv", ttlMs: 12_999 }, "cacheme-City; hit; ttl=12; detail=kv"],
    [{ source: "kv", ttlMs: null }, "cacheme-City; hit; detail=kv"],
    [{ source: "local", state: "stale" as const, ttlMs: 0 }, "cacheme-City; hit; ttl=0; detail=stale-local"],
    [{ source: "kv", collapsed: true }, "cacheme-City; hit; ttl=30; detail=kv"],
  ])("of a lookup %o is %s", (changes, header) => {
    expect(describeLookup(node, found(changes))).toBe(header);
  });

  test("of many lookups counts what came from where, and gives the shortest life of a hit", () => {
    const local = found({ source: "local", ttlMs: 5_000 });
    expect(describeLookups(node, [local, found({ source: "kv", ttlMs: null })])).toBe('cacheme-City; hit; ttl=5; detail="1 local, 1 kv"');
    expect(describeLookups(node, [local, found({}), local])).toBe('cacheme-City; fwd=partial; stored; detail="2 local, 1 load"');
    expect(describeLookups(node, [found({})])).toBe('cacheme-City; fwd=miss; stored; detail="1 load"');
  });
});

describe("npm start", () => {
  test("a port that is taken is an error that names it", async () => {
    const server = createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    const address = server.address();
    const port = typeof address === "object" ? String(address?.port) : "";
    const { child, output } = runStart(state, { PORT: port });
    const [code] = await once(child, "exit");
    server.close();
    expect(code).toBe(1);
    expect(output()).toContain(`Port ${port} cannot be used (EADDRINUSE)`);
  });

  test.each([
    [{ PORT: "eighty" }, 'PORT must be a number from 0 to 65535, got "eighty"'],
    [{ UPSTASH_REDIS_REST_URL: "http://127.0.0.1:1", UPSTASH_REDIS_REST_TOKEN: "" }, "UPSTASH_REDIS_REST_URL is set, the other one"],
  ])("wrong variables are an error before anything is started: %o", async (environment, message) => {
    const { child, output } = runStart(state, environment);
    const [code] = await once(child, "exit");
    expect(code).toBe(1);
    expect(output()).toContain(message);
  });

  test("SIGTERM ends it with 0 and leaves no process; the next start finds in KV what was stored", async () => {
    for (const path of ["/countries", "/search?q=burg", `/cities?ids=${LONDON.id},${NO_CITY}`]) await ask(example, path);
    const pids = process.platform === "linux" && example.process.pid ? descendants(example.process.pid) : [];
    if (process.platform === "linux") expect(pids.length).toBeGreaterThan(1);
    expect(await example.stop()).toBe(0);
    expect(pids.filter(isRunning)).toEqual([]);
    await expect(fetch(example.address)).rejects.toThrow();

    example = await startExample(state);
    const reply = await ask(example, "/countries");
    expect(reply.cacheStatus).toMatch(/^cacheme-Countries; hit; ttl=\d+; detail=kv$/);
    expect((await statsOf(example, "Countries")).loadCount).toBe(0);
    expect((await ask(example, "/search?q=burg")).cacheStatus).toBe("cacheme-Search; hit; detail=kv");
    expect((await ask(example, `/cities?ids=${LONDON.id},${NO_CITY}`)).cacheStatus).toMatch(/; hit; ttl=\d+; detail="2 kv"$/);
  }, 240_000);
});

describe("the chain [local, upstash]", () => {
  test.skipIf(isLeftOut("redis"))(
    "two isolates share what one of them loaded, and what one invalidates is loaded anew",
    async () => {
      const redis = await startRedis();
      const bridge = await startUpstashBridge({ redisPort: redis.port });
      const variables = { UPSTASH_REDIS_REST_URL: bridge.url, UPSTASH_REDIS_REST_TOKEN: bridge.token };
      const isolates = await Promise.all([startExample(state, variables), startExample(state, variables)]);
      try {
        const [one, other] = isolates;
        expect(await ask(one, "/stats")).toMatchObject({ body: { chain: ["local", "upstash"] } });
        const path = `/cities/${LONDON.id}`;
        expect((await ask(one, path)).cacheStatus).toBe("cacheme-City; fwd=miss; stored");
        expect((await ask(one, path)).cacheStatus).toMatch(/; hit; ttl=\d+; detail=local$/);
        await expect.poll(() => slotsIn(redis, path.slice("/cities/".length))).toBe(1);
        expect(await ask(other, path)).toMatchObject({ body: LONDON, cacheStatus: expect.stringMatching(/; hit; ttl=\d+; detail=upstash$/) });
        expect((await statsOf(other, "City")).loadCount).toBe(0);

        expect((await ask(one, `${path}/invalidate`, "POST")).status).toBe(200);
        expect((await ask(one, path)).cacheStatus).toBe("cacheme-City; fwd=miss; stored");

        bridge.requests.length = 0;
        await Promise.all(Array.from({ length: 100 }, () => ask(one, "/search?q=burg")));
        expect((await statsOf(one, "Search")).loadCount).toBe(1);
        expect(bridge.requests.filter(({ commands }) => commands[0]?.[0]?.toUpperCase() === "MGET")).toHaveLength(1);
      } finally {
        expect(await Promise.all(isolates.map((isolate) => isolate.stop()))).toEqual([0, 0]);
        await bridge.stop();
        await redis.stop();
      }
    },
    240_000,
  );

  test("with a dead server every read answers, and invalidate and refresh say that they failed", async () => {
    const alone = await startExample(state, { UPSTASH_REDIS_REST_URL: "http://127.0.0.1:1", UPSTASH_REDIS_REST_TOKEN: "secret-canary" });
    try {
      expect(await ask(alone, "/stats")).toMatchObject({ body: { chain: ["local", "upstash"] } });
      expect(await ask(alone, `/cities/${HAMBURG.id}`)).toMatchObject({ status: 200, body: HAMBURG, cacheStatus: "cacheme-City; fwd=miss; stored" });
      expect((await ask(alone, `/cities/${HAMBURG.id}`)).cacheStatus).toMatch(/; hit; ttl=\d+; detail=local$/);
      expect((await ask(alone, "/search?q=burg")).status).toBe(200);
      expect((await ask(alone, "/countries")).status).toBe(200);
      for (const action of ["invalidate", "refresh"]) {
        const reply = await ask(alone, `/cities/${HAMBURG.id}/${action}`, "POST");
        expect(reply).toMatchObject({ status: 503, body: { error: "a tier could not be reached and may still serve an old value; ask again" } });
      }
      expect((await ask(alone, `/cities/${HAMBURG.id}`)).status).toBe(200);
      expect(alone.output()).not.toContain("secret-canary");
    } finally {
      expect(await alone.stop()).toBe(0);
    }
  }, 240_000);
});
