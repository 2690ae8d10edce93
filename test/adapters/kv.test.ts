import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { kv, type KvNamespace, type KvOptions } from "../../adapters/kv.ts";
import { startKv, type KvServer } from "../servers/kv.ts";

const signal = new AbortController().signal;

test.each([
  ["nothing", {}],
  ["null", { namespace: null }],
  ["the name of a binding", { namespace: "CACHE" }],
  ["a binding of another kind", { namespace: { get() {}, put() {} } }],
])("kv() refuses %s for a namespace", (_, options) => {
  expect(() => kv(options as unknown as KvOptions)).toThrow(TypeError);
  expect(() => kv(options as unknown as KvOptions)).toThrow(/^kv: namespace must be a KV binding, got/);
});

describe("kv() on miniflare's KV", () => {
  let server: KvServer;
  beforeAll(async () => {
    server = await startKv();
  });
  afterAll(async () => {
    await server.stop();
  });

  function entryOf(ttlMs: number | null = null, key: string = randomUUID()): { key: string; bytes: Uint8Array; ttlMs: number | null } {
    return { key, bytes: Uint8Array.of(1, 2, 255), ttlMs };
  }
  /** The namespace, with the number of its calls, and of those open at once at most. */
  function watched(): { namespace: KvNamespace; calls: number; peak: number } {
    let open = 0;
    async function watch<T>(call: () => Promise<T>): Promise<T> {
      result.calls += 1;
      open += 1;
      result.peak = Math.max(result.peak, open);
      try {
        return await call();
      } finally {
        open -= 1;
      }
    }
    const { namespace } = server;
    const result = {
      calls: 0,
      peak: 0,
      namespace: {
        get: (keys: string[], type: "text") => watch(() => namespace.get(keys, type)),
        put: (key: string, value: string, options?: { expirationTtl?: number }) => watch(() => namespace.put(key, value, options)),
        delete: (key: string) => watch(() => namespace.delete(key)),
      },
    };
    return result;
  }

  test("says what it cannot do", async () => {
    const storage = kv({ namespace: server.namespace });
    expect([storage.traits.conditional, storage.traits.consistency, storage.ensure]).toEqual([false, "eventual", undefined]);
    expect(await storage.write([{ ...entryOf(), ifStamp: null }], signal)).toEqual([undefined]);
    await storage.raise(["\u0001node"], signal);
    expect((await storage.read([], ["\u0001node"], signal)).generations).toEqual([undefined]);
  });

  test.each([
    [1, 60],
    [60_000, 60],
    [60_001, 61],
    [3_600_000, 3_600],
  ])("keeps a life of %d ms for %d s", async (ttlMs, seconds) => {
    const entry = entryOf(ttlMs);
    const before = Math.floor(Date.now() / 1000);
    await kv({ namespace: server.namespace }).write([entry], signal);
    const after = Math.ceil(Date.now() / 1000);
    const expiration = (await server.expirationOf(entry.key)) ?? 0;
    expect(expiration).toBeGreaterThanOrEqual(before + seconds);
    expect(expiration).toBeLessThanOrEqual(after + seconds);
  });

  test("keeps a life without end", async () => {
    const entry = entryOf(null);
    await kv({ namespace: server.namespace }).write([entry], signal);
    expect(await server.expirationOf(entry.key)).toBe(undefined);
  });

  test("reads 100 keys in one call, and writes and removes each in its own, six at once", async () => {
    const watching = watched();
    const storage = kv({ namespace: watching.namespace });
    const entries = Array.from({ length: 100 }, () => entryOf());
    await storage.write(entries, signal);
    expect([watching.calls, watching.peak]).toEqual([100, 6]);
    await storage.read(
      entries.map(({ key }) => key),
      [],
      signal,
    );
    expect(watching.calls).toBe(101);
    await storage.remove(
      entries.map(({ key }) => key),
      signal,
    );
    expect([watching.calls, watching.peak]).toEqual([201, 6]);
  });

  test("calls nothing for an empty batch, or when its signal is aborted already", async () => {
    const watching = watched();
    const storage = kv({ namespace: watching.namespace });
    await storage.read([], [], signal);
    await storage.write([], signal);
    await storage.remove([], signal);
    await expect(storage.read(["a"], [], AbortSignal.abort())).rejects.toThrow();
    await expect(storage.write([entryOf()], AbortSignal.abort())).rejects.toThrow();
    expect(watching.calls).toBe(0);
  });

  test("stops sending once its signal is aborted", async () => {
    const watching = watched();
    const controller = new AbortController();
    const writing = kv({ namespace: watching.namespace }).write(
      Array.from({ length: 60 }, () => entryOf()),
      controller.signal,
    );
    controller.abort();
    await expect(writing).rejects.toThrow();
    expect(watching.calls).toBe(6);
  });

  test("writes and removes the others when one key cannot be, and then says so", async () => {
    const storage = kv({ namespace: server.namespace });
    const entries = Array.from({ length: 20 }, (_, index) => entryOf(null, index === 3 ? "x".repeat(513) : randomUUID()));
    const others = entries.filter((_, index) => index !== 3).map(({ key }) => key);
    await expect(storage.write(entries, signal)).rejects.toThrow(/513/);
    expect((await storage.read(others, [], signal)).slots.map((slot) => slot?.bytes.length)).toEqual(others.map(() => 3));
    await expect(
      storage.remove(
        entries.map(({ key }) => key),
        signal,
      ),
    ).rejects.toThrow(/513/);
    expect((await storage.read(others, [], signal)).slots).toEqual(others.map(() => undefined));
  });

  test("reads what somebody else wrote as a slot without bytes", async () => {
    const key = randomUUID();
    await server.namespace.put(key, "no base64 of ours");
    expect((await kv({ namespace: server.namespace }).read([key], [], signal)).slots[0]?.bytes).toEqual(new Uint8Array(0));
  });

  test("takes a slot as large as it says, and no larger", async () => {
    const storage = kv({ namespace: server.namespace });
    const length = storage.traits.maxValueBytes ?? 0;
    const [fits, tooLarge] = [length, length + 3].map((size) => ({ ...entryOf(), bytes: new Uint8Array(size) }));
    if (fits === undefined || tooLarge === undefined) throw new Error("no entries");
    await storage.write([fits], signal);
    await expect(storage.write([tooLarge], signal)).rejects.toThrow();
  });
});
