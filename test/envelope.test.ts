/** Entries as bytes: what goes in comes out, whatever else comes in is named for what it is, and the format stays readable. */

import { array, assert, constantFrom, double, integer, oneof, property, string, uint8Array } from "fast-check";
import { describe, expect, test } from "vitest";
import { createOwner, decodeSlot, encodeEntry, encodeTombstone, MAX_PAYLOAD_BYTES } from "../src/envelope.ts";
import type { NewEntry } from "../src/envelope.ts";
import { stampOf, writeStamp } from "../src/stamp.ts";

const owner = createOwner("UserInfo", "v1", "shop");
const KEY = "shop:user:1:v1";
const entry: NewEntry = {
  createdAt: 1_800_000_000_000,
  freshUntil: 1_800_000_030_000,
  expiresAt: Number.POSITIVE_INFINITY,
  costMs: 12.5,
  generations: [1_800_000_000_000_123],
  payload: new Uint8Array([1, 2, 3]),
};
const text = string({ unit: oneof(constantFrom("\0", "\uFEFF", "ä", "😀", "%", ":", " ", "\uFFFD"), string({ minLength: 1, maxLength: 1 })), maxLength: 80 });

describe("an entry", () => {
  test("comes back with its times, cost, generations and payload, for any owner and key", () => {
    const time = double({ noNaN: true });
    const payload = oneof(uint8Array({ maxLength: 200 }), constantFrom(null, undefined));
    const parts = [text, text, text, text, time, time, array(double({ noNaN: true }), { maxLength: 9 }), payload] as const;
    assert(
      property(...parts, (node, version, prefix, key, createdAt, freshUntil, generations, content) => {
        const own = createOwner(node, version, prefix);
        const given: NewEntry = { createdAt, freshUntil, expiresAt: freshUntil, costMs: 0.5, generations, payload: content };
        const decoded = decodeSlot(encodeEntry(own, key, given), own, key);
        expect(decoded).toEqual({ kind: "entry", times: { createdAt, freshUntil, expiresAt: freshUntil }, costMs: 0.5, generations, payload: content });
      }),
      { numRuns: 500 },
    );
  });

  test("tells null, undefined and no bytes apart", () => {
    for (const payload of [null, undefined, new Uint8Array(0)]) {
      expect(decodeSlot(encodeEntry(owner, KEY, { ...entry, payload }), owner, KEY)).toMatchObject({ kind: "entry", payload });
    }
  });

  test("is read from a view into a larger buffer, as drivers give it", () => {
    const bytes = encodeEntry(owner, KEY, entry);
    const padded = new Uint8Array(bytes.length + 30).fill(0xff);
    padded.set(bytes, 13);
    expect(decodeSlot(padded.subarray(13, 13 + bytes.length), owner, KEY)).toEqual(decodeSlot(bytes, owner, KEY));
  });

  test("may be of nothing but a head", () => {
    const nobody = createOwner("", "", "");
    const bytes = encodeEntry(nobody, "", { ...entry, generations: [], payload: new Uint8Array(0) });
    expect(bytes.length).toBe(56);
    expect(decodeSlot(bytes, nobody, "")).toMatchObject({ kind: "entry", payload: new Uint8Array(0) });
  });

  test("begins with a stamp of its own each time", () => {
    const stamps = Array.from({ length: 2_000 }, () => Buffer.from(stampOf(encodeEntry(owner, KEY, entry))).toString("hex"));
    expect(new Set(stamps).size).toBe(2_000);
    expect(stamps[0]?.length).toBe(16);
  });
});

