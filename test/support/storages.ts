/**
 * Storages that misbehave on command: a memory storage whose calls fail, hang or answer nonsense, and can be held back until
 * a test lets them go. It relies on the reference storage for everything else.
 *
 * @module
 */
import type { Storage } from "../../src/storage.ts";
import { memoryStorage } from "../../testing/memory-storage.ts";
import type { MemoryStorage, MemoryStorageOptions } from "../../testing/memory-storage.ts";

/** A call of the port. */
export type Method = "read" | "write" | "remove" | "raise" | "ensure";

/** What becomes of a call: `"lose"` applies it and then fails, the others never apply it. */
export type Fault = "reject" | "throw" | "hang" | "short" | "long" | "garbage" | "lose";

/** A memory storage on strings. */
export interface Puppet extends MemoryStorage {
  /** Every call so far, with its keys. */
  readonly log: { readonly method: Method; readonly keys: readonly string[] }[];
  /** From now on calls of the method meet this fault; `undefined` heals. */
  fault(method: Method | "all", fault: Fault | undefined): void;
  /** Calls of the method wait before they are applied; gives the function that lets one go, or all. */
  hold(method: Method): () => void;
  /** Signals of the calls that were made, in order. */
  readonly signals: AbortSignal[];
}

const METHODS = ["read", "write", "remove", "raise", "ensure"] as const;

/** The error that a broken storage gives. */
export const BROKEN = "connect ECONNREFUSED";

/** Makes a storage whose strings a test holds. */
export function puppet(options: MemoryStorageOptions = {}): Puppet {
  const inner = memoryStorage(options);
  const faults = new Map<Method, Fault>();
  const holds = new Map<Method, Promise<void>>();
  const log: Puppet["log"] = [];
  const signals: AbortSignal[] = [];

  function guard<Result>(
    method: Method,
    keys: readonly string[],
    signal: AbortSignal,
    apply: () => Promise<Result>,
    spoil: (result: Result, by: number) => Result,
  ): Promise<Result> {
    log.push({ method, keys });
    signals.push(signal);
    const fault = faults.get(method);
    if (fault === "throw") throw new Error(BROKEN);
    return (async () => {
      await holds.get(method);
      if (fault === "reject") throw new Error(BROKEN);
      if (fault === "hang") return new Promise<Result>(() => undefined);
      if (fault === "garbage") return JSON.parse("42");
      const result = await apply();
      if (fault === "lose") throw new Error(BROKEN);
      return fault === "short" ? spoil(result, -1) : fault === "long" ? spoil(result, 1) : result;
    })();
  }
  const resize = <Item>(list: readonly Item[], by: number): readonly Item[] => (by < 0 ? list.slice(0, by) : [...list, ...list.slice(0, 1)]);
  const nothing = (result: undefined | void): void => result;

  return {
    ...inner,
    log,
    signals,
    fault(method, fault) {
      for (const each of method === "all" ? METHODS : [method]) {
        if (fault) faults.set(each, fault);
        else faults.delete(each);
      }
    },
    hold(method) {
      const { promise, resolve } = Promise.withResolvers<void>();
      holds.set(method, promise);
      return () => {
        if (holds.get(method) === promise) holds.delete(method);
        resolve();
      };
    },
    read: (keys, names, signal) =>
      guard(
        "read",
        keys,
        signal,
        () => inner.read(keys, names, signal),
        (result, by) => ({ ...result, slots: resize(result.slots, by) }),
      ),
    write: (entries, signal) =>
      guard(
        "write",
        entries.map(({ key }) => key),
        signal,
        () => inner.write(entries, signal),
        resize,
      ),
    remove: (keys, signal) => guard("remove", keys, signal, () => inner.remove(keys, signal), nothing),
    raise: (names, signal) => guard("raise", names, signal, () => inner.raise(names, signal), nothing),
    ensure: (names, signal) => guard("ensure", names, signal, () => inner.ensure(names, signal), resize),
  };
}

/** A storage without conditional writes, as KV is. */
export function weakPuppet(options: MemoryStorageOptions = {}): Puppet {
  return puppet({ ...options, traits: { ...options.traits, conditional: false, consistency: "eventual" } });
}

/** A storage whose every call is answered by `answer`; for what no real one would do. */
export function stub(over: Partial<Storage> = {}): Storage {
  return { ...memoryStorage(), ...over };
}
