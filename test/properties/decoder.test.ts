/**
 * Guarantee 8: whatever bytes a store hands back, they become a value or a typed reject. A million slots are made from real
 * ones of every serializer, and from nothing, and go the way of a read: the envelope, then the payload. `CACHEME_SEED=7` begins
 * elsewhere; a failure names the seed and the bytes. `../serializer/bombs.test.ts` holds the bytes that somebody thought of.
 *
 * @module
 */
import { afterAll, describe, expect, test } from "vitest";
import { fromBase64, toBase64 } from "../../adapters/base64.ts";
import { ownRoom } from "../../src/byte-room.ts";
import { fromEjson } from "../../adapters/mongo-ejson.ts";
import { msgpack } from "../../adapters/msgpack.ts";
import { bytesCodec, textCodec } from "../../adapters/redis-codec.ts";
import { slotsOf } from "../../adapters/sql-statements.ts";
import { decodeValue } from "../../src/decode.ts";
import { createOwner, decodeSlot, encodeEntry, encodeTombstone } from "../../src/envelope.ts";
import { isCacheError } from "../../src/errors.ts";
import { defineNode, specOf } from "../../src/node.ts";
import type { NodeSpec } from "../../src/node-spec.ts";
import { compressed } from "../../src/serializer/compressed.ts";
import { json } from "../../src/serializer/json.ts";
import type { Serializer } from "../../src/serializer/serializer.ts";
import { structured } from "../../src/serializer/structured.ts";
import { prototypeKeys } from "../serializer/hostile.ts";
import { dice, SPOILINGS, spoiler } from "../serializer/mutation.ts";
import { freshName } from "../support/rig.ts";

const SEED = Number(process.env.CACHEME_SEED ?? 1);
const owner = createOwner("UserInfo", "v1", "shop");
const KEY = "shop:user:1:v1";
/** Where the envelope's lengths and counts stand. */
const HEAD_LENGTHS = [9, 10, 11, 40, 42, 44, 48, 52];
const HEAD_BYTES = 56;
/** The largest real slot, twice. */
const MOST_BYTES = 8_192;

const ROW = { id: 7, name: "näme", tags: ["a", "b"], active: true, note: null, score: -1.5 };
const TRAPS: unknown = JSON.parse('{"__proto__":{"x":1},"constructor":{"prototype":{"x":1}},"toString":1,"length":4294967295,"1023":0}');
const PLAIN: readonly unknown[] = [
  ROW,
  [ROW, { ...ROW, id: 8 }],
  "text",
  12,
  [[[[[[0]]]]]],
  { a: { b: { c: {} } } },
  Array.from({ length: 30 }, (_, at) => at * 999),
];
const RICH: readonly unknown[] = [
  TRAPS,
  new Map<unknown, unknown>([[{ k: 1 }, new Set(["x", 2n ** 70n])]]),
  [new TypeError("e", { cause: new RangeError("c") }), new AggregateError([1], "all")],
  [/a+(b)/giu, new Date(5), Uint8Array.of(1, 2), Float64Array.of(1), new ArrayBuffer(3), new DataView(new ArrayBuffer(2))],
  Object.assign([1], { 5: 3, length: 40, x: 1 }),
  Object.assign(Object.create(null), { a: undefined, b: Object("boxed"), c: -0, d: "\ud800" }),
];
const BINARY: readonly unknown[] = [
  { at: new Date(1_700_000_000_123), bytes: Uint8Array.of(0, 0xc1, 0xff), big: 2n ** 63n, none: undefined, "404": Number.NaN },
];

/** A serializer, what it carries, and how many slots are made of it. */
interface Subject {
  readonly serializer: Serializer;
  readonly values: readonly unknown[];
  readonly inputs: number;
}

const SUBJECTS: readonly Subject[] = [
  { serializer: json(), values: [...PLAIN, TRAPS], inputs: 300_000 },
  { serializer: structured(), values: [...PLAIN, ...RICH], inputs: 330_000 },
  { serializer: msgpack(), values: [...PLAIN, ...BINARY], inputs: 250_000 },
  // Every payload of theirs costs a stream.
  { serializer: compressed(json(), { minBytes: 0, maxBytes: 100_000 }), values: [ROW, "x".repeat(3_000)], inputs: 10_000 },
  {
    serializer: compressed(structured(), { minBytes: 0, maxBytes: 100_000 }),
    values: [new Map([["rows", Array.from({ length: 40 }, () => ROW)]])],
    inputs: 10_000,
  },
];
const TEXTS = 100_000;

let inputs = 0;
afterAll(() => expect(inputs).toBe(1_000_000));

