/**
 * What the cache reports instead of throwing or printing. Events carry node names and an 8-digit digest of a key, never a
 * key, a value or a secret. An observer that throws is counted and otherwise ignored.
 *
 * @module
 */

import type { CacheError } from "./errors.ts";
import { isThenable } from "./shareable.ts";

/** Why a value was handed out but not stored. */
export type NotStoredReason = "serializer" | "size" | "hook" | "too-late";

/**
 * What ails a storage until somebody does something. `"table"`: it lacks its table. `"credentials"`: it refuses our user,
 * password or token. `"rights"`: it knows us and refuses what we ask. `"room"`: it has no room for more. `"closed"`: its client
 * is closed, or lost its connection.
 */
export type NotReadyReason = "table" | "credentials" | "rights" | "room" | "closed";

/** Something an operator may want to know. */
export type CacheEvent =
  /** A call to a storage failed or ran out of its budget. The callers got their value elsewhere. */
  | {
      readonly type: "storage-failed";
      readonly storage: string;
      readonly operation: "read" | "write" | "remove" | "ensure" | "raise" | "prune" | "close";
      readonly error: CacheError;
    }
  /** A storage failed too often in a row: until it has healed, calls to it are refused at once, which is not reported again. */
  | { readonly type: "breaker-opened"; readonly storage: string; readonly failures: number; readonly coolDownMs: number }
  /** A storage that was left alone has answered again. */
  | { readonly type: "breaker-closed"; readonly storage: string }
  /**
   * What no later call mends: the storage lacks its table (`setup` is what to run, where the storage can tell), refuses our
   * credentials or what we ask with them, has no room left, or has a client that is closed. The error's message says what to
   * do. At most once a minute for each storage and reason, in place of `storage-failed`.
   */
  | {
      readonly type: "storage-not-ready";
      readonly storage: string;
      readonly reason: NotReadyReason;
      readonly setup?: string;
      readonly error: CacheError;
    }
  /** Stored bytes that are no entry, or that the serializer did not take back. Treated as a miss. */
  | { readonly type: "entry-rejected"; readonly storage: string; readonly node: string; readonly key: string; readonly reason: string }
  /** A stored entry of another node, version or key under this node's key. Treated as a miss; names both nodes, once for each pair. */
  | { readonly type: "identity-mismatch"; readonly storage: string; readonly node: string; readonly other: string; readonly key: string }
  /** A value was answered and not stored. */
  | {
      readonly type: "not-stored";
      readonly node: string;
      readonly key: string;
      readonly reason: NotStoredReason;
      readonly storage?: string;
      readonly error?: CacheError;
    }
  /** A request that led a load fell silent, and another took over. */
  | { readonly type: "leader-lost"; readonly node: string; readonly key: string }
  /** A write to a stats sink failed or took longer than 5 s. The batch is offered again with the next flush. */
  | { readonly type: "stats-failed"; readonly sink: string; readonly error: CacheError }
  /** Once per cache: requests own their I/O here, and no `waitUntil` was given, so writes are awaited. */
  | { readonly type: "no-wait-until"; readonly remedy: string }
  /** A load in the background failed; its callers had been given the value that a tier still has. */
  | { readonly type: "refresh-failed"; readonly node: string; readonly key: string }
  /** `cache.with({ after })` was given no token of this library; it is ignored. */
  | { readonly type: "token-ignored" }
  /** Once per storage: it has no generations, so what it holds outlived `invalidateNode` or `invalidateTags` and ends with its ttl. */
  | { readonly type: "weak-tier-kept"; readonly storage: string }
  /** Once per node: a storage without guard stands left of a guarded one and keeps values for more than five minutes. */
  | { readonly type: "weak-tier-first"; readonly node: string; readonly storage: string };

/** Hands events to one observer. */
export interface Emitter {
  emit(event: CacheEvent): void;
  /** How often the observer threw. */
  failures(): number;
}

/** An emitter for `onEvent`. */
export function createEmitter(observer: ((event: CacheEvent) => void) | undefined): Emitter {
  let failed = 0;
  return {
    emit(event) {
      if (!observer) return;
      try {
        const answer: unknown = observer(event);
        if (isThenable(answer)) answer.then(undefined, () => failed++);
      } catch {
        failed++;
      }
    },
    failures: () => failed,
  };
}
