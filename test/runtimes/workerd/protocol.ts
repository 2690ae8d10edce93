/**
 * What the tests and the Worker under test say to each other: plain JSON in one POST. Types only, so that both sides may
 * import it.
 *
 * @module
 */

/** How the Worker's cache is made; it travels in the binding `SETTINGS`. */
export interface Settings {
  readonly origin: string;
  /** Left out: no local tier. */
  readonly localTtlMs?: number;
  readonly remotes: readonly RemoteSettings[];
  /** `false`: a request-scoped host that has none. Default: the host's own. */
  readonly waitUntil?: boolean;
  /** Budget of a storage call. */
  readonly budgetMs?: number;
  /** Default: that of the library. */
  readonly breaker?: { readonly failures: number; readonly coolDown: number };
  readonly loadConcurrency?: number;
}

/** A remote tier on a bridge. */
export interface RemoteSettings {
  readonly url: string;
  readonly token: string;
  readonly ttlMs: number;
  readonly maxBatch?: number;
}

/** What a request asks of the cache. */
export interface Order {
  readonly op: "get" | "getAll" | "lookup" | "lookupAll" | "memoize" | "refresh" | "set" | "invalidate" | "state" | "reset" | "flush";
  readonly keys?: readonly string[];
  /** How long the source takes. */
  readonly loadMs?: number;
  readonly value?: unknown;
  /** How the request ends, if not by its answer. */
  readonly end?: "early" | "throw" | "kill";
  /** Wait before `end`. Default: none. */
  readonly endAfterMs?: number | undefined;
  /** Which node: each has counters and a generation of its own. Default: `"Item"`. */
  readonly node?: string;
}

/** The answer to one key. */
export interface KeyReply {
  readonly value?: unknown;
  readonly error?: string;
  readonly source?: string;
  readonly collapsed?: boolean;
  readonly ageMs?: number;
}

/** The answer to an order. */
export interface Reply {
  readonly results: readonly KeyReply[];
}

/** The answer to `state`. */
export interface State {
  readonly inFlight: number;
  /** Timers of the length of a heartbeat that the cache set since the last `reset`. */
  readonly beats: number;
  /** Calls of `fetch` since the last `reset`, by the base URL they went to. */
  readonly fetches: Readonly<Record<string, number>>;
  /** Most calls of `fetch` without an answer at once, since the last `reset`, by the same. */
  readonly mostOpen: Readonly<Record<string, number>>;
  readonly events: readonly { readonly type: string; readonly at: number; readonly key?: string; readonly detail?: string }[];
}
