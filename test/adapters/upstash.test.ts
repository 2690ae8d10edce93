import { randomUUID } from "node:crypto";
import { createServer } from "node:net";
import { inspect } from "node:util";
import { Redis as CloudflareRedis } from "@upstash/redis/cloudflare";
import { Redis } from "@upstash/redis";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { upstash, type UpstashClient, type UpstashOptions } from "../../adapters/upstash.ts";
import type { Storage } from "../../src/storage.ts";
import { isLeftOut, listen } from "../servers/process.ts";
import { startRedis, type RedisServer } from "../servers/redis.ts";
import { startUpstashBridge, type BridgeFault, type BridgeRequest, type UpstashBridge } from "../servers/upstash-bridge.ts";

const signal = new AbortController().signal;
const url = "https://example.upstash.io";
const token = "a-token-to-be-kept-0123456789";
const settings = { url, token, enableAutoPipelining: false, automaticDeserialization: false, responseEncoding: false, retry: { retries: 0 } } as const;

describe("upstash() refuses, without showing a secret,", () => {
  const secret = "s3cr3t-s3cr3t";

  test.each<[string, unknown, RegExp]>([
    ["a missing url", { token }, /^upstash: url must be .* got undefined/],
    ["a url that is none", { url: secret, token }, /^upstash: url must be/],
    ["a TCP url", { url: `rediss://default:${secret}@example.upstash.io:6379`, token }, /^upstash: url must be the REST URL, .*, got one with rediss:/],
    ["a url with a password", { url: `https://default:${secret}@example.upstash.io`, token }, /^upstash: url must have no/],
    ["a url with a query", { url: `https://example.upstash.io/?_token=${secret}`, token }, /^upstash: url must have no/],
    ["a url with a line break", { url: `${url}\n`, token }, /^upstash: url must be .* got one with blanks/],
    ["a missing token", { url }, /^upstash: token must be .* got undefined/],
    ["an empty token", { url, token: "" }, /^upstash: token must be .* got an empty one/],
    ["a token with blanks", { url, token: `${secret} ` }, /^upstash: token must be .* got one with blanks/],
    ["a token that is no text", { url, token: 5 }, /^upstash: token must be .* got number/],
    ["a client that is none", { client: { get: () => null } }, /^upstash: client must be/],
    ["null for a client", { client: null }, /^upstash: client must be/],
    [
      "a client that pipelines by itself",
      { client: new Redis({ ...settings, enableAutoPipelining: true }) },
      /^upstash: client must be made with enableAutoPipelining: false/,
    ],
    [
      "a client that parses values",
      { client: new Redis({ ...settings, automaticDeserialization: true }) },
      /^upstash: client must be made with automaticDeserialization: false/,
    ],
    [
      "a client that decodes replies",
      { client: new Redis({ ...settings, responseEncoding: "base64" }) },
      /^upstash: client must be made with responseEncoding: false/,
    ],
    ["a client that retries", { client: new Redis({ ...settings, retry: { retries: 1 } }) }, /^upstash: client must be made with retry/],
    ["a client whose retry: false tries twice", { client: new Redis({ ...settings, retry: false }) }, /^upstash: client must be made with retry/],
    ["a client whose signal makes answers up", { client: new CloudflareRedis({ ...settings, signal }) }, /^upstash: client must be made with no signal/],
  ])("%s", (_, options, message) => {
    expect(() => upstash(options as UpstashOptions)).toThrow(TypeError);
    const thrown = ((): unknown => {
      try {
        return upstash(options as UpstashOptions);
      } catch (error) {
        return error;
      }
    })();
    expect(thrown).toHaveProperty("message", expect.stringMatching(message));
    expect(inspect(thrown)).not.toContain(secret);
  });

  test("nothing in a client that keeps to the rules", () => {
    expect(upstash({ client: new Redis(settings) }).name).toBe("upstash");
    expect(upstash({ client: new CloudflareRedis({ ...settings, signal: () => signal }) }).name).toBe("upstash");
  });
});

