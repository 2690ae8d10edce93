/**
 * The storages of a cache by name: checked when they are given, made and wrapped at their first use, released at the end.
 *
 * @module
 */

import { describe } from "./duration.ts";
import type { CacheError } from "./errors.ts";
import { MIN_KEY_BYTES } from "./key.ts";
import type { LocalTier } from "./local/local-tier.ts";
import { createRemoteStorage } from "./remote-storage.ts";
import type { RemoteHost, RemoteStorage } from "./remote-storage.ts";
import type { Scope } from "./scope.ts";
import { redactMaking } from "./redact.ts";
import { checkGuard, guardOf, wrap } from "./storage-guard.ts";
import type { Storage } from "./storage.ts";
import type { GuardOptions, StorageOption } from "./types.ts";

/** The storages of one cache. */
export class Storages {
  private readonly host: RemoteHost;
  private readonly guard: GuardOptions | undefined;
  private readonly given = new Map<string, StorageOption>();
  private readonly opened = new Map<string, LocalTier | RemoteStorage>();

  /** @throws TypeError naming the option and the value. */
  constructor(host: RemoteHost, storages: Readonly<Record<string, StorageOption>>, guard: GuardOptions | undefined) {
    if (typeof storages !== "object" || storages === null || Array.isArray(storages))
      throw new TypeError(`createCache: storages must be an object, got ${describe(storages)}`);
    checkGuard(guard);
    this.host = host;
    this.guard = guard;
    for (const [name, storage] of Object.entries(storages)) this.register(name, storage);
  }

  /** Adds or replaces a storage. The old one is not closed. Gives what takes this back. */
  register(name: string, storage: StorageOption): () => void {
    if (name === "") throw new TypeError("createCache: a storage needs a name that is not empty");
    if (name === "load") throw new TypeError(`createCache: a storage cannot be named "load", because lookup().source uses that word for the source`);
    if (typeof storage !== "function") checked(name, storage);
    const [given, opened] = [this.given.get(name), this.opened.get(name)];
    this.given.set(name, storage);
    this.opened.delete(name);
    return () => {
      if (given === undefined) this.given.delete(name);
      else this.given.set(name, given);
      if (opened === undefined) this.opened.delete(name);
      else this.opened.set(name, opened);
    };
  }

  /** A storage by name, made now if it was given as a function. @throws TypeError naming the node and the storage. */
  open(name: string, node: string): LocalTier | RemoteStorage {
    const opened = this.opened.get(name);
    if (opened) return opened;
    const given = this.given.get(name);
    if (!given) {
      const names = this.names().map(describe).join(", ") || "none";
      throw new TypeError(`node ${describe(node)}: unknown storage ${describe(name)}; this cache has ${names}`);
    }
    const storage = checked(name, typeof given === "function" ? made(name, given) : given);
    const ready = isLocal(storage) ? storage : this.wrapped(name, storage, given);
    this.opened.set(name, ready);
    return ready;
  }

  /** What the storages are called, in the order in which they were given. */
  names(): readonly string[] {
    return [...this.given.keys()];
  }

  /** Every remote storage, in the order in which they were given; those given as functions are made. */
  all(): readonly RemoteStorage[] {
    return this.names().flatMap((name) => {
      const opened = this.open(name, "");
      return isLocal(opened) ? [] : [opened];
    });
  }

  /** The remote storages that were used. */
  remotes(): readonly RemoteStorage[] {
    return [...this.opened.values()].flatMap((opened) => (isLocal(opened) ? [] : [opened]));
  }

  /**
   * Prunes every storage that can be; one that was given as a function is made for it only if `named` says that nodes use it.
   *
   * @throws ERR_STORAGE_WRITE naming the first that failed, all having been tried.
   */
  async prune(limit: number, named: ReadonlySet<string>, view: Scope): Promise<number> {
    let pruned = 0;
    let failure: CacheError | undefined;
    for (const [name, given] of this.given) {
      if (typeof given === "function" && !this.opened.has(name) && !named.has(name)) continue;
      const opened = this.open(name, "");
      if (isLocal(opened)) continue;
      checkView(view, [opened], "prune");
      try {
        pruned += await opened.prune(limit, view);
      } catch (error) {
        failure ??= wrap(error, name, "prune", []);
      }
    }
    if (failure) throw failure;
    return pruned;
  }

