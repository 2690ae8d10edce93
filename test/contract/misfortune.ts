/**
 * What every storage has to do when its user or its server is at fault: the reader gets its value from the loader, the writer an
 * error by name, the operator one event a minute that says what to do, and nobody a secret. It declares no test.
 *
 * @module
 */
import { inspect } from "node:util";
import { expect } from "vitest";
import { local } from "../../src/local/local.ts";
import type { NotReadyReason } from "../../src/events.ts";
import type { Storage } from "../../src/storage.ts";
import { counted, failure, rig } from "../support/rig.ts";
import type { Rig } from "../support/rig.ts";

/** Part of every secret, key and value here, so that one search finds them all. */
const MARK = "canary";

/** Secrets as short as people choose them: nothing hides them but that they are left out. */
export const SECRET = { token: "tokencanary", password: "pwcanary", user: "usercanary", host: "hostcanary", value: "valuecanary", key: "keycanary" } as const;

/** The mark as text, in hexadecimal, and in base64 wherever in three bytes it begins. */
const SPELLINGS: readonly string[] = [
  MARK,
  Buffer.from(MARK).toString("hex"),
  ...[0, 1, 2].map((before) =>
    Buffer.from("x".repeat(before) + MARK)
      .toString("base64")
      .slice(before === 0 ? 0 : before + 1, 8),
  ),
];

/** All that can be seen of something: as text, as JSON, with what is hidden in it, and of an error its stack and its causes. */
function shown(thing: unknown): string {
  const parts = [inspect(thing, { depth: 20, showHidden: true, maxStringLength: null, maxArrayLength: null }), String(thing), JSON.stringify(thing) ?? ""];
  for (let error = thing, depth = 0; error instanceof Error && depth < 9; error = error.cause, depth++) parts.push(error.message, error.stack ?? "");
  return parts.join("\n");
}

/** Fails if a secret, a key or a value can be seen in any of these. */
export function expectNoSecret(...things: readonly unknown[]): void {
  for (const thing of things) {
    const text = shown(thing).toLowerCase();
    expect(SPELLINGS.filter((spelling) => text.includes(spelling.toLowerCase())).map((spelling) => `${spelling} in ${text}`)).toEqual([]);
  }
}

/** The TypeError that a factory throws for bad options; it shows no secret. */
export function refusalOf(make: () => unknown): string {
  try {
    make();
  } catch (error) {
    return refusalIn(error);
  }
  throw new Error("it was not refused");
}

/** The same for what a promise rejected with. */
export function refusalIn(error: unknown): string {
  expect(error).toBeInstanceOf(TypeError);
  expectNoSecret(error);
  return error instanceof TypeError ? error.message : "";
}

/** What a storage in trouble is expected to say. */
export interface Trouble {
  /** In every message of it. */
  readonly words: RegExp;
  /** What ails it, if that is known: then there is one event a minute. */
  readonly reason?: NotReadyReason;
  /** Calls that still succeed, as on a store that is full. Default: none. */
  readonly succeeds?: readonly ("read" | "remove" | "set" | "prune")[];
}

interface Stage extends Rig {
  readonly Item: ReturnType<typeof counted<string>>;
}

function stageOf(storage: Storage, guard: { readonly breaker: false } | undefined): Stage {
  const made = rig({ storages: { local: local(), far: storage }, guard });
  const caches = [
    { storage: "local", ttl: "1h" },
    { storage: "far", ttl: "1h" },
  ] as const;
  return { ...made, Item: counted<string>({ caches, load: (key, nth) => `${SECRET.value} of ${key} #${nth}` }) };
}

/** Reads for more than a minute: every value comes from the loader, and the operator is told once, then once more. */
async function expectReaders(storage: Storage, { words, reason, succeeds = [] }: Trouble): Promise<void> {
  const { cache, clock, events, seen, inFlight, Item } = stageOf(storage, undefined);
  let asked = 0;
  async function ask(): Promise<void> {
    const key = `${SECRET.key} ${++asked}`;
    expect(await cache.get(Item(key))).toBe(`${SECRET.value} of ${key} #${asked}`);
    await cache.flush();
  }
  async function until(ms: number): Promise<void> {
    const end = clock.monotonic() + ms;
    // Twice a cool-down, so that the breaker lets one through each time.
    for (; clock.monotonic() < end; await clock.advance(2_500)) await ask();
  }
  for (let call = 0; call < 10; call++) await ask();
  await until(57_500);
  expect(Item.loads.length).toBe(asked);
  expect(inFlight()).toBe(0);
  const told = events.filter((event) => event.type === "storage-not-ready" || event.type === "storage-failed");
  expect(told.length).toBeGreaterThan(0);
  for (const event of told) {
    expect(event.error.message).toMatch(words);
    expect(event.error.cause).toBe(undefined);
  }
  // The breaker bounds what is not known to last: so many failures, and a probe for each cool-down.
  if (reason === undefined) expect(told.length).toBeLessThanOrEqual(5 + 60 / 5);
  else {
    expect(told).toMatchObject([{ type: "storage-not-ready", storage: "far", reason }]);
    await until(10_000);
    expect(seen("storage-not-ready").length).toBe(2);
    expect(seen("storage-failed")).toEqual([]);
  }
  expect(seen("breaker-opened").length).toBe(succeeds.includes("read") ? 0 : 1);
  expectNoSecret(events, cache.stats());
}

/** Calls whose caller has to know: each rejects by name, or succeeds where it can. */
async function expectWriters(storage: Storage, { words, succeeds = [] }: Trouble): Promise<void> {
  const { cache, events, inFlight, Item } = stageOf(storage, { breaker: false });
  const reference = Item(SECRET.key);
  const calls = { set: () => cache.set(reference, SECRET.value), prune: () => (storage.prune ? cache.prune(10) : Promise.reject(new Error("no prune"))) };
  for (const call of ["set", "prune"] as const) {
    if (call === "prune" && storage.prune === undefined) continue;
    if (succeeds.includes(call)) {
      await calls[call]();
      continue;
    }
    const error = await failure(calls[call]());
    expect(error).toMatchObject({ name: "CacheError", code: "ERR_STORAGE_WRITE" });
    expect(String(error)).toContain('"far"');
    if (call === "prune") expect(String(error)).toMatch(words);
    expectNoSecret(error);
  }
  if (!succeeds.includes("remove")) {
    const error = await failure(cache.invalidate(reference));
    expect(error).toMatchObject({ name: "CacheError", code: "ERR_STORAGE_WRITE" });
    expectNoSecret(error);
  }
  // The others of a batch are not harmed either: all have their values.
  const keys = Array.from({ length: 50 }, (_, index) => `${SECRET.key} of many ${index}`);
  expect(await cache.getAll(keys.map(Item))).toEqual(keys.map((key) => expect.stringContaining(`${SECRET.value} of ${key} #`)));
  expect(await cache.lookup(Item(`${SECRET.key} looked up`))).toMatchObject({ source: "load" });
  await cache.flush();
  expect(inFlight()).toBe(0);
  expectNoSecret(events, cache.stats());
}

/** A storage in trouble, seen from all sides. */
export async function expectTrouble(storage: Storage, trouble: Trouble): Promise<void> {
  await expectReaders(storage, trouble);
  await expectWriters(storage, trouble);
}