describe.skipIf(isLeftOut("redis"))("upstash() on the wire", () => {
  let server: RedisServer;
  let bridge: UpstashBridge;
  let storage: Storage;

  beforeAll(async () => {
    server = await startRedis();
    bridge = await startUpstashBridge({ redisPort: server.port });
    storage = upstash({ url: bridge.url, token: bridge.token });
    await storage.write([entryOf()], signal);
    await storage.ensure?.(["\u0001warm"], signal);
  });
  afterAll(async () => {
    await bridge.stop();
    await server.stop();
  });
  beforeEach(() => {
    bridge.requests.length = 0;
    bridge.fault = () => undefined;
    bridge.abandoned = 0;
  });

  function entryOf(length = 9): { key: string; bytes: Uint8Array; ttlMs: number; ifStamp: null } {
    return { key: randomUUID(), bytes: new Uint8Array(length).fill(7), ttlMs: 60_000, ifStamp: null };
  }
  function sent(): string[] {
    return bridge.requests.map(({ path, commands }) => `${path} ${commands.map(([name]) => name).join()}`);
  }

  test("sends one request with one command a call", async () => {
    const entries = Array.from({ length: 500 }, () => entryOf());
    const keys = entries.map(({ key }) => key);
    await storage.write(entries, signal);
    await storage.read(keys, ["\u0001a", "\u0001b"], signal);
    await storage.ensure?.(["\u0001a", "\u0001b"], signal);
    await storage.raise(["\u0001a", "\u0001b"], signal);
    await storage.remove(keys, signal);
    expect(sent()).toEqual(["/ evalsha", "/ mget", "/ evalsha", "/ evalsha", "/ unlink"]);
  });

  test("sends nothing for an empty batch", async () => {
    await storage.read([], [], signal);
    await storage.write([], signal);
    await storage.remove([], signal);
    await storage.raise([], signal);
    await storage.ensure?.([], signal);
    expect(sent()).toEqual([]);
  });

  test("sends no telemetry and asks for no encoding", async () => {
    await storage.read(["a"], [], signal);
    const headers = Object.keys(bridge.requests[0]?.headers ?? {});
    expect(headers.filter((name) => name.includes("telemetry") || name === "upstash-encoding")).toEqual([]);
  });

  test("sends a script whole only the first time, and when the database does not know it", async () => {
    const own = upstash({ url: bridge.url, token: bridge.token });
    expect(await own.write([entryOf()], signal)).toEqual([true]);
    expect(await own.write([entryOf()], signal)).toEqual([true]);
    await server.command("SCRIPT", "FLUSH");
    expect(await own.write([entryOf(), entryOf()], signal)).toEqual([true, true]);
    await own.write([entryOf()], signal);
    expect(sent()).toEqual(["/ eval", "/ evalsha", "/ evalsha", "/ eval", "/ evalsha"]);
  });

  test("splits a batch that is larger than a request may be, and only that", async () => {
    const large = Array.from({ length: 5 }, () => entryOf(3_000_000));
    expect(await storage.write(large, signal)).toEqual([true, true, true, true, true]);
    expect(bridge.requests.map(({ commands }) => Number(commands[0]?.[2])).toSorted((a, b) => a - b)).toEqual([1, 2, 2]);
    const { slots } = await storage.read([large[0]?.key ?? "", large[4]?.key ?? ""], [], signal);
    expect(slots.map((slot) => slot?.bytes.length)).toEqual([3_000_000, 3_000_000]);
    const [largest] = [entryOf(storage.traits.maxValueBytes)];
    expect(await storage.write([largest], signal)).toEqual([true]);
  });

  test("ends its request when its signal is aborted, and rejects", async () => {
    // Nothing but the signal ends these.
    bridge.fault = () => ({ cut: "never" });
    const entry = entryOf();
    for (const call of [(own: AbortSignal) => storage.read(["a"], [], own), (own: AbortSignal) => storage.write([entry], own)]) {
      bridge.abandoned = 0;
      await expect(call(AbortSignal.timeout(50))).rejects.toThrow();
      await expect.poll(() => bridge.abandoned).toBe(1);
    }
  });

  test("aborts only the call whose signal it is, and no later one", async () => {
    const entries = Array.from({ length: 20 }, () => entryOf());
    await storage.write(entries, signal);
    bridge.fault = () => ({ delayMs: 100 });
    const outcomes = await Promise.allSettled(entries.map(({ key }, index) => storage.read([key], [], index % 2 === 0 ? AbortSignal.timeout(20) : signal)));
    expect(outcomes.map(({ status }) => status)).toEqual(entries.map((_, index) => (index % 2 === 0 ? "rejected" : "fulfilled")));
    expect((await storage.read([entries[0]?.key ?? ""], [], signal)).slots[0]?.bytes).toEqual(entries[0]?.bytes);
  });

  test("sends nothing when its signal is aborted already", async () => {
    await expect(storage.read(["a"], [], AbortSignal.abort())).rejects.toThrow();
    await expect(storage.write([entryOf()], AbortSignal.abort())).rejects.toThrow();
    expect(sent()).toEqual([]);
  });

  test.each<[string, BridgeFault]>([
    ["500 with a message", { status: 500, body: '{"error":"ERR internal"}' }],
    ["429", { status: 429, body: '{"error":"ERR max daily request limit exceeded"}' }],
    ["503 in HTML", { status: 503, body: "<html>unavailable</html>" }],
    ["200 in HTML", { status: 200, body: "<html>welcome</html>" }],
    ["an empty 200", { status: 200, body: "" }],
    ["a 200 without a result", { status: 200, body: "{}" }],
    ["a result of the wrong type", { status: 200, body: '{"result":"OK"}' }],
    ["a result of null", { status: 200, body: '{"result":null}' }],
    ["a result of the wrong length", { status: 200, body: '{"result":["AAAA"]}' }],
    ["a result that holds no text", { status: 200, body: '{"result":[{"a":1},true]}' }],
    ["a truncated answer", { mangle: (body) => body.slice(0, -3) }],
    ["a reset before the command was run", { cut: "before" }],
    ["a reset after the command was run", { cut: "after" }],
  ])("rejects once for %s, and does not ask again", async (_, fault) => {
    bridge.fault = () => fault;
    await expect(storage.read(["a", "b"], [], signal)).rejects.toThrow();
    expect(bridge.requests.length).toBe(1);
    await expect(storage.ensure?.(["\u0001a", "\u0001b"], signal)).rejects.toThrow();
    expect(bridge.requests.length).toBe(2);
  });

  test.each<[string, string, number]>([
    ["one byte", "a", 1],
    ["three bytes", "漢", 3],
    ["four bytes, in two units", "😀", 2],
    ["six bytes, once escaped", "\u0001", 6],
    ["two bytes, once escaped", '"', 2],
  ])("keeps every request below 10 MB where a unit of a key takes %s", async (_, letter, bytesPerUnit) => {
    const unique = randomUUID();
    const units = Math.floor(30_000 / bytesPerUnit);
    const keys = Array.from({ length: 700 }, (_item, index) => `${unique}:${index}:${letter.repeat(units / letter.length)}`);
    const parts = 3;
    await storage.write([entryOf()], signal);
    await storage.ensure?.([unique], signal);
    bridge.requests.length = 0;
    const entries = keys.map((key, index) => ({ key, bytes: Uint8Array.of(index & 0xff), ttlMs: 60_000 }));
    expect(new Set(await storage.write(entries, signal))).toEqual(new Set([true]));
    expect(bridge.requests.length).toBe(parts);
    expect((await storage.read(keys, [], signal)).slots.map((slot) => slot?.bytes)).toEqual(entries.map(({ bytes }) => bytes));
    expect(bridge.requests.length).toBe(2 * parts);
    await storage.remove(keys, signal);
    const made = await storage.ensure?.(keys, signal);
    await storage.raise(keys, signal);
    const { generations } = await storage.read([], keys, signal);
    expect(generations.every((number, index) => number !== undefined && number > (made?.[index] ?? Infinity))).toBe(true);
    expect(bridge.requests.length).toBe(6 * parts);
  });

  test("reads in halves what the database refuses as too large, and a single key of that kind is an error", async () => {
    const entries = Array.from({ length: 10 }, (_, index) => ({ ...entryOf(), bytes: Uint8Array.of(index) }));
    await storage.write(entries, signal);
    const generations = await storage.ensure?.(["\u0001large"], signal);
    const most = (count: number) => (request: BridgeRequest) =>
      (request.commands[0]?.length ?? 0) - 1 > count ? { status: 400, body: '{"error":"ERR max request size exceeded"}' } : undefined;
    bridge.requests.length = 0;
    bridge.fault = most(3);
    const keys = entries.map(({ key }) => key);
    const read = await storage.read(keys, ["\u0001large"], signal);
    expect(read.slots.map((slot) => slot?.bytes)).toEqual(entries.map(({ bytes }) => bytes));
    expect(read.generations).toEqual(generations);
    expect(bridge.requests.map(({ commands }) => (commands[0]?.length ?? 0) - 1)).toEqual([11, 6, 3, 3, 5, 3, 2]);
    bridge.fault = most(0);
    await expect(storage.read(keys, [], signal)).rejects.toThrow(/max request size exceeded/);
  });

  test("does not say a write was done when the answer was lost", async () => {
    bridge.fault = () => ({ cut: "after" });
    const entry = entryOf();
    await expect(storage.write([entry], signal)).rejects.toThrow();
    expect(bridge.requests.length).toBe(1);
    expect(await server.command("EXISTS", entry.key)).toBe(1);
  });

  test("rejects for a wrong token, and does not show it", async () => {
    const wrong = upstash({ url: bridge.url, token });
    const error = await wrong.read(["a"], [], signal).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(Error);
    expect(inspect(error, { depth: 10 })).not.toContain(token);
  });

  test("tries a dead host once", async () => {
    let tries = 0;
    const host = createServer((socket) => {
      tries += 1;
      socket.resetAndDestroy();
    });
    const url = `http://127.0.0.1:${await listen(host)}`;
    await expect(upstash({ url, token }).read(["a"], [], signal)).rejects.toThrow();
    expect(tries).toBe(1);
    await new Promise((resolve) => host.close(resolve));
    await expect(upstash({ url, token }).read(["a"], [], signal)).rejects.toThrow();
  });

  test("keeps 1,000 calls at once apart", async () => {
    const entries = Array.from({ length: 1_000 }, (_, index) => ({ ...entryOf(), bytes: Uint8Array.of(index & 0xff, index >> 8) }));
    await Promise.all(entries.map((entry) => storage.write([entry], signal)));
    const read = await Promise.all(entries.map(({ key }) => storage.read([key], [], signal)));
    expect(read.map(({ slots }) => slots[0]?.bytes)).toEqual(entries.map(({ bytes }) => bytes));
  });

  test("works with a client that only has the four methods", async () => {
    const own = new Redis({ ...settings, url: bridge.url, token: bridge.token });
    const client: UpstashClient = {
      mget: (keys) => own.mget(keys),
      unlink: (...keys) => own.unlink(...keys),
      eval: (script, keys, args) => own.eval(script, keys, args),
      evalsha: (sha1, keys, args) => own.evalsha(sha1, keys, args),
    };
    const entry = entryOf();
    expect(await upstash({ client }).write([entry], signal)).toEqual([true]);
    expect((await storage.read([entry.key], [], signal)).slots[0]?.bytes).toEqual(entry.bytes);
  });
});
