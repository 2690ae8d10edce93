/**
 * The msgpackr serializer: fidelity, refusals, and the traps of msgpackr that it keeps from its callers: results that share a
 * buffer, inputs that are aliased, bytes that are misread, errors that quote the data.
 *
 * @module
 */
import { isDeepStrictEqual } from "node:util";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { msgpack } from "../../adapters/msgpack.ts";
import { isCacheError } from "../../src/errors.ts";
import { decodeHostile, hostileBytes, nest, PLAIN, prototypeKeys, refusalOf } from "./hostile.ts";

const serializer = msgpack();

function encode(value: unknown): Uint8Array {
  const bytes = serializer.encode(value);
  if (!(bytes instanceof Uint8Array)) throw new TypeError("msgpack() became asynchronous");
  return bytes;
}

function roundTrip(value: unknown): unknown {
  return serializer.decode(encode(value));
}

const BEYOND_JSON: Readonly<Record<string, unknown>> = {
  "a Date": new Date(1_700_000_000_123),
  "the first and the last Date": [new Date(-8.64e15), new Date(8.64e15)],
  "Dates around the limits of the formats": [-1, 0, 1, 999, 1_000, 2 ** 32 * 1_000, 2 ** 34 * 1_000 - 1, 2 ** 34 * 1_000].map((at) => new Date(at)),
  "binary data": { bytes: Uint8Array.of(0, 0xc1, 0xff), empty: new Uint8Array(0), long: new Uint8Array(70_000).fill(0xef) },
  "bigints within 64 bits": [0n, -1n, 1n, 2n ** 53n, 2n ** 63n, 2n ** 64n - 1n, -(2n ** 63n)],
  "numbers that JSON lacks": [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY],
  "properties whose value is undefined": { a: undefined, b: { c: undefined } },
  "a short text that begins with a byte order mark": "\uFEFFshort",
};

describe("msgpack() gives back", () => {
  test.for(Object.entries({ ...PLAIN, ...BEYOND_JSON }))("%s", ([, value]) => {
    expect(roundTrip(value)).toStrictEqual(value);
  });

  test("every Date", () => {
    fc.assert(
      fc.property(fc.date({ noInvalidDate: false }), (date) => {
        expect(roundTrip([date])).toStrictEqual([date]);
      }),
      { numRuns: 2_000 },
    );
  });

  test("1,000 levels of nesting", () => {
    const deep = nest(1_000, (inner) => ({ inner }));
    expect(JSON.stringify(roundTrip(deep))).toBe(JSON.stringify(deep));
  });

  test("an object without a prototype as an ordinary one", () => {
    expect(roundTrip(Object.assign(Object.create(null), { a: 1 }))).toStrictEqual({ a: 1 });
  });

  test("bytes that another instance decodes", () => {
    expect(msgpack().decode(encode([{ a: 1 }, { a: 2 }]))).toStrictEqual([{ a: 1 }, { a: 2 }]);
  });

  test("standard MessagePack", () => {
    expect(Buffer.from(encode({ a: [1, -1, "x", null, true] })).toString("hex")).toBe("81a16195" + "01" + "ff" + "a178" + "c0" + "c3");
  });

  test("fewer bytes than JSON for rows", () => {
    const rows = Array.from({ length: 100 }, (_, id) => ({ id, name: `name ${id}`, active: id % 2 === 0 }));
    expect(encode(rows).length).toBeLessThan(JSON.stringify(rows).length * 0.8);
  });
});

class Money {
  readonly amount = 1;
}

const cycle: { self?: unknown } = {};
cycle.self = cycle;

