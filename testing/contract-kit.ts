/**
 * What the cases of the storage contract are made of: the subject they run against, and a few checks that throw. No test
 * runner is assumed.
 *
 * @module
 */
import type { Slot, Storage, StorageTraits, WriteEntry } from "../src/storage.ts";

/** A storage under test, and what its author can do to the world around it. Cases that need more than is there are left out. */
export interface ContractSubject {
  readonly storage: Storage;
  /** Begins every key; another one for each run against the same data. At most 100 bytes. */
  readonly unique: string;
  /** Lets at least `ms` go by on the storage's clock: a fake clock is advanced, a real server waited for. At most 200 ms is asked for beyond `minTtlMs`. */
  readonly pass?: ((ms: number) => Promise<void> | void) | undefined;
  /** Puts something under a key that is no string of bytes to the storage: a list, in Redis. */
  readonly plantForeign?: ((key: string) => Promise<void>) | undefined;
  /** Puts text under a key, in the storage's own type but not written by it. */
  readonly plantText?: ((key: string, text: string) => Promise<void>) | undefined;
}

/** One clause of the contract. */
export interface ContractCase {
  /** A sentence about behaviour. */
  readonly name: string;
  /** Whether the case applies; left out: always. */
  readonly needs?: ((subject: ContractSubject) => boolean) | undefined;
  /** Rejects with an `Error` that says what was broken. */
  run(subject: ContractSubject): Promise<void>;
}

/** Shorthand for calls without a deadline. */
export interface ContractCalls {
  readonly traits: StorageTraits;
  /** A key of this run and case. */
  readonly key: (name: string) => string;
  /** The name of a generation of this run and case; no key of a slot can equal it. */
  readonly generation: (name: string) => string;
  readonly read: (...keys: string[]) => Promise<readonly (Slot | undefined)[]>;
  readonly bytes: (key: string) => Promise<Uint8Array | undefined>;
  readonly write: (...entries: WriteEntry[]) => Promise<readonly (boolean | undefined)[]>;
  /** Writes one slot without end. */
  readonly put: (key: string, bytes: Uint8Array, ifStamp?: Uint8Array | null) => Promise<boolean | undefined>;
  readonly remove: (...keys: string[]) => Promise<void>;
  readonly standing: (...generations: string[]) => Promise<readonly (number | undefined)[]>;
  readonly ensure: (...generations: string[]) => Promise<readonly number[]>;
  readonly raise: (...generations: string[]) => Promise<void>;
}

let serial = 0;

/** The calls of one case; every call of this makes another set of keys. */
export function callsOf({ storage, unique }: ContractSubject): ContractCalls {
  serial += 1;
  const begin = `${unique}:${serial}:`;
  const signal = new AbortController().signal;
  async function read(...keys: string[]): Promise<readonly (Slot | undefined)[]> {
    const { slots, generations } = await storage.read(keys, [], signal);
    equal(slots.length, keys.length, "slots are aligned with their keys");
    equal(generations.length, 0, "no generation is answered that was not asked for");
    return slots;
  }
  async function write(...entries: WriteEntry[]): Promise<readonly (boolean | undefined)[]> {
    const written = await storage.write(entries, signal);
    equal(written.length, entries.length, "outcomes are aligned with their entries");
    return written;
  }
  return {
    traits: storage.traits,
    key: (name) => begin + name,
    generation: (name) => `\u0001${begin}${name}`,
    read,
    bytes: async (key) => (await read(key))[0]?.bytes,
    write,
    put: async (key, bytes, ifStamp) => (await write({ key, bytes, ttlMs: null, ifStamp }))[0],
    remove: (...keys) => storage.remove(keys, signal),
    async standing(...generations) {
      const result = await storage.read([], generations, signal);
      equal(result.generations.length, generations.length, "generations are aligned with their names");
      return result.generations;
    },
    async ensure(...generations) {
      if (storage.ensure === undefined) throw new Error("a conditional storage has `ensure`");
      return storage.ensure(generations, signal);
    },
    raise: (...generations) => storage.raise(generations, signal),
  };
}

/** Whether stamps and generations work. */
export function isConditional({ storage }: ContractSubject): boolean {
  return storage.traits.conditional === true;
}

/** Compares by content; throws an `Error` that shows both. */
export function equal(actual: unknown, expected: unknown, what: string): void {
  const [got, wanted] = [show(actual), show(expected)];
  if (got !== wanted) throw new Error(`${what}: expected ${wanted.slice(0, 300)}, got ${got.slice(0, 300)}`);
}

/** Throws an `Error` unless it holds. */
export function holds(condition: boolean, what: string): void {
  if (!condition) throw new Error(what);
}

function show(value: unknown): string {
  if (value instanceof Uint8Array) return `bytes(${Array.from(value).join()})`;
  if (Array.isArray(value)) return `[${Array.from(value, show).join(", ")}]`;
  return typeof value === "string" ? JSON.stringify(value) : String(value);
}

/** Bytes given as numbers, or text as UTF-8. */
export function bytesOf(...content: readonly number[] | readonly [string]): Uint8Array {
  const [first] = content;
  return typeof first === "string" ? new TextEncoder().encode(first) : Uint8Array.from(content, Number);
}

/** Bytes that look random and are the same every time. */
export function noise(length: number, seed: number): Uint8Array {
  let state = seed;
  return Uint8Array.from({ length }, () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state >>> 24;
  });
}