describe("guarantee 7: an entry that belongs elsewhere", () => {
  const bytes = encodeEntry(owner, KEY, entry);

  test.each([
    ["another node", createOwner("UserInfo2", "v1", "shop"), KEY],
    ["another version", createOwner("UserInfo", "v2", "shop"), KEY],
    ["another prefix, which cut differently gives the same key", createOwner("UserInfo", "v1", "shop:user"), KEY],
    ["another key", owner, "shop:user:2:v1"],
    ["a key that goes on", owner, `${KEY}x`],
    ["a key that ends before", owner, KEY.slice(0, -1)],
    ["a key in another case", owner, KEY.toUpperCase()],
  ])("to %s is foreign and names its node", (_what, reader, key) => {
    expect(decodeSlot(bytes, reader, key)).toEqual({ kind: "foreign", node: "UserInfo" });
  });

  test.each([
    ["first", "äö", "öö"],
    ["last", "äö", "ää"],
    ["only", "ä", "ö"],
    ["last, after letters that are ASCII", "shop:user:ä", "shop:user:ö"],
    ["last, which alone is ASCII", "äa", "äb"],
  ])("that differs in a letter that is not ASCII, or beside one, is foreign: the %s", (_which, one, other) => {
    expect(decodeSlot(encodeEntry(owner, one, entry), owner, one).kind).toBe("entry");
    expect(decodeSlot(encodeEntry(owner, one, entry), owner, other).kind).toBe("foreign");
    expect(decodeSlot(encodeEntry(createOwner(one, "v1", "shop"), KEY, entry), createOwner(other, "v1", "shop"), KEY).kind).toBe("foreign");
  });

  test("names its node to the letter, a byte order mark included", () => {
    const bytesOfMarked = encodeEntry(createOwner("\uFEFFUserInfo", "v1", "shop"), KEY, entry);
    expect(decodeSlot(bytesOfMarked, owner, KEY)).toEqual({ kind: "foreign", node: "\uFEFFUserInfo" });
  });

  test("is foreign for every other owner and key there is", () => {
    const part = string({ unit: constantFrom("a", "b", "ä", ":"), maxLength: 3 });
    const whole = [part, part, part, part] as const;
    assert(
      property(...whole, ...whole, (node, version, prefix, key, node2, version2, prefix2, key2) => {
        const same = node === node2 && version === version2 && key === key2 && Buffer.byteLength(prefix) === Buffer.byteLength(prefix2);
        const decoded = decodeSlot(encodeEntry(createOwner(node, version, prefix), key, entry), createOwner(node2, version2, prefix2), key2);
        expect(decoded.kind).toBe(same ? "entry" : "foreign");
      }),
      { numRuns: 1_000 },
    );
  });
});

describe("a tombstone", () => {
  test("is a tombstone for its owner and foreign to others", () => {
    const bytes = encodeTombstone(owner, KEY);
    expect(decodeSlot(bytes, owner, KEY)).toEqual({ kind: "tombstone" });
    expect(decodeSlot(bytes, owner, "shop:user:2:v1").kind).toBe("foreign");
  });
});

