/**
 * The structured serializer: what structured clone takes comes back, what it would change is refused, and no bytes make the
 * decoder overflow, allocate beyond their length or touch a prototype.
 *
 * @module
 */
import { isDeepStrictEqual } from "node:util";
import { createContext, runInContext } from "node:vm";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { structured } from "../../src/serializer/structured.ts";
import { decodeHostile, hostileBytes, nest, PLAIN, prototypeKeys, refusalOf } from "./hostile.ts";

const serializer = structured();

function encode(value: unknown): Uint8Array {
  const bytes = serializer.encode(value);
  if (!(bytes instanceof Uint8Array)) throw new TypeError("structured() became asynchronous");
  return bytes;
}

function roundTrip<Value>(value: Value): Value {
  const back: unknown = serializer.decode(encode(value));
  return back as Value;
}

const RICH: Readonly<Record<string, unknown>> = {
  undefined,
  "undefined where it stands": { a: undefined, b: [undefined] },
  "-0": [-0, { a: -0 }],
  "NaN and the infinities": [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY],
  bigints: [0n, 1n, -1n, 255n, 256n, -(2n ** 64n), 2n ** 2_000n + 1n],
  "lone surrogates": { "\udc00": "a\ud800b" },
  "a long text with lone surrogates": "\ud800é".repeat(10_000),
  "text that begins with a byte order mark": ["\uFEFFshort", `\uFEFF${"long".repeat(50)}`],
  "a Date": [new Date(0), new Date(-1), new Date(8.64e15), new Date(Number.NaN)],
  "a Map": new Map<unknown, unknown>([
    ["a", 1],
    [{ k: 1 }, new Map()],
    [undefined, [Number.NaN]],
  ]),
  "a Set": new Set<unknown>([1, "a", new Set([2n]), undefined]),
  "a RegExp": [/a(b)\/c/giu, new RegExp("")],
  "an ArrayBuffer": [new ArrayBuffer(0), Uint8Array.of(1, 2, 3).buffer],
  "typed arrays": [
    Int8Array.of(-1),
    Uint8Array.of(255),
    Uint8ClampedArray.of(7),
    Int16Array.of(-300),
    Uint16Array.of(65_535),
    Int32Array.of(-70_000),
    Uint32Array.of(2 ** 32 - 1),
    Float32Array.of(0.5),
    Float64Array.of(Number.NaN, -0, 0.1),
    BigInt64Array.of(-5n),
    BigUint64Array.of(2n ** 64n - 1n),
    new Float64Array(0),
  ],
  "boxed primitives": [Object(1), Object("text"), Object(false), Object(5n)],
  "an object without a prototype": Object.assign(Object.create(null), { a: Object.create(null) }),
  "an own key __proto__": JSON.parse('{"__proto__":{"x":1}}'),
  "holes at the end": Object.assign([1], { 2: 3, length: 10 }),
  "an array with properties": Object.assign(["a", "b"], { index: 3, groups: undefined }),
  "an array with as many properties as holes": Object.assign([1], { 2: 3, x: 1 }),
  "an array of very many holes": Object.assign([], { 5: "five", 4_000_000_000: "far" }),
};

