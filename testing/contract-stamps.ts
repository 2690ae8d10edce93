/**
 * The clauses about conditional writes: with them a storage refuses a load that an `invalidate` has overtaken.
 *
 * @module
 */
import { bytesOf, callsOf, equal, holds, isConditional, noise, type ContractCase } from "./contract-kit.ts";

/** Text that no slot begins with, or that looks like one and is none. */
const FOREIGN_TEXTS: readonly string[] = [
  "x",
  "null",
  "true",
  "12345678",
  "123456789",
  "no slot of ours begins like this",
  "*",
  "=",
  "AAAA",
  "AAAAAAAAAAA=",
  "AAAAAAAAAAB=",
  "AAAAAAAAAAAA",
  "AAAAAAAAAA==",
  "AAAAAAAAAA==AAAA",
  "AAAAAAAAAAA=!",
  "aGVsbG8gd29ybGQ=",
  "A===",
  "AA=A",
  "AAB=",
  "AB==",
  "\ufeffAAAAAAAAAAA=",
  "\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9",
  "AAAAAAAAAAA\n",
];

export const stampCases: readonly ContractCase[] = [
  {
    name: "'only if absent' writes where there is no slot and refuses where there is one",
    needs: isConditional,
    async run(subject) {
      const { key, put, bytes } = callsOf(subject);
      equal(await put(key("k"), bytesOf("first one"), null), true, "the first");
      equal(await put(key("k"), bytesOf("second one"), null), false, "the second");
      equal(await bytes(key("k")), bytesOf("first one"), "the slot");
    },
  },
  {
    name: "a stamp writes while the slot shows it, and refuses when it shows another or is absent",
    needs: isConditional,
    async run(subject) {
      const { key, put, bytes } = callsOf(subject);
      await put(key("k"), bytesOf("stamp--1 old"));
      equal(await put(key("k"), bytesOf("stamp--3 bad"), bytesOf("stamp--2")), false, "under another stamp");
      equal(await put(key("k"), bytesOf("stamp--2 new"), bytesOf("stamp--1")), true, "under its stamp");
      equal(await put(key("k"), bytesOf("stamp--3 bad"), bytesOf("stamp--1")), false, "under the old stamp");
      equal(await put(key("none"), bytesOf("stamp--3 bad"), bytesOf("stamp--1")), false, "where there is no slot");
      equal([await bytes(key("k")), await bytes(key("none"))], [bytesOf("stamp--2 new"), undefined], "the slots");
    },
  },
  {
    name: "a write on no terms replaces whatever is there, as a tombstone must",
    needs: isConditional,
    async run(subject) {
      const { key, put, bytes } = callsOf(subject);
      equal(await put(key("k"), bytesOf("tombston")), true, "on an absent slot");
      equal(await put(key("k"), bytesOf("tombsto2")), true, "on a slot");
      equal(await put(key("k"), bytesOf("late one"), null), false, "a back-fill that had read absence");
      equal(await bytes(key("k")), bytesOf("tombsto2"), "the slot");
    },
  },
  {
    name: "a slot shorter than a stamp is compared whole",
    needs: isConditional,
    async run(subject) {
      const { key, put } = callsOf(subject);
      for (const length of [1, 2, 3, 4, 5, 6, 7, 8]) {
        const name = key(String(length));
        await put(name, noise(length, length));
        equal(await put(name, bytesOf(1), noise(length, length).subarray(0, length - 1)), false, `${length - 1} of ${length} bytes`);
        equal(await put(name, bytesOf(1), Uint8Array.of(...noise(length, length), 0)), false, `${length} bytes and one more`);
        equal(await put(name, bytesOf(1), noise(length, length)), true, `${length} of ${length} bytes`);
      }
    },
  },
  {
    name: "an empty slot is there, and its stamp is empty",
    needs: isConditional,
    async run(subject) {
      const { key, put } = callsOf(subject);
      await put(key("k"), bytesOf());
      equal(await put(key("k"), bytesOf(1), null), false, "only if absent");
      equal(await put(key("k"), bytesOf(1), bytesOf(0)), false, "under one zero byte");
      equal(await put(key("none"), bytesOf(1), bytesOf()), false, "the empty stamp where there is no slot");
      equal(await put(key("k"), bytesOf(1), bytesOf()), true, "the empty stamp");
    },
  },
  {
    name: "a stamp is compared byte by byte, whatever its bytes are",
    needs: isConditional,
    async run(subject) {
      const { key, put } = callsOf(subject);
      const stamps = [
        bytesOf(0, 0, 0, 0, 0, 0, 0, 0),
        noise(8, 7),
        bytesOf("*"),
        bytesOf(""),
        bytesOf("="),
        bytesOf("========"),
        bytesOf(255, 254, 0, 10, 13, 128, 42, 61),
      ];
      for (const [index, stamp] of stamps.entries()) {
        for (const [other, ifStamp] of stamps.entries()) {
          await put(key("k"), stamp);
          equal(await put(key("k"), bytesOf("written"), ifStamp), index === other, `slot ${index} under stamp ${other}`);
        }
      }
    },
  },
  {
    name: "entries of one batch are each written on their own terms",
    needs: isConditional,
    async run(subject) {
      const { key, put, write, read } = callsOf(subject);
      for (const name of ["1", "2", "3", "4", "5"]) await put(key(name), bytesOf(`stamp--${name}`));
      const bytes = bytesOf("new value");
      const outcomes = await write(
        { key: key("0"), bytes, ttlMs: null, ifStamp: null },
        { key: key("1"), bytes, ttlMs: null, ifStamp: null },
        { key: key("2"), bytes, ttlMs: 60_000, ifStamp: bytesOf("stamp--2") },
        { key: key("3"), bytes, ttlMs: 60_000, ifStamp: bytesOf("stamp--2") },
        { key: key("4"), bytes, ttlMs: null },
        { key: key("5"), bytes, ttlMs: null, ifStamp: null },
      );
      equal(outcomes, [true, false, true, false, true, false], "the outcomes");
      const slots = await read(...["0", "1", "2", "3", "4", "5"].map(key));
      equal(
        slots.map((slot) => slot?.bytes),
        [bytes, bytesOf("stamp--1"), bytes, bytesOf("stamp--3"), bytes, bytesOf("stamp--5")],
        "the slots",
      );
    },
  },
  {
    name: "an expired slot is absent to a stamp as well",
    needs: (subject) => isConditional(subject) && subject.pass !== undefined,
    async run(subject) {
      const { key, put, write, bytes } = callsOf(subject);
      const life = Math.max(60, subject.storage.traits.minTtlMs ?? 1);
      await write({ key: key("k"), bytes: bytesOf("stamp--1"), ttlMs: life });
      await subject.pass?.(life + 60);
      equal(await put(key("k"), bytesOf("under it"), bytesOf("stamp--1")), false, "under the stamp of the expired slot");
      equal(await put(key("k"), bytesOf("fresh"), null), true, "only if absent");
      equal(await bytes(key("k")), bytesOf("fresh"), "the slot");
    },
  },
  {
    name: "of many writers under one stamp exactly one wins",
    needs: isConditional,
    async run(subject) {
      const { key, put, bytes } = callsOf(subject);
      for (const stamp of [null, bytesOf("stamp--0")]) {
        const name = key(stamp === null ? "absent" : "stamped");
        if (stamp !== null) await put(name, stamp);
        const outcomes = await Promise.all(Array.from({ length: 20 }, (_, index) => put(name, Uint8Array.of(index, ...noise(8, index + 20)), stamp)));
        equal(outcomes.filter((outcome) => outcome === true).length, 1, "winners");
        equal((await bytes(name))?.[0], outcomes.indexOf(true), "the slot is the winner's");
      }
    },
  },
  {
    name: "a key of another type reads as absent and refuses only itself",
    needs: (subject) => isConditional(subject) && subject.plantForeign !== undefined,
    async run(subject) {
      const { key, write, read } = callsOf(subject);
      const foreign = [key("f1"), key("f2"), key("f3")];
      for (const name of foreign) await subject.plantForeign?.(name);
      const bytes = bytesOf("new value");
      const stamps = [undefined, null, bytesOf("stamp--1")];
      const entries = foreign.flatMap((name, index) => [
        { key: key(`before ${index}`), bytes, ttlMs: null, ifStamp: null },
        { key: name, bytes, ttlMs: null, ifStamp: stamps[index] },
        { key: key(`after ${index}`), bytes, ttlMs: null },
      ]);
      equal(
        await write(...entries),
        entries.map((_, index) => index % 3 !== 1),
        "the outcomes",
      );
      const slots = await read(...entries.map((entry) => entry.key));
      equal(
        slots.map((slot) => slot?.bytes),
        entries.map((_, index) => (index % 3 === 1 ? undefined : bytes)),
        "the slots",
      );
    },
  },
  {
    name: "a slot that somebody else filled is no error, and is healed by a write under the stamp that was read",
    needs: (subject) => isConditional(subject) && subject.plantText !== undefined,
    async run(subject) {
      const { key, put, read, bytes } = callsOf(subject);
      const keys = FOREIGN_TEXTS.map((_, index) => key(String(index)));
      for (const [index, text] of FOREIGN_TEXTS.entries()) await subject.plantText?.(keys[index] ?? "", text);
      const slots = await read(...keys);
      for (const [index, name] of keys.entries()) {
        const text = JSON.stringify(FOREIGN_TEXTS[index]);
        const stamp = slots[index]?.bytes.subarray(0, 8);
        holds(stamp !== undefined, `the slot ${text} is there`);
        equal(await put(name, bytesOf("intruder"), bytesOf("stamp--1")), false, `the slot ${text} under another stamp`);
        equal(await put(name, bytesOf("healed by a write"), stamp ?? null), true, `the slot ${text} under its stamp`);
        equal(await put(name, bytesOf("again"), stamp ?? null), false, `the slot ${text} once it is healed`);
        equal(await bytes(name), bytesOf("healed by a write"), `what was ${text}`);
      }
    },
  },
];
