/**
 * The reference storage: the port in a Map, exactly as its contract reads, for tests of code that uses a storage and as the
 * yardstick that the contract suite itself is checked with. It relies on nothing but the port. It is stricter than a real
 * server (a call beyond its own traits rejects) and it simulates neither delay nor failure.
 *
 * @module
 */
import { optionsOf } from "../src/fields.ts";
import { STAMP_BYTES, type ReadResult, type Slot, type Storage, type StorageTraits, type WriteEntry } from "../src/storage.ts";

/** What a {@link memoryStorage} holds under one key. */
export interface MemorySlot {
  readonly bytes: Uint8Array;
  /** Unix ms by the storage's clock, `Infinity` for no end. At that moment the slot is already gone. */
  readonly expiresAt: number;
}

/** Options of {@link memoryStorage}. */
export interface MemoryStorageOptions {
  /** Shown in stats and events. Default: `"memory"`. */
  readonly name?: string | undefined;
  /** The storage's own clock, Unix ms. Default: the host's. */
  readonly clock?: { now(): number } | undefined;
  /** Laid over `{ conditional: true, consistency: "strong" }`. */
  readonly traits?: StorageTraits | undefined;
}

/** How often each method of a {@link memoryStorage} was called. */
export interface MemoryCalls {
  read: number;
  write: number;
  remove: number;
  raise: number;
  ensure: number;
  prune: number;
}

/** A storage whose insides a test may look at, and change. */
export interface MemoryStorage extends Storage {
  readonly calls: MemoryCalls;
  /** Expired slots stay until they are overwritten, removed or pruned; `read` and `write` see them as absent. */
  readonly slots: Map<string, MemorySlot>;
  readonly generations: Map<string, number>;
  ensure(generations: readonly string[], signal: AbortSignal): Promise<readonly number[]>;
  prune(limit: number, signal: AbortSignal): Promise<number>;
}

/**
 * Makes a storage in memory that keeps the port's contract to the letter. A call takes effect at once, in the turn in which
 * it is made; its promise settles a microtask later. Bytes are copied on the way in and out, as a network would.
 *
 * Where the traits say `conditional: false`, `ifStamp` is ignored and `write` answers `undefined`. `minTtlMs` lengthens
 * shorter lives. It does not promise fairness, persistence or a limit of size.
 *
 * @param options see {@link MemoryStorageOptions}.
 * @throws TypeError for an option that there is not. A method rejects with a `RangeError` for a call beyond `maxBatch`,
 * `maxKeyBytes` or `maxValueBytes` and for a key written twice in one batch, with the signal's reason if that is aborted already.
 * @example
 * ```ts
 * import { createCache, local } from "cacheme";
 * import { memoryStorage } from "cacheme/testing";
 *
 * const shared = memoryStorage({ name: "shared" });
 * const cache = createCache({ storages: { local: local(), shared } });
 * // … use the cache, then: shared.calls.read, shared.slots.size
 * ```
 */
