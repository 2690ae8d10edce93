/**
 * The clauses about slots and their life that every storage keeps, conditional or not.
 *
 * @module
 */
import { bytesOf, callsOf, equal, holds, noise, type ContractCase, type ContractSubject } from "./contract-kit.ts";

/** A life that is over soon, and that the storage can give. */
function shortLife({ storage }: ContractSubject): number {
  return Math.max(60, storage.traits.minTtlMs ?? 1);
}

function canPass(subject: ContractSubject): boolean {
  return subject.pass !== undefined;
}

export const slotCases: readonly ContractCase[] = [
  {
    name: "an empty batch does nothing and is no error",
    async run({ storage }) {
      const signal = new AbortController().signal;
      const { slots, generations } = await storage.read([], [], signal);
      equal([slots.length, generations.length], [0, 0], "nothing is read");
      equal((await storage.write([], signal)).length, 0, "nothing is written");
      await storage.remove([], signal);
      await storage.raise([], signal);
      equal((await storage.ensure?.([], signal))?.length ?? 0, 0, "nothing is ensured");
    },
  },
  {
    name: "a slot that was never written is absent",
    async run(subject) {
      const { key, read } = callsOf(subject);
      equal(await read(key("none")), [undefined], "the slot");
    },
  },
  {
    name: "a batch with missing keys is aligned with its input",
    async run(subject) {
      const { key, put, read } = callsOf(subject);
      await put(key("1"), bytesOf(1));
      await put(key("3"), bytesOf(3));
      const slots = await read(key("0"), key("1"), key("2"), key("3"), key("4"));
      equal(
        slots.map((slot) => slot?.bytes),
        [undefined, bytesOf(1), undefined, bytesOf(3), undefined],
        "the slots",
      );
    },
  },
  {
    name: "a later write replaces an earlier one, and its life",
    async run(subject) {
      const { key, write, put, bytes } = callsOf(subject);
      await write({ key: key("k"), bytes: noise(50, 5), ttlMs: shortLife(subject) });
      await put(key("k"), bytesOf(2));
      await subject.pass?.(shortLife(subject) + 60);
      equal(await bytes(key("k")), bytesOf(2), "the slot");
    },
  },
  {
    name: "a removed slot is absent, and removing a missing one is no error",
    async run(subject) {
      const { key, put, read, remove } = callsOf(subject);
      await put(key("1"), bytesOf(1));
      await put(key("2"), bytesOf(2));
      await remove(key("none"), key("1"));
      equal(
        (await read(key("1"), key("2"))).map((slot) => slot?.bytes),
        [undefined, bytesOf(2)],
        "the slots",
      );
    },
  },
  {
    name: "a slot is absent once its life is over, and one without end stays",
    needs: canPass,
    async run(subject) {
      const { key, write, read } = callsOf(subject);
      const life = shortLife(subject);
      await write(
        { key: key("short"), bytes: bytesOf(1), ttlMs: life },
        { key: key("long"), bytes: bytesOf(2), ttlMs: 3_600_000 },
        { key: key("ever"), bytes: bytesOf(3), ttlMs: null },
      );
      await subject.pass?.(life + 60);
      equal(
        (await read(key("short"), key("long"), key("ever"))).map((slot) => slot?.bytes),
        [undefined, bytesOf(2), bytesOf(3)],
        "the slots",
      );
    },
  },
  {
    name: "a life shorter than the storage can give, or a broken part of a ms, is no error",
    async run(subject) {
      const { key, write, read } = callsOf(subject);
      const outcomes = await write({ key: key("1"), bytes: bytesOf(1), ttlMs: 0.25 }, { key: key("2"), bytes: bytesOf(2), ttlMs: 3_600_000.5 });
      holds(!outcomes.includes(false), "both are written");
      equal((await read(key("2")))[0]?.bytes, bytesOf(2), "the slot with the longer life");
    },
  },
  {
    name: "a remaining life, where it is told, lies within the life that was given",
    async run(subject) {
      const { key, write, read } = callsOf(subject);
      await write({ key: key("hour"), bytes: bytesOf(1), ttlMs: 3_600_000 }, { key: key("ever"), bytes: bytesOf(2), ttlMs: null });
      const [hour, ever] = await read(key("hour"), key("ever"));
      const left = hour?.remainingMs;
      holds(left === undefined || (left > 3_500_000 && left <= 3_600_000), `about an hour is left, got ${left}`);
      equal(ever?.remainingMs, undefined, "what is left of a life without end");
    },
  },
  {
    name: "a call whose signal is aborted rejects or tells the truth",
    async run({ storage, ...subject }) {
      const { key, put, bytes } = callsOf({ storage, ...subject });
      await put(key("k"), bytesOf(1));
      const aborted = AbortSignal.abort();
      const read = await storage.read([key("k")], [], aborted).catch(() => undefined);
      if (read !== undefined) equal(read.slots[0]?.bytes, bytesOf(1), "a read that was answered");
      const written = await storage.write([{ key: key("k"), bytes: bytesOf(2), ttlMs: null }], aborted).catch(() => undefined);
      if (written !== undefined && written[0] !== undefined) equal(await bytes(key("k")), written[0] ? bytesOf(2) : bytesOf(1), "a write that was answered");
    },
  },
];
