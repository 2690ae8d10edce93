/**
 * The JSON serializer: what it gives back, what it refuses instead of changing it, and what it makes of bytes that are none of
 * its own.
 *
 * @module
 */
import { isDeepStrictEqual } from "node:util";
import { createContext, runInContext } from "node:vm";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { isCacheError } from "../../src/errors.ts";
import { json } from "../../src/serializer/json.ts";
import { decodeHostile, hostileBytes, nest, PLAIN, prototypeKeys, refusalOf } from "./hostile.ts";

const serializer = json();

function encode(value: unknown): Uint8Array {
  const bytes = serializer.encode(value);
  if (!(bytes instanceof Uint8Array)) throw new TypeError("json() became asynchronous");
  return bytes;
}

function roundTrip(value: unknown): unknown {
  return serializer.decode(encode(value));
}

/** What comes back: properties without a value are gone, and every object has the ordinary prototype. */
function expected(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(expected);
  if (typeof value !== "object" || value === null) return value;
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) return value;
  const result = {};
  for (const [key, member] of Object.entries(value)) {
    if (member !== undefined) {
      Object.defineProperty(result, key, { value: expected(member), enumerable: true, writable: true, configurable: true });
    }
  }
  return result;
}

describe("json() gives back", () => {
  test.for(Object.entries(PLAIN))("%s", ([, value]) => {
    expect(roundTrip(value)).toStrictEqual(value);
  });

  test("text with lone surrogates, as a value and as a key", () => {
    const value = { "\udc00": ["\ud800", "a\udbff"] };
    expect(roundTrip(value)).toStrictEqual(value);
  });

  test.for(["a", "é", "\u2028", "\u{1f40e}"])("any length of text made of %j in the bytes of the platform's encoder, which no later call changes", (letter) => {
    const made = [0, 1, 169, 170, 338, 339, 340, 341, 342, 1_021, 1_022, 1_023, 1_024, 5_000]
      .map((length) => letter.repeat(length))
      .map((text) => ({ text, bytes: encode(text) }));
    for (const { text, bytes } of made) {
      expect(bytes).toStrictEqual(new TextEncoder().encode(JSON.stringify(text)));
      expect(serializer.decode(bytes)).toBe(text);
      expect(bytes.buffer.byteLength).toBe(bytes.length);
    }
  });

  test("an own key __proto__ as an own key, without touching a prototype", () => {
    const back = roundTrip(JSON.parse('{"__proto__":{"polluted":true},"a":1}'));
    expect(Object.keys(Object(back))).toEqual(["__proto__", "a"]);
    expect(Object.getPrototypeOf(back)).toBe(Object.prototype);
    expect(Reflect.get({}, "polluted")).toBeUndefined();
  });

  test("an object without its undefined properties", () => {
    expect(roundTrip({ a: undefined, b: { c: undefined, d: 1 } })).toStrictEqual({ b: { d: 1 } });
  });

  test("an object without a prototype as an ordinary one", () => {
    expect(roundTrip(Object.assign(Object.create(null), { a: 1 }))).toStrictEqual({ a: 1 });
  });

  test("data of another realm", () => {
    const foreign: unknown = runInContext("({ a: [1, { b: 2 }] })", createContext());
    expect(roundTrip(foreign)).toStrictEqual({ a: [1, { b: 2 }] });
  });

  test("a toJSON that is no method", () => {
    expect(roundTrip([{ toJSON: "text" }, Object.defineProperty({ a: 1 }, "toJSON", { value: 1 })])).toStrictEqual([{ toJSON: "text" }, { a: 1 }]);
  });

  test("1,000 levels of nesting", () => {
    const deep = nest(1_000, (inner) => ({ inner }));
    expect(JSON.stringify(roundTrip(deep))).toBe(JSON.stringify(deep));
  });

  test("ordinary JSON, in a buffer of its own", () => {
    const bytes = encode({ a: [1, "é"] });
    expect(new TextDecoder().decode(bytes)).toBe('{"a":[1,"é"]}');
    expect(bytes.buffer.byteLength).toBe(bytes.length);
    expect(bytes.byteOffset).toBe(0);
  });

  test("a value although the bytes it read are changed afterwards", () => {
    const bytes = encode({ a: "text" });
    const back = serializer.decode(bytes);
    bytes.fill(0);
    expect(back).toStrictEqual({ a: "text" });
  });
});

