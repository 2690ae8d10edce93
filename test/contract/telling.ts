/**
 * The contract asks what became of each conditional write; MySQL cannot tell, and the storages on it answer `undefined`. Here
 * the slot itself is asked: the write was made if the slot holds what was written. It relies on the contract never writing
 * what already stands there.
 *
 * @module
 */
import type { Storage, WriteEntry } from "../../src/storage.ts";

/** The same storage, except that `write` finds out what it was not told. */
export function telling(storage: Storage): Storage {
  async function found(entries: readonly WriteEntry[], signal: AbortSignal): Promise<boolean[]> {
    const keys = entries.map(({ key }) => key);
    const { slots } = await storage.read(keys, [], signal);
    return entries.map(({ bytes }, index) => slots[index]?.bytes.join() === bytes.join());
  }
  return {
    ...storage,
    async write(entries, signal) {
      const outcomes = await storage.write(entries, signal);
      if (!outcomes.includes(undefined)) return outcomes;
      const really = await found(entries, signal);
      return outcomes.map((outcome, index) => outcome ?? really[index]);
    },
  };
}
