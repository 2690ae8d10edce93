import { execFileSync } from "node:child_process";
import fc from "fast-check";
import { afterEach, describe, expect, test, vi } from "vitest";
import { byteRoom } from "../../src/byte-room.ts";

type Base64 = typeof import("../../adapters/base64.ts");

const native = Buffer;
afterEach(() => {
  vi.unstubAllGlobals();
});

/** The module as a host loads it: it looks for a `Buffer` when it first needs one. */
async function loaded(buffer: unknown = native): Promise<Base64> {
  vi.resetModules();
  vi.stubGlobal("Buffer", buffer);
  return import("../../adapters/base64.ts");
}

/** What is and what is no base64, short and long, since the long takes another way. */
const WRONG = ["A", "AB", "ABC", "ABCDE", "AB C", "AB\n=", "A===", "=AAA", "AA=A", "é===", "\u0000\u0000\u0000\u0000", "AB-_", "Ł===", "ABCŁ", "\ufeffABC"];
const PADDING = "QUJD".repeat(20);
const LONG_WRONG = [
  ...WRONG.flatMap((text) => [PADDING + text, text + PADDING]),
  `${PADDING}QQ==QUJD`,
  `${PADDING}QUI=QUI=`,
  `${PADDING}QU\r\nI=`,
  `${PADDING} QUI`,
  `${PADDING}QUJ\u0141`,
];

function same({ fromBase64, toBase64 }: Base64): void {
  const large = Uint8Array.from({ length: 300_001 }, (_, index) => index * 7);
  for (const length of [0, 1, 2, 3, 17, 18, 19, 20, 60, 61, 62, 1000, large.length]) {
    const bytes = large.subarray(0, length);
    const text = native.from(bytes).toString("base64");
    expect(toBase64(bytes)).toBe(text);
    for (const [start, end] of [
      [1, length - 1],
      [0, 8],
      [8, length],
      [8, undefined],
    ] as const) {
      if (end === undefined || start <= end) expect(toBase64(bytes, start, end)).toBe(native.from(bytes.subarray(start, end)).toString("base64"));
    }
    expect(fromBase64(text)).toStrictEqual(Uint8Array.from(bytes));
  }
  for (const text of [...WRONG, ...LONG_WRONG]) expect([text, fromBase64(text)]).toEqual([text, undefined]);
  // Bits beyond the last byte mean nothing.
  expect(fromBase64("QR==")).toStrictEqual(Uint8Array.of(65));
  expect(fromBase64(`${PADDING}QUJ=`)?.at(-1)).toBe(66);
}

test("base64 is the same with the host's Buffer and without", async () => {
  same(await loaded());
  same(await loaded(null));
});

test("base64 is the same where bytes convert themselves", () => {
  const script = `
    import { fromBase64, toBase64 } from ${JSON.stringify(new URL("../../adapters/base64.ts", import.meta.url).href)};
    const wrong = ${JSON.stringify([...WRONG, ...LONG_WRONG])};
    const lengths = [0, 1, 2, 3, 18, 19, 20, 1000, 300_001];
    const there = "setFromBase64" in Uint8Array.prototype && "toBase64" in Uint8Array.prototype;
    const back = lengths.every((length) => {
      const bytes = Uint8Array.from({ length }, (_, index) => index * 7);
      const text = toBase64(bytes);
      return text === btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join("")) && String(fromBase64(text)) === String(bytes);
    });
    console.log(JSON.stringify([there, back, wrong.filter((text) => fromBase64(text) !== undefined)]));
  `;
  const bun = new URL("../../node_modules/.bin/bun", import.meta.url).pathname;
  expect(JSON.parse(execFileSync(bun, ["-e", script], { encoding: "utf8" }))).toEqual([true, true, []]);
});

describe.each(["with a Buffer", "without"])("any text, %s,", (which) => {
  test("is base64 only if the platform agrees", async () => {
    const { fromBase64 } = await loaded(which === "without" ? null : native);
    const letter = fc.constantFrom(...Array.from("ABQgwE+/=-_ \n\u00e9\u0141"));
    fc.assert(
      fc.property(fc.string({ unit: letter, maxLength: 60 }), (tail) => {
        for (const text of [tail, `${PADDING}${tail}`]) {
          const well = text.length % 4 === 0 && /^[A-Za-z0-9+/]*={0,2}$/.test(text);
          expect(fromBase64(text)).toEqual(well ? Uint8Array.from(atob(text), (c) => c.charCodeAt(0)) : undefined);
        }
      }),
      { numRuns: 2_000 },
    );
  });
});

test("bytes in a room lie beside each other and keep to their own", async () => {
  const { fromBase64 } = await loaded();
  const room = byteRoom(3);
  const [a, b, c] = ["QUJD", "QUI=", "QQ=="].map((text) => fromBase64(text, room));
  expect([a, b, c].map(String)).toEqual(["65,66,67", "65,66", "65"]);
  expect(new Set([a, b, c].map((bytes) => bytes?.buffer)).size).toBe(1);
});
