/**
 * The chains and policies that the simulator compares, and what the stores cost. Plain data.
 *
 * @module
 */
import { bloomFilter } from "../../../src/doorkeeper.ts";
import type { Doorkeeper } from "../../../src/doorkeeper.ts";
import type { Duration } from "../../../src/duration.ts";

/** What the chains below give a value at most. */
export const LONGEST_TTL_S = 300;

/** One way to set a node up. */
export interface Chain {
  readonly name: string;
  readonly caches: readonly { readonly storage: "local" | "kv" | "upstash"; readonly ttl: Duration }[];
  readonly options?: {
    readonly staleWhileRevalidate?: Duration;
    readonly refreshAhead?: { readonly beta: number };
  };
  /** One for each isolate. */
  readonly doorkeeper?: () => Doorkeeper;
  readonly policy?: "lru";
  /** Whether whoever changes the source calls `invalidate`. Default: yes. */
  readonly invalidates?: false;
}

const LOCAL = { storage: "local", ttl: "30s" } as const;
const SHORT = { storage: "local", ttl: "5s" } as const;
const UPSTASH = { storage: "upstash", ttl: "5m" } as const;
const KV = { storage: "kv", ttl: "5m" } as const;
const TIERED = { caches: [LOCAL, UPSTASH] } as const;

/** In the order of the tables. */
export const CHAINS: readonly Chain[] = [
  { name: "local 30s", caches: [LOCAL] },
  { name: "upstash 5m", caches: [UPSTASH] },
  { name: "local 30s, upstash 5m", ...TIERED },
  { name: "local 5s, upstash 5m", caches: [SHORT, UPSTASH] },
  { name: "local 30s, upstash 5m; never invalidated", ...TIERED, invalidates: false },
  { name: "local 30s, upstash 5m; staleWhileRevalidate 1m", ...TIERED, options: { staleWhileRevalidate: "1m" } },
  { name: "local 30s, upstash 5m; refreshAhead", ...TIERED, options: { refreshAhead: { beta: 1 } } },
  { name: "local 30s, upstash 5m; doorkeeper", ...TIERED, doorkeeper: () => bloomFilter({ capacity: 100_000 }) },
  { name: "local 30s, upstash 5m; policy lru", ...TIERED, policy: "lru" },
  { name: "kv 5m", caches: [KV] },
  { name: "local 30s, kv 5m", caches: [LOCAL, KV] },
  { name: "local 30s, kv 1m, upstash 5m", caches: [LOCAL, { storage: "kv", ttl: "1m" }, UPSTASH] },
];

/** Dollars for a million of what is billed. */
interface Price {
  readonly read: number;
  readonly write: number;
}

/** List prices of November 2026, pay as you go, without what a plan includes. */
export const PRICES: { readonly upstash: Price; readonly kv: Price } = { upstash: { read: 2, write: 2 }, kv: { read: 0.5, write: 5 } };

/** The average month. */
export const MONTH_S: number = (365.25 / 12) * 86_400;