/** A failure with what it takes to repeat it. */
function failing(error: unknown, name: string, round: number, bytes: Uint8Array): Error {
  return new Error(`${name}: seed ${SEED}, input ${round}, bytes ${Buffer.from(bytes).toString("hex")}: ${String(error)}`, { cause: error });
}

describe("guarantee 8: of a million slots, each is a value or a typed reject, and no prototype changes:", () => {
  test.for(SUBJECTS.map((subject) => [subject.serializer.name, subject] as const))("%s", { timeout: 600_000 }, async ([name, subject]) => {
    const unhandled: unknown[] = [];
    const note = (reason: unknown): void => void unhandled.push(reason);
    process.on("unhandledRejection", note);
    const before = prototypeKeys();
    const counts = await pour(subject);
    await new Promise((resolve) => setImmediate(resolve));
    process.off("unhandledRejection", note);
    expect(unhandled).toEqual([]);
    expect(prototypeKeys()).toBe(before);
    // Were it only rejects, or only the envelope's, little would have been tried.
    for (const outcome of ["served", "refused", "corrupt", "foreign"] as const)
      expect([name, outcome, counts[outcome] > subject.inputs / 100]).toEqual([name, outcome, true]);
  });

  test("text of stores that carry text only", () => {
    const { below } = dice(SEED + 99);
    const slot = encodeEntry(owner, KEY, {
      createdAt: 1,
      freshUntil: 2,
      expiresAt: 3,
      costMs: 1,
      generations: [1],
      payload: new TextEncoder().encode('{"a":1}'),
    });
    const real = [textCodec.encode(slot), toBase64(slot)].map((text) => Buffer.from(String(text), "latin1"));
    const spoil = spoiler({ below }, MOST_BYTES);
    const read = { bytes: 0, none: 0 };
    for (let round = 0; round < TEXTS; round += 1) {
      const [first = slot, second = slot] = round % 2 === 0 ? real : real.toReversed();
      const spoiled = Buffer.from(spoil(SPOILINGS[round % SPOILINGS.length] ?? "flipped", first, second, []));
      const text = spoiled.toString(round % 3 === 0 ? "utf8" : "latin1");
      inputs += 1;
      try {
        for (const bytes of [textCodec.decode(text, ownRoom), textCodec.decode(spoiled, ownRoom), bytesCodec.decode(spoiled, ownRoom), fromBase64(text)]) {
          if (bytes !== undefined) decodeSlot(bytes, owner, KEY);
        }
        const column = fromBase64(text.replaceAll("\n", ""));
        const slotInText = () => slotsOf(["k"], new Map([["k", { v: text }]]))[0]?.bytes;
        if (column) expect(slotInText()).toEqual(column);
        else expect(slotInText).toThrow(TypeError);
        const document = fromEjson({ v: { $binary: { base64: text, subType: "00" } }, exp: { $date: { $numberLong: text } } });
        expect(Object.getPrototypeOf(document)).toBe(Object.prototype);
        read[column ? "bytes" : "none"] += 1;
      } catch (error) {
        throw failing(error, "text", round, spoiled);
      }
    }
    expect(read.bytes).toBeGreaterThan(1_000);
    expect(read.none).toBeGreaterThan(1_000);
  });
});

type Outcome = "served" | "refused" | "tombstone" | "foreign" | "corrupt";

async function pour({ serializer, values, inputs: count }: Subject): Promise<Record<Outcome, number>> {
  const roll = dice(SEED + count + serializer.name.length);
  const spoil = spoiler(roll, MOST_BYTES);
  const slots = await Promise.all(values.map(async (value) => slotOf(await serializer.encode(value))));
  slots.push(encodeTombstone(owner, KEY), slotOf(null), slotOf(undefined));
  const counts = { served: 0, refused: 0, tombstone: 0, foreign: 0, corrupt: 0 };
  const spec = specOver(serializer);
  for (let round = 0; round < count; round += 1) {
    const real = slots[roll.below(slots.length)] ?? new Uint8Array(0);
    const other = slots[roll.below(slots.length)] ?? real;
    const spoiling = SPOILINGS[round % SPOILINGS.length] ?? "flipped";
    // Every fourth is spoiled as a whole; the others keep their head, with a length that fits, so that the payload is read.
    const whole = round % 4 === 0;
    const bytes = whole ? spoil(spoiling, real, other, HEAD_LENGTHS) : slotOf(spoil(spoiling, payloadOf(real), payloadOf(other), []));
    inputs += 1;
    try {
      const outcome = read(bytes, spec);
      counts[typeof outcome === "string" ? outcome : await outcome] += 1;
    } catch (error) {
      throw failing(error, serializer.name, round, bytes);
    }
  }
  return counts;
}