describe("structured() gives back", () => {
  test.for(Object.entries({ ...PLAIN, ...RICH }))("%s", ([, value]) => {
    expect(isDeepStrictEqual(roundTrip(value), value)).toBe(true);
  });

  test("any mixture of these", () => {
    const unit = fc.integer({ min: 0, max: 0xffff }).map((code) => String.fromCharCode(code));
    const anything = fc.anything({
      withBigInt: true,
      withDate: true,
      withMap: true,
      withSet: true,
      withNullPrototype: true,
      withSparseArray: true,
      withTypedArray: true,
      withBoxedValues: true,
      key: fc.string({ unit }),
      values: [fc.integer(), fc.double(), fc.bigInt(), fc.maxSafeInteger(), fc.boolean(), fc.string({ unit }), fc.constantFrom(null, undefined)],
    });
    fc.assert(
      fc.property(anything, (value) => {
        expect(isDeepStrictEqual(roundTrip(value), value)).toBe(true);
      }),
      { numRuns: 3_000 },
    );
  });

  test("a cycle as a cycle, through every kind of container", () => {
    const map = new Map<unknown, unknown>();
    const set = new Set<unknown>([map]);
    const list: unknown[] = [set];
    const error = new Error("round", { cause: list });
    map.set(error, map).set("list", list);
    const back = roundTrip(map);
    const [backError] = [...back.keys()];
    if (!(backError instanceof Error)) throw new TypeError("the key is no error");
    expect(back.get(backError)).toBe(back);
    expect(backError.cause).toBe(back.get("list"));
    expect(back.get("list")).toEqual([new Set([back])]);
  });

  test("one object for two references to it", () => {
    const date = new Date(5);
    const shared = { n: 1 };
    const back = roundTrip({ a: shared, b: [shared], c: date, d: date });
    expect(back.b[0]).toBe(back.a);
    expect(back.d).toBe(back.c);
  });

  test("errors with name, message, cause and properties, without a stack", () => {
    const cause = new RangeError("inner");
    const error = Object.assign(new TypeError("outer", { cause }), { code: "E_CODE" });
    const back = roundTrip(error);
    expect(back).toBeInstanceOf(TypeError);
    expect(back).toMatchObject({ message: "outer", code: "E_CODE" });
    expect(back.cause).toBeInstanceOf(RangeError);
    expect(Object.keys(back)).toEqual(["code"]);
    expect(back.stack).toBeUndefined();
    const named = new Error("stopped");
    named.name = "AbortError";
    expect(String(roundTrip(named))).toBe("AbortError: stopped");
    const several = roundTrip(new AggregateError([new EvalError("one"), 2], "all"));
    expect(several).toBeInstanceOf(AggregateError);
    expect(several.errors).toMatchObject([{ message: "one" }, 2]);
    expect(Object.hasOwn(roundTrip(new Error()), "message")).toBe(false);
  });

  test("of a view only what it shows, and nothing of the buffer around it", () => {
    const pool = new TextEncoder().encode("neighbour|mine|neighbour");
    const bytes = encode([pool.subarray(10, 14), new DataView(pool.buffer, 10, 4)]);
    expect(new TextDecoder().decode(bytes)).not.toContain("neigh");
    const [view, data] = roundTrip([pool.subarray(10, 14), new DataView(pool.buffer, 10, 4)]);
    expect(new TextDecoder().decode(view)).toBe("mine");
    expect(data).toBeInstanceOf(DataView);
    expect(data?.byteLength).toBe(4);
  });

  test("values of another realm as values of this one", () => {
    const foreign: unknown = runInContext("[new Map([[1, new Date(5)]]), new TypeError('x'), new Uint8Array([7]), /a/, [{}]]", createContext());
    const [map, error, bytes, pattern] = roundTrip(Array.isArray(foreign) ? foreign : []);
    expect(map).toEqual(new Map([[1, new Date(5)]]));
    expect(error).toBeInstanceOf(TypeError);
    expect(bytes).toEqual(Uint8Array.of(7));
    expect(pattern).toBeInstanceOf(RegExp);
  });

  test("200,000 levels of nesting", () => {
    const levels = { count: 0 };
    for (let value: unknown = roundTrip(nest(200_000, (inner) => [inner])); Array.isArray(value); value = value[0]) levels.count += 1;
    expect(levels.count).toBe(200_000);
  });

  test("shared references that would multiply, in a few bytes", () => {
    const bytes = encode(nest(60, (inner) => [inner, inner]));
    expect(bytes.length).toBeLessThan(300);
  });

  test("a value that shares no memory with its bytes, which own theirs", () => {
    const bytes = encode({ data: Uint8Array.of(1, 2, 3), text: "text" });
    expect(bytes.buffer.byteLength).toBe(bytes.length);
    const large = new Uint8Array(bytes.length + 32);
    large.set(bytes, 16);
    const back = serializer.decode(large.subarray(16, 16 + bytes.length));
    large.fill(0xff);
    expect(back).toStrictEqual({ data: Uint8Array.of(1, 2, 3), text: "text" });
  });
});

describe("structured() keeps its format", () => {
  // These bytes lie in stores: version 1 has to read and write them for ever.
  const GOLDEN: Readonly<Record<string, readonly [value: unknown, hex: string]>> = {
    primitives: [
      [undefined, null, false, true, 1.5, 300, -300, "é", "\ud800", 258n, -1n],
      "010e0b0001020304000000000000f83f05ac0206ab020702c3a9080100d80902010" + "20a0101",
    ],
    containers: [
      [{ a: 1 }, { a: 2 }, new Map([["k", new Set([1])]]), new Date(1), /x/g, Uint8Array.of(9).buffer, Uint8Array.of(9)],
      "010e070c0c1012000000000000f03f13070178070167140109150101090100070161" + "05010101" + "05020107016b110105" + "01",
    ],
  };

  test.for(Object.entries(GOLDEN))("for %s", ([, [value, hex]]) => {
    expect(Buffer.from(encode(value)).toString("hex")).toBe(hex);
    expect(serializer.decode(Buffer.from(hex, "hex"))).toStrictEqual(value);
  });
});

class Money {
  readonly amount = 1;
}

const REFUSED: Readonly<Record<string, readonly [value: unknown, says: string]>> = {
  "a function": [{ a: () => "secret" }, "a function (in a property)"],
  "a symbol": [[Symbol("secret")], "a symbol (in an array)"],
  "a boxed symbol": [Object(Symbol("secret")), "an instance of a class (the value itself)"],
  "a class instance": [new Map([[1, new Money()]]), "an instance of a class (in a Map)"],
  "an object that inherits": [new Set([Object.create({ secret: 1 })]), "an instance of a class (in a Set)"],
  "a subclass of Map": [new (class Bag extends Map {})(), "an instance of Map or of a class derived from it"],
  "a subclass of Array": [new (class Rows extends Array {})(), "an instance of Array or of a class derived from it"],
  "a Buffer": [Buffer.from("secret"), "a subclass of a typed array, such as Buffer"],
  "an error of a class of its own": [new (class Failure extends Error {})("secret"), "an error of a class of its own"],
  "a DOMException": [new DOMException("secret"), "an instance of a class"],
  "a promise": [Promise.resolve("secret"), "an instance of Promise"],
  "a WeakMap": [new WeakMap(), "an instance of WeakMap"],
  "something that calls itself a Date": [Object.create(Object.create(Object.prototype, { [Symbol.toStringTag]: { value: "Date" } })), "cannot carry"],
  "something that calls itself an Error": [
    Object.create(Object.create(Object.prototype, { [Symbol.toStringTag]: { value: "Error" }, name: { value: "Error" } })),
    "an error of a class of its own",
  ],
  "a getter that throws": [
    {
      get secret() {
        throw new Error("secret");
      },
    },
    "throws while it is read (in a property)",
  ],
  "a cause inside an error": [new Error("x", { cause: () => 1 }), "a function (in an error)"],
};

