/**
 * What `bench/growth.ts` does ten million times: one operation for each subject, on a cache as a user sets it up, with names
 * that never come again. It relies on the package by its name; the remote tier is a stub that stores nothing, so that whatever
 * grows is ours.
 *
 * @module
 */
import { bloomFilter, createCache, defineNode, local } from "cacheme";
import type { Cache, CacheNode, Storage } from "cacheme";

const AT_ONCE = 100;
const LOCAL_ENTRIES = 10_000;
const GENERATION = 1_800_000_000_000_000;
const NODES = 20;

/** A cache under load. */
export interface Running {
  /** Does operations `from` to `from + count`, and no other run has those numbers. */
  do(from: number, count: number): Promise<void>;
  /** Waits for what runs in the background. */
  rest(): Promise<void>;
  /** Throws unless the cache has really done so many. */
  check(count: number): void;
}

/** An operation to repeat. */
export interface Subject {
  readonly title: string;
  readonly start: () => Running;
}

interface Forgetful extends Storage {
  readonly calls: { keys: number; raised: number };
}

/** A storage that counts and keeps nothing: every slot is absent, every write accepted, every generation the same. */
function forgetful(): Forgetful {
  const calls = { keys: 0, raised: 0 };
  return {
    name: "forgetful",
    traits: { conditional: true, consistency: "strong" },
    calls,
    async read(slots, generations) {
      return { slots: slots.map(() => undefined), generations: generations.map(() => GENERATION) };
    },
    async write(entries) {
      calls.keys += entries.length;
      return entries.map(() => true);
    },
    async remove() {},
    async raise(names) {
      calls.raised += names.length;
    },
    async ensure(generations) {
      return generations.map(() => GENERATION);
    },
  };
}

interface Parts {
  readonly cache: Cache;
  readonly node: CacheNode<number, { readonly id: number }>;
  readonly nodes: readonly CacheNode<number, { readonly id: number }>[];
  readonly far: Forgetful;
}

type Rules = { readonly tagged?: boolean; readonly guarded?: boolean };

let made = 0;

function parts({ tagged = false, guarded = false }: Rules): Parts {
  const far = forgetful();
  const doorkeeper = guarded ? bloomFilter({ capacity: 50_000 }) : undefined;
  const nodes = Array.from({ length: NODES }, () =>
    defineNode({
      name: `Growth${++made}`,
      key: (id: number) => ["growth", id],
      load: (id) => ({ id }),
      caches: [
        { storage: "local", ttl: "10m" },
        { storage: "far", ttl: "1h" },
      ],
      doorkeeper,
      tags: tagged ? (id: number) => [`tag ${id}`] : undefined,
    }),
  );
  const cache = createCache({ storages: { local: local({ maxEntries: LOCAL_ENTRIES }), far } });
  const [node] = nodes;
  if (!node) throw new TypeError("no node");
  return { cache, node, nodes, far };
}

/** A subject whose operation is done for 100 numbers at once. `done` counts, where the storage sees it. */
function subject(title: string, rules: Rules, operate: (own: Parts, ids: readonly number[]) => Promise<unknown>, done: (own: Parts) => number): Subject {
  return {
    title,
    start() {
      const own = parts(rules);
      return {
        async do(from, count) {
          for (let at = 0; at < count; at += AT_ONCE) {
            await operate(
              own,
              Array.from({ length: Math.min(AT_ONCE, count - at) }, (_, index) => from + at + index),
            );
          }
        },
        rest: () => own.cache.flush(),
        check(count) {
          if (done(own) !== count) throw new Error(`${title}: ${done(own)} operations were done, ${count} were asked for`);
        },
      };
    },
  };
}

const requests = ({ cache, nodes }: Parts): number => nodes.reduce((sum, node) => sum + cache.stats(node).requestCount, 0);

/** Every subject by its name on the command line. */
export const SUBJECTS: Readonly<Record<string, Subject>> = {
  get: subject(
    `\`get\` of keys of ${NODES} nodes`,
    {},
    ({ cache, nodes, node }, ids) => Promise.all(ids.map((id) => cache.get((nodes[id % NODES] ?? node)(id)))),
    requests,
  ),
  doorkeeper: subject("`get` past a doorkeeper", { guarded: true }, ({ cache, node }, ids) => cache.getAll(ids.map((id) => node(id))), requests),
  tagged: subject("`get` of keys with a tag each", { tagged: true }, ({ cache, node }, ids) => cache.getAll(ids.map((id) => node(id))), requests),
  set: subject(
    "`set`",
    {},
    ({ cache, node }, ids) => cache.setAll(ids.map((id) => [node(id), { id }])),
    ({ far }) => far.calls.keys,
  ),
  invalidate: subject(
    "`invalidate` of unknown keys",
    {},
    ({ cache, node }, ids) => cache.invalidate(ids.map((id) => node(id))),
    ({ far }) => far.calls.keys,
  ),
  invalidateTags: subject(
    "`invalidateTags` of unknown tags",
    { tagged: true },
    ({ cache }, ids) => cache.invalidateTags(...ids.map((id) => `tag ${id}`)),
    ({ far }) => far.calls.raised,
  ),
};
