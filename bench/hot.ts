/**
 * The hot path: how many fresh local hits a CPU second go through `get`, beside a bare `Map.get` plus `Promise.resolve`, with
 * the reference made beforehand and made in the call (there the bare side builds the same key). Interleaved in one process,
 * medians of the rounds' ratios. Needs a built package. `--write` updates bench/results.md.
 *
 * "call" starts hits without waiting, so that nothing but `get` itself is in the figure; "await" waits for each, which adds
 * the same microtask to both sides. Without expiry a hit need not look at the clock, so both kinds of node are measured.
 *
 * @module
 */
import { parseArgs } from "node:util";
import { createCache, defineNode, local } from "cacheme";
import type { CacheNode, Duration } from "cacheme";
import { machineNote, updateResults } from "./lib/report.ts";
import { markdownTable, median } from "./lib/table.ts";
import { seededRandom, zipf } from "./lib/zipf.ts";

const HITS = 1_000_000;
const ROUNDS = 7;
/** Length of the pre-drawn order of keys, a power of two. */
const PICKS = 16_384;

interface Row {
  readonly uid: number;
}

/** Both sides of a comparison; each loop makes `HITS` hits. Loops are written out so that each is compiled for its own callee. */
interface Comparison {
  readonly name: string;
  readonly bare: () => unknown;
  readonly cacheme: () => unknown;
}

const { values: options } = parseArgs({ options: { write: { type: "boolean", default: false } } });
const nodes = [nodeOf("no expiry", null), nodeOf("ttl 1h", "1h")];
const cache = createCache({ storages: { local: local({ policy: "w-tinylfu", maxEntries: 40_000 }) } });

const rows = [["", "bare M/s", "cacheme M/s", "ratio, median", "range"]];
const cases = nodes.flatMap((node) => [1, 10_000].map((keyCount) => ({ node, keyCount })));
for (const { node, keyCount } of cases) {
  const comparisons = await prepare(node, keyCount);
  const rates = comparisons.map(() => ({ bare: [] as number[], cacheme: [] as number[] }));
  for (let round = -2; round < ROUNDS; round++) {
    for (const [i, comparison] of comparisons.entries()) {
      const bare = await rateOf(comparison.bare);
      const cacheme = await rateOf(comparison.cacheme);
      // The first two rounds are for the compiler.
      if (round < 0) continue;
      rates[i]?.bare.push(bare);
      rates[i]?.cacheme.push(cacheme);
    }
  }
  for (const [i, { bare, cacheme }] of rates.entries()) {
    const ratios = cacheme.map((rate, round) => rate / (bare[round] ?? Number.NaN));
    const range = `${Math.min(...ratios).toFixed(2)}–${Math.max(...ratios).toFixed(2)}`;
    rows.push([
      `${node.name}, ${keyCount === 1 ? "1 key" : "10,000 keys, zipf"}, ${comparisons[i]?.name ?? ""}`,
      median(bare).toFixed(1),
      median(cacheme).toFixed(1),
      median(ratios).toFixed(2),
      range,
    ]);
  }
}

const command = ["node bench/hot.ts", ...process.argv.slice(2)].join(" ");
const report = `## Fresh local hits\n\n${machineNote(command)}\n\nMedian of ${ROUNDS} interleaved rounds of ${HITS.toLocaleString("en-US")} hits, M/s by CPU time of the thread; goal of the "call" rows: 0.5.\n\n${markdownTable(rows)}`;
console.log(report);
if (options.write) await updateResults("hot", report);

type UserNode = CacheNode<number, Row>;

function nodeOf(name: string, ttl: Duration | null): UserNode {
  return defineNode({ name, key: (uid: number) => `uid:${uid}`, load: (uid): Row => ({ uid }), caches: [{ storage: "local", ttl }] });
}

async function prepare(UserInfo: UserNode, keyCount: number): Promise<Comparison[]> {
  const draw = zipf(seededRandom(1), { s: 1.001, v: 10, max: keyCount - 1 });
  const uids = Array.from({ length: PICKS }, keyCount === 1 ? () => 0 : draw);
  const map = new Map<string, Row>();
  for (let uid = 0; uid < keyCount; uid++) map.set(`uid:${uid}`, await cache.get(UserInfo(uid)));
  // One string and one reference for each key, as a program holds them.
  const references = Array.from({ length: keyCount }, (_, uid) => UserInfo(uid));
  const strings = [...map.keys()];
  const refs = uids.map((uid) => references[uid] ?? UserInfo(uid));
  const keys = uids.map((uid) => strings[uid] ?? "");
  return [...calls(UserInfo, map, keys, refs, uids), ...awaits(UserInfo, map, keys, refs, uids)];
}

type Ref = ReturnType<UserNode>;

function calls(UserInfo: UserNode, map: ReadonlyMap<string, Row>, keys: readonly string[], refs: readonly Ref[], uids: readonly number[]): Comparison[] {
  // The last promise is handed out, so that no loop is without effect.
  let last: unknown;
  return [
    {
      name: "call, reference made before",
      bare() {
        for (let i = 0; i < HITS; i++) last = Promise.resolve(map.get(at(keys, i)));
        return last;
      },
      cacheme() {
        for (let i = 0; i < HITS; i++) last = cache.get(at(refs, i));
        return last;
      },
    },
    {
      name: "call, reference made in the call",
      bare() {
        for (let i = 0; i < HITS; i++) last = Promise.resolve(map.get(`uid:${at(uids, i)}`));
        return last;
      },
      cacheme() {
        for (let i = 0; i < HITS; i++) last = cache.get(UserInfo(at(uids, i)));
        return last;
      },
    },
  ];
}

function awaits(UserInfo: UserNode, map: ReadonlyMap<string, Row>, keys: readonly string[], refs: readonly Ref[], uids: readonly number[]): Comparison[] {
  return [
    {
      name: "await, reference made before",
      async bare() {
        for (let i = 0; i < HITS; i++) await Promise.resolve(map.get(at(keys, i)));
      },
      async cacheme() {
        for (let i = 0; i < HITS; i++) await cache.get(at(refs, i));
      },
    },
    {
      name: "await, reference made in the call",
      async bare() {
        for (let i = 0; i < HITS; i++) await Promise.resolve(map.get(`uid:${at(uids, i)}`));
      },
      async cacheme() {
        for (let i = 0; i < HITS; i++) await cache.get(UserInfo(at(uids, i)));
      },
    },
  ];
}

function at<Item>(items: readonly Item[], i: number): Item {
  return items[i & (PICKS - 1)] as Item;
}

/** Million hits for each CPU second of this thread: on a busy machine wall time says more about the neighbours. */
async function rateOf(loop: () => unknown): Promise<number> {
  const before = process.threadCpuUsage();
  await loop();
  const { user, system } = process.threadCpuUsage(before);
  return HITS / (user + system);
}
