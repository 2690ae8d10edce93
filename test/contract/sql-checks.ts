/**
 * What the storages of the SQL family have to do beyond the storage contract: exact keys and values up to their limits, few
 * round trips, rows that are invisible as soon as they have expired, pruning by parts, errors that surface. Declared for
 * vitest; each subject is asked for when a test runs.
 *
 * @module
 */
import { randomBytes, randomUUID } from "node:crypto";
import { describe, expect, test } from "vitest";
import type { Storage } from "../../src/storage.ts";
import { itemsOf, KINDS, keyOf, pass } from "./sql-kit.ts";

/** A storage of the family and its surroundings. */
export interface SqlSubject {
  readonly storage: Storage;
  /** The same kind of storage on a table that does not exist. */
  readonly broken: Storage;
  /** Round trips so far, as the server or the bridge counts them. */
  readonly trips: () => number | Promise<number>;
  /** Rows in the table, expired ones included. */
  readonly rows: () => Promise<number>;
}

const signal = new AbortController().signal;

/** Declares the checks; `trips` says how many round trips a `getAll` of 500 keys takes, `ensure` how many that call does. */
export function runSqlChecks(
  name: string,
  subject: () => SqlSubject,
  { trips = 1, ensure = 1 }: { readonly trips?: number; readonly ensure?: number } = {},
): void {
  describe(`beyond the contract, ${name}`, () => {
    test("keys of every kind and of every length are told apart, through single calls and batches", async () => {
      const { storage } = subject();
      const unique = randomUUID();
      const longest = Math.min(storage.traits.maxKeyBytes ?? 8192, 8192);
      const lengths = [40, 255, 256, 257, 512, 767, 768, 1024, longest - 1, longest].filter((length) => length <= longest);
      const keys = [...KINDS.map((kind) => unique + kind), ...KINDS.map((kind) => `${unique}${kind}|x`), ...lengths.map((length) => keyOf(unique, length))];
      await storage.write(
        keys.map((key, index) => ({ key, bytes: Uint8Array.of(index), ttlMs: null })),
        signal,
      );
      const batch = await storage.read(keys, [], signal);
      expect(batch.slots.map((slot) => slot?.bytes)).toEqual(keys.map((_, index) => Uint8Array.of(index)));
      for (const [index, key] of keys.entries()) {
        const single = await storage.read([key], [], signal);
        expect([key, single.slots[0]?.bytes]).toEqual([key, Uint8Array.of(index)]);
      }
    });

    test("one byte is key enough, and the cache takes keys of 8 KB", async () => {
      const { storage } = subject();
      await storage.write([{ key: "k", bytes: Uint8Array.of(7), ttlMs: 60_000 }], signal);
      expect((await storage.read(["k"], [], signal)).slots[0]?.bytes).toEqual(Uint8Array.of(7));
      const { Item, loads, open } = itemsOf(["", keyOf("", 8191), keyOf("", 8192)]);
      const refs = [Item(0), Item(1), Item(2)];
      const cache = open(storage);
      expect(await cache.getAll(refs)).toEqual(["value 0", "value 1", "value 2"]);
      await cache.flush();
      expect(await open(storage).getAll(refs)).toEqual(["value 0", "value 1", "value 2"]);
      expect(loads()).toBe(3);
    });

    test("values of 0 bytes, 1 byte, every byte and 1 MB come back exactly", async () => {
      const { storage } = subject();
      const most = storage.traits.maxValueBytes ?? Infinity;
      const values = [0, 1, 256, 65_535, 65_536, Math.min(1_000_000, most)].map((length) =>
        length === 256 ? Uint8Array.from({ length }, (_, index) => index) : new Uint8Array(randomBytes(length)),
      );
      const keys = values.map(() => randomUUID());
      for (const [index, key] of keys.entries()) await storage.write([{ key, bytes: values[index] ?? new Uint8Array(), ttlMs: 60_000, ifStamp: null }], signal);
      for (const [index, key] of keys.entries()) {
        const { slots } = await storage.read([key], [], signal);
        expect(Buffer.compare(slots[0]?.bytes ?? Buffer.from("absent"), values[index] ?? Buffer.from("none"))).toBe(0);
      }
    });

    test(`a getAll of 500 stored keys takes ${trips === 1 ? "one round trip" : `${trips} round trips`}, an invalidate one`, async () => {
      const { storage, trips: count } = subject();
      const { Item, loads, open } = itemsOf(Array.from({ length: 500 }, (_, index) => String(index)));
      const refs = Array.from({ length: 500 }, (_, index) => Item(index));
      const cache = open(storage);
      await cache.getAll(refs);
      await cache.flush();
      expect(loads()).toBe(500);
      const other = open(storage);
      let before = await count();
      expect(await other.getAll(refs)).toEqual(refs.map((_, index) => `value ${index}`));
      expect([(await count()) - before, loads()]).toEqual([trips, 500]);
      before = await count();
      await other.invalidate(Item(0));
      expect((await count()) - before).toBe(1);
    });

    test("a batch of conditional writes takes one round trip, and so do removing, and raising many generations", async () => {
      const { storage, trips: count } = subject();
      const entries = Array.from({ length: 100 }, (_, index) => ({
        key: randomUUID(),
        bytes: Uint8Array.of(index),
        ttlMs: 60_000,
        ifStamp: index % 2 === 0 ? null : Uint8Array.of(1),
      }));
      const generations = Array.from({ length: 20 }, () => `\u0001${randomUUID()}`);
      const taken: number[] = [];
      for (const call of [
        () => storage.write(entries, signal),
        () => storage.ensure?.(generations, signal),
        () => storage.raise(generations, signal),
        () => storage.remove(generations, signal),
        () =>
          storage.read(
            entries.map(({ key }) => key),
            generations,
            signal,
          ),
      ]) {
        const before = await count();
        await call();
        taken.push((await count()) - before);
      }
      expect(taken).toEqual([1, ensure, 1, 1, 1]);
    });

    test("a row that has expired is invisible at once, and pruned by parts; what lives or has no end stays", async () => {
      const { storage, rows } = subject();
      while ((await storage.prune?.(1000, signal)) ?? 0);
      const before = await rows();
      const entry = (ttlMs: number | null) => ({ key: randomUUID(), bytes: Uint8Array.of(1), ttlMs });
      const dead = Array.from({ length: 25 }, () => entry(20));
      const alive = [...Array.from({ length: 5 }, () => entry(60_000)), ...Array.from({ length: 5 }, () => entry(null))];
      await storage.write([...dead, ...alive], signal);
      await pass(40);
      const { slots } = await storage.read(
        [...dead, ...alive].map(({ key }) => key),
        [],
        signal,
      );
      expect(slots.map((slot) => slot !== undefined)).toEqual([...dead.map(() => false), ...alive.map(() => true)]);
      expect(await rows()).toBe(before + 35);
      const counts: (number | undefined)[] = [];
      for (let part = 0; part < 4; part += 1) counts.push(await storage.prune?.(10, signal));
      expect(counts).toEqual([10, 10, 5, 0]);
      expect(await rows()).toBe(before + 10);
    });

    test("a key that was written again after it had expired is not pruned", async () => {
      const { storage } = subject();
      const key = randomUUID();
      await storage.write([{ key, bytes: Uint8Array.of(1), ttlMs: 5 }], signal);
      await pass(20);
      await storage.write([{ key, bytes: Uint8Array.of(2), ttlMs: 60_000, ifStamp: null }], signal);
      await storage.prune?.(1000, signal);
      expect((await storage.read([key], [], signal)).slots[0]?.bytes).toEqual(Uint8Array.of(2));
    });

    test("pruning beside writers of the rows it is after is no error, and takes nothing that lives again", async () => {
      const { storage } = subject();
      const keys = Array.from({ length: 100 }, () => randomUUID());
      const write = (ttlMs: number, byte: number) =>
        storage.write(
          keys.map((key) => ({ key, bytes: Uint8Array.of(byte), ttlMs })),
          signal,
        );
      for (let round = 0; round < 5; round += 1) {
        await write(1, 1);
        await pass(3);
        const prunes = Array.from({ length: 4 }, async () => storage.prune?.(40, signal));
        const writes = Array.from({ length: 4 }, () => write(60_000, 2));
        await Promise.all([...prunes, ...writes]);
        const { slots } = await storage.read(keys, [], signal);
        expect(slots.map((slot) => slot?.bytes[0])).toEqual(keys.map(() => 2));
      }
    });

    test("many writers at once neither lose a row nor lock one another out", async () => {
      const { storage } = subject();
      const keys = Array.from({ length: 50 }, () => randomUUID());
      const orders = [keys, keys.toReversed()];
      await Promise.all(
        Array.from({ length: 12 }, (_, writer) =>
          storage.write(
            (orders[writer % 2] ?? keys).map((key) => ({ key, bytes: Uint8Array.of(writer), ttlMs: 60_000 })),
            signal,
          ),
        ),
      );
      const { slots } = await storage.read(keys, [], signal);
      expect(slots.filter((slot) => slot === undefined)).toEqual([]);
      const created = await Promise.all(
        Array.from({ length: 8 }, () => storage.write([{ key: `${keys[0]}once`, bytes: Uint8Array.of(1), ttlMs: 60_000, ifStamp: null }], signal)),
      );
      expect(created.flat().filter((outcome) => outcome === true).length).toBeLessThanOrEqual(1);
    });

    test("a table that is missing is an error of every call, and the caller of the cache gets its value from the loader", async () => {
      const { broken } = subject();
      for (const call of [
        () => broken.read(["k"], [], signal),
        () => broken.write([{ key: "k", bytes: Uint8Array.of(1), ttlMs: null }], signal),
        () => broken.remove(["k"], signal),
        () => broken.raise(["g"], signal),
        async () => broken.ensure?.(["g"], signal),
        async () => broken.prune?.(10, signal),
      ]) {
        await expect(call()).rejects.toThrow(/table|relation|doesn't exist/i);
      }
      const { Item, open } = itemsOf(["a"]);
      expect(await open(broken).get(Item(0))).toBe("value 0");
    });
  });
}
