/** Keys: what counts as one, that no two of them meet, and how long ones are shortened. */

import { createHash } from "node:crypto";
import fc from "fast-check";
import { describe, expect, test, vi } from "vitest";
import { checkPrefix, fullKey, generationKey, isWellFormed, keyDigest, nodeKey, storedKey } from "../src/key.ts";

const STX = "\u0002";
const utf8 = (text: string): number => Buffer.byteLength(text);

describe("guarantee 6: nodeKey", () => {
  test.each(["user:1", "", ":", "a\u0000b", "\u0001", "ключ", "👩‍👩‍👧", "\uFEFFbom", " trailing "])("keeps the string %j as it is", (key) => {
    expect(nodeKey(key, "N")).toBe(key);
  });

  test("puts one more U+0002 in front of a string that starts with one", () => {
    expect(nodeKey(STX, "N")).toBe(STX + STX);
    expect(nodeKey(`${STX}s1:a`, "N")).toBe(`${STX}${STX}s1:a`);
    expect(nodeKey(`${STX}${STX}`, "N")).toBe(STX.repeat(3));
  });

  test("tells the parts of a tuple apart by type", () => {
    const keys = [[1], ["1"], [1n], [true], ["true"], [false], ["n1;"], ["1", ""], ["", "1"], [], [""], ["", ""], [Infinity], [-Infinity]];
    expect(new Set(keys.map((key) => nodeKey(key, "N"))).size).toBe(keys.length);
  });

  test("takes -0 for 0, as a Map does", () => {
    expect(nodeKey([-0], "N")).toBe(nodeKey([0], "N"));
  });

  test("joins injectively: two keys are equal exactly if they were equal before", () => {
    const text = fc.oneof(
      fc.string({ unit: fc.constantFrom(STX, "s", "n", "i", "t", "1", ":", ";", "\u0000") }),
      fc.string({ unit: "binary" }).map((word) => word.toWellFormed()),
    );
    const number = fc.oneof(fc.integer({ min: -3, max: 3 }), fc.double({ noNaN: true })).map((value) => value + 0);
    const tuple = fc.array(fc.oneof(text, number, fc.bigInt({ min: -3n, max: 3n }), fc.boolean()), { maxLength: 4 });
    const raw = fc.oneof(text, tuple);
    const identity = (key: unknown): string =>
      JSON.stringify(key, (_name, value: unknown) =>
        typeof value === "string" ? `s${value}` : typeof value === "object" ? value : `${typeof value} ${String(value)}`,
      );
    fc.assert(
      fc.property(raw, raw, (one, other) => (nodeKey(one, "N") === nodeKey(other, "N")) === (identity(one) === identity(other))),
      { numRuns: 5_000 },
    );
  });

  test("tells how long a text is, so that none can look like two", () => {
    expect(nodeKey(["as:b"], "N")).not.toBe(nodeKey(["a", "b"], "N"));
    expect(nodeKey(["as1:b"], "N")).not.toBe(nodeKey(["a", "b"], "N"));
  });

  test("never makes a string key and a tuple key meet, even if the string imitates the tuple", () => {
    const tuple = fc.array(fc.oneof(fc.string(), fc.integer(), fc.boolean()), { maxLength: 3 });
    fc.assert(
      fc.property(tuple, (parts) => {
        const key = nodeKey(parts, "N");
        expect(nodeKey(key, "N")).not.toBe(key);
        expect(nodeKey(key.slice(1), "N")).not.toBe(key);
      }),
    );
  });

  test.each([
    [undefined, "undefined"],
    [null, "null"],
    [42, "a number"],
    [1n, "a bigint"],
    [true, "a boolean"],
    [{ id: 1 }, "an object"],
    [Promise.resolve("k"), "a promise"],
    [Symbol("k"), "a symbol"],
    [(): string => "k", "a function"],
  ])("refuses a key that is neither a string nor a tuple (%#), naming the node", (raw, kind) => {
    expect(() => nodeKey(raw, "Users")).toThrow(new TypeError(`node "Users": key must be a string or a tuple, got ${kind}`));
  });

  test.each([
    [["a", undefined], "key[1] must be a string, number, bigint or boolean, got undefined"],
    [[null], "key[0] must be a string, number, bigint or boolean, got null"],
    [[["nested"]], "key[0] must be a string, number, bigint or boolean, got an array"],
    [[1, Number.NaN], "key[1] must be a string, number, bigint or boolean, got NaN"],
    [[1, , 2], "key[1] must be a string, number, bigint or boolean, got undefined"], // oxlint-disable-line no-sparse-arrays -- the case
    [["\uD800"], "key[0] must be well-formed Unicode, got a lone surrogate"],
  ])("refuses a wrong tuple part (%#), naming node and position", (raw, message) => {
    expect(() => nodeKey(raw, "Users")).toThrow(new TypeError(`node "Users": ${message}`));
  });

  test.each(["\uD800", "a\uDC00", "\uDC00\uD800", "x".repeat(100) + "\uDBFF"])("refuses a lone surrogate (%#) without showing the key", (key) => {
    expect(() => nodeKey(key, "Users")).toThrow(new TypeError('node "Users": key must be well-formed Unicode, got a lone surrogate'));
  });

  test("shows no part of a refused key in its message", () => {
    for (const raw of [{ secret: "canary" }, ["canary", undefined], ["canary\uD800"], "canary\uD800", 4711, Symbol("canary")]) {
      expect(() => nodeKey(raw, "N")).toThrow(expect.not.objectContaining({ message: expect.stringMatching(/canary|4711/) }));
    }
  });
});

