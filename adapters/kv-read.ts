/**
 * Reading many keys of Workers KV. It relies on the binding alone.
 *
 * @module
 */
import { inHalves } from "./halves.ts";

interface Readable {
  get(keys: string[], type: "text"): Promise<ReadonlyMap<string, string | null>>;
}

/** KV's own limit of a call that reads many keys. */
export const READ_AT_ONCE = 100;

/**
 * Reads at most {@link READ_AT_ONCE} keys. KV answers at most 25 MB in one call; more than that is asked for in halves.
 *
 * @see https://developers.cloudflare.com/kv/api/read-key-value-pairs/
 */
export async function readKv(binding: Readable, keys: readonly string[], signal?: AbortSignal): Promise<ReadonlyMap<string, string | null>> {
  const maps = await inHalves(
    keys,
    (some) => {
      signal?.throwIfAborted();
      return binding.get([...some], "text");
    },
    isTooLarge,
  );
  const [only] = maps;
  return maps.length === 1 && only !== undefined ? only : new Map(maps.flatMap((map) => [...map]));
}

/** As the binding says it: `KV GET_BULK failed: 413 Total size of request exceeds the limit of 25MB`. */
function isTooLarge(error: unknown): boolean {
  return error instanceof Error && /^KV GET_BULK failed: 413\b/.test(error.message);
}