const REFUSED: Readonly<Record<string, readonly [value: unknown, says: string]>> = {
  undefined: [undefined, "undefined (the value itself)"],
  "undefined in an array": [[undefined], "undefined (in an array)"],
  "a hole in an array": [Object.assign([1], { 2: 3 }), "undefined (in an array)"],
  "-0": [{ a: -0 }, "-0 (in a property)"],
  "a bigint of more than 64 bits": [[2n ** 64n], "a bigint (in an array)"],
  "a bigint below 64 bits": [[-(2n ** 63n) - 1n], "a bigint (in an array)"],
  "a Map": [new Map([["secret", 1]]), "an instance of Map"],
  "a Set": [{ a: new Set(["secret"]) }, "an instance of Set"],
  "a RegExp": [/secret/, "an instance of RegExp"],
  "an Error": [new Error("secret"), "an instance of Error"],
  "a class instance": [new Money(), "an instance of a class"],
  "a subclass of Date": [new (class Day extends Date {})(), "an instance of Date or of a class derived from it"],
  "a Buffer": [Buffer.from("secret"), "binary data"],
  "a typed array": [new Float64Array(2), "binary data"],
  "an ArrayBuffer": [new ArrayBuffer(2), "an instance of ArrayBuffer"],
  "something that only looks like a Date": [Object.create(Date.prototype), "cannot carry"],
  "something that only looks like bytes": [Object.create(Uint8Array.prototype), "cannot carry"],
  "a function": [{ a: () => "secret" }, "a function (in a property)"],
  "a symbol": [Symbol("secret"), "a symbol"],
  "a key __proto__": [JSON.parse('{"__proto__":{"secret":1}}'), "a key __proto__ (in a property)"],
  "a lone surrogate": ["secret \ud800", "this string"],
  "a lone surrogate in a long text": [`${"secret ".repeat(20)}\udfff`, "this string"],
  "a lone surrogate in a key": [{ "secret\udc00": 1 }, "this key"],
  "a long text that begins with a byte order mark": [`\uFEFF${"secret".repeat(20)}`, "this string"],
  "a cycle": [cycle, "a cycle"],
  "1,001 levels": [nest(1_001, (inner) => [inner]), "more than 1000 levels"],
  "200,000 levels": [nest(200_000, (inner) => [inner]), "more than 1000 levels"],
};

describe("msgpack() refuses", () => {
  test.for(Object.entries(REFUSED))("%s", async ([, [value, says]]) => {
    const error = await refusalOf(serializer, value);
    expect(error?.message).toContain("msgpack() cannot carry ");
    expect(error?.message).toContain(says);
    expect(error?.message).not.toContain("secret");
  });

  test("everything that it would not give back equal", () => {
    const unit = fc.integer({ min: 0, max: 0xffff }).map((code) => String.fromCharCode(code));
    const anything = fc.anything({
      withBigInt: true,
      withDate: true,
      withMap: true,
      withSet: true,
      withSparseArray: true,
      withTypedArray: true,
      withBoxedValues: true,
      maxDepth: 4,
      values: [
        fc.integer(),
        fc.double(),
        fc.bigInt(),
        fc.boolean(),
        fc.string({ unit }),
        fc.string({ unit, minLength: 60 }),
        fc.uint8Array(),
        fc.constant(null),
      ],
    });
    let carried = 0;
    const check = (value: unknown): void => {
      try {
        expect(isDeepStrictEqual(roundTrip(value), value)).toBe(true);
        carried += 1;
      } catch (error) {
        if (!isCacheError(error, "ERR_SERIALIZE")) throw error;
      }
    };
    fc.assert(fc.property(anything, check), { numRuns: 3_000 });
    expect(carried).toBeGreaterThan(300);
  });

  test("no plain data", () => {
    fc.assert(
      fc.property(fc.jsonValue({ stringUnit: "binary", maxDepth: 6 }), (generated) => {
        const value: unknown = JSON.parse(JSON.stringify(generated).replaceAll('"__proto__"', '"proto"')); // -0 is gone too
        expect(isDeepStrictEqual(roundTrip(value), value)).toBe(true);
      }),
      { numRuns: 1_000 },
    );
  });
});

describe("msgpack() shares no memory", () => {
  test("between two results, although msgpackr packs into one pool", () => {
    const [first, second] = [encode({ a: 1 }), encode({ b: 2 })];
    expect(first.buffer).not.toBe(second.buffer);
    expect(first.buffer.byteLength).toBe(first.length);
    expect(first.constructor).toBe(Uint8Array);
    expect(serializer.decode(first)).toStrictEqual({ a: 1 });
  });

  test("between a decoded value and its input, on which it leaves no trace", () => {
    const bytes = encode({ data: Uint8Array.of(1, 2, 3), text: "text" });
    const back = serializer.decode(bytes);
    expect(Object.keys(bytes)).toHaveLength(bytes.length);
    bytes.fill(0);
    expect(back).toStrictEqual({ data: Uint8Array.of(1, 2, 3), text: "text" });
  });

  test("when it decodes a window of a larger buffer", () => {
    const bytes = encode({ data: Uint8Array.of(1, 2, 3) });
    const large = new Uint8Array(bytes.length + 32).fill(0xc1);
    large.set(bytes, 16);
    expect(serializer.decode(large.subarray(16, 16 + bytes.length))).toStrictEqual({ data: Uint8Array.of(1, 2, 3) });
    expect(serializer.decode(Buffer.from(large.buffer, 16, bytes.length))).toStrictEqual({ data: Uint8Array.of(1, 2, 3) });
  });

  test("between values of many sizes encoded in turn", () => {
    const sizes = [10, 5_000_000, 3, 200_000, 9_000, 1];
    const all = sizes.map((size) => encode({ size, data: new Uint8Array(size).fill(size & 0xff) }));
    for (const [index, size] of sizes.entries()) {
      expect(serializer.decode(all[index] ?? new Uint8Array(0))).toStrictEqual({ size, data: new Uint8Array(size).fill(size & 0xff) });
    }
  });
});