describe("any bytes", () => {
  test("are an entry, a tombstone or a reject that says why; nothing throws", () => {
    assert(
      property(uint8Array({ maxLength: 300 }), (bytes) => {
        const decoded = decodeSlot(bytes, owner, KEY);
        if (decoded.kind === "corrupt") expect(decoded.reason).not.toBe("");
      }),
      { numRuns: 2_000 },
    );
  });

  test("made from a real entry by changing, cutting or adding bytes never throw and never have another key's value", () => {
    const real = encodeEntry(owner, KEY, entry);
    const changes = array(integer({ min: 0, max: 256 * real.length - 1 }), { minLength: 1, maxLength: 4 });
    assert(
      property(changes, integer({ min: -real.length, max: 20 }), (edits, growth) => {
        const bytes = new Uint8Array(Math.max(0, real.length + growth));
        bytes.set(real.subarray(0, bytes.length));
        for (const edit of edits) bytes[Math.floor(edit / 256) % Math.max(1, bytes.length)] = edit % 256;
        expect(() => decodeSlot(bytes, owner, KEY)).not.toThrow();
        expect(["foreign", "corrupt"]).toContain(decodeSlot(bytes, createOwner("Other", "v1", "shop"), "shop:other:v1").kind);
      }),
      { numRuns: 2_000 },
    );
  });

  test("that claim lengths they do not have are corrupt", () => {
    for (const at of [40, 42, 44, 52]) {
      const bytes = encodeEntry(owner, KEY, entry);
      bytes.fill(0xff, at, at + 2);
      expect(decodeSlot(bytes, owner, KEY)).toEqual({ kind: "corrupt", reason: "lengths do not add up" });
    }
  });

  test("too short, of no or another format, or without times are corrupt", () => {
    const real = encodeEntry(owner, KEY, entry);
    const changed = (at: number, ...values: number[]) => {
      const bytes = real.slice();
      bytes.set(values, at);
      return decodeSlot(bytes, owner, KEY);
    };
    expect(decodeSlot(new Uint8Array(0), owner, KEY)).toEqual({ kind: "corrupt", reason: "too short" });
    expect(decodeSlot(real.subarray(0, 55), owner, KEY)).toEqual({ kind: "corrupt", reason: "too short" });
    expect(changed(8, 0)).toEqual({ kind: "corrupt", reason: "no entry of this library" });
    expect(changed(9, 2)).toEqual({ kind: "corrupt", reason: "format version 2" });
    for (const at of [12, 20, 28]) expect(changed(at, 0x7f, 0xf8, 0, 0, 0, 0, 0, 1)).toEqual({ kind: "corrupt", reason: "no times" });
  });

  test("above the cap of a payload, 16 MiB, are corrupt, and at the cap are not", () => {
    expect(MAX_PAYLOAD_BYTES).toBe(16_777_216);
    const above = encodeEntry(owner, KEY, { ...entry, payload: new Uint8Array(MAX_PAYLOAD_BYTES + 1) });
    const decoded = decodeSlot(above, owner, KEY);
    // Nothing that may hold the payload is compared as a whole: telling the difference would take gigabytes.
    expect(decoded.kind).toBe("corrupt");
    expect(decoded.kind === "corrupt" && decoded.reason).toBe("payload too large");
    for (const [length, kind] of [
      [MAX_PAYLOAD_BYTES, "entry"],
      [MAX_PAYLOAD_BYTES + 1, "corrupt"],
    ] as const) {
      expect(decodeSlot(encodeEntry(owner, KEY, { ...entry, payload: new Uint8Array(length) }), owner, KEY).kind).toBe(kind);
    }
  });
});

describe("format version 1", () => {
  // Golden bytes: what an older release has stored stays readable for ever. Never change them.
  const HEAD = ["0102030405060708", "ca010001", "427a3185c5000000", "427a3185cc530000", "7ff0000000000000", "41480000"];
  const LENGTHS = ["0008", "0002", "0000000e", "00000004", "00000003"];
  const ENTRY = [...HEAD, ...LENGTHS, "4319945ca26201ec", "55736572496e666f", "7631", "73686f703a757365723a313a7631", "010203"].join("");
  const TOMBSTONE = `0102030405060708ca010100${"00".repeat(28)}000800020000000e000000040000000055736572496e666f763173686f703a757365723a313a7631`;

  test("of an entry is these bytes, after the stamp, and is read from them", () => {
    const bytes = Buffer.from(ENTRY, "hex");
    expect(Buffer.from(encodeEntry(owner, KEY, entry)).subarray(8)).toEqual(bytes.subarray(8));
    const { payload, costMs, generations, ...times } = entry;
    expect(decodeSlot(bytes, owner, KEY)).toEqual({ kind: "entry", times, costMs, generations, payload: Buffer.from(payload ?? []) });
    expect(stampOf(bytes)).toEqual(Buffer.from("0102030405060708", "hex"));
  });

  test("of a tombstone is these bytes, after the stamp, and is read from them", () => {
    const bytes = Buffer.from(TOMBSTONE, "hex");
    expect(Buffer.from(encodeTombstone(owner, KEY)).subarray(8)).toEqual(bytes.subarray(8));
    expect(decodeSlot(bytes, owner, KEY)).toEqual({ kind: "tombstone" });
  });
});

describe("a stamp", () => {
  test("is at most the first eight bytes, and a copy", () => {
    const slot = new Uint8Array([1, 2, 3]);
    const stamp = stampOf(slot);
    slot[0] = 9;
    expect(stamp).toEqual(new Uint8Array([1, 2, 3]));
    expect(stampOf(new Uint8Array(20).fill(7)).length).toBe(8);
  });

  test("touches nothing behind itself", () => {
    const slot = new Uint8Array(20);
    for (let round = 0; round < 600; round++) writeStamp(slot);
    expect(slot.subarray(8)).toEqual(new Uint8Array(12));
    expect(slot.subarray(0, 8)).not.toEqual(new Uint8Array(8));
  });
});
