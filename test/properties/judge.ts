/**
 * What must hold in every run of a simulation, whatever the schedule. The judge is told of every operation and every answer,
 * and looks at the servers when all is at rest. It knows the promises, not how they are kept.
 *
 * - *No resurrection*: what an invalidation (of keys, the node, a tag), a `set` or a `refresh` that resolved has replaced is
 *   never seen again, by nobody who asked later. Bounded exceptions, which are part of the promise: a local copy in another
 *   isolate for its ttl, its node's longer window and one storage budget; a flight of another isolate that is joined; a tier
 *   without guard. To a view that was made after the invalidation, only the last applies.
 * - *Stale*: once an isolate has read a tombstone, it serves no stale copy of what stood before it.
 * - *At rest* no guarded slot holds such a value either.
 * - Operations end; they cost no more calls than they should; readers never see a storage's error.
 *
 * @module
 */
import { freshLeftMs } from "../../src/entry.ts";
import { createOwner, decodeSlot } from "../../src/envelope.ts";
import { isCacheError } from "../../src/errors.ts";
import { DELAY_MS, generationsOf, KEYS, versions } from "./world.ts";
import type { Op, Server, Version } from "./world.ts";

/** Times of every simulation, in ms. */
export const TIMES = {
  local: 10_000,
  hard: 20_000,
  storeWithin: 20_000,
  /** Windows after the ttl, of nodes that have them. */
  whileLoading: 3_000,
  ifError: 5_000,
  /** After this a load is slow, and a stale copy answers in its place. */
  soft: 1_000,
  /** Of a storage call. */
  budget: 12_000,
  /** A call is applied at most so long after it was sent, which must be below the margin of 60 s. */
  lateness: 50_000,
  /** A timer that is held back is late by this. */
  stall: 600,
} as const;

/** Where an answer came from, as far as the caller was told. */
export interface Path {
  /** The tier's name, `"load"`, or `undefined` if the call does not say. */
  readonly source: string | undefined;
  readonly collapsed: boolean;
  readonly guarded: boolean;
  /** Whether the value was past its life. */
  readonly stale: boolean;
}

/** A `get` says nothing of where its value is from. */
export const UNTOLD: Path = { source: undefined, collapsed: false, guarded: true, stale: false };

/** An operation that resolved, and below which version its keys must never be seen again. */
interface Floor {
  readonly op: Op;
  readonly versions: ReadonlyMap<number, number>;
}

/** See the file's head. Each question answers with what is wrong. */
export interface Judge {
  /** A replacing operation resolved. */
  resolved(op: Op, versions: ReadonlyMap<number, number>): void;
  /** A caller got a value. */
  answer(op: Op, key: number, value: Version, path: Path, now: number): string | undefined;
  /** An isolate was told of a tombstone that stood at a step. */
  heard(isolate: number, key: number, atStep: number, step: number): void;
  /** An operation ended with an error. */
  rejection(op: Op, error: unknown): string | undefined;
  /** All is at rest: what the servers hold. */
  atRest(now: number, wallNow: number): string | undefined;
  /** What an operation has cost. */
  cost(op: Op): string | undefined;
}

export const SOURCE_FAILED = "the source failed";

/** What a judge is told beforehand. */
export interface Case {
  readonly ops: readonly Op[];
  readonly servers: readonly Server[];
  /** The node's name, and whether its first key has a tag. */
  readonly node: string;
  readonly tagged: boolean;
  /** The longer window after the ttl. */
  readonly keepMs: number;
}

/** A tombstone that an isolate knows of. */
interface Rumour {
  readonly isolate: number;
  readonly key: number;
  readonly atStep: number;
  readonly step: number;
}

