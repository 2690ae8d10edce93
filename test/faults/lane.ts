/**
 * What every storage has to stand when the way to its server fails, in whatever manner: readers get the right value within the
 * budgets, `invalidate` is done or rejects, nothing secret is told, and once the way is sound again the storage is used again.
 * Each fault has a cache, a client and a proxy of its own, so that they run at the same time. Declared for vitest.
 *
 * @module
 */
import { randomUUID } from "node:crypto";
import net from "node:net";
import { inspect } from "node:util";
import { describe, expect, test, vi } from "vitest";
import { createCache, defineNode, type Cache, type CacheEvent, type Reference } from "../../src/index.ts";
import type { Storage } from "../../src/storage.ts";
import { faultProxy, faultyFetch, httpReply, type FaultyFetch, type FetchFault, type ProxyFault } from "../../testing/index.ts";

/** A way to a storage that can be made to fail in one manner. */
export interface Way {
  readonly storage: Storage;
  /** From now on it fails. */
  begin(): void;
  /** From now on it is sound. */
  heal(): Promise<void> | void;
  close(): Promise<void> | void;
}

/** How the storages of a lane are to be judged. */
export interface LaneOptions {
  /** Words that nobody may be told, beside keys and values. */
  readonly secrets: readonly string[];
}

/** How those that go through a proxy are. */
export interface ProxiedOptions extends LaneOptions {
  /** Faults on which the client never gives up a connection: its end comes as from the host's keep-alive. */
  readonly cutting?: readonly string[] | undefined;
}

/** Of one call: far above what a sound one takes, also on a machine that is busy with something else. */
const BUDGET_MS = 1_000;
/** For a call of ours that may cost two budgets, on the same machine. */
const BOUND_MS = 10_000;
const HEALED_WITHIN_MS = 30_000;
/** What outlasts a budget. */
const TOO_LATE_MS = 1_500;

// They wait more than they work.
vi.setConfig({ maxConcurrency: 40 });

/** What any connection can do to a client. Each outlasts the budget, or breaks the reply. */
export const TCP_FAULTS: Readonly<Record<string, ProxyFault>> = {
  "a reset before": "reset",
  "a reset after": "reset-after",
  "silence before": "hang",
  "silence after": "hang-after",
  "a half-open connection": "half-open",
  "noise in place of the reply": "garbage",
  "a reply that is cut off at once": { truncate: 1 },
  "a reply that is cut off later": { truncate: 60 },
  "a reply in slow pieces": { dripMs: TOO_LATE_MS / 5 },
  latency: { delayMs: TOO_LATE_MS },
};

/** What a service on HTTP can do besides. */
export const HTTP_FAULTS: Readonly<Record<string, ProxyFault>> = {
  ...TCP_FAULTS,
  "a body that is cut off": { truncate: 250 },
  "429": { reply: httpReply(429) },
  "500": { reply: httpReply(500) },
  "503": { reply: httpReply(503) },
  "a page with 200": { reply: httpReply(200, "<!doctype html><title>One moment</title>", "text/html") },
  "another answer with 200": { reply: httpReply(200, '{"surprise":true}') },
  "an empty answer with 200": { reply: httpReply(200, "") },
};

/** A client by a port: through a proxy, or straight. */
export interface Client {
  readonly storage: Storage;
  close(): Promise<void> | void;
}

let named = 0;

/** Declares one test for each fault. */
export function runFaults(name: string, faults: readonly string[], open: (fault: string) => Promise<Way>, options: LaneOptions): void {
  describe.concurrent(`${name}, when the way to it fails`, () => {
    test.each(faults)("%s: right values in time, nothing told, and back again", { timeout: 120_000 }, async (fault) => {
      const way = await open(fault);
      try {
        await judge(way, options);
      } finally {
        await way.close();
      }
    });
  });
}

