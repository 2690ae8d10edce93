/**
 * Values that every serializer has to give back. It uses nothing of Node, because the tests in other runtimes import it too.
 *
 * @module
 */

/** Plain data of every kind, with the texts and numbers where formats break. */
export const PLAIN: Readonly<Record<string, unknown>> = {
  null: null,
  true: true,
  false: false,
  zero: 0,
  "small integer": 127,
  "negative integer": -32_769,
  "32 bits": 2 ** 32 - 1,
  "more than 32 bits": 2 ** 40 + 1,
  "largest safe integer": Number.MAX_SAFE_INTEGER,
  "smallest safe integer": Number.MIN_SAFE_INTEGER,
  fraction: 0.1 + 0.2,
  "least number": Number.MIN_VALUE,
  "largest number": Number.MAX_VALUE,
  "empty text": "",
  ascii: "plain text",
  "control characters": "\0\u0001\u001f\u007f\u2028\u2029",
  "accents and scripts": "é ß 日本語 עברית 😀 𝒳",
  "fullwidth and replacement": "，\uFFFD\uF000",
  "long text": "x".repeat(70_000),
  "long text beyond ascii": "日本".repeat(30_000),
  "byte order mark inside": `a\uFEFF${"b".repeat(100)}`,
  "empty array": [],
  "array of 16": Array.from({ length: 16 }, (_, index) => index),
  "array of 70,000": Array.from({ length: 70_000 }, (_, index) => index % 300),
  "empty object": {},
  "nested object": { a: { b: [{ c: null }, [[]]] }, "": 1, "a b": 2 },
  "object of 70,000": Object.fromEntries(Array.from({ length: 70_000 }, (_, index) => [`k${index}`, index])),
  "keys of objects": Object.fromEntries(["constructor", "hasOwnProperty", "toJSON", "toString", "length", "valueOf", "then"].map((key, index) => [key, index])),
  "keys that are numbers": { 10: "ten", 2: "two", "-1": "minus one", "1.5": "one and a half" },
  "shared reference": (() => {
    const shared = { n: 1 };
    return [shared, shared];
  })(),
};
