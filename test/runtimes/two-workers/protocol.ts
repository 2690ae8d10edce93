/**
 * What the tests and the two Workers say to each other, and what the Workers and the source do: plain JSON. Types only, so
 * that all sides may import it.
 *
 * @module
 */

/** How a Worker's cache is made; it travels in the binding `SETTINGS`. */
export interface Settings {
  /** Where the source listens. */
  readonly source: string;
  readonly store: StoreAddress;
  /** Keeps the runs on one store apart. */
  readonly prefix: string;
  /** Life of a local copy. */
  readonly localTtlMs: number;
  /** Seed of how late answers of the store come in. */
  readonly seed: number;
  /** What is broken on purpose. */
  readonly flaw?: Flaw | undefined;
}

/** Where a store is reached by `fetch`. */
export type StoreAddress =
  | { readonly kind: "upstash"; readonly url: string; readonly token: string }
  | { readonly kind: "neon"; readonly connectionString: string; readonly endpoint: string };

/** Ways to break the protocol between the Workers and their store. */
export type Flaw = "stamps are ignored" | "tombstones are removals" | "tombstones are not waited for";

/** The two nodes: `near` has a local and a remote tier, `far` the remote one alone. */
export type NodeName = "near" | "far";

/** One key of one node. */
export interface Place {
  readonly node: NodeName;
  readonly key: string;
}

/** What a request asks of the cache. */
export interface Order {
  /** Tells the operations of a run apart. */
  readonly id: number;
  readonly op: "get" | "getAll" | "lookup" | "lookupAll" | "set" | "invalidate" | "refresh" | "stats";
  readonly places: readonly Place[];
  /** How long the source takes to answer, if it is asked. */
  readonly loadMs: number;
  /** What `set` stores. */
  readonly value?: Versioned | undefined;
}

/** A value, with what is needed to tell where it is from. */
export interface Versioned {
  /** As `near:3`. */
  readonly name: string;
  readonly version: number;
  /** The load or the `set` that brought it in: no two are named alike. */
  readonly from: string;
}

/** What an order saw of one place; of `get`, `getAll` and `refresh` the value alone is known. */
export interface Sight {
  readonly value: Versioned;
  readonly source?: string;
  readonly collapsed?: boolean;
}

/** The first line of an answer. The answer ends when the writes that the order set in motion have landed. */
export interface Reply {
  readonly sights: readonly Sight[];
  /** Why it was not done. */
  readonly error?: { readonly code: string; readonly text: string };
  /** The answer to `stats`: back-fills, sets and refreshes that were refused. */
  readonly refused?: number;
}

/** One thing asked of the source. */
export interface Wanted {
  readonly name: string;
  /** The operation that asks. */
  readonly by: number;
  readonly ms: number;
}
