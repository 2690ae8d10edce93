/**
 * What a read of a remote tier saw, kept for writing that tier: under its stamp and generations, a write that something newer
 * overtook is refused.
 *
 * @module
 */

import type { Binding } from "./binding.ts";

/** What a flight's own read of a tier saw. A storage without conditional writes has no stamp to speak of. */
export interface Capture {
  /** `null`: there was no slot; `undefined`: write unconditionally. */
  readonly stamp: Uint8Array | null | undefined;
  readonly numbers: readonly number[];
}

/** What flights saw that found no slot in the first tier: one list for those whose reads travelled together. */
export function vacant(binding: Binding, numbers: readonly number[]): readonly Capture[] {
  if (binding.vacant[0]?.numbers !== numbers) binding.vacant = [{ stamp: null, numbers }];
  return binding.vacant;
}
