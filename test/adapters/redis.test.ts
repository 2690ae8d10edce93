import { createHash, randomUUID } from "node:crypto";
import { Redis } from "ioredis";
import { createClient } from "redis";
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { GENERATION_SCRIPT, WRITE_SCRIPT } from "../../adapters/redis-script.ts";
import { redis, type RedisOptions } from "../../adapters/redis.ts";
import type { Storage } from "../../src/storage.ts";
import { startCountingProxy, type CountingProxy } from "../servers/counting-proxy.ts";
import { freePort, isLeftOut } from "../servers/process.ts";
import { startRedis, type RedisServer } from "../servers/redis.ts";

const signal = new AbortController().signal;

test("the scripts' SHA-1 are those of their sources", () => {
  for (const { source, sha1 } of [WRITE_SCRIPT, GENERATION_SCRIPT]) expect(sha1).toBe(createHash("sha1").update(source).digest("hex"));
});

test("redis() belongs to a request on Workers, where sockets do, and to the isolate elsewhere", () => {
  const client = { send: async () => null, getBuffer: async () => null };
  expect(redis({ client }).traits.scope).toBe("isolate");
  vi.stubGlobal("navigator", { userAgent: "Cloudflare-Workers" });
  expect(redis({ client }).traits.scope).toBe("request");
  vi.unstubAllGlobals();
});

describe("redis() refuses", () => {
  const nothing = async (): Promise<unknown[]> => [];
  const client = { mgetBuffer: nothing, callBuffer: nothing, evalshaBuffer: nothing, evalBuffer: nothing, unlinkBuffer: nothing, pipeline: nothing };

  test.each([
    ["an encoding it does not know", { client, encoding: "hex" }, /^redis: encoding must be .* got "hex"/],
    ["a missing client", {}, /^redis: client must be .* got undefined/],
    ["null", { client: null }, /^redis: client must be/],
    ["another object", { client: { get: () => null } }, /^redis: client must be .* got another object/],
    ["a node-redis of version 4, which has no command options", { client: { mGet() {}, evalSha() {}, sendCommand() {} } }, /^redis: client must be/],
  ])("%s", (_, options, message) => {
    expect(() => redis(options as unknown as RedisOptions)).toThrow(TypeError);
    expect(() => redis(options as unknown as RedisOptions)).toThrow(message);
  });

  test("a reply that cannot be matched with the keys", async () => {
    const storage = redis({ client });
    await expect(storage.read(["a", "b"], [], signal)).rejects.toThrow(TypeError);
    await expect(storage.write([{ key: "a", bytes: new Uint8Array(9), ttlMs: null }], signal)).rejects.toThrow(TypeError);
    await expect(storage.ensure?.(["a"], signal)).rejects.toThrow(TypeError);
  });
});

