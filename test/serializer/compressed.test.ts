/**
 * The compressing serializer: when it compresses, that nothing is lost, and that bombs, lies and damage are rejected within
 * bounds.
 *
 * @module
 */
import { gunzipSync, gzipSync } from "node:zlib";
import { afterEach, describe, expect, test, vi } from "vitest";
import { isCacheError } from "../../src/errors.ts";
import { compressed } from "../../src/serializer/compressed.ts";
import { json } from "../../src/serializer/json.ts";
import type { Serializer } from "../../src/serializer/serializer.ts";
import { structured } from "../../src/serializer/structured.ts";
import { decodeHostile, hostileBytes, refusalOf, seeded } from "./hostile.ts";

const rows = Array.from({ length: 2_000 }, (_, id) => ({ id, name: `name ${(id * 7_919) % 1_000}`, even: id % 2 === 0 }));

/** A serializer of bytes, so that tests choose what is compressed. */
const bytesAlone: Serializer = {
  name: "bytes",
  encode: (value) => (value instanceof Uint8Array ? value.slice() : new Uint8Array(0)),
  decode: (bytes) => bytes.slice(),
};

/** Bytes that gzip cannot make smaller. */
function noise(length: number): Uint8Array {
  const random = seeded(length + 1);
  return Uint8Array.from({ length }, () => random() * 256);
}

/** A payload that says it is gzip. */
function marked(gzip: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(gzip.length + 1);
  bytes[0] = 1;
  bytes.set(gzip, 1);
  return bytes;
}

afterEach(() => {
  vi.unstubAllGlobals();
});

describe("compressed() gives back", () => {
  test("values above minBytes in fewer bytes", async () => {
    const serializer = compressed(json());
    const bytes = await serializer.encode(rows);
    expect(bytes.length).toBeLessThan(JSON.stringify(rows).length / 4);
    expect(bytes.buffer.byteLength).toBe(bytes.length);
    expect(JSON.parse(new TextDecoder().decode(gunzipSync(bytes.subarray(1))))).toStrictEqual(rows);
    expect(await serializer.decode(bytes)).toStrictEqual(rows);
  });

  test("values up to minBytes as they are, and at once", () => {
    const serializer = compressed(json());
    const atLimit = "x".repeat(2_046);
    const bytes = serializer.encode(atLimit);
    if (!(bytes instanceof Uint8Array)) throw new TypeError("a small value became asynchronous");
    expect(bytes.length).toBe(2_049);
    expect(serializer.decode(bytes)).toBe(atLimit);
    expect(serializer.encode(`${atLimit}x`)).toBeInstanceOf(Promise);
  });

  test("values that do not get smaller as they are", async () => {
    const serializer = compressed(bytesAlone);
    const bytes = await serializer.encode(noise(10_000));
    expect(bytes.length).toBe(10_001);
    expect(await serializer.decode(bytes)).toStrictEqual(noise(10_000));
  });

  test("payloads of many sizes, beyond what is fed to the stream at once", async () => {
    const serializer = compressed(bytesAlone, { minBytes: 0 });
    for (const size of [0, 1, 17, 2_048, 65_536, 300_000]) {
      const payload = new Uint8Array(size + size);
      payload.set(noise(size));
      expect(await serializer.decode(await serializer.encode(payload))).toStrictEqual(payload);
    }
  });

  test("values through two of them, and through an inner serializer that promises", async () => {
    const slow: Serializer = { name: "slow", encode: async (value) => json().encode(value), decode: async (bytes) => json().decode(bytes) };
    for (const serializer of [compressed(compressed(json())), compressed(slow), compressed(structured())]) {
      for (const value of [rows, { a: 1 }, null]) expect(await serializer.decode(await serializer.encode(value))).toStrictEqual(value);
    }
  });

  test("a value although its bytes are changed while it is being decoded", async () => {
    const serializer = compressed(json());
    const bytes = (await serializer.encode(rows)).slice();
    const decoding = serializer.decode(bytes);
    bytes.fill(0);
    expect(await decoding).toStrictEqual(rows);
  });

  test("many values at the same time", async () => {
    const serializer = compressed(json());
    const back = await Promise.all(Array.from({ length: 50 }, async (_, index) => serializer.decode(await serializer.encode([index, rows]))));
    for (const [index, value] of back.entries()) expect(value).toStrictEqual([index, rows]);
  });
});

describe("compressed() refuses", () => {
  test("what the inner serializer refuses, with its error", async () => {
    expect((await refusalOf(compressed(json()), { a: 1n }))?.message).toContain("json() cannot carry a bigint");
  });

  test("a value above maxBytes, which it could not decode", async () => {
    const serializer = compressed(json(), { maxBytes: 5_000 });
    expect((await refusalOf(serializer, "x".repeat(5_000)))?.message).toContain("5002 bytes (maxBytes is 5000)");
    expect(await serializer.decode(await serializer.encode("x".repeat(4_998)))).toBe("x".repeat(4_998));
  });

  test.for([
    ["minBytes", -1],
    ["minBytes", 1.5],
    ["minBytes", Number.NaN],
    ["maxBytes", 0],
    ["maxBytes", Number.POSITIVE_INFINITY],
  ] as const)("%s %d at construction", ([option, value]) => {
    expect(() => compressed(json(), { [option]: value })).toThrow(TypeError);
    expect(() => compressed(json(), { [option]: value })).toThrow(`${option} of compressed() must be a whole number of bytes`);
    expect(() => compressed(json(), { [option]: value })).toThrow(`got ${value}`);
  });

  test("what is no serializer at construction", () => {
    expect(() => Reflect.apply(compressed, undefined, [undefined])).toThrow("compressed() needs a serializer, got undefined");
    expect(() => Reflect.apply(compressed, undefined, [json])).toThrow("compressed() needs a serializer, got a function");
  });

  test.for(["CompressionStream", "DecompressionStream"])("a runtime without %s at construction", (name) => {
    vi.stubGlobal(name, undefined);
    expect(() => compressed(json())).toThrow(TypeError);
    expect(() => compressed(json())).toThrow("compressed() needs CompressionStream");
  });

  test("nothing because an option is undefined", () => {
    expect(compressed(json(), { minBytes: undefined, maxBytes: undefined }).name).toBe("compressed(json)");
  });
});