const realm = createContext();

class Money {
  readonly amount = 1;
}

/** With a method that no walk over properties meets. */
function hiding(value: object): object {
  return Object.defineProperty(value, "toJSON", { value: () => "secret" });
}

const cycle: { self?: unknown } = {};
cycle.self = cycle;
const wideCycle: unknown[] = Array.from({ length: 1_000 }, (_, index) => index);
wideCycle.push([[wideCycle]]);

const REFUSED: Readonly<Record<string, readonly [value: unknown, says: string]>> = {
  undefined: [undefined, "undefined (the value itself)"],
  "undefined in an array": [[1, undefined], "undefined (in an array)"],
  "a hole in an array": [Object.assign([1], { 2: 3 }), "undefined (in an array)"],
  NaN: [{ a: Number.NaN }, "NaN (in a property)"],
  Infinity: [[Number.POSITIVE_INFINITY], "an infinite number (in an array)"],
  "-Infinity": [Number.NEGATIVE_INFINITY, "an infinite number (the value itself)"],
  "-0": [{ a: [-0] }, "-0 (in an array, 2 levels deep)"],
  "a bigint": [{ a: 1n }, "a bigint (in a property)"],
  "a Date": [{ a: { b: new Date(0) } }, "an instance of Date or of a class derived from it (in a property, 2 levels deep)"],
  "a Map": [new Map([["secret", "secret"]]), "an instance of Map"],
  "a Set": [[new Set(["secret"])], "an instance of Set"],
  "a RegExp": [/secret/, "an instance of RegExp"],
  "an Error": [new Error("secret"), "an instance of Error"],
  "a promise": [Promise.resolve("secret"), "an instance of Promise"],
  "a Response": [new Response("secret"), "an instance of Response"],
  "a class instance": [new Money(), "an instance of a class"],
  "an instance that names itself after its data": [{ a: Object.create({ [Symbol.toStringTag]: "secret" }) }, "an instance of a class"],
  "a subclass of Array": [new (class Rows extends Array {})(), "an instance of Array or of a class"],
  "an object that inherits": [Object.create({ secret: 1 }), "an instance of a class"],
  "a boxed number": [Object(1), "an instance of a class"],
  "binary data": [new Uint8Array(3), "binary data"],
  "a function": [{ a: () => "secret" }, "a function (in a property)"],
  "an own toJSON": [{ toJSON: () => "secret" }, "an object or array with a method toJSON (the value itself)"],
  "a hidden toJSON": [[hiding({ a: 1 })], "an object or array with a method toJSON (in an array)"],
  "an array with a toJSON": [{ a: Object.assign([1], { toJSON: () => "secret" }) }, "an object or array with a method toJSON (in a property)"],
  "an array with a hidden toJSON": [hiding([1, 2]), "an object or array with a method toJSON (the value itself)"],
  "an object without a prototype but with a toJSON": [hiding(Object.create(null)), "an object or array with a method toJSON (the value itself)"],
  "a symbol": [[Symbol("secret")], "a symbol (in an array)"],
  "a cycle": [cycle, "a cycle"],
  "a wide cycle": [wideCycle, "a cycle"],
  "1,001 levels": [nest(1_001, (inner) => [inner]), "more than 1000 levels"],
  "200,000 levels": [nest(200_000, (inner) => ({ inner })), "more than 1000 levels"],
  "shared references that multiply": [nest(60, (inner) => [inner, inner]), "so many objects and arrays"],
  "a getter that throws": [
    {
      get secret() {
        throw new Error("secret");
      },
    },
    "throws while it is read",
  ],
};