function slotOf(payload: Uint8Array | null | undefined): Uint8Array {
  return encodeEntry(owner, KEY, { createdAt: 1.8e12, freshUntil: 1.8e12, expiresAt: 1.9e12, costMs: 1, generations: [1.8e15], payload });
}

function payloadOf(slot: Uint8Array): Uint8Array {
  return slot.subarray(HEAD_BYTES + 8 + owner.nodeBytes.length + owner.versionBytes.length + KEY.length);
}

/** A node's rules, over a serializer that tells of every reject that is none of ours. */
function specOver(serializer: Serializer): NodeSpec {
  const typed = (error: unknown): never => {
    if (isCacheError(error, "ERR_ENTRY_CORRUPT") && error.cause === undefined && /^[a-z]+\(\) cannot decode these bytes$/.test(error.message)) throw error;
    untyped = error;
    throw error;
  };
  const decode = (bytes: Uint8Array): unknown => {
    try {
      const value = serializer.decode(bytes);
      return value instanceof Promise ? value.catch(typed) : value;
    } catch (error) {
      return typed(error);
    }
  };
  const node = defineNode<string, unknown>({
    name: freshName(),
    key: (key) => key,
    caches: [{ storage: "far", ttl: "1m" }],
    serializer: { ...serializer, decode },
  });
  const spec = specOf(node);
  if (!spec) throw new TypeError("a node without rules");
  return spec;
}

let untyped: unknown;

/** Goes the way of a read. Throws if anything else than one answer comes of it. */
function read(bytes: Uint8Array, spec: NodeSpec): Outcome | Promise<Outcome> {
  const decoded = decodeSlot(bytes, owner, KEY);
  if (decoded.kind !== "entry") return decoded.kind;
  let answers = 0;
  let outcome: Outcome | undefined;
  let settled: ((outcome: Outcome) => void) | undefined;
  const answer = (own: Outcome): void => {
    answers += 1;
    outcome = own;
    settled?.(own);
  };
  untyped = undefined;
  badPrototype = undefined;
  if (decoded.payload && decoded.payload.length !== new DataView(bytes.buffer, bytes.byteOffset).getUint32(52))
    throw new Error("a payload of another length than the head tells");
  decodeValue(spec, decoded.payload, {
    served(value) {
      badPrototype = firstBadPrototype(value);
      answer("served");
    },
    refused: () => answer("refused"),
    threw: () => answer("refused"),
  });
  const judge = (own: Outcome): Outcome => {
    if (answers !== 1) throw new Error(`${answers} answers`);
    if (untyped !== undefined) throw new Error(`an error that is no typed reject: ${String(untyped)}`);
    if (badPrototype !== undefined) throw new Error("a value with a prototype that no value has");
    return own;
  };
  if (outcome !== undefined) return judge(outcome);
  return new Promise<Outcome>((resolve) => {
    settled = resolve;
  }).then(judge);
}

let badPrototype: object | undefined;

const PROTOTYPES: ReadonlySet<unknown> = new Set<unknown>([
  null,
  ...[Object, Array, Map, Set, Date, RegExp, ArrayBuffer, Uint8Array, Int8Array, Uint8ClampedArray, Int16Array, Uint16Array, Int32Array, Uint32Array].map(
    (kind) => kind.prototype,
  ),
  ...[Float32Array, Float64Array, BigInt64Array, BigUint64Array, DataView, String, Number, Boolean, BigInt].map((kind) => kind.prototype),
  ...[Error, EvalError, RangeError, ReferenceError, SyntaxError, TypeError, URIError, AggregateError].map((kind) => kind.prototype),
  // Not in every Node that runs this.
  Reflect.get(Object(Reflect.get(globalThis, "Float16Array")), "prototype"),
]);

/** The first object within a value, cycles included, whose prototype was set by the data. */
function firstBadPrototype(value: unknown): object | undefined {
  const open: unknown[] = [value];
  const seen = new Set<object>();
  for (let next = open.pop(); next !== undefined || open.length > 0; next = open.pop()) {
    if (typeof next !== "object" || next === null || seen.has(next)) continue;
    seen.add(next);
    if (!PROTOTYPES.has(Object.getPrototypeOf(next))) return next;
    if (ArrayBuffer.isView(next)) continue;
    if (next instanceof Map) open.push(...next.keys(), ...next.values());
    else if (next instanceof Set) open.push(...next.values());
    for (const key of Object.getOwnPropertyNames(next)) open.push(Object.getOwnPropertyDescriptor(next, key)?.value);
  }
  return undefined;
}
