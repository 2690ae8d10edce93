/**
 * The clauses about exactness: every byte of keys and slots counts, up to the limits that the storage names.
 *
 * @module
 */
import { bytesOf, callsOf, equal, holds, noise, type ContractCase } from "./contract-kit.ts";

/** Bytes that text stores, JSON transports and drivers are known to change. */
const TRICKY_BYTES: readonly Uint8Array[] = [
  bytesOf(),
  bytesOf(0),
  bytesOf(0xff),
  noise(7, 1),
  noise(8, 2),
  noise(9, 3),
  Uint8Array.from({ length: 256 }, (_, index) => index),
  bytesOf("null"),
  bytesOf("true"),
  bytesOf("007"),
  bytesOf('"quoted"'),
  bytesOf('{"result":"OK"}'),
  bytesOf("OK"),
  bytesOf(0xef, 0xbb, 0xbf, 0x41),
  bytesOf(0xed, 0xa0, 0x80),
  bytesOf("line\r\nline\n"),
  noise(100_003, 4),
];

/** Keys that some store or driver takes for the same, or for something else. */
const TRICKY_KEYS: readonly string[] = [
  "a",
  "A",
  "a ",
  "a  ",
  " a",
  "a\t",
  "a\n",
  "a\r\n",
  "\u00e9",
  "e\u0301",
  "\u00c9",
  "E\u0301",
  "\u00df",
  "ss",
  "i",
  "\u0131",
  "I",
  "\u0130",
  "%",
  "%25",
  "_",
  "a_",
  "a%",
  "*",
  "a*",
  "?",
  "[a]",
  ":",
  "::",
  "a:",
  ":a",
  "/",
  "..",
  ".",
  "\\",
  "'",
  '"',
  "`",
  ";--",
  "{a}",
  "{b}",
  "{}",
  "{",
  "a\u0000",
  "a\u0000b",
  "\u0000",
  "\u{1f600}",
  "\u{1f601}",
  "\u{10ffff}",
  "\ufeff",
  "\ufeffa",
  "\u200b",
  "null",
  "0",
  "00",
  "1e3",
  "__proto__",
  "constructor",
];

export const exactnessCases: readonly ContractCase[] = [
  {
    name: "bytes come back exactly, whatever they are",
    async run(subject) {
      const { key, write, read } = callsOf(subject);
      await write(...TRICKY_BYTES.map((bytes, index) => ({ key: key(String(index)), bytes, ttlMs: null })));
      const slots = await read(...TRICKY_BYTES.map((_, index) => key(String(index))));
      for (const [index, bytes] of TRICKY_BYTES.entries()) equal(slots[index]?.bytes, bytes, `slot ${index}`);
    },
  },
  {
    name: "bytes that lie beside others in one buffer come back alone",
    async run(subject) {
      const { key, write, read } = callsOf(subject);
      const all = noise(300, 5);
      const parts = [all.subarray(3, 103), all.subarray(103, 111), all.subarray(111, 290)];
      await write(...parts.map((bytes, index) => ({ key: key(String(index)), bytes, ttlMs: null })));
      const slots = await read(...parts.map((_, index) => key(String(index))));
      for (const [index, bytes] of parts.entries()) equal(slots[index]?.bytes, bytes, `slot ${index}`);
    },
  },
  {
    name: "bytes that were handed over may be changed afterwards",
    async run(subject) {
      const { key, put, bytes } = callsOf(subject);
      const mine = bytesOf(1, 2, 3);
      await put(key("k"), mine);
      mine[0] = 9;
      const read = await bytes(key("k"));
      equal(read, bytesOf(1, 2, 3), "the slot after the writer changed its bytes");
      if (read !== undefined) read[0] = 9;
      equal(await bytes(key("k")), bytesOf(1, 2, 3), "the slot after a reader changed its bytes");
    },
  },
  {
    name: "keys are exact to the byte",
    async run(subject) {
      const { key, write, read, remove } = callsOf(subject);
      const chunk = Math.min(subject.storage.traits.maxBatch ?? Infinity, TRICKY_KEYS.length);
      holds(chunk === TRICKY_KEYS.length, `a batch takes at least ${TRICKY_KEYS.length} keys`);
      const keys = TRICKY_KEYS.map(key);
      await write(...keys.map((name, index) => ({ key: name, bytes: bytesOf(index), ttlMs: null })));
      for (const [index, slot] of (await read(...keys)).entries()) equal(slot?.bytes, bytesOf(index), `the key ${JSON.stringify(TRICKY_KEYS[index])}`);
      await remove(...keys.filter((_, index) => index % 2 === 0));
      for (const [index, slot] of (await read(...keys)).entries()) {
        equal(slot?.bytes, index % 2 === 0 ? undefined : bytesOf(index), `after removal, the key ${JSON.stringify(TRICKY_KEYS[index])}`);
      }
    },
  },
  {
    name: "a key may be as long as the storage says",
    async run(subject) {
      const { key, traits, put, bytes } = callsOf(subject);
      const room = Math.min(traits.maxKeyBytes ?? 4096, 40_000) - new TextEncoder().encode(key("")).length;
      const ascii = key("x".repeat(room));
      const wide = key("\u00e9".repeat(Math.floor(room / 2)));
      await put(ascii, bytesOf(1));
      await put(wide, bytesOf(2));
      equal([await bytes(ascii), await bytes(wide), await bytes(ascii.slice(0, -1))], [bytesOf(1), bytesOf(2), undefined], "the slots");
    },
  },
  {
    name: "a batch may be as large as the storage says",
    async run(subject) {
      const { key, traits, write, read, remove } = callsOf(subject);
      const keys = Array.from({ length: Math.min(traits.maxBatch ?? 1000, 1000) }, (_, index) => key(String(index)));
      await write(...keys.map((name, index) => ({ key: name, bytes: bytesOf(index >> 8, index & 0xff), ttlMs: 600_000 })));
      for (const [index, slot] of (await read(...keys)).entries()) equal(slot?.bytes, bytesOf(index >> 8, index & 0xff), `slot ${index}`);
      await remove(...keys);
      holds(
        (await read(...keys)).every((slot) => slot === undefined),
        "every slot is removed",
      );
    },
  },
];