/** The same through a proxy in front of the server on `port`; `connect` makes a client of the proxy's. */
export function runProxied(
  name: string,
  faults: Readonly<Record<string, ProxyFault>>,
  port: () => number,
  connect: (port: number) => Promise<Client>,
  options: ProxiedOptions,
): void {
  async function open(fault: string): Promise<Way> {
    const proxy = await faultProxy({ net, port: port() });
    const client = await connect(proxy.port);
    return {
      storage: client.storage,
      begin: () => proxy.always(faults[fault]),
      heal() {
        proxy.heal();
        if (options.cutting?.includes(fault)) proxy.cut();
      },
      async close() {
        await client.close();
        await proxy.stop();
      },
    };
  }
  runFaults(name, Object.keys(faults), open, options);
}

/** What only shows above the connection: replies that are whole and yet not the right ones. */
const FETCH_FAULTS: Readonly<Record<string, FetchFault>> = {
  "the replies of two requests swapped": "swap",
  "half a body as if it were all": "cut-short",
  "a body of noise": "garbage",
  "a reply without a body": "empty",
  "a reply that is lost": "reset-after",
};

const routes = new Map<string, FaultyFetch>();
const hosts = globalThis.fetch;

/** The same for drivers that call the host's `fetch`; each client asks a port of its own, by which its requests are known. */
export function runFetched(name: string, port: () => number, connect: (port: number) => Promise<Client>, options: LaneOptions): void {
  vi.stubGlobal("fetch", (input: Request | URL | string, init?: RequestInit) => {
    const { port: asked } = new URL(input instanceof Request ? input.url : input);
    return (routes.get(asked) ?? hosts)(input, init);
  });
  async function open(fault: string): Promise<Way> {
    const proxy = await faultProxy({ net, port: port() });
    const fetch = faultyFetch(hosts);
    routes.set(String(proxy.port), fetch);
    const client = await connect(proxy.port);
    return {
      storage: client.storage,
      begin: () => fetch.always(FETCH_FAULTS[fault]),
      heal: () => fetch.heal(),
      async close() {
        await client.close();
        await proxy.stop();
        routes.delete(String(proxy.port));
        expect(fetch.counts.faults).toBeGreaterThan(0);
      },
    };
  }
  runFaults(name, Object.keys(FETCH_FAULTS), open, options);
}

/** What can happen to a call of a binding, or of any function. */
export const CALL_FAULTS: readonly string[] = ["an error before", "an error after", "silence before", "silence after", "latency", "another answer"];

/** Puts these faults around calls. Those that are late have ended once it is healed. */
export function faultyCalls(): { around<Result>(call: () => Promise<Result>): Promise<Result>; begin(fault: string): void; heal(): Promise<void> } {
  let fault: string | undefined;
  const late = new Set<Promise<unknown>>();
  return {
    async around<Result>(call: () => Promise<Result>): Promise<Result> {
      const met = fault;
      if (met === undefined) return call();
      if (met === "an error before") throw new Error("internal error; reference = 0123456789abcdef");
      if (met === "silence before") return new Promise(() => undefined);
      if (met === "latency") {
        const later = pause(TOO_LATE_MS).then(call);
        late.add(later.catch(() => undefined));
        return later;
      }
      await call();
      if (met === "an error after") throw new Error("Network connection lost.");
      return met === "another answer" ? JSON.parse("42") : new Promise(() => undefined);
    },
    begin(next) {
      fault = next;
    },
    async heal() {
      fault = undefined;
      await Promise.all(late);
    },
  };
}

interface Isolate {
  readonly cache: Cache<"shared">;
  readonly events: CacheEvent[];
}

function isolateOn(storage: Storage, prefix: string): Isolate {
  const events: CacheEvent[] = [];
  const cache = createCache({
    prefix,
    storages: { shared: storage },
    guard: { timeout: BUDGET_MS, breaker: { failures: 2, coolDown: 200 } },
    onEvent: (event) => void events.push(event),
  });
  return { cache, events };
}

