/**
 * Runs the storage contract inside a runtime, whichever it is. It relies on timers and `crypto` alone. It plants nothing
 * beside the storage, so the clauses about what somebody else wrote are left to the tests of each storage.
 *
 * @module
 */
import { storageContract, type ContractSubject } from "../../../testing/index.ts";
import type { Storage } from "../../../src/storage.ts";
import type { Outcome } from "./protocol.ts";

/** A storage and what belongs to it. */
export interface Opened {
  /** Or what makes one for each clause. */
  readonly storage: Storage | (() => Storage);
  /** Lets time go by on its clock. Default: time itself; `null`: that would take too long. */
  readonly pass?: ((ms: number) => void) | null | undefined;
  /** Closes the client that the storage was given. */
  readonly close?: (() => unknown) | undefined;
}

/** How to come by each storage that this runtime has; left out where the server is. */
export type Openers = Readonly<Record<string, (() => Promise<Opened> | Opened) | undefined>>;

/** A clause that takes longer hangs. */
const CLAUSE_MS = 60_000;

/** Runs every clause that applies: one storage's one after the other, the storages beside each other. */
export async function runContracts(openers: Openers, report: (outcome: Outcome) => void): Promise<void> {
  await Promise.all(Object.entries(openers).map(async ([name, open]) => open && runStorage(name, open, report)));
}

/** Runs one clause with a storage; answers what was broken, or `null`. */
export async function runClause(opened: Opened, clause: string): Promise<string | null> {
  const found = storageContract.find(({ name }) => name === clause);
  if (found === undefined) return "there is no such clause";
  return inTime(found.run(subjectOf(opened)));
}

async function runStorage(storage: string, open: () => Promise<Opened> | Opened, report: (outcome: Outcome) => void): Promise<void> {
  let opened: Opened | undefined;
  try {
    opened = await open();
    for (const { name, needs } of storageContract) {
      if (needs?.(subjectOf(opened)) ?? true) report({ storage, clause: name, error: await runClause(opened, name) });
    }
  } catch (error) {
    report({ storage, clause: "the storage opens", error: String(error) });
  } finally {
    await opened?.close?.();
  }
}

function subjectOf({ storage, pass }: Opened): ContractSubject {
  return { storage: typeof storage === "function" ? storage() : storage, unique: crypto.randomUUID(), pass: pass === null ? undefined : (pass ?? wait) };
}

function wait(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

function inTime(run: Promise<void>): Promise<string | null> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve(`it did not end within ${CLAUSE_MS} ms`), CLAUSE_MS);
    const settle = (error: string | null): void => {
      clearTimeout(timer);
      resolve(error);
    };
    run.then(
      () => settle(null),
      (error: unknown) => settle(String(error)),
    );
  });
}