test("isWellFormed is false exactly for lone surrogates", () => {
  expect(["", "a", "😀", "\u0000", "\uFFFF"].map(isWellFormed)).toEqual([true, true, true, true, true]);
  expect(["\uD83D", "\uDE00", "\uDE00\uD83D", "a\uD83Db"].map(isWellFormed)).toEqual([false, false, false, false]);
});

test("a host without String.prototype.isWellFormed finds lone surrogates as well", async () => {
  const descriptor = Object.getOwnPropertyDescriptor(String.prototype, "isWellFormed");
  try {
    Reflect.deleteProperty(String.prototype, "isWellFormed");
    vi.resetModules();
    const old = await import("../src/key.ts");
    expect(["a", "😀", "\uD83D", "\uDE00\uD83D"].map(old.isWellFormed)).toEqual([true, true, false, false]);
    expect(() => old.nodeKey("\uD800", "N")).toThrow(TypeError);
  } finally {
    if (descriptor) Object.defineProperty(String.prototype, "isWellFormed", descriptor);
    vi.resetModules();
  }
});

test("fullKey keeps its last colon when the version is empty", () => {
  expect(fullKey("shop", "user:1", "v1")).toBe("shop:user:1:v1");
  expect(fullKey("shop", "user:1", "")).toBe("shop:user:1:");
  expect(fullKey("", "", "")).toBe("::");
});

describe("checkPrefix", () => {
  test.each(["", "shop", "a:b", "münchen", "😀"])("takes %j", (prefix) => {
    expect(checkPrefix(prefix)).toBe(prefix);
  });

  test.each(["\u0000", "a\u0001", "\u001f", "\u007f", "a\nb", "\uD800", 1, null, undefined, {}])("refuses the prefix %j by name", (prefix) => {
    expect(() => checkPrefix(prefix)).toThrow(/^prefix must be/);
    expect(() => checkPrefix(prefix)).toThrow(TypeError);
  });
});

test("no key of an entry can name a generation", () => {
  expect(generationKey("shop", "Users")).toBe("\u0001shop\u0001n\u0001Users");
  fc.assert(
    fc.property(fc.string(), fc.string({ unit: "binary" }), fc.string(), (prefix, key, version) => {
      let checked: string;
      try {
        checked = checkPrefix(prefix);
      } catch {
        return;
      }
      expect(fullKey(checked, key, version).startsWith("\u0001")).toBe(false);
    }),
  );
});