  /** Releases every storage, also when one of them fails. @throws ERR_STORAGE_WRITE naming the first that failed. */
  async close(): Promise<void> {
    let failure: CacheError | undefined;
    for (const { name, storage } of this.remotes()) {
      try {
        await storage.close?.();
      } catch (error) {
        failure ??= wrap(error, name, "close", []);
      }
    }
    if (failure) throw failure;
  }

  private wrapped(name: string, storage: Storage, given: StorageOption): RemoteStorage {
    const rules = guardOf(storage, this.guard);
    if (!this.host.runtime.requestScoped || storage.traits.scope !== "request") return createRemoteStorage(this.host, name, storage, rules);
    if (typeof given !== "function")
      throw new TypeError(`storage ${describe(name)} holds sockets, which on this runtime belong to one request: give it as a function that makes it`);
    let unused: Storage | undefined = storage;
    return createRemoteStorage(this.host, name, storage, rules, () => {
      const one = unused ?? checkedRemote(name, made(name, given));
      unused = undefined;
      return one;
    });
  }
}

/** @throws TypeError if one of these storages has an instance for each view, and the bare cache asks. */
export function checkView(scope: Scope, storages: readonly RemoteStorage[], at: string): void {
  const socket = scope.isView ? undefined : storages.find(({ perView }) => perView);
  if (!socket) return;
  const why = `storage ${describe(socket.name)} holds sockets, which on this runtime belong to one request`;
  throw new TypeError(`${at}: ${why}: ask through cache.with({ ... }), made in each request`);
}

/** Whether a storage is an isolate-local tier. */
export function isLocal(storage: unknown): storage is LocalTier {
  return typeof storage === "object" && storage !== null && "kind" in storage && storage.kind === "local";
}

/** What a function of the user's makes. What it throws may hold an address or a password. @throws TypeError */
function made(name: string, make: () => unknown): unknown {
  try {
    return make();
  } catch (error) {
    throw new TypeError(`storage ${describe(name)} could not be made: ${redactMaking(error)}`);
  }
}

function checkedRemote(name: string, storage: unknown): Storage {
  const made = checked(name, storage);
  if (isLocal(made)) throw new TypeError(`createCache: storages[${describe(name)}] made a remote storage before, and a local tier now`);
  return made;
}

function checked(name: string, storage: unknown): Storage | LocalTier {
  if (isLocal(storage)) return storage;
  if (!isStorage(storage))
    throw new TypeError(`createCache: storages[${describe(name)}] must be a storage, local() or a function that makes one, got ${describe(storage)}`);
  const { maxKeyBytes, maxBatch, conditional } = storage.traits;
  const at = `storage ${describe(name)}`;
  if (maxKeyBytes !== undefined && !(typeof maxKeyBytes === "number" && maxKeyBytes >= MIN_KEY_BYTES))
    throw new TypeError(`${at}: maxKeyBytes must be at least ${MIN_KEY_BYTES}, got ${describe(maxKeyBytes)}`);
  if (maxBatch !== undefined && !(Number.isInteger(maxBatch) && maxBatch >= 1))
    throw new TypeError(`${at}: maxBatch must be a whole number of at least 1, got ${describe(maxBatch)}`);
  for (const trait of ["maxValueBytes", "minTtlMs"] as const) {
    const limit = storage.traits[trait];
    if (limit !== undefined && !(typeof limit === "number" && limit >= 0)) throw new TypeError(`${at}: ${trait} must be a number, got ${describe(limit)}`);
  }
  if (storage.setup !== undefined && typeof storage.setup !== "string") throw new TypeError(`${at}: setup must be a string, got ${describe(storage.setup)}`);
  if (conditional && typeof storage.ensure !== "function") throw new TypeError(`${at}: a storage with conditional writes needs ensure`);
  return storage;
}

function isStorage(storage: unknown): storage is Storage {
  if (typeof storage !== "object" || storage === null) return false;
  const { name, traits, read, write, remove, raise } = storage as Partial<Record<keyof Storage, unknown>>;
  if (typeof name !== "string" || typeof traits !== "object" || traits === null) return false;
  return [read, write, remove, raise].every((method) => typeof method === "function");
}
