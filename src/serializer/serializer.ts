/**
 * The port of a serializer: how a value becomes bytes for remote tiers and comes back. Local tiers hold values and never
 * see one.
 *
 * @module
 */

/**
 * Turns values into bytes and back. A value it cannot carry is an error of `encode`, never silently something else.
 *
 * Invariant: the result of `encode` owns its buffer (no view into a shared pool), and `decode` keeps no view of its input.
 */
export interface Serializer {
  /** Shown in errors and events. */
  readonly name: string;
  /** Throws or rejects for a value that it cannot give back equal. */
  encode(value: unknown): Uint8Array | Promise<Uint8Array>;
  /** Throws or rejects for bytes that it did not make. */
  decode(bytes: Uint8Array): unknown;
}