describe("json() refuses", () => {
  test.for(Object.entries(REFUSED))("%s", async ([, [value, says]]) => {
    const error = await refusalOf(serializer, value);
    expect(error?.message).toContain("json() cannot carry ");
    expect(error?.message).toContain(says);
    expect(error?.message).not.toContain("secret");
    expect(error?.cause).toBeUndefined();
  });

  test.for([
    ["arrays", Array.prototype, [1]],
    ["objects", Object.prototype, { a: 1 }],
    ["objects of another realm", runInContext("Object.prototype", realm), runInContext("({ a: 1 })", realm)],
  ] as const)("%s while their prototype has a method toJSON", async ([, prototype, value]) => {
    Object.defineProperty(prototype, "toJSON", { value: () => "secret", configurable: true });
    const error = await refusalOf(serializer, value);
    Reflect.deleteProperty(prototype, "toJSON");
    expect(error?.message).toContain("an object or array with a method toJSON (the value itself)");
    expect(roundTrip(value)).toEqual(value);
  });

  test("everything that it would not give back equal, and nothing else", () => {
    const anything = fc.anything({
      withBigInt: true,
      withDate: true,
      withMap: true,
      withSet: true,
      withNullPrototype: true,
      withSparseArray: true,
      withTypedArray: true,
      withBoxedValues: true,
      maxDepth: 4,
    });
    let refused = 0;
    const check = (value: unknown): void => {
      try {
        const back = roundTrip(value);
        expect(isDeepStrictEqual(back, expected(value))).toBe(true);
      } catch (error) {
        if (!isCacheError(error, "ERR_SERIALIZE")) throw error;
        refused += 1;
        let lossless = true;
        try {
          lossless = isDeepStrictEqual(JSON.parse(JSON.stringify(value)), expected(value));
        } catch {
          lossless = false;
        }
        expect(lossless).toBe(false);
      }
    };
    fc.assert(fc.property(anything, check), { numRuns: 3_000 });
    expect(refused).toBeGreaterThan(100);
    expect(refused).toBeLessThan(2_900);
  });

  test("no plain data", () => {
    fc.assert(
      fc.property(fc.jsonValue({ stringUnit: "binary", maxDepth: 6 }), (generated) => {
        const value: unknown = JSON.parse(JSON.stringify(generated)); // turns -0 into 0
        expect(isDeepStrictEqual(roundTrip(value), value)).toBe(true);
      }),
      { numRuns: 1_000 },
    );
  });

  test("nothing because of what others put on Object.prototype", () => {
    Object.defineProperty(Object.prototype, "injected", { value: () => 1, enumerable: true, configurable: true });
    let bytes: Uint8Array = new Uint8Array(0);
    try {
      bytes = encode({ a: { b: 1 } });
    } finally {
      Reflect.deleteProperty(Object.prototype, "injected");
    }
    expect(new TextDecoder().decode(bytes)).toBe('{"a":{"b":1}}');
  });
});

describe("json() decodes", () => {
  test.for([
    ["nothing", ""],
    ["half a text", '{"secret":'],
    ["a byte order mark", "\uFEFF1"],
    ["two values", "1 2"],
  ])("%s to a reject", async ([, text]) => {
    expect(await decodeHostile(serializer, new TextEncoder().encode(text))).toBe("reject");
  });

  test("bytes that are no UTF-8 to a reject", async () => {
    expect(await decodeHostile(serializer, Uint8Array.of(0x22, 0xff, 0x22))).toBe("reject");
  });

  test("200,000 levels of nesting without overflowing the stack", async () => {
    const text = "[".repeat(200_000) + "]".repeat(200_000);
    expect(await decodeHostile(serializer, new TextEncoder().encode(text))).toBe("value");
  });

  test("20,000 random and changed payloads to a value or a reject, leaving prototypes alone", async () => {
    const before = prototypeKeys();
    const payloads = [{ a: [1, "text", null, true], b: { c: -1.5 } }, [["x"], {}], JSON.parse('{"__proto__":{"x":1}}')].map(encode);
    const outcomes = { value: 0, reject: 0 };
    for (const bytes of hostileBytes(payloads, 20_000, 7)) outcomes[await decodeHostile(serializer, bytes)] += 1;
    expect(prototypeKeys()).toBe(before);
    expect(outcomes.value).toBeGreaterThan(500);
    expect(outcomes.reject).toBeGreaterThan(5_000);
  });
});
