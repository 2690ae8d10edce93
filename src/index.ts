/**
 * Caching for edge runtimes: declare a kind of data once, read it through isolate-local and remote tiers, load each key once.
 *
 * @module
 */

export { createCache } from "./cache.ts";
export type { Clock } from "./clock.ts";
export { bloomFilter } from "./doorkeeper.ts";
export type { BloomFilterOptions, Doorkeeper } from "./doorkeeper.ts";
export type { Duration } from "./duration.ts";
export { CacheError, isCacheError } from "./errors.ts";
export type { CacheErrorCode } from "./errors.ts";
export type { CacheEvent, NotReadyReason, NotStoredReason } from "./events.ts";
export { adaptive } from "./local/adaptive.ts";
export { local } from "./local/local.ts";
export type { LocalOptions, LocalStorage } from "./local/local.ts";
export type { LocalSpace, LocalTier } from "./local/local-tier.ts";
export type { Eviction, EvictionPolicy, Room } from "./local/policy.ts";
export { defineNode, dynamicNode, nodes } from "./node.ts";
export { compressed } from "./serializer/compressed.ts";
export type { CompressedOptions } from "./serializer/compressed.ts";
export { json } from "./serializer/json.ts";
export type { Serializer } from "./serializer/serializer.ts";
export { structured } from "./serializer/structured.ts";
export { guarded } from "./storage-guard.ts";
export type { NodeDelta, StatsBatch, StatsSink, TierDelta } from "./stats-batch.ts";
export { STAMP_BYTES } from "./storage.ts";
export type { ReadResult, Slot, Storage, StorageTraits, WriteEntry } from "./storage.ts";
export type { Register } from "./node-types.ts";
export type * from "./types.ts";
