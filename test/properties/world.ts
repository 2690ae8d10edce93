/**
 * What the isolates of a simulation share: servers that keep slots and generations, and the values in them. Every
 * call goes by mail, so nothing happens by itself here.
 *
 * @module
 */
import { generationKey, tagKey } from "../../src/key.ts";
import type { Serializer } from "../../src/serializer/serializer.ts";
import type { Slot, Storage, WriteEntry } from "../../src/storage.ts";
import type { Cache } from "../../src/types.ts";
import type { OpMail } from "./mail.ts";
import type { Choices } from "../../testing/random.ts";

/** One operation of a program: a call of the API in one isolate, by one request. */
export interface Op {
  readonly index: number;
  readonly kind: string;
  readonly name: string;
  readonly isolate: number;
  readonly keys: readonly number[];
  readonly startStep: number;
  readonly startAt: number;
  /** `Infinity` while it runs. */
  endStep: number;
  endAt: number;
  /** Its request was killed: no line of it runs any more. */
  dead: boolean;
  failed: boolean;
  /** A call of it failed or ran out of its budget, as far as its messages tell. */
  troubled: boolean;
  /** The versions of its keys' rows that it made, or was begun for. */
  versions: ReadonlyMap<number, number>;
  /** What it answered, and from where, if it says. */
  readonly answers: { readonly version: number; readonly source: string | undefined; readonly stale?: true }[];
  /** Calls to storages and to the source, by verb and target. */
  readonly calls: Map<string, number>;
  moves: number;
  /** From this move on the operation is slow. */
  slowFrom: number;
  /** The view that asks, where it knows of an invalidation. */
  view: View | undefined;
  /** Asks the source for a row, on behalf of this operation. */
  load(key: number): Promise<Version>;
}

/** A view of a cache that was made with the token of an invalidation. */
export interface View {
  readonly cache: Cache<string, undefined>;
  readonly madeAtStep: number;
}

/** A value: which version of which row, made by which operation. */
export interface Version {
  readonly key: number;
  readonly version: number;
  readonly by: number;
  /** A `set` carries no order; a load does. */
  readonly how: "load" | "set";
}

/** What a server needs from its simulation. */
export interface Post {
  readonly now: () => number;
  readonly choices: Choices;
  readonly mail: OpMail;
  /** Counts what has happened. */
  readonly step: () => number;
  /** The present operation was told that a key has a tombstone, which stood at a step. */
  readonly heard: (key: string, atStep: number) => void;
}

/** What a server keeps under a key. */
export interface Kept {
  readonly bytes: Uint8Array;
  readonly until: number;
}

/** How a server differs from a sound one, to see the properties fail. */
export interface Flaws {
  readonly ignoresStamps?: boolean | undefined;
  readonly comparesExpiredStamps?: boolean | undefined;
}

/** A server, with what the scheduler may do to it behind everybody's back. */
export interface Server {
  readonly storage: Storage;
  readonly weak: boolean;
  readonly ttlMs: number;
  readonly slots: ReadonlyMap<string, Kept>;
  readonly generations: Map<string, number>;
  /** The slot as a read would find it. */
  standing(key: string): Kept | undefined;
  /** Drops an expired slot; `any`: whatever it is. */
  evict(key: string, any: boolean): boolean;
  flush(): void;
  stepBack(ms: number): void;
}

/** How long a weak server may go on showing what was there before. */
export const DELAY_MS = 8_000;
/** Random digits under each tick of a server's clock: the time of a simulation often stands still. */
const SALT = 1_000_000;

interface Seen {
  readonly at: number;
  readonly kept: Kept | undefined;
}

