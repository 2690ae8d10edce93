import { describe, expect, test } from "vitest";
import type { Storage, WriteEntry } from "../../src/storage.ts";
import { memoryStorage, type ContractSubject, type MemoryStorage } from "../../testing/index.ts";
import { clausesOf } from "./clauses.ts";

/** A storage that breaks its promise in one way, made of one that keeps it. */
type Mutant = (inner: MemoryStorage) => Partial<Storage>;

function rekeyed(inner: MemoryStorage, change: (key: string) => string): Partial<Storage> {
  return {
    read: (keys, generations, signal) => inner.read(keys.map(change), generations, signal),
    remove: (keys, signal) => inner.remove(keys.map(change), signal),
    write: async (entries, signal) => (await Promise.all(entries.map((entry) => inner.write([{ ...entry, key: change(entry.key) }], signal)))).flat(),
  };
}

function rewritten(inner: MemoryStorage, change: (entry: WriteEntry) => WriteEntry): Partial<Storage> {
  return { write: (entries, signal) => inner.write(entries.map(change), signal) };
}

function reread(inner: MemoryStorage, change: (bytes: Uint8Array) => Uint8Array | undefined): Partial<Storage> {
  return {
    async read(keys, generations, signal) {
      const result = await inner.read(keys, generations, signal);
      const slots = result.slots.map((slot) => {
        const bytes = slot === undefined ? undefined : change(slot.bytes);
        return bytes === undefined ? undefined : { ...slot, bytes };
      });
      return { ...result, slots };
    },
  };
}

function whole(inner: MemoryStorage, entry: WriteEntry): Uint8Array | undefined {
  return inner.slots.get(entry.key)?.bytes.subarray(0, 8);
}

