/**
 * The corpus of bombs: small texts of bytes that ask a decoder for much memory, time, stack or somebody's prototype, each with
 * what it has to become. Bytes are made here rather than kept in files, as the largest have 16 MB. `bomb-process.ts` sets them
 * off in a process of its own, where the memory that each took can be read.
 *
 * @module
 */
import { gzipSync } from "node:zlib";
import { msgpack } from "../../adapters/msgpack.ts";
import { compressed } from "../../src/serializer/compressed.ts";
import { json } from "../../src/serializer/json.ts";
import type { Serializer } from "../../src/serializer/serializer.ts";
import { structured } from "../../src/serializer/structured.ts";

/** As many bytes as the envelope lets through, less those of a head. */
const LARGEST = 16 * 1024 * 1024 - 16;
/** As many objects as a value may have. */
const MOST = 1 << 19;

/** One bomb. */
export interface Bomb {
  readonly serializer: () => Serializer;
  readonly bytes: () => Uint8Array;
  readonly becomes: "value" | "reject";
}

/** LEB128, as `structured()` counts. */
function count(number: number): number[] {
  const bytes: number[] = [];
  for (let rest = number; ; rest = Math.floor(rest / 128)) {
    if (rest < 128) return [...bytes, rest];
    bytes.push((rest % 128) + 128);
  }
}