/** A server that keeps the port's contract, or, if `weak`, the contract of an eventual store. */
export function createServer(name: string, ttlMs: number, weak: boolean, post: Post, flaws: Flaws = {}): Server {
  const slots = new Map<string, Kept>();
  const generations = new Map<string, number>();
  const history = new Map<string, Seen[]>();
  let skewMs = 0;

  const alive = (kept: Kept | undefined): Kept | undefined => (kept !== undefined && kept.until > post.now() ? kept : undefined);
  const standing = (key: string): Kept | undefined => alive(slots.get(key));

  function seen(key: string): Kept | undefined {
    if (!weak) return standing(key);
    const all = history.get(key) ?? [];
    const possible = [undefined, ...all].filter((_, index) => (all[index]?.at ?? Number.POSITIVE_INFINITY) >= post.now() - DELAY_MS);
    return alive(possible[possible.length - 1 - post.choices.pick(possible.length)]?.kept);
  }
  function put(key: string, kept: Kept | undefined): void {
    if (kept) slots.set(key, kept);
    else slots.delete(key);
    if (weak) history.set(key, [...(history.get(key) ?? []), { at: post.now(), kept }]);
  }
  function write({ key, bytes, ttlMs: lifeMs, ifStamp }: WriteEntry): boolean | undefined {
    const shown = flaws.comparesExpiredStamps ? slots.get(key) : standing(key);
    if (!weak && !flaws.ignoresStamps && !isStamp(shown, ifStamp)) return false;
    put(key, { bytes, until: post.now() + (lifeMs ?? Number.POSITIVE_INFINITY) });
    return weak ? undefined : true;
  }
  function lift(generation: string): number {
    const tick = Math.max(0, post.now() + skewMs) * SALT + post.choices.pick(SALT);
    const number = Math.max(tick, (generations.get(generation) ?? 0) + 1);
    generations.set(generation, number);
    return number;
  }
  const slotOf = (kept: Kept | undefined): Slot | undefined =>
    kept && (weak || kept.until === Number.POSITIVE_INFINITY ? { bytes: kept.bytes } : { bytes: kept.bytes, remainingMs: kept.until - post.now() });

  const storage: Storage = {
    name,
    traits: weak ? { consistency: "eventual" } : { conditional: true, consistency: "strong" },
    async read(keys, names, signal) {
      let atStep = 0;
      const result = await post.mail.ask(
        "read",
        name,
        signal,
        () => {
          atStep = post.step();
          return { slots: keys.map((key) => slotOf(seen(key))), generations: names.map((generation) => generations.get(generation)) };
        },
        ({ slots: shown }) => shown.map((slot) => describeSlot(slot?.bytes)).join(" "),
      );
      // What comes after its caller has given up is thrown away.
      if (!signal.aborted) for (const [index, slot] of result.slots.entries()) if (slot && isTombstone(slot.bytes)) post.heard(keys[index] ?? "", atStep);
      return result;
    },
    write: (entries, signal) =>
      post.mail.ask(
        "write",
        name,
        signal,
        () => entries.map(write),
        (stored) => entries.map(({ bytes }, index) => `${describeSlot(bytes)} ${stored[index] === false ? "REFUSED" : "stored"}`).join(", "),
      ),
    remove: (keys, signal) =>
      post.mail.ask(
        "remove",
        name,
        signal,
        () => keys.forEach((key) => put(key, undefined)),
        () => "",
      ),
    raise: (names, signal) =>
      post.mail.ask(
        "raise",
        name,
        signal,
        () => names.forEach((generation) => void lift(generation)),
        () => "",
      ),
    ensure: (names, signal) =>
      post.mail.ask(
        "ensure",
        name,
        signal,
        () => names.map((generation) => generations.get(generation) ?? lift(generation)),
        () => "",
      ),
  };
  return {
    storage,
    weak,
    ttlMs,
    slots,
    generations,
    standing,
    evict(key, any) {
      return slots.has(key) && (any || standing(key) === undefined) && slots.delete(key);
    },
    flush() {
      slots.clear();
      generations.clear();
    },
    stepBack(ms) {
      skewMs -= ms;
    },
  };
}

function isStamp(kept: Kept | undefined, ifStamp: Uint8Array | null | undefined): boolean {
  if (ifStamp === undefined) return true;
  if (ifStamp === null || kept === undefined) return ifStamp === null && kept === undefined;
  return kept.bytes.subarray(0, 8).every((byte, index) => byte === ifStamp[index]);
}

const FLAGS_AT = 10;

function isTombstone(bytes: Uint8Array): boolean {
  return ((bytes[FLAGS_AT] ?? 0) & 1) === 1;
}

/** For stories only: what a slot is, by its flags and its last bytes. */
export function describeSlot(bytes: Uint8Array | undefined): string {
  if (bytes === undefined) return "nothing";
  return isTombstone(bytes) ? "tombstone" : `v${versions.decode(bytes.subarray(-PAYLOAD_BYTES)).version}`;
}

const PAYLOAD_BYTES = 6;

/** Versions as six bytes. */
export const versions = {
  name: "versions",
  encode(value: unknown) {
    if (!isVersion(value)) throw new TypeError("not a version");
    const { key, version, by, how } = value;
    return Uint8Array.of(key, version >> 8, version & 0xff, by >> 8, by & 0xff, how === "load" ? 0 : 1);
  },
  decode(bytes: Uint8Array): Version {
    if (bytes.length !== PAYLOAD_BYTES) throw new TypeError("not a version");
    const at = (index: number): number => bytes[index] ?? 0;
    return { key: at(0), version: at(1) * 256 + at(2), by: at(3) * 256 + at(4), how: at(5) === 0 ? "load" : "set" };
  },
} satisfies Serializer;

/** Whether a value is one of the simulation's. */
export function isVersion(value: unknown): value is Version {
  return typeof value === "object" && value !== null && "key" in value && "version" in value && "by" in value && "how" in value;
}

/** The two keys of a simulation, as servers see them. */
export const KEYS: readonly string[] = ["cacheme:k0:", "cacheme:k1:"];
/** Where nodes have tags, the first key has this one. */
export const TAG = "tag";
/** The tag of a third key, which no property is about. */
export const OTHER_TAG = "other";

/** The names of the generations of a key. */
export function generationsOf(node: string, tagged: boolean, key: number): readonly string[] {
  const own = generationKey("cacheme", node);
  return tagged && key === 0 ? [own, tagKey("cacheme", TAG)] : [own];
}
