// What wrangler.toml binds, for `import { env } from "cloudflare:workers"`.
declare namespace Cloudflare {
  interface Env {
    readonly DB: D1Database;
    readonly CACHE: KVNamespace;
    readonly STATS: KVNamespace;
    readonly METRICS: AnalyticsEngineDataset;
    readonly UPSTASH_REDIS_REST_URL?: string;
    readonly UPSTASH_REDIS_REST_TOKEN?: string;
  }
}