export function memoryStorage(options: MemoryStorageOptions = {}): MemoryStorage {
  const { name = "memory", clock = { now: () => Date.now() }, traits: own } = optionsOf(options, ["name", "clock", "traits"], "memoryStorage");
  const traits: StorageTraits = { conditional: true, consistency: "strong", ...own };
  const calls: MemoryCalls = { read: 0, write: 0, remove: 0, raise: 0, ensure: 0, prune: 0 };
  const slots = new Map<string, MemorySlot>();
  const generations = new Map<string, number>();

  function enter(method: keyof MemoryCalls, names: readonly string[], signal: AbortSignal): void {
    calls[method] += 1;
    signal.throwIfAborted();
    checkNames(names, traits);
  }
  function standing(key: string, now: number): MemorySlot | undefined {
    const slot = slots.get(key);
    return slot !== undefined && slot.expiresAt > now ? slot : undefined;
  }
  function lift(name: string): number {
    // The clock counts whole ms, so the last three digits of the µs are random; `old + 1` keeps the order strict.
    const now = Math.floor(clock.now()) * 1000 + Math.floor(Math.random() * 1000);
    const next = Math.max(now, (generations.get(name) ?? 0) + 1);
    generations.set(name, next);
    return next;
  }
  function writeOne(entry: WriteEntry, now: number): boolean | undefined {
    if (traits.conditional && !showsStamp(standing(entry.key, now), entry.ifStamp)) return false;
    const life = entry.ttlMs === null ? Infinity : Math.max(1, traits.minTtlMs ?? 1, Math.ceil(entry.ttlMs));
    slots.set(entry.key, { bytes: entry.bytes.slice(), expiresAt: now + life });
    return traits.conditional ? true : undefined;
  }

  return {
    name,
    traits,
    calls,
    slots,
    generations,
    async read(keys, names, signal): Promise<ReadResult> {
      enter("read", keys, signal);
      const now = clock.now();
      return {
        slots: keys.map((key) => toSlot(standing(key, now), now)),
        generations: names.map((name) => generations.get(name)),
      };
    },
    async write(entries, signal): Promise<readonly (boolean | undefined)[]> {
      enter(
        "write",
        entries.map((entry) => entry.key),
        signal,
      );
      checkEntries(entries, traits);
      const now = clock.now();
      return entries.map((entry) => writeOne(entry, now));
    },
    async remove(keys, signal): Promise<void> {
      enter("remove", keys, signal);
      for (const key of keys) slots.delete(key);
    },
    async raise(names, signal): Promise<void> {
      enter("raise", names, signal);
      for (const name of names) lift(name);
    },
    async ensure(names, signal): Promise<readonly number[]> {
      enter("ensure", names, signal);
      return names.map((name) => generations.get(name) ?? lift(name));
    },
    async prune(limit, signal): Promise<number> {
      enter("prune", [], signal);
      const now = clock.now();
      let pruned = 0;
      for (const [key, slot] of slots) {
        if (pruned >= limit) break;
        if (slot.expiresAt <= now && slots.delete(key)) pruned += 1;
      }
      return pruned;
    },
  };
}

function toSlot(slot: MemorySlot | undefined, now: number): Slot | undefined {
  if (slot === undefined) return undefined;
  const bytes = slot.bytes.slice();
  return slot.expiresAt === Infinity ? { bytes } : { bytes, remainingMs: slot.expiresAt - now };
}

function showsStamp(slot: MemorySlot | undefined, ifStamp: Uint8Array | null | undefined): boolean {
  if (ifStamp === undefined) return true;
  if (ifStamp === null || slot === undefined) return ifStamp === null && slot === undefined;
  const stamp = slot.bytes.subarray(0, STAMP_BYTES);
  return stamp.length === ifStamp.length && stamp.every((byte, index) => byte === ifStamp[index]);
}

function checkNames(names: readonly string[], { maxBatch = Infinity, maxKeyBytes = Infinity }: StorageTraits): void {
  if (names.length > maxBatch) throw new RangeError(`a call takes at most ${maxBatch} keys, got ${names.length}`);
  if (maxKeyBytes === Infinity) return;
  const encoder = new TextEncoder();
  for (const name of names) {
    const { length } = encoder.encode(name);
    if (length > maxKeyBytes) throw new RangeError(`a key takes at most ${maxKeyBytes} bytes, got ${length}`);
  }
}

function checkEntries(entries: readonly WriteEntry[], { maxValueBytes = Infinity }: StorageTraits): void {
  if (new Set(entries.map((entry) => entry.key)).size !== entries.length) throw new RangeError("a batch holds a key twice");
  for (const { bytes } of entries) {
    if (bytes.length > maxValueBytes) throw new RangeError(`a slot takes at most ${maxValueBytes} bytes, got ${bytes.length}`);
  }
}
