/**
 * The cache of this Worker, made once per isolate: names the storages that the nodes' tiers speak of. A storage given as a
 * function is made at first use, so the one that is not in the chain is never made. Statistics go to both bindings that Workers
 * have for them, events to the Worker's log.
 *
 * @module
 */

import { createCache, local } from "cacheme";
import { kv } from "cacheme/kv";
import { analyticsEngineStats } from "cacheme/stats-analytics-engine";
import { kvStats } from "cacheme/stats-kv";
import { upstash } from "cacheme/upstash";
import { env } from "cloudflare:workers";

export const cache = createCache({
  prefix: "example",
  storages: {
    local: local({ policy: "w-tinylfu", maxEntries: 10_000 }),
    kv: () => kv({ namespace: env.CACHE }),
    upstash: () => upstash({ url: env.UPSTASH_REDIS_REST_URL ?? "", token: env.UPSTASH_REDIS_REST_TOKEN ?? "" }),
  },
  // A tier that fails is a miss to whoever reads; here one learns of it. Events hold no key and no value.
  onEvent: (event) => console.warn(event),
  // What all isolates did: in KV to be read by anybody, in Analytics Engine to be charted.
  stats: [kvStats(env.STATS), analyticsEngineStats(env.METRICS)],
});