describe("guarantee 6: storedKey", () => {
  const digestOf = (key: string): string => createHash("sha256").update(key, "utf8").digest("base64url");

  test("gives a key that fits back at once, up to the last byte", () => {
    expect(storedKey("k", undefined)).toBe("k");
    expect(storedKey("k".repeat(60), 60)).toBe("k".repeat(60));
    expect(storedKey("é".repeat(30), 60)).toBe("é".repeat(30));
    expect(storedKey("", 60)).toBe("");
    expect(storedKey("k".repeat(10_000), Infinity)).toBe("k".repeat(10_000));
  });

  test("shortens a longer one to its head and its SHA-256, within the limit", async () => {
    const key = `shop:${"k".repeat(56)}`;
    expect(await storedKey(key, 60)).toBe(key.slice(0, 17) + digestOf(key));
    expect(await storedKey(key, 60.9)).toBe(key.slice(0, 17) + digestOf(key));
    const wide = "é".repeat(31);
    expect(await storedKey(wide, 60)).toBe("é".repeat(8) + digestOf(wide));
    expect(await storedKey(wide, 60.9)).toBe("é".repeat(8) + digestOf(wide));
  });

  test("cuts between two characters, keeps a leading U+FEFF, and stays well-formed within every limit", async () => {
    const text = fc.string({ unit: fc.constantFrom("a", "é", "€", "😀", "\uFEFF", "\u0000", "\u0001"), minLength: 40, maxLength: 120 });
    await fc.assert(
      fc.asyncProperty(text, fc.integer({ min: 60, max: 130 }), async (key, maxBytes) => {
        const stored = await storedKey(key, maxBytes);
        expect(utf8(stored)).toBeLessThanOrEqual(maxBytes);
        if (utf8(key) <= maxBytes) {
          expect(stored).toBe(key);
          return;
        }
        expect(isWellFormed(stored)).toBe(true);
        expect(stored.endsWith(digestOf(key))).toBe(true);
        expect(key.startsWith(stored.slice(0, -43))).toBe(true);
        expect(utf8(stored)).toBeGreaterThan(maxBytes - 4);
      }),
    );
  });

  test("keeps keys apart that share their beginning", async () => {
    const beginning = "k".repeat(600);
    const stored = await Promise.all(Array.from({ length: 200 }, async (_, index) => storedKey(beginning + index, 512)));
    expect(new Set(stored).size).toBe(200);
  });

  test("keeps a generation's key out of the keys of entries when it shortens it", async () => {
    const stored = await storedKey(generationKey("p".repeat(100), "N"), 60);
    expect(stored.startsWith("\u0001")).toBe(true);
  });

  test.each([59, 0, -1, Number.NaN])("refuses the limit %s at once", (maxBytes) => {
    expect(() => storedKey("k", maxBytes)).toThrow(new TypeError(`maxKeyBytes must be at least 60, got ${maxBytes}`));
  });
});

describe("keyDigest", () => {
  test("is eight hexadecimal digits, the same for the same key", () => {
    for (const key of ["", "a", "user:1", "\u0000", "😀"]) {
      expect(keyDigest(key)).toMatch(/^[0-9a-f]{8}$/);
      expect(keyDigest(key)).toBe(keyDigest(key));
    }
  });

  test("spreads similar keys: of 20,000 at most a handful share one", () => {
    const digests = new Set(Array.from({ length: 20_000 }, (_, index) => keyDigest(`user:${index}:info`)));
    expect(digests.size).toBeGreaterThan(19_985);
  });

  test("shows a change in the last character in every digit sooner or later", () => {
    const digests = Array.from({ length: 64 }, (_, index) => keyDigest(`k${String.fromCharCode(65 + index)}`));
    for (let digit = 0; digit < 8; digit++) expect(new Set(digests.map((digest) => digest[digit])).size).toBeGreaterThan(8);
  });
});