const mutants: Readonly<Record<string, Mutant>> = {
  "ignores stamps": (inner) => rewritten(inner, (entry) => ({ ...entry, ifStamp: undefined })),
  "takes a stamp for mere presence": (inner) =>
    rewritten(inner, (entry) => (entry.ifStamp ? { ...entry, ifStamp: whole(inner, entry) ?? entry.ifStamp } : entry)),
  "takes 'only if absent' for 'always'": (inner) => rewritten(inner, (entry) => (entry.ifStamp === null ? { ...entry, ifStamp: undefined } : entry)),
  "takes 'always' for 'only if absent'": (inner) => rewritten(inner, (entry) => (entry.ifStamp === undefined ? { ...entry, ifStamp: null } : entry)),
  "takes an empty stamp for absence": (inner) => rewritten(inner, (entry) => (entry.ifStamp?.length === 0 ? { ...entry, ifStamp: null } : entry)),
  "compares the beginning of a stamp": (inner) =>
    rewritten(inner, (entry) => {
      const stands = whole(inner, entry);
      const begins = entry.ifStamp && stands && entry.ifStamp.length > 0 && entry.ifStamp.every((byte, index) => byte === stands[index]);
      return begins ? { ...entry, ifStamp: stands } : entry;
    }),
  "compares an expired slot's stamp": (inner) => ({
    write: (entries, signal) =>
      inner.write(
        entries.map((entry) => (entry.ifStamp && whole(inner, entry)?.join() === entry.ifStamp.join() ? { ...entry, ifStamp: undefined } : entry)),
        signal,
      ),
  }),
  "never says that it refused": (inner) => ({ write: async (entries, signal) => (await inner.write(entries, signal)).map(() => true) }),
  "answers in another order": (inner) => ({ write: async (entries, signal) => (await inner.write(entries, signal)).toReversed() }),
  "takes the whole buffer": (inner) => rewritten(inner, (entry) => ({ ...entry, bytes: new Uint8Array(entry.bytes.buffer) })),
  "forgets to expire": (inner) => rewritten(inner, (entry) => ({ ...entry, ttlMs: null })),
  "keeps the old life": (inner) => rewritten(inner, (entry) => ({ ...entry, ttlMs: entry.ttlMs ?? 60 })),
  "lets everything expire at once": (inner) => rewritten(inner, (entry) => ({ ...entry, ttlMs: entry.ttlMs === null ? null : 1 })),
  "folds case": (inner) => rekeyed(inner, (key) => key.toLowerCase()),
  "trims keys": (inner) => rekeyed(inner, (key) => key.trimEnd()),
  "normalizes keys": (inner) => rekeyed(inner, (key) => key.normalize("NFC")),
  "cuts keys at NUL": (inner) => rekeyed(inner, (key) => key.split("\u0000")[0] ?? ""),
  "drops a byte order mark": (inner) => rekeyed(inner, (key) => key.replaceAll("\ufeff", "")),
  "cuts long keys": (inner) => rekeyed(inner, (key) => key.slice(0, 255)),
  "reads slots as UTF-8": (inner) => reread(inner, (bytes) => new TextEncoder().encode(new TextDecoder().decode(bytes))),
  "takes an empty slot for an absent one": (inner) => reread(inner, (bytes) => (bytes.length === 0 ? undefined : bytes)),
  "takes 'null' for an absent slot": (inner) => reread(inner, (bytes) => (new TextDecoder().decode(bytes) === "null" ? undefined : bytes)),
  "leaves missing keys out": (inner) => ({
    async read(keys, generations, signal) {
      const result = await inner.read(keys, generations, signal);
      return { ...result, slots: result.slots.filter((slot) => slot !== undefined) };
    },
  }),
  "reads absence when it is aborted": (inner) => ({
    read: async (keys, generations, signal) =>
      signal.aborted ? { slots: keys.map(() => undefined), generations: generations.map(() => undefined) } : inner.read(keys, generations, signal),
  }),
  "says a write was done when it was aborted": (inner) => ({
    write: async (entries, signal) => (signal.aborted ? entries.map(() => true) : inner.write(entries, signal)),
  }),
  "removes nothing": () => ({ remove: async () => undefined }),
  "removes the first key only": (inner) => ({ remove: (keys, signal) => inner.remove(keys.slice(0, 1), signal) }),
  "raises to the same number": (inner) => ({ raise: async (names, signal) => void (await inner.ensure(names, signal)) }),
  "raises the first generation only": (inner) => ({ raise: (names, signal) => inner.raise(names.slice(0, 1), signal) }),
  "raises with every `ensure`": (inner) => ({
    async ensure(names, signal) {
      await inner.raise(names, signal);
      return inner.ensure(names, signal);
    },
  }),
  "makes generations only up": (inner) => ({ ensure: async (names, signal) => (await inner.ensure(names, signal)).map((number) => number + 1) }),
  "lowers a generation": (inner) => ({
    async raise(names) {
      for (const name of names) inner.generations.set(name, (inner.generations.get(name) ?? 2) - 1);
    },
  }),
  "answers missing generations with 0": (inner) => ({
    async read(keys, generations, signal) {
      const result = await inner.read(keys, generations, signal);
      return { ...result, generations: result.generations.map((number) => number ?? 0) };
    },
  }),
};

function subjectOf(mutant: Mutant): ContractSubject {
  let now = 1_700_000_000_000;
  const inner = memoryStorage({ clock: { now: () => now } });
  return {
    storage: { ...inner, ...mutant(inner) },
    unique: "mutant",
    pass(ms) {
      now += ms;
    },
  };
}

async function brokenClauses(mutant: Mutant): Promise<string[]> {
  const broken: string[] = [];
  const subject = subjectOf(mutant);
  for (const { name, run } of clausesOf(["plantForeign", "plantText"])) await run(subject).catch(() => broken.push(name));
  return broken;
}

describe("the storage contract notices a storage that", () => {
  test.each(Object.entries(mutants))("%s", async (_, mutant) => {
    expect(await brokenClauses(mutant)).not.toEqual([]);
  });
});

test("the storage contract finds no fault with a storage that has none", async () => {
  expect(await brokenClauses(() => ({}))).toEqual([]);
});
