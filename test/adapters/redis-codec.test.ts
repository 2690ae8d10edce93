import { randomUUID } from "node:crypto";
import fc from "fast-check";
import { Redis } from "ioredis";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { fromBase64, toBase64 } from "../../adapters/base64.ts";
import { ownRoom } from "../../src/byte-room.ts";
import { textCodec } from "../../adapters/redis-codec.ts";
import { redis } from "../../adapters/redis.ts";
import { isLeftOut } from "../servers/process.ts";
import { startRedis, type RedisServer } from "../servers/redis.ts";

const signal = new AbortController().signal;
const base64Alphabet = fc.constantFrom(...Array.from("ABQgwEIMUYcz019+/="));

test("base64 is that of the platform, there and back", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
      expect(toBase64(bytes)).toBe(Buffer.from(bytes).toString("base64"));
      expect(fromBase64(toBase64(bytes))).toEqual(bytes);
    }),
  );
  const large = Uint8Array.from({ length: 300_001 }, (_, index) => index * 7);
  expect(fromBase64(toBase64(large))).toEqual(large);
});

test("text that is no base64 is told from base64", () => {
  for (const text of ["A", "AB", "ABC", "ABCDE", "AB C", "AB\n=", "A===", "=AAA", "AA=A", "é===", "\u0000\u0000\u0000\u0000"])
    expect([text, fromBase64(text)]).toEqual([text, undefined]);
});

test("a slot as text comes back exactly, and begins with twelve characters that its stamp alone decides", () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 8, maxLength: 8 }), fc.uint8Array({ maxLength: 40 }), (stamp, rest) => {
      const stored = textCodec.encode(Uint8Array.of(...stamp, ...rest));
      if (typeof stored !== "string") throw new Error("not text");
      expect(`=${stored.slice(0, 12)}`).toBe(textCodec.check(stamp));
      expect(textCodec.decode(stored, ownRoom)).toEqual(Uint8Array.of(...stamp, ...rest));
      expect(textCodec.decode(Buffer.from(stored), ownRoom)).toEqual(Uint8Array.of(...stamp, ...rest));
    }),
  );
});

test("any text at all decodes to a slot", () => {
  const texts = fc.oneof(fc.string({ unit: "binary" }), fc.string({ unit: base64Alphabet, maxLength: 40 }));
  fc.assert(
    fc.property(texts, (text) => {
      expect(textCodec.decode(text, ownRoom)).toBeInstanceOf(Uint8Array);
    }),
    { numRuns: 2_000 },
  );
});

describe.skipIf(isLeftOut("redis"))("text that somebody else wrote", () => {
  let server: RedisServer;
  let client: Redis;
  beforeAll(async () => {
    server = await startRedis();
    client = new Redis(server.url);
  });
  afterAll(async () => {
    client.disconnect();
    await server.stop();
  });

  test("has one stamp to the decoder and to the script, whatever it is", async () => {
    const storage = redis({ client, encoding: "base64" });
    const unit = fc.oneof({ weight: 20, arbitrary: base64Alphabet }, fc.constantFrom(" ", "\n", "-", "_", "\u00e9", "\u0000", "\ufeff"));
    const text = fc.oneof(fc.string({ unit, maxLength: 16 }), fc.stringMatching(/^[ABQgwE+]{10,11}={1,2}[AB=]{0,4}$/));
    await fc.assert(
      fc.asyncProperty(fc.array(text, { minLength: 100, maxLength: 100 }), async (texts) => {
        const keys = texts.map(() => randomUUID());
        await client.mset(keys.flatMap((key, index) => [key, texts[index] ?? ""]));
        const { slots } = await storage.read(keys, [], signal);
        const stamps = slots.map((slot) => slot?.bytes.subarray(0, 8));
        const attempt = (ifStamps: readonly (Uint8Array | undefined)[]): Promise<readonly (boolean | undefined)[]> =>
          storage.write(
            keys.map((key, index) => ({ key, bytes: new Uint8Array(20), ttlMs: null, ifStamp: ifStamps[index] ?? null })),
            signal,
          );
        // A slot with a stamp of its own must not be taken for one without, and the other way round.
        const wrong = stamps.map((stamp) => (stamp?.length === 0 ? Uint8Array.of(9, 9) : new Uint8Array(0)));
        const refused = await attempt(wrong);
        expect(texts.filter((_, index) => refused[index] !== false)).toEqual([]);
        const written = await attempt(stamps);
        expect(texts.filter((_, index) => written[index] !== true)).toEqual([]);
      }),
      { numRuns: 30 },
    );
  });
});
