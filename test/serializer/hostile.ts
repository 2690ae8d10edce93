/**
 * What the tests of all serializers share: values that are hard to carry, bytes that nobody encoded, and a check that a decoder
 * takes the latter well. Generators are seeded, so that a failure can be repeated.
 *
 * @module
 */
import { expect } from "vitest";
import { isCacheError } from "../../src/errors.ts";
import type { Serializer } from "../../src/serializer/serializer.ts";

/** A seeded generator of numbers from 0 up to 1 (xorshift32). */
export function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
}

/** Random bytes, and real payloads with bytes changed, cut, repeated or put together. */
export function* hostileBytes(payloads: readonly Uint8Array[], count: number, seed: number): Generator<Uint8Array> {
  const random = seeded(seed);
  const below = (limit: number): number => Math.floor(random() * limit);
  const some = (): Uint8Array => payloads[below(payloads.length)] ?? new Uint8Array(0);
  for (let round = 0; round < count; round += 1) {
    const payload = some();
    if (round % 5 === 0) {
      yield Uint8Array.from({ length: below(64) }, () => below(256));
    } else if (round % 5 === 1) {
      yield payload.slice(0, below(payload.length));
    } else if (round % 5 === 2) {
      const other = some();
      yield Uint8Array.from([...payload.subarray(0, below(payload.length)), ...other.subarray(below(other.length))]);
    } else {
      const changed = payload.slice();
      for (let changes = 1 + below(4); changes > 0; changes -= 1) changed[below(changed.length)] = below(256);
      yield changed;
    }
  }
}

/** Decodes bytes that may be anything: a value comes back, or a typed reject that says nothing of them. */
export async function decodeHostile(serializer: Serializer, bytes: Uint8Array): Promise<"value" | "reject"> {
  try {
    await serializer.decode(bytes);
    return "value";
  } catch (error) {
    if (!isCacheError(error, "ERR_ENTRY_CORRUPT")) throw error;
    expect(error.message).toMatch(/^[a-z]+\(\) cannot decode these bytes$/);
    expect(error.cause).toBeUndefined();
    return "reject";
  }
}

/** An object inside an object, and so on. */
export function nest(levels: number, wrap: (inner: unknown) => unknown): unknown {
  let value: unknown = null;
  for (let level = 0; level < levels; level += 1) value = wrap(value);
  return value;
}

/** The error of an encoder that refuses a value, or `undefined` if it did not. */
export async function refusalOf(serializer: Serializer, value: unknown): Promise<Error | undefined> {
  try {
    await serializer.encode(value);
    return undefined;
  } catch (error) {
    if (isCacheError(error, "ERR_SERIALIZE")) return error;
    throw error;
  }
}

export { PLAIN } from "./plain-values.ts";
export { prototypeKeys } from "./prototypes.ts";
