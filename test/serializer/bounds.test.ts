/**
 * How much a value may be made of: encoders and decoders draw the line at the same place, so that nothing is stored which would
 * not be read.
 *
 * @module
 */
import { describe, expect, test } from "vitest";
import { msgpack } from "../../adapters/msgpack.ts";
import { BUILT_IN_WEIGHT, crowd, ERROR_WEIGHT, indexOf, MAX_WEIGHT, weightOfKey } from "../../src/serializer/bounds.ts";
import { json } from "../../src/serializer/json.ts";
import { structured } from "../../src/serializer/structured.ts";
import { decodeHostile, refusalOf } from "./hostile.ts";

const many = (count: number, make: (index: number) => unknown): unknown[] => Array.from({ length: count }, (_, index) => make(index));
const FILL = MAX_WEIGHT - 1;
const DATES = Math.floor(FILL / BUILT_IN_WEIGHT);

describe("of as much as may be, and of one more,", () => {
  test.for([
    ["objects in json()", json(), FILL, () => ({})],
    ["arrays in json()", json(), FILL, () => []],
    ["objects in structured()", structured(), FILL, () => ({})],
    ["Dates in structured()", structured(), DATES, () => new Date(5)],
    ["errors in structured()", structured(), Math.floor(FILL / ERROR_WEIGHT), () => new Error("e")],
    ["objects in msgpack()", msgpack(), FILL, () => ({})],
    ["Dates in msgpack()", msgpack(), DATES, () => new Date(5)],
    ["bytes in msgpack()", msgpack(), DATES, () => new Uint8Array(0)],
  ] as const)("%s, the first comes back and the second is refused", async ([, serializer, count, make]) => {
    const value = many(count, make);
    expect(await serializer.decode(await serializer.encode(value))).toHaveLength(count);
    const error = await refusalOf(serializer, [...value, make()]);
    expect(error?.message).toContain("cannot carry so many objects and arrays");
  });

  test("objects that somebody else encoded, the first comes back and the second is rejected", async () => {
    const text = (count: number): Uint8Array => Buffer.from(`[${many(count, () => "{}").join(",")}]`);
    expect(await decodeHostile(json(), text(FILL))).toBe("value");
    expect(await decodeHostile(json(), text(FILL + 1))).toBe("reject");
    const packed = (count: number): Uint8Array => Buffer.concat([Buffer.from([0xdd, count >> 24, count >> 16, count >> 8, count]), Buffer.alloc(count, 0x80)]);
    expect(await decodeHostile(msgpack(), packed(FILL))).toBe("value");
    expect(await decodeHostile(msgpack(), packed(FILL + 1))).toBe("reject");
    const listed = (count: number): Uint8Array =>
      Buffer.concat([Buffer.from([1, 14, (count & 127) | 128, ((count >> 7) & 127) | 128, count >> 14]), Buffer.alloc(count, 12), Buffer.alloc(count)]);
    expect(await decodeHostile(structured(), listed(FILL))).toBe("value");
    expect(await decodeHostile(structured(), listed(FILL + 1))).toBe("reject");
  });
});

describe("whatever weighs nothing comes back however often:", () => {
  test("brackets in the texts of json()", () => {
    const value = ["[{".repeat(1_000_000), '\\"[{'.repeat(100_000)];
    expect(json().decode(Buffer.from(JSON.stringify(value)))).toEqual(value);
  });

  test("undefined and numbers in msgpack()", async () => {
    const row = Object.fromEntries(many(300, (index) => [`k${index}`, index % 2 === 0 ? undefined : index]).map((pair) => Object(pair)));
    const value = many(4_000, () => row);
    expect(await msgpack().decode(await msgpack().encode(value))).toEqual(value);
  });

  test("numbers and texts in structured()", async () => {
    const value = many(1_000_000, (index) => (index % 2 === 0 ? index : "text"));
    expect(await structured().decode(await structured().encode(value))).toHaveLength(1_000_000);
  });
});

describe("a property key that is an index", () => {
  test("is told from every other key", () => {
    for (const [key, index] of [
      ["0", 0],
      ["404", 404],
      ["4294967294", 4_294_967_294],
      ["4294967295", -1],
      ["99999999999", -1],
      ["01", -1],
      ["1.5", -1],
      ["1e3", -1],
      ["-1", -1],
      ["", -1],
      ["a1", -1],
      [" 1", -1],
    ] as const) {
      expect([key, indexOf(key)]).toEqual([key, index]);
    }
  });

  test("weighs as much as the holes before it, up to where engines stop reserving them", () => {
    expect(weightOfKey("name")).toBe(0);
    expect(weightOfKey("320")).toBe(10);
    expect(weightOfKey("1023")).toBeGreaterThan(31);
    expect(weightOfKey("1024")).toBe(0);
  });

  test("is refused by msgpack() in both directions where there are too many, and carried by the others", async () => {
    const rows = many(20_000, () => ({ "1023": 0 }));
    expect((await refusalOf(msgpack(), rows))?.message).toContain("cannot carry so many objects and arrays");
    expect(await msgpack().decode(await msgpack().encode(rows.slice(0, 10_000)))).toEqual(rows.slice(0, 10_000));
    for (const serializer of [json(), structured()]) expect(await serializer.decode(await serializer.encode(rows))).toEqual(rows);
  });

  test("comes back from structured() with its order, its neighbours and no other property", () => {
    const value = [
      { b: 1, "500": 2, a: 3, "7": 4, "501": 5 },
      Object.assign([1, 2], { 90: 3, length: 200, x: 4 }),
      Object.assign(new Error("e"), { "900": 1 }),
    ];
    const back: unknown = structured().decode(Buffer.from(Object(structured().encode(value))));
    expect(back).toStrictEqual(value);
    expect(Object.keys(Object(back)[0])).toEqual(["7", "500", "501", "b", "a"]);
    expect(Object.keys(Object(back)[1])).toEqual(["0", "1", "90", "x"]);
    expect(Object(back)[1]).toHaveLength(200);
    expect(Object.keys(Object(back)[2])).toEqual(["900"]);
  });
});

describe("bigints that differ above their lowest 64 bits alone", () => {
  const wide = (index: number): bigint => (BigInt(index + 1) << 64n) + 5n;

  test("are carried by a Map and by a Set up to 100, and refused above", async () => {
    for (const make of [(count: number) => new Set(many(count, wide)), (count: number) => new Map(many(count, wide).map((key) => [key, 0]))]) {
      expect(await structured().decode(await structured().encode(make(100)))).toEqual(make(100));
      expect((await refusalOf(structured(), make(101)))?.message).toContain("cannot carry a Map or Set of so many bigints");
    }
  });

  test("are counted for each Map or Set alone, with their negatives, and without those that are narrow or differ below", () => {
    expect(allFit(crowd(), many(100, wide))).toBe(true);
    expect(allFit(crowd(), [...many(100, wide), -(2n ** 90n) - 5n])).toBe(false);
    expect(
      allFit(
        crowd(),
        many(1_000, (index) => BigInt(index) - 500n),
      ),
    ).toBe(true);
    expect(
      allFit(
        crowd(),
        many(1_000, (index) => (1n << 64n) + BigInt(index)),
      ),
    ).toBe(true);
    expect(
      allFit(
        crowd(),
        many(1_000, () => "text"),
      ),
    ).toBe(true);
  });

  function allFit(fits: (key: unknown) => boolean, keys: readonly unknown[]): boolean {
    return keys.map(fits).every(Boolean);
  }
});
