/**
 * A node as bound to a cache: its tiers, its counters, and all that this isolate keeps for it. It is data; `core.ts` makes it,
 * and the files that tell the story work on it.
 *
 * @module
 */

import type { Capture } from "./capture.ts";
import type { Flight } from "./chain.ts";
import type { Core } from "./core.ts";
import type { Owner } from "./envelope.ts";
import type { Call, Operation } from "./flight.ts";
import { fullKey } from "./key.ts";
import type { Wanted } from "./load.ts";
import type { LocalSpace, LocalTier } from "./local/local-tier.ts";
import type { NodeSpec } from "./node-spec.ts";
import type { Refresh } from "./refresh.ts";
import type { RemoteStorage } from "./remote-storage.ts";
import type { NodeCounters, TierCounters } from "./stats.ts";

/** A value in a local tier. */
export interface LocalEntry {
  readonly value: unknown;
  /** The revision at which the generations were last compared. Beside the value, as every hit reads both. */
  revision: number;
  /** Unix ms, just before the load began. */
  readonly createdAt: number;
  /** By the monotonic clock: until then it answers without a further thought. */
  readonly calmUntil: number;
  /** How much longer it is fresh, in ms, while it may be renewed early; 0 where that is not asked for. */
  readonly fadeMs: number;
  /** The epoch at which its load or its flight began. */
  readonly epoch: number;
  /** The generations that count for it; `undefined`: its node's alone. */
  readonly groups: readonly string[] | undefined;
  /** What the flight captured in each remote tier of the chain, by position. */
  readonly generations: readonly (readonly number[] | undefined)[];
  /** Whether no tier without guard had a part in it. */
  readonly guarded: boolean;
}

/** A local tier of a node. `ttlMs` may be `Infinity`. */
export interface LocalPart {
  readonly name: string;
  readonly ttlMs: number;
  readonly tier: LocalTier;
  readonly space: LocalSpace<LocalEntry>;
  readonly counters: TierCounters;
}

/** A remote tier of a node. */
export interface RemotePart {
  readonly name: string;
  readonly ttlMs: number;
  /** Its position among the remote tiers. */
  readonly index: number;
  readonly storage: RemoteStorage;
  readonly counters: TierCounters;
}

/** A node's tiers, left to right, as a flight sees them from beginning to end. */
export interface Chain {
  readonly locals: readonly LocalPart[];
  readonly remotes: readonly RemotePart[];
  /** A cap on how long a flight of this chain may take, in ms. */
  readonly capMs: number;
}

/** An operation that replaces an entry, and whether something fenced its key since it began. */
export interface Mark {
  fenced: boolean;
  readonly call: Call;
}

const NO_NAMES: readonly string[] = [];

/** The generations to read beside a slot: those of the key, or none in a storage without conditional writes. */
export function namesIn({ storage }: RemotePart, groups: readonly string[]): readonly string[] {
  return storage.conditional ? groups : NO_NAMES;
}

/** A node in a cache, under one prefix. Everything isolate-local is kept here, so two nodes never meet. */
export interface Binding {
  readonly core: Core;
  readonly spec: NodeSpec;
  readonly owner: Owner;
  readonly counters: NodeCounters;
  /** The generation of the node, alone in a list. */
  readonly groups: readonly string[];
  /** Whether local copies may answer past their calm time. */
  readonly lingers: boolean;
  /** Replaced when a storage is registered; a flight keeps the chain it began with. */
  chain: Chain;
  /** The leftmost local tier, which answers nearly every call. */
  nearest: LocalSpace<LocalEntry> | undefined;
  nearestCounters: TierCounters | undefined;
  /** The generations that local entries were captured under last; shared by them. */
  generations: readonly (readonly number[] | undefined)[];
  /** What flights captured last where there was no slot; shared by them. */
  vacant: readonly Capture[];
  readonly flights: Map<string, Flight>;
  readonly refreshes: Map<string, Refresh>;
  /** The last `set` of a key that still runs, for call order. */
  readonly turns: Map<string, Operation<object>>;
  /** The last operation that replaces a key's entry and was not fenced; one is enough, as each fences those before it. */
  readonly marks: Map<string, Mark>;
  /** Keys that miss and wait for a common `loadAll`. */
  loading: Wanted[] | undefined;
}

/** The full key of a node's key under the binding's prefix. */
export function fullKeyOf(binding: Binding, key: string): string {
  return fullKey(binding.owner.prefix, key, binding.owner.version);
}
