/**
 * The host's `Buffer`, where it has one: asked for when it is used, because most hosts of this library have none.
 *
 * @module
 */

/** The few things that are used of it. */
export interface HostBuffer {
  from(buffer: ArrayBufferLike, byteOffset: number, length: number): HostBytes;
}

/** Bytes that convert themselves. */
export interface HostBytes extends Uint8Array {
  /** Decodes what it can of some text and answers how many bytes that were. */
  write(text: string, encoding: "base64"): number;
  toString(encoding?: "base64"): string;
}

let known: HostBuffer | undefined;

/** `undefined` where there is none. */
export function hostBuffer(): HostBuffer | undefined {
  if (known !== undefined) return known;
  const found: unknown = Reflect.get(globalThis, "Buffer");
  known = isHostBuffer(found) ? found : undefined;
  return known;
}

function isHostBuffer(value: unknown): value is HostBuffer {
  return typeof value === "function" && "from" in value;
}