/** See the file's head. */
export function createJudge({ ops, servers, node, tagged, keepMs }: Case): Judge {
  const floors: Floor[] = [];
  const rumours: Rumour[] = [];
  const slack = TIMES.budget + TIMES.stall;
  const localMs = TIMES.local + keepMs + slack;
  const joinedMs = TIMES.hard + 3 * slack;
  const weakest = Math.max(0, ...servers.filter(({ weak }) => weak).map(({ ttlMs }) => ttlMs));
  const weakMs = weakest === 0 ? 0 : weakest + keepMs + DELAY_MS + TIMES.storeWithin + TIMES.lateness;

  /** A `set` that ran at the same time has no order with the floor. */
  function raced({ how, by }: Version, floor: Floor): boolean {
    const set = ops[by];
    return how === "set" && set !== undefined && set.endStep > floor.op.startStep;
  }
  /** How long after the floor an older version may still be seen this way, in ms. */
  function graceMs(op: Op, value: Version, { source, collapsed, guarded }: Path, floor: Floor, now: number): number {
    if (weakMs > 0 && (source === undefined || !guarded)) return weakMs;
    if (op.isolate === floor.op.isolate || (op.view && floor.op.endStep < op.view.madeAtStep)) return 0;
    if (source === undefined) return Math.max(localMs, joinedMs) + (op.keys.length > 1 ? now - op.startAt : 0);
    // A list is answered as a whole: what was found locally at its beginning waits for the rest.
    if (source === "local") return op.keys.length > 1 ? localMs + now - op.startAt : localMs;
    const joined = collapsed || (source === "load" && value.by !== op.index);
    return joined ? joinedMs : 0;
  }

  /** Whether a stale copy is of before a tombstone that its isolate has read; parts of a list may be as old as the question. */
  function isKnownDead(op: Op, key: number, floor: Floor): boolean {
    return rumours.some(
      ({ isolate, key: of, atStep, step }) =>
        isolate === op.isolate && of === key && floor.op.endStep < atStep && (op.keys.length === 1 || step < op.startStep),
    );
  }

  return {
    heard(isolate, key, atStep, step) {
      rumours.push({ isolate, key, atStep, step });
    },
    resolved(op, replaced) {
      floors.push({ op, versions: replaced });
    },
    answer(op, key, value, path, now) {
      if (value.key !== key) return `${op.name} asked for key ${key} and got a value of key ${value.key}`;
      for (const floor of floors) {
        const least = floor.versions.get(key);
        if (least === undefined || value.version >= least || floor.op.endStep >= op.startStep || raced(value, floor)) continue;
        const grace = path.stale && path.guarded && isKnownDead(op, key, floor) ? 0 : graceMs(op, value, path, floor, now);
        if (grace > 0 && now - floor.op.endAt <= grace) continue;
        return `${floor.op.name} had resolved for v${least}, then ${op.name} got v${value.version} of key ${key} from ${path.source ?? "the cache"}`;
      }
      return undefined;
    },
    rejection(op, error) {
      const reads = ["get", "getAll", "after", "bypass"].includes(op.kind);
      const loads = reads || op.kind === "refresh" || op.kind === "other";
      if (loads && error instanceof Error && error.message === SOURCE_FAILED) return undefined;
      if (loads && isCacheError(error, "ERR_LOAD_TIMEOUT")) return undefined;
      if (!reads && isCacheError(error, "ERR_STORAGE_WRITE")) return undefined;
      return `${op.name} rejected with ${String(error)}`;
    },
    atRest(now, wallNow) {
      const owner = createOwner(node, "", "cacheme");
      for (const server of servers) {
        for (const [key, fullKey] of KEYS.entries()) {
          const kept = server.standing(fullKey);
          if (server.weak || !kept) continue;
          const decoded = decodeSlot(kept.bytes, owner, fullKey);
          if (decoded.kind === "tombstone") continue;
          if (decoded.kind !== "entry" || !(decoded.payload instanceof Uint8Array)) return `${server.storage.name} holds something else under key ${key}`;
          if (generationsOf(node, tagged, key).some((name, index) => decoded.generations[index] !== server.generations.get(name))) continue;
          if (freshLeftMs(decoded.times, kept.until - now, wallNow, server.ttlMs) <= -keepMs) continue;
          const value = versions.decode(decoded.payload);
          const floor = floors.find((candidate) => value.version < (candidate.versions.get(key) ?? 0) && !raced(value, candidate));
          if (floor) return `at rest ${server.storage.name} holds v${value.version} of key ${key}, and ${floor.op.name} had resolved`;
        }
      }
      return undefined;
    },
    cost(op) {
      if (op.kind === "other") return undefined;
      for (const { storage, weak } of servers) {
        const of = (verb: string): number => op.calls.get(`${verb} ${storage.name}`) ?? 0;
        const [read, write, remove, ensure, raise] = [of("read"), of("write"), of("remove"), of("ensure"), of("raise")];
        const reads = 1 + of("failed read");
        const said = `${op.name} cost ${read} reads, ${write} writes, ${remove} removals, ${ensure} ensures and ${raise} raises of ${storage.name}`;
        const raises = op.kind === "node" || op.kind === "tag";
        if (ensure > 1 || raise !== (raises && !weak ? 1 : 0)) return said;
        if (raises) {
          if (read + write + remove + ensure > 0) return said;
        } else if (op.kind === "inv") {
          if (read > 0 || write !== (weak ? 0 : 1) || remove !== (weak ? 1 : 0)) return said;
        } else if (op.kind === "set" || op.kind === "refresh" || op.kind === "bypass") {
          if (read > reads || write > (weak ? 1 : 2) || remove > 1) return said;
        } else if (read > reads || write > op.keys.length || remove > 0) return said;
      }
      const loads = op.calls.get("load source") ?? 0;
      const most = ["inv", "node", "tag", "set"].includes(op.kind) ? 0 : op.keys.length;
      return loads > most ? `${op.name} cost ${loads} loads` : undefined;
    },
  };
}
