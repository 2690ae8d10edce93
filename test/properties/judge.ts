/**
 * What must hold in every run of a simulation, whatever the schedule. The judge is told of every operation and every answer,
 * and looks at the servers when all is at rest. It knows the promises, not how they are kept.
 *
 * - *No resurrection*: what an `invalidate`, `set` or `refresh` that resolved has replaced is never seen again, by nobody who
 *   asked later. Bounded exceptions, which are part of the promise: a local copy in another isolate for its ttl and one
 *   storage budget; a flight of another isolate that is joined; a tier without guard.
 * - *At rest* no guarded slot holds such a value either.
 * - Operations end; they cost no more calls than they should; readers never see a storage's error.
 *
 * @module
 */
import { freshLeftMs } from "../../src/entry.ts";
import { createOwner, decodeSlot } from "../../src/envelope.ts";
import { isCacheError } from "../../src/errors.ts";
import { DELAY_MS, namesOf, versions } from "./world.ts";
import type { Op, Server, Version } from "./world.ts";

/** Times of every simulation, in ms. */
export const TIMES = {
  local: 10_000,
  hard: 20_000,
  storeWithin: 20_000,
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
}

/** A `get` says nothing of where its value is from. */
export const UNTOLD: Path = { source: undefined, collapsed: false, guarded: true };

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
  /** An operation ended with an error. */
  rejection(op: Op, error: unknown): string | undefined;
  /** All is at rest: what the servers hold. */
  atRest(servers: readonly Server[], node: string, now: number, wallNow: number): string | undefined;
  /** What an operation has cost. */
  cost(op: Op, servers: readonly Server[]): string | undefined;
}

export const SOURCE_FAILED = "the source failed";

/** @param sets all operations that are a `set`. */
export function createJudge(ops: readonly Op[], servers: readonly Server[]): Judge {
  const floors: Floor[] = [];
  const slack = TIMES.budget + TIMES.stall;
  const localMs = TIMES.local + slack;
  const joinedMs = TIMES.hard + 3 * slack;
  const weakest = Math.max(0, ...servers.filter(({ weak }) => weak).map(({ ttlMs }) => ttlMs));
  const weakMs = weakest === 0 ? 0 : weakest + DELAY_MS + TIMES.storeWithin + TIMES.lateness;

  /** A `set` that ran at the same time has no order with the floor. */
  function raced({ how, by }: Version, floor: Floor): boolean {
    const set = ops[by];
    return how === "set" && set !== undefined && set.endStep > floor.op.startStep;
  }
  /** How long after the floor an older version may still be seen this way, in ms. */
  function graceMs(op: Op, value: Version, { source, collapsed, guarded }: Path, floor: Floor): number {
    if (weakMs > 0 && (source === undefined || !guarded)) return weakMs;
    if (op.isolate === floor.op.isolate) return 0;
    if (source === undefined) return Math.max(localMs, joinedMs);
    if (source === "local") return localMs;
    const joined = collapsed || (source === "load" && value.by !== op.index);
    return joined ? joinedMs : 0;
  }

  return {
    resolved(op, replaced) {
      floors.push({ op, versions: replaced });
    },
    answer(op, key, value, path, now) {
      if (value.key !== key) return `${op.name} asked for key ${key} and got a value of key ${value.key}`;
      for (const floor of floors) {
        const least = floor.versions.get(key);
        if (least === undefined || value.version >= least || floor.op.endStep >= op.startStep || raced(value, floor)) continue;
        if (now - floor.op.endAt <= graceMs(op, value, path, floor) && graceMs(op, value, path, floor) > 0) continue;
        return `${floor.op.name} had resolved for v${least}, then ${op.name} got v${value.version} of key ${key} from ${path.source ?? "the cache"}`;
      }
      return undefined;
    },
    rejection(op, error) {
      const reads = op.kind === "get" || op.kind === "getAll" || op.kind === "bypass";
      const loads = reads || op.kind === "refresh";
      if (loads && error instanceof Error && error.message === SOURCE_FAILED) return undefined;
      if (loads && isCacheError(error, "ERR_LOAD_TIMEOUT")) return undefined;
      if (!reads && isCacheError(error, "ERR_STORAGE_WRITE")) return undefined;
      return `${op.name} rejected with ${String(error)}`;
    },
    atRest(all, node, now, wallNow) {
      const names = namesOf(node);
      const owner = createOwner(node, "", "cacheme");
      for (const server of all) {
        for (const [key, fullKey] of names.keys.entries()) {
          const kept = server.standing(fullKey);
          if (server.weak || !kept) continue;
          const decoded = decodeSlot(kept.bytes, owner, fullKey);
          if (decoded.kind === "tombstone") continue;
          if (decoded.kind !== "entry" || !(decoded.payload instanceof Uint8Array)) return `${server.storage.name} holds something else under key ${key}`;
          if (decoded.generations[0] !== server.generations.get(names.generation)) continue;
          if (freshLeftMs(decoded.times, kept.until - now, wallNow, server.ttlMs) <= 0) continue;
          const value = versions.decode(decoded.payload);
          const floor = floors.find((candidate) => value.version < (candidate.versions.get(key) ?? 0) && !raced(value, candidate));
          if (floor) return `at rest ${server.storage.name} holds v${value.version} of key ${key}, and ${floor.op.name} had resolved`;
        }
      }
      return undefined;
    },
    cost(op, all) {
      for (const { storage, weak } of all) {
        const [read, write, remove, ensure] = ["read", "write", "remove", "ensure"].map((verb) => op.calls.get(`${verb} ${storage.name}`) ?? 0);
        const reads = 1 + (op.calls.get(`failed read ${storage.name}`) ?? 0);
        const said = `${op.name} cost ${read} reads, ${write} writes, ${remove} removals and ${ensure} ensures of ${storage.name}`;
        if (read === undefined || write === undefined || remove === undefined || ensure === undefined || ensure > 1) return said;
        if (op.kind === "inv") {
          if (read > 0 || write !== (weak ? 0 : 1) || remove !== (weak ? 1 : 0)) return said;
        } else if (op.kind === "set" || op.kind === "refresh" || op.kind === "bypass") {
          if (read > reads || write > (weak ? 1 : 2) || remove > 1) return said;
        } else if (read > reads || write > op.keys.length || remove > 0) return said;
      }
      const loads = op.calls.get("load source") ?? 0;
      const most = op.kind === "inv" || op.kind === "set" ? 0 : op.keys.length;
      return loads > most ? `${op.name} cost ${loads} loads` : undefined;
    },
  };
}