describe("structured() refuses", () => {
  test.for(Object.entries(REFUSED))("%s", async ([, [value, says]]) => {
    const error = await refusalOf(serializer, value);
    expect(error?.message).toContain("structured() cannot carry ");
    expect(error?.message).toContain(says);
    expect(error?.message).not.toContain("secret");
  });
});

const BAD_BYTES: Readonly<Record<string, string>> = {
  "no bytes": "",
  "another version": "020505",
  "a version alone": "01",
  "an unknown tag": "01ff",
  "bytes after the value": "010101",
  "a cut float": "01040000",
  "a count that does not end": "0105ffffffffffffffffffff",
  "a count that is padded without end": `0105${"80".repeat(200)}00`,
  "a count above the safe integers": "0105ffffffffffffff7f",
  "a text longer than the bytes": "0107ffffffff0f61",
  "text that is no UTF-8": "010701ff",
  "units longer than the bytes": "0108ffffffff0f6161",
  "a bigint longer than the bytes": "0109ffffffff0f61",
  "a buffer of 4 GB": "0114ffffffff0f",
  "a view whose length does not fit its elements": "01150303010203",
  "a view of an unknown kind": "01156300",
  "an array of 2^40": "010e808080808020",
  "a Map of more than is left": "01100501",
  "a reference to nothing": "010b00",
  "a reference beyond": "010e010b05",
  "a key that was not met": "010c010500",
  "a key that is no text": "010c01000105",
  "a pattern that is none": "01130701280700",
  "flags that are none": "01130701610701" + "21",
  "a boxed undefined": "011700",
  "a boxed container": "01170c00",
  "an error of an unknown kind": "01166300",
  "a sparse array shorter than its elements": "010f010100" + "070135" + "01",
  "a length that is an element of a sparse array": "010f8080808008010007066c656e67746805ffffff7f",
  "a sparse array that is too long": "010f808080801000",
};

describe("structured() decodes", () => {
  test.for(Object.entries(BAD_BYTES))("%s to a reject", async ([, hex]) => {
    expect(await decodeHostile(serializer, Buffer.from(hex, "hex"))).toBe("reject");
  });

  test("a key __proto__ in any container to an own key, without touching a prototype", () => {
    const key = "00" + "0709" + Buffer.from("__proto__").toString("hex");
    const containers: readonly (readonly [hex: string, prototype: object])[] = [
      [`010c01${key}0c00`, Object.prototype],
      [`010f0001${key}0c00`, Array.prototype],
      [`0116000001${key}0c00`, Error.prototype],
    ];
    for (const [hex, prototype] of containers) {
      const back: unknown = serializer.decode(Buffer.from(hex, "hex"));
      expect(Object.getPrototypeOf(back)).toBe(prototype);
      expect(Object.getOwnPropertyDescriptor(back, "__proto__")?.value).toEqual({});
    }
  });

  test("holes by the million without memory for them", () => {
    const before = process.memoryUsage();
    const arrays = Array.from({ length: 20 }, () => serializer.decode(Buffer.from("010f" + "80ade204" + "00", "hex")));
    const after = process.memoryUsage();
    for (const array of arrays) expect(array).toHaveLength(10_000_000);
    expect(after.heapTotal + after.external - before.heapTotal - before.external).toBeLessThan(50_000_000);
  });

  test("20,000 random and changed payloads to a value or a reject, leaving prototypes alone", async () => {
    const before = prototypeKeys();
    const values = [
      RICH,
      { a: [1, "text", null], b: new Map([[1, new Set(["x"])]]) },
      [new Error("e"), /a/, new Date(1), Float64Array.of(1)],
      Object.assign([1], { 2: 3, x: 1 }),
    ];
    const payloads = values.map((value) => encode(value)).filter((bytes) => bytes.length < 5_000);
    expect(payloads.length).toBeGreaterThan(2);
    const outcomes = { value: 0, reject: 0 };
    for (const bytes of hostileBytes(payloads, 20_000, 13)) outcomes[await decodeHostile(serializer, bytes)] += 1;
    expect(prototypeKeys()).toBe(before);
    expect(outcomes.value).toBeGreaterThan(500);
    expect(outcomes.reject).toBeGreaterThan(5_000);
  });
});