async function judge(way: Way, { secrets }: LaneOptions): Promise<void> {
  const prefix = randomUUID();
  const [one, two] = [isolateOn(way.storage, prefix), isolateOn(way.storage, prefix)];
  const rows = new Map(["a", "b", "c", "d"].map((id) => [id, `canary-value-${id}1`]));
  const Row = defineNode({
    name: `faults-${++named}`,
    key: (id: string) => `canary-key-${id}`,
    load: (id) => rows.get(id) ?? "none",
    caches: [{ storage: "shared", ttl: "1h" }],
  });
  const told: unknown[] = [];

  await inTime(one.cache.getAll([Row("a"), Row("b")]));
  await one.cache.flush();
  await untilShared(two, Row("a"), rows.get("a"));

  way.begin();
  // Both at once, so that replies can be taken for one another.
  const both = await inTime(Promise.all([one.cache.get(Row("a")), two.cache.get(Row("b"))]));
  expect(both).toEqual([rows.get("a"), rows.get("b")]);
  expect(await inTime(one.cache.get(Row("c")))).toBe(rows.get("c"));
  expect(await inTime(one.cache.getAll([Row("a"), Row("b"), Row("d")]))).toEqual([rows.get("a"), rows.get("b"), rows.get("d")]);
  rows.set("a", "canary-value-a2");
  const done = await inTime(invalidated(one, Row("a"), told));
  if (done) expect(await inTime(asked(two, Row("a")))).toBe(rows.get("a"));
  expect(await inTime(one.cache.getAll([Row("b"), Row("c")]))).toEqual([rows.get("b"), rows.get("c")]);
  await way.heal();

  rows.set("a", "canary-value-a3");
  for (const deadline = Date.now() + HEALED_WITHIN_MS; !(await invalidated(one, Row("a"), told)); await pause()) expect(Date.now()).toBeLessThan(deadline);
  // Nobody gets what an invalidation that resolved has replaced.
  expect(await inTime(Promise.all([one.cache.get(Row("a")), asked(two, Row("a"))]))).toEqual([rows.get("a"), rows.get("a")]);
  await untilShared(two, Row("a"), rows.get("a"));
  await untilShared(one, Row("a"), rows.get("a"));

  const events = [...one.events, ...two.events];
  expect(events.map(({ type }) => type)).toContain("storage-failed");
  for (const { events: own } of [one, two]) {
    const last = own.filter(({ type }) => type.startsWith("breaker-")).at(-1);
    expect(last?.type ?? "breaker-closed").toBe("breaker-closed");
  }
  const words = [events, told, one.cache.stats(), two.cache.stats()]
    .map((said) => JSON.stringify(said) + inspect(said, { depth: 9, showHidden: true }))
    .join("\n");
  for (const secret of ["canary-", ...secrets]) expect(words).not.toContain(secret);
}

/** The value of a call that has to end in time. */
async function inTime<Value>(call: Promise<Value>): Promise<Value> {
  const began = performance.now();
  const value = await call;
  expect(performance.now() - began).toBeLessThan(BOUND_MS);
  return value;
}

/** The value for somebody who joins no flight of before, as another isolate may for as long as a flight lives. */
async function asked({ cache }: Isolate, reference: Reference<string>): Promise<string> {
  for (;;) {
    const { value, collapsed } = await cache.lookup(reference);
    if (!collapsed) return value;
    await pause();
  }
}

/** Whether it resolved; if it did not, the error is one of ours. */
async function invalidated({ cache }: Isolate, reference: Reference<string>, told: unknown[]): Promise<boolean> {
  try {
    await cache.invalidate(reference);
    return true;
  } catch (error) {
    told.push(error, error instanceof Error ? error.stack : undefined);
    expect(error).toMatchObject({ code: "ERR_STORAGE_WRITE" });
    return false;
  }
}

/** Waits until the storage itself gives the value. Whatever gives it meanwhile, it is right. */
async function untilShared({ cache }: Isolate, reference: Reference<string>, value: string | undefined): Promise<void> {
  for (const deadline = Date.now() + HEALED_WITHIN_MS; ; await pause()) {
    const found = await cache.lookup(reference);
    expect(found.value).toBe(value);
    if (found.source === "shared") return;
    expect(Date.now()).toBeLessThan(deadline);
    await cache.flush();
  }
}

function pause(ms = 20): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
