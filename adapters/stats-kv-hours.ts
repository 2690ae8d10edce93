/**
 * The hours of statistics in KV: listing, reading and compacting them. It relies on `stats-kv-keys.ts` for the names.
 *
 * @module
 */
import { createStatsSum, parseCounted } from "../src/stats-batch.ts";
import type { NodeDelta } from "../src/stats-batch.ts";
import { READ_AT_ONCE, readKv } from "./kv-read.ts";
import { AT_ONCE, digestOf, HOUR_MS, parseKey } from "./stats-kv-keys.ts";
import type { Life, StatsKvNamespace } from "./stats-kv-keys.ts";

/** A key, and the name of the batch in it. */
interface Key {
  readonly key: string;
  readonly part: string;
}

/** The keys of one hour, sorted. */
export interface Hour {
  readonly hour: string;
  readonly hourAt: number;
  readonly batches: Key[];
  readonly sums: Key[];
}

/** What counts in a batch or a sum. */
interface Counted extends Key {
  readonly nodes: readonly NodeDelta[];
  readonly failedWrites: number;
}

/** Batches added up. */
interface Sum extends Counted {
  /** When it was written, Unix ms. */
  readonly at: number;
  readonly parts: readonly string[];
}

/** What counts under some keys. */
export interface ReadStats {
  /** Batches that no sum lists. */
  readonly batches: readonly Counted[];
  readonly sums: readonly Sum[];
  /** Names of batches that a sum lists, with the time since when. */
  readonly listed: ReadonlyMap<string, number>;
  /** Keys of sums whose parts are all in others. */
  readonly redundant: readonly string[];
  /** Whether there are more batches than were asked for. */
  readonly more: boolean;
}

/** The hours that begin between two times. */
export async function listHours(binding: StatsKvNamespace, prefix: string, from: number, to: number): Promise<Hour[]> {
  const hours = new Map<string, Hour>();
  let cursor: string | undefined;
  do {
    const page = await binding.list({ prefix: `${prefix}:`, ...(cursor === undefined ? {} : { cursor }) });
    for (const { name } of page.keys) {
      const named = parseKey(name.slice(prefix.length + 1));
      if (!named || named.hourAt + HOUR_MS <= from || named.hourAt > to) continue;
      const hour = hours.get(named.hour) ?? { hour: named.hour, hourAt: named.hourAt, batches: [], sums: [] };
      hours.set(named.hour, hour);
      (named.isSum ? hour.sums : hour.batches).push({ key: name, part: named.part });
    }
    cursor = page.list_complete ? undefined : page.cursor;
  } while (cursor !== undefined);
  return [...hours.values()];
}

/** Reads what counts under some keys; of the batches at most so many. */
export async function readCounted(binding: StatsKvNamespace, keys: Pick<Hour, "batches" | "sums">, limit: number): Promise<ReadStats> {
  const listed = new Map<string, number>();
  const sums: Sum[] = [];
  const redundant: string[] = [];
  // Where sums overlap, the larger one counts. A smaller one is either all in it, or what it alone has may still be there as batches.
  for (const sum of (await readAll(binding, keys.sums, sumOf)).sort((a, b) => b.parts.length - a.parts.length)) {
    if (sum.parts.every((part) => listed.has(part))) redundant.push(sum.key);
    if (sum.parts.some((part) => listed.has(part))) continue;
    sums.push(sum);
    for (const part of sum.parts) listed.set(part, sum.at);
  }
  const open = keys.batches.filter(({ part }) => !listed.has(part));
  return { batches: await readAll(binding, open.slice(0, limit), countedOf), sums, listed, redundant, more: open.length > limit };
}

async function readAll<Value>(binding: StatsKvNamespace, keys: readonly Key[], valueOf: (key: Key, text: string) => Value | undefined): Promise<Value[]> {
  const found: Value[] = [];
  for (let start = 0; start < keys.length; start += READ_AT_ONCE) {
    const some = keys.slice(start, start + READ_AT_ONCE);
    const texts = await readKv(
      binding,
      some.map(({ key }) => key),
    );
    for (const key of some) {
      const value = valueOf(key, texts.get(key.key) ?? "");
      if (value !== undefined) found.push(value);
    }
  }
  return found;
}

function countedOf(key: Key, text: string): Counted | undefined {
  const value = parseCounted(text);
  return value && { ...key, nodes: value.nodes, failedWrites: Number(value["failedWrites"]) || 0 };
}

function sumOf(key: Key, text: string): Sum | undefined {
  const value = parseCounted(text);
  const counted = countedOf(key, text);
  const parts: unknown = value?.["parts"];
  return counted && Array.isArray(parts) ? { ...counted, at: Number(value?.["at"]) || 0, parts: parts.map(String) } : undefined;
}

/** How to compact. */
export interface Compaction {
  readonly prefix: string;
  readonly life: Life;
  readonly limit: number;
  /** Unix ms: hours that began no later are compacted. */
  readonly closed: number;
  readonly now: number;
  /** Unix ms: what a sum lists is removed if the sum is no younger. */
  readonly settled: number;
}

/** What a compaction did. */
export interface Compacted {
  /** Batches that are now listed in a sum. */
  readonly summed: number;
  /** Keys removed. */
  readonly removed: number;
  /** Whether there is more to do than the limit allowed. */
  readonly more: boolean;
}

/** Sums up and clears the hours that are over. An hour without batches has nothing to be done and is not read. */
export async function compactHours(binding: StatsKvNamespace, { prefix, life, limit, closed, now, settled }: Compaction): Promise<Compacted> {
  let summed = 0;
  let more = false;
  const done: string[] = [];
  for (const hour of await listHours(binding, prefix, 0, closed)) {
    if (hour.batches.length === 0) continue;
    if (summed >= limit || done.length >= limit) {
      more = true;
      break;
    }
    const read = await readCounted(binding, hour, limit - summed);
    more ||= read.more;
    if (read.batches.length > 0) await putSum(binding, `${prefix}:${hour.hour}`, read.batches, now, life);
    summed += read.batches.length;
    done.push(...hour.batches.filter(({ part }) => (read.listed.get(part) ?? now) <= settled).map(({ key }) => key));
    // Last, since a run that is cut off may leave them for good: they count nothing.
    done.push(...read.redundant);
  }
  const removing = done.slice(0, limit);
  for (let start = 0; start < removing.length; start += AT_ONCE) await Promise.all(removing.slice(start, start + AT_ONCE).map((key) => binding.delete(key)));
  return { summed, removed: removing.length, more: more || done.length > limit };
}

/** Named by its parts, so that a run that is repeated writes the same key. */
async function putSum(binding: StatsKvNamespace, at: string, batches: readonly Counted[], now: number, life: Life): Promise<void> {
  const sum = createStatsSum();
  for (const { nodes } of batches) sum.add(nodes);
  const parts = batches.map(({ part }) => part).sort();
  const failedWrites = batches.reduce((all, batch) => all + batch.failedWrites, 0);
  await binding.put(`${at}:sum:${await digestOf(parts)}`, JSON.stringify({ format: 1, at: now, parts, failedWrites, nodes: sum.deltas() }), life);
}