describe("compressed() decodes", () => {
  const serializer = compressed(bytesAlone, { maxBytes: 1_000_000 });
  const good = gzipSync(noise(40_000));

  test.for(
    Object.entries({
      "no bytes": new Uint8Array(0),
      "an unknown marker": Uint8Array.of(2, 1, 2, 3),
      "a marker alone": Uint8Array.of(1),
      "what is no gzip": marked(new Uint8Array(100).fill(7)),
      "a gzip cut short": marked(good.subarray(0, -9)),
      "a gzip without its last byte": marked(good.subarray(0, -1)),
      "a gzip with bytes after it": marked(Buffer.concat([good, Buffer.of(0, 0, 0, 0)])),
      "a gzip with its trailer twice": marked(Buffer.concat([good, good.subarray(-8)])),
      "two gzips": marked(Buffer.concat([good, good])),
      "an uncompressed payload above maxBytes": new Uint8Array(1_000_002),
    }),
  )("%s to a reject", async ([, bytes]) => {
    expect(await decodeHostile(serializer, bytes)).toBe("reject");
  });

  test("a gzip with any bit of its checksum wrong to a reject", async () => {
    for (let bit = 0; bit < 32; bit += 1) {
      const bytes = marked(good);
      const index = bytes.length - 8 + (bit >> 3);
      bytes[index] = (bytes[index] ?? 0) ^ (1 << (bit & 7));
      expect(await decodeHostile(serializer, bytes)).toBe("reject");
    }
  });

  test("a bomb to a reject, without expanding it", async () => {
    const bomb = marked(gzipSync(Buffer.alloc(100_000_000)));
    const stream = vi.fn<() => never>();
    vi.stubGlobal("DecompressionStream", stream);
    expect(await decodeHostile(serializer, bomb)).toBe("reject");
    expect(stream).not.toHaveBeenCalled();
  });

  test("a bomb that lies about its size to a reject, long before it is expanded", async () => {
    const gzip = gzipSync(Buffer.alloc(400_000_000));
    gzip.writeUInt32LE(900_000, gzip.length - 4);
    let fed = 0;
    let cancelled = false;
    const Original = DecompressionStream;
    // Counts what reaches the stream, and sees how it ends.
    vi.stubGlobal("DecompressionStream", function Counting() {
      const { readable, writable } = new Original("gzip");
      const writer = writable.getWriter();
      const write = async (chunk: Uint8Array<ArrayBuffer>): Promise<void> => {
        fed += chunk.length;
        await writer.write(chunk);
      };
      const reader = readable.getReader();
      const cancel = async (): Promise<void> => {
        cancelled = true;
        await reader.cancel();
      };
      return {
        readable: { getReader: () => ({ read: () => reader.read(), cancel }) },
        writable: { getWriter: () => ({ write, close: () => writer.close() }) },
      };
    });
    expect(await decodeHostile(serializer, marked(gzip))).toBe("reject");
    expect(cancelled).toBe(true);
    expect(fed).toBeGreaterThan(0);
    expect(fed).toBeLessThan(gzip.length / 3);
  });

  test("a lie about a size that the bytes cannot reach to a reject, without memory for it", async () => {
    const gzip = gzipSync(Buffer.alloc(10));
    gzip.writeUInt32LE(900_000, gzip.length - 4);
    const stream = vi.fn<() => never>();
    vi.stubGlobal("DecompressionStream", stream);
    expect(await decodeHostile(serializer, marked(gzip))).toBe("reject");
    expect(stream).not.toHaveBeenCalled();
  });

  test("2,000 random and changed payloads to a value or a reject, leaving no rejection unhandled", async () => {
    const unhandled: unknown[] = [];
    const note = (reason: unknown): void => void unhandled.push(reason);
    process.on("unhandledRejection", note);
    const inner = compressed(json(), { minBytes: 0 });
    const payloads = await Promise.all([rows.slice(0, 20), "x".repeat(500), { a: 1 }].map(async (value) => inner.encode(value)));
    const outcomes = { value: 0, reject: 0 };
    for (const bytes of hostileBytes(payloads, 2_000, 17)) outcomes[await decodeHostile(inner, bytes)] += 1;
    await new Promise((resolve) => setImmediate(resolve));
    process.off("unhandledRejection", note);
    expect(unhandled).toEqual([]);
    expect(outcomes.reject).toBeGreaterThan(1_500);
  });

  test("bytes that the inner serializer rejects with its error", async () => {
    await expect(Promise.resolve().then(() => compressed(json()).decode(Uint8Array.of(0, 0x7b)))).rejects.toSatisfy((error) =>
      isCacheError(error, "ERR_ENTRY_CORRUPT"),
    );
  });
});
