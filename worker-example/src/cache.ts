/**
 * The cache of this Worker, made once per isolate: names the storages that the nodes' tiers speak of. A storage given as a
 * function is made at first use, so the one that is not in the chain is never made.
 *
 * @module
 */

import { createCache, local } from "cacheme";
import { kv } from "cacheme/kv";
import { upstash } from "cacheme/upstash";
import { env } from "cloudflare:workers";

export const cache = createCache({
  prefix: "example",
  storages: {
    local: local({ policy: "w-tinylfu", maxEntries: 10_000 }),
    kv: () => kv({ namespace: env.CACHE }),
    upstash: () => upstash({ url: env.UPSTASH_REDIS_REST_URL ?? "", token: env.UPSTASH_REDIS_REST_TOKEN ?? "" }),
  },
});