describe("msgpack() holds no memory", () => {
  test("of a large value once it is encoded", async () => {
    setFlagsFromString("--expose-gc");
    const collect: () => void = runInNewContext("gc");
    encode(0);
    collect();
    const before = process.memoryUsage().arrayBuffers;
    expect(encode(new Uint8Array(30_000_000)).length).toBe(30_000_005);
    expect(encode("after").length).toBe(6);
    // The collector gives the memory of buffers back a little later.
    await expect
      .poll(() => {
        collect();
        return process.memoryUsage().arrayBuffers - before;
      })
      .toBeLessThan(5_000_000);
  });
});

const BAD_BYTES: Readonly<Record<string, string>> = {
  "no bytes": "",
  "the byte 0xC1": "c1",
  "the byte 0xC1 inside": "92c101",
  "bytes after the value": "a673656372657401",
  "a cut text": "a67365",
  "a cut text of 32 bits": "dbffffffff61",
  "an array of 2^32 - 1": "ddffffffff",
  "a map of 2^32 - 1": "dfffffffff01",
  "binary data of 2^32 - 1": "c6ffffffff",
  "nested arrays that claim all that is left": "dd00000004dd00000003c0c0c0",
  "a map with an array for a key": "8191a178c0",
  "a map with a number for a key": "8101c0",
  "a large bigint of msgpackr": "d44205",
  "a large bigint of msgpackr that looks like a timestamp": "d44242",
  "a map without its last value": "82a16101a162",
  "a record of msgpackr": "d4724091a16101",
  "a Set of msgpackr": "d473009101",
  "a RegExp of msgpackr": "d4780092a161a0",
  "an Error of msgpackr": "d4650093a161a162c0",
  "a reference of msgpackr": "d67000000001",
  "bundled strings of msgpackr": "d6620000000ac1",
  "an unknown extension": "d40100",
  "a cut timestamp": "d6ff0000",
  "a cut number": "cb0000",
};

describe("msgpack() decodes", () => {
  test.for(Object.entries(BAD_BYTES))("%s to a reject", async ([, hex]) => {
    expect(await decodeHostile(serializer, Buffer.from(hex, "hex"))).toBe("reject");
    expect(roundTrip({ still: "works" })).toStrictEqual({ still: "works" });
  });

  test("100,000 levels of nesting to a reject", async () => {
    expect(await decodeHostile(serializer, new Uint8Array(100_000).fill(0x91))).toBe("reject");
    expect(await decodeHostile(serializer, Uint8Array.of(...new Uint8Array(1_000).fill(0x91), 1))).toBe("value");
    expect(await decodeHostile(serializer, Uint8Array.of(...new Uint8Array(1_001).fill(0x91), 1))).toBe("reject");
  });

  test("a key __proto__ to an ordinary key", () => {
    const back = serializer.decode(Buffer.from("81a95f5f70726f746f5f5f81a17801", "hex"));
    expect(Object.getPrototypeOf(back)).toBe(Object.prototype);
    expect(Reflect.get(Object(back), "x")).toBeUndefined();
  });

  test("20,000 random and changed payloads to a value or a reject, leaving prototypes alone", async () => {
    const before = prototypeKeys();
    const values = [
      { a: [1, "text", null, true], b: { c: -1.5 } },
      [[new Date(5)], { u: undefined }, 2n ** 60n],
      Array.from({ length: 20 }, () => "x".repeat(40)),
    ];
    const outcomes = { value: 0, reject: 0 };
    for (const bytes of hostileBytes(values.map(encode), 20_000, 11)) outcomes[await decodeHostile(serializer, bytes)] += 1;
    expect(prototypeKeys()).toBe(before);
    expect(outcomes.value).toBeGreaterThan(2_000);
    expect(outcomes.reject).toBeGreaterThan(2_000);
    expect(roundTrip(values)).toStrictEqual(values);
  });
});