describe.skipIf(isLeftOut("redis"))("redis() on the wire", () => {
  let server: RedisServer;
  let proxy: CountingProxy;
  let clients: Readonly<Record<string, Storage>>;
  const closing: (() => unknown)[] = [];

  beforeAll(async () => {
    server = await startRedis();
    proxy = await startCountingProxy({ redisPort: server.port });
    const ioredis = new Redis(proxy.url);
    const nodeRedis = createClient({ url: proxy.url, commandOptions: { timeout: 25_000 } });
    // Both emit what the test with the lost connection provokes.
    for (const client of [ioredis, nodeRedis]) client.on("error", () => undefined);
    await nodeRedis.connect();
    await ioredis.ping();
    closing.push(
      () => ioredis.disconnect(),
      () => nodeRedis.destroy(),
    );
    clients = { ioredis: redis({ client: ioredis }), "node-redis": redis({ client: nodeRedis }), base64: redis({ client: ioredis, encoding: "base64" }) };
  });
  afterAll(async () => {
    for (const close of closing) close();
    await proxy.stop();
    await server.stop();
  });
  beforeEach(() => proxy.reset());

  function storageOf(name: string): Storage {
    const storage = clients[name];
    if (storage === undefined) throw new Error(`no client ${name}`);
    return storage;
  }
  function entriesOf(count: number): { key: string; bytes: Uint8Array; ttlMs: number | null; ifStamp: null }[] {
    const unique = randomUUID();
    return Array.from({ length: count }, (_, index) => ({
      key: `${unique}:${index}`,
      bytes: Uint8Array.of(index & 0xff, index >> 8),
      ttlMs: 60_000,
      ifStamp: null,
    }));
  }

  describe.each(["ioredis", "node-redis", "base64"])("%s", (name) => {
    test("sends one command a call, however many keys it has", async () => {
      const storage = storageOf(name);
      const entries = entriesOf(500);
      const keys = entries.map(({ key }) => key);
      const generations = ["\u0001node", "\u0001tag"].map((generation) => generation + keys[0]);
      await storage.write(entriesOf(1), signal);
      await storage.ensure?.(["\u0001warm"], signal);
      const calls: [call: () => Promise<unknown> | undefined, counted: Record<string, number>][] = [
        [() => storage.write(entries, signal), { evalsha: 1 }],
        [() => storage.read(keys, generations, signal), { mget: 1 }],
        [() => storage.ensure?.(generations, signal), { evalsha: 1 }],
        [() => storage.raise(generations, signal), { evalsha: 1 }],
        [() => storage.remove(keys, signal), { unlink: 1 }],
      ];
      for (const [call, counted] of calls) {
        proxy.reset();
        await call();
        expect(proxy.counts()).toEqual(counted);
      }
    });

    test("sends nothing for an empty batch", async () => {
      const storage = storageOf(name);
      await storage.read([], [], signal);
      await storage.write([], signal);
      await storage.remove([], signal);
      await storage.raise([], signal);
      await storage.ensure?.([], signal);
      expect(proxy.total()).toBe(0);
    });

    test("sends a script whole only when the server does not know it", async () => {
      const storage = storageOf(name);
      await server.command("SCRIPT", "FLUSH");
      expect(await storage.write(entriesOf(3), signal)).toEqual([true, true, true]);
      expect(proxy.counts()).toEqual({ evalsha: 1, eval: 1 });
      proxy.reset();
      await storage.write(entriesOf(3), signal);
      expect(proxy.counts()).toEqual({ evalsha: 1 });
    });

    test("keeps 10,000 calls at once apart", async () => {
      const storage = storageOf(name);
      const entries = entriesOf(10_000);
      const written = await Promise.all(entries.map((entry) => storage.write([entry], signal)));
      expect(written.flat().filter((outcome) => outcome !== true)).toEqual([]);
      const read = await Promise.all(entries.map(({ key }) => storage.read([key], [], signal)));
      expect(read.filter(({ slots }, index) => slots[0]?.bytes.join() !== entries[index]?.bytes.join())).toEqual([]);
    });

    test("hands out bytes that hold no buffer of the socket alive, and 16 KB at most beyond their own", async () => {
      const storage = storageOf(name);
      const entries = entriesOf(100);
      await storage.write(entries, signal);
      const { slots } = await storage.read(
        entries.map(({ key }) => key),
        [],
        signal,
      );
      expect(slots.map((slot) => slot?.bytes)).toEqual(entries.map(({ bytes }) => bytes));
      const most = Math.max(16 * 1024, ...entries.map(({ bytes }) => bytes.length));
      expect(slots.filter((slot) => slot === undefined || slot.bytes.buffer.byteLength > most)).toEqual([]);
      const alone = await storage.read(
        entries.slice(0, 1).map(({ key }) => key),
        [],
        signal,
      );
      expect(alone.slots[0]?.bytes.buffer.byteLength).toBe(entries[0]?.bytes.length);
      expect(slots.map((slot) => slot?.bytes.constructor)).toEqual(entries.map(() => Uint8Array));
    });

    test("takes a life as long as a number can say", async () => {
      const storage = storageOf(name);
      const [entry] = entriesOf(1);
      if (entry === undefined) throw new Error("no entry");
      for (const ttlMs of [Number.MAX_SAFE_INTEGER, 1e21, 0, -5]) {
        expect(await storage.write([{ ...entry, ttlMs, ifStamp: undefined }], signal)).toEqual([true]);
      }
    });

    test("numbers generations by the server's clock in microseconds, to the last digit", async () => {
      const storage = storageOf(name);
      const generation = `\u0001${randomUUID()}`;
      const micros = async (): Promise<number> => {
        const time = await server.command("TIME");
        if (!Array.isArray(time)) throw new Error("TIME answers a list");
        return Number(time[0]) * 1e6 + Number(time[1]);
      };
      const before = await micros();
      const [made = 0] = (await storage.ensure?.([generation], signal)) ?? [];
      expect(made).toBeGreaterThanOrEqual(before);
      expect(made).toBeLessThanOrEqual(await micros());
      expect(String(await server.command("GET", generation))).toBe(String(made));
    });

    test("raises a generation that is ahead of the clock by one", async () => {
      const storage = storageOf(name);
      const ahead = `\u0001${randomUUID()}`;
      await server.command("SET", ahead, "8000000000000000");
      await storage.raise([ahead], signal);
      expect((await storage.read([], [ahead], signal)).generations).toEqual([8_000_000_000_000_001]);
    });

    test("raises the other generations of a batch before it reports one that is of another type", async () => {
      const storage = storageOf(name);
      const [good, foreign, last] = ["good", "foreign", "last"].map((kind) => `\u0001${randomUUID()}${kind}`);
      if (good === undefined || foreign === undefined || last === undefined) throw new Error("no names");
      await server.command("RPUSH", foreign, "an item");
      await expect(storage.raise([good, foreign, last], signal)).rejects.toThrow(/WRONGTYPE/);
      const { generations } = await storage.read([], [good, foreign, last], signal);
      expect(generations.map((number) => typeof number)).toEqual(["number", "undefined", "number"]);
      expect(await server.command("TYPE", foreign)).toBe("list");
    });

    test("does not send what was taken back before it was sent", async () => {
      const [entry] = entriesOf(1);
      if (entry === undefined) throw new Error("no entry");
      const outcome = await storageOf(name)
        .write([entry], AbortSignal.abort())
        .catch(() => "rejected");
      expect([outcome, await server.command("EXISTS", entry.key)]).toEqual(outcome === "rejected" ? ["rejected", 0] : [[true], 1]);
    });

    test("rejects when the connection is lost, and works again afterwards", async () => {
      const storage = storageOf(name);
      proxy.setMode("hang");
      const pending = storage.read(["a"], [], signal).catch((error: unknown) => error);
      await new Promise((resolve) => setTimeout(resolve, 30));
      proxy.setMode("reset");
      proxy.setMode("pass");
      const outcome = await pending;
      // ioredis asks again by itself unless it is told not to; either is the truth, and neither is a made-up answer.
      expect(outcome instanceof Error || JSON.stringify(outcome)).toSatisfy((answer) => answer === true || answer === '{"slots":[null],"generations":[]}');
      const entries = entriesOf(2);
      expect(await storage.write(entries, signal)).toEqual([true, true]);
    });
  });

  test("node-redis takes a write back that still waits for its connection", async () => {
    const client = createClient({ url: `redis://127.0.0.1:${await freePort()}`, socket: { reconnectStrategy: 20 } });
    client.on("error", () => undefined);
    const connecting = client.connect().catch(() => undefined);
    const controller = new AbortController();
    const pending = redis({ client }).write(entriesOf(1), controller.signal);
    controller.abort();
    await expect(pending).rejects.toThrow("The command was aborted");
    client.destroy();
    await connecting;
  });

  test("a dead server is an error, not a miss", async () => {
    const client = new Redis({ host: "127.0.0.1", port: await freePort(), maxRetriesPerRequest: 0, retryStrategy: () => null });
    client.on("error", () => undefined);
    const storage = redis({ client });
    await expect(storage.read(["a"], [], signal)).rejects.toThrow();
    await expect(storage.write(entriesOf(1), signal)).rejects.toThrow();
    client.disconnect();
  });
});