function join(...parts: readonly (Uint8Array | readonly number[])[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

function repeat(unit: readonly number[], times: number): Uint8Array {
  const bytes = new Uint8Array(unit.length * times).fill(unit[0] ?? 0);
  if (unit.length > 1) for (let at = 0; at < bytes.length; at += unit.length) bytes.set(unit, at);
  return bytes;
}

/** `structured()`: a list of so many, first the tags of all, then the contents of all. */
function listOf(tag: readonly number[], contents: readonly number[], times: number): Uint8Array {
  return join([1, 14, ...count(times)], repeat(tag, times), repeat(contents, times));
}

/** `structured()`: objects within one another, each under the same key. */
function chainUnder(key: string, times: number): Uint8Array {
  const name = [7, key.length, ...Buffer.from(key)];
  return join([1, 12, 1, 0, ...name, 12], repeat([1, 1, 12], times - 2), [0]);
}

function msgpackList(unit: readonly number[], times: number): Uint8Array {
  const head = new Uint8Array(5);
  head[0] = 0xdd;
  new DataView(head.buffer).setUint32(1, times);
  return join(head, repeat(unit, times));
}

function text(...parts: readonly string[]): Uint8Array {
  return new TextEncoder().encode(parts.join(""));
}

/** Wide bigints with the same low half: `structured()`'s Set of them. */
function alike(times: number): Uint8Array {
  const members = new Uint8Array(times * 13);
  for (let at = 0; at < times; at += 1) members.set([9, 11, 1, at >> 8, at & 255, 0, 0, 0, 0, 0, 0, 0, 1], at * 13);
  return join([1, 17, ...count(times)], members);
}

function gzip(bytes: Uint8Array, declared?: number): Uint8Array {
  const packed = gzipSync(bytes);
  if (declared !== undefined) packed.writeUInt32LE(declared, packed.length - 4);
  return join([1], packed);
}

function bomb(serializer: () => Serializer, becomes: Bomb["becomes"], bytes: () => Uint8Array): Bomb {
  return { serializer, bytes, becomes };
}

const packedJson = (): Serializer => compressed(json());
const packedStructured = (): Serializer => compressed(structured());

/** Every bomb by its name. */
export const BOMBS: Readonly<Record<string, Bomb>> = {
  "json: 8 million levels of arrays": bomb(json, "reject", () => text("[".repeat(LARGEST / 2), "]".repeat(LARGEST / 2))),
  "json: 8 million levels that never end": bomb(json, "reject", () => text("[".repeat(LARGEST / 2))),
  "json: half a million levels, as many as may be": bomb(json, "value", () => text("[".repeat(MOST), "]".repeat(MOST))),
  "json: half a million levels of objects": bomb(json, "value", () => text('{"":'.repeat(MOST), "0", "}".repeat(MOST))),
  "json: 5 million empty objects": bomb(json, "reject", () => text("[", "{},".repeat(Math.floor(LARGEST / 3) - 1), "{}]")),
  "json: half a million objects, as many as may be": bomb(json, "value", () => text("[", "{},".repeat(MOST - 2), "{}]")),
  "json: brackets that are text, however many": bomb(json, "value", () => text('["', '[{\\"'.repeat(Math.floor(LARGEST / 5)), '"]')),
  "json: objects that begin at index 1023": bomb(json, "value", () => text("[", '{"1023":0},'.repeat(MOST - 2), "{}]")),
  "json: a million keys that are indices": bomb(json, "value", () =>
    text("{", Array.from({ length: 1_000_000 }, (_, at) => `"${(at * 7_919) % 4_294_967_291}":0`).join(","), "}"),
  ),
  "json: a number of 16 million digits": bomb(json, "value", () => text("9".repeat(LARGEST))),
  "json: a key __proto__": bomb(json, "value", () => text('{"__proto__":{"x":1},"constructor":{"prototype":{"x":1}}}')),

  "structured: 8 million levels": bomb(structured, "reject", () => join([1], repeat([14, 1], LARGEST / 2 - 1), [0])),
  "structured: half a million levels, as many as may be": bomb(structured, "value", () => join([1], repeat([14, 1], MOST), [0])),
  "structured: 5 million empty Maps": bomb(structured, "reject", () => listOf([16], [0], LARGEST / 2)),
  "structured: as many Maps as may be": bomb(structured, "value", () => listOf([16], [0], MOST / 2 - 1)),
  "structured: as many objects without a prototype as may be": bomb(structured, "value", () => listOf([13], [0], MOST - 1)),
  "structured: 4 million errors": bomb(structured, "reject", () => listOf([22, 7], [0, 0], LARGEST / 4)),
  "structured: as many errors as may be": bomb(structured, "value", () => listOf([22, 7], [0, 0], MOST / 8 - 1)),
  "structured: as many buffers as may be": bomb(structured, "value", () => listOf([20, 0], [], MOST / 2 - 1)),
  "structured: as many views as may be": bomb(structured, "value", () => listOf([21, 1, 0], [], MOST / 2 - 1)),
  "structured: as many patterns as may be": bomb(structured, "value", () => listOf([19, 7, 1, 97, 7, 0], [], MOST / 2 - 1)),
  "structured: as many arrays of 1,024 holes as may be": bomb(structured, "value", () => listOf([15], [0x80, 0x08, 0], MOST - 1)),
  "structured: as many arrays of 16 holes as may be": bomb(structured, "value", () => listOf([15], [16, 0], MOST - 1)),
  "structured: as many objects with the key 1023 as may be": bomb(structured, "value", () => chainUnder("1023", MOST)),
  "structured: as many objects with the key 16 as may be": bomb(structured, "value", () => chainUnder("16", MOST)),
  "structured: an array of 4,294,967,295 holes": bomb(structured, "value", () => join([1, 15, ...count(2 ** 32 - 1), 0])),
  "structured: a text of 4 GB that is not there": bomb(structured, "reject", () => join([1, 7, ...count(2 ** 32), 97])),
  "structured: a buffer of 8 PB that is not there": bomb(structured, "reject", () => join([1, 20, ...count(2 ** 53 - 1)])),
  "structured: a list of 2^53 - 1 that is not there": bomb(structured, "reject", () => join([1, 14, ...count(2 ** 53 - 1), 0])),
  "structured: a bigint of 4 MB": bomb(structured, "value", () => join([1, 9, ...count(1 << 22)], repeat([0xff], 1 << 22))),
  "structured: 5 million bigints": bomb(structured, "value", () => listOf([9, 1, 5], [], Math.floor(LARGEST / 3))),
  "structured: 60,000 bigints that no hash tells apart": bomb(structured, "reject", () => alike(60_000)),
  "structured: 100 bigints that no hash tells apart": bomb(structured, "value", () => alike(100)),
  "structured: an array that holds itself 8 million times": bomb(structured, "value", () => join([1, 14, ...count(LARGEST / 2)], repeat([11, 0], LARGEST / 2))),
  "structured: a Map that is its own key and value": bomb(structured, "value", () => join([1, 16, 1, 11, 0, 11, 0])),
  "structured: a pattern of 8 million groups": bomb(structured, "reject", () => {
    const half = LARGEST / 2 - 16;
    return join([1, 19, 7, ...count(half * 2)], repeat([0x28], half), repeat([0x29], half), [7, 0]);
  }),
  "structured: a length written as a property": bomb(structured, "reject", () =>
    join([1, 15, ...count(2 ** 31), 1, 0, 7, 6, ...Buffer.from("length"), 5, ...count(2 ** 31 - 1)]),
  ),
  "structured: a key __proto__": bomb(structured, "value", () => join([1, 12, 1, 0, 7, 9, ...Buffer.from("__proto__"), 12, 0])),

  "msgpack: 16 million levels": bomb(msgpack, "reject", () => repeat([0x91], LARGEST)),
  "msgpack: 16 million empty objects": bomb(msgpack, "reject", () => msgpackList([0x80], LARGEST)),
  "msgpack: as many empty objects as may be": bomb(msgpack, "value", () => msgpackList([0x80], MOST - 1)),
  "msgpack: as many empty buffers as may be": bomb(msgpack, "value", () => msgpackList([0xc4, 0], MOST / 2 - 1)),
  "msgpack: as many dates as may be": bomb(msgpack, "value", () => msgpackList([0xd6, 0xff, 0, 0, 0, 1], MOST / 2 - 1)),
  "msgpack: 2 million objects that begin at index 1023": bomb(msgpack, "reject", () =>
    msgpackList([0x81, 0xa4, 0x31, 0x30, 0x32, 0x33, 0], Math.floor(LARGEST / 7) - 1),
  ),
  "msgpack: as many objects that begin at index 1023 as may be": bomb(msgpack, "value", () => msgpackList([0x81, 0xa4, 0x31, 0x30, 0x32, 0x33, 0], 15_800)),
  "msgpack: a list of 2^32 - 1 that is not there": bomb(msgpack, "reject", () => join([0xdd, 0xff, 0xff, 0xff, 0xff], repeat([0xc0], 100))),
  "msgpack: lists that all claim what is left": bomb(msgpack, "reject", () => {
    const bytes = repeat([0xdd, 0, 0, 0, 0], 200_000);
    const view = new DataView(bytes.buffer);
    for (let at = 0; at < bytes.length; at += 5) view.setUint32(at + 1, bytes.length - at - 5);
    return bytes;
  }),
  "msgpack: a record that msgpackr would keep": bomb(msgpack, "reject", () => join([0xd4, 0x72, 0x40, 0x91, 0xa1, 0x61, 1])),
  "msgpack: a key __proto__": bomb(msgpack, "value", () => join([0x81, 0xa9, ...Buffer.from("__proto__"), 0x81, 0xa1, 0x78, 1])),

  "compressed: 200 MB of zeros": bomb(packedJson, "reject", () => gzip(Buffer.alloc(200_000_000))),
  "compressed: 200 MB that are said to be 16 million bytes": bomb(packedJson, "reject", () => gzip(Buffer.alloc(200_000_000), 16_000_000)),
  "compressed: 10 bytes that are said to be 16 million": bomb(packedJson, "reject", () => gzip(Buffer.alloc(10), 16_000_000)),
  "compressed: 5 million empty Maps in 16 kB": bomb(packedStructured, "reject", () => gzip(listOf([16], [0], LARGEST / 2))),
  "compressed: 8 million levels in 16 kB": bomb(packedJson, "reject", () => gzip(text("[".repeat(LARGEST / 2), "]".repeat(LARGEST / 2)))),
};
