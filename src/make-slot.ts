/**
 * From a value to the slot that holds it in a remote tier: the serializer, what the envelope says of its life, and whether it is
 * small enough to be written. `slot.ts` goes the other way.
 *
 * @module
 */

import type { Binding, RemotePart } from "./binding.ts";
import type { ByteRoom } from "./byte-room.ts";
import type { Capture } from "./capture.ts";
import { describe } from "./duration.ts";
import { slotLifeMs } from "./entry.ts";
import { encodeEntry, MAX_PAYLOAD_BYTES } from "./envelope.ts";
import { CacheError, isCacheError } from "./errors.ts";
import type { Found } from "./found.ts";
import type { NodeSpec } from "./node-spec.ts";
import type { WriteEntry } from "./storage.ts";

/** A value as the envelope takes it. */
export type Payload = Uint8Array | null | undefined;

/** Serializes a value; `null` and `undefined` go into the envelope's flags. @throws what the serializer throws. */
export function encodeValue(spec: NodeSpec, value: unknown): Payload | Promise<Payload> {
  if (value === null || value === undefined) return value;
  const encoded: unknown = spec.serializer.encode(value);
  return encoded instanceof Uint8Array ? encoded : Promise.resolve(encoded).then((late) => checkedBytes(late, spec));
}

function checkedBytes(encoded: unknown, spec: NodeSpec): Uint8Array {
  if (encoded instanceof Uint8Array) return encoded;
  throw new CacheError("ERR_SERIALIZE", `node "${spec.name}": serializer "${spec.serializer.name}" gave ${describe(encoded)} where bytes were due`);
}

/** The error of a value that a serializer cannot carry. Its message may hold the value, so only ours is passed on. */
export function serializeError(error: unknown, spec: NodeSpec): CacheError {
  return isCacheError(error, "ERR_SERIALIZE")
    ? error
    : new CacheError("ERR_SERIALIZE", `node "${spec.name}": serializer "${spec.serializer.name}" cannot carry the value`);
}

/** What a slot is made of. */
interface Making {
  /** The key as its storage keeps it. */
  readonly key: string;
  readonly fullKey: string;
  readonly found: Found;
  readonly payload: Payload;
  readonly capture: Capture;
  readonly ttlMs: number;
}

/** A slot to write now: its life, its times by our wall clock, its bytes, under the stamp that was read. */
export function makeSlot(binding: Binding, part: RemotePart, { key, fullKey, found, payload, capture, ttlMs }: Making, room: ByteRoom): WriteEntry {
  const { core, owner, spec } = binding;
  const { createdAt, costMs } = found;
  const { stamp, numbers: generations } = capture;
  const lifeMs = slotLifeMs(ttlMs, spec.freshness.keepMs, spec.storeWithinMs, part.storage.guarded, part.storage.minTtlMs);
  const now = core.clock.now();
  const bytes = encodeEntry(owner, fullKey, { createdAt, freshUntil: now + ttlMs, expiresAt: now + lifeMs, costMs, generations, payload }, room);
  return { key, bytes, ttlMs: lifeMs === Number.POSITIVE_INFINITY ? null : Math.ceil(lifeMs), ifStamp: stamp };
}

/** Whether a slot may be as large as this: what its storage takes, and what a reader of it accepts. */
export function fits(part: RemotePart, payload: Payload, { bytes }: WriteEntry): boolean {
  return bytes.length <= part.storage.maxValueBytes && (payload?.length ?? 0) <= MAX_PAYLOAD_BYTES;
}
