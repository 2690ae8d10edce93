/**
 * The hot path as every runtime runs it: hits of the local tier through `get`, awaited one after the other. It uses nothing of a
 * host, so that the same code is bundled for each.
 *
 * @module
 */
import { createCache, defineNode, local } from "cacheme";
import { drawStream, seededRandom, zipf } from "./zipf.ts";

/** What is measured. */
export type LoopKind = "oneKey" | "zipf" | "batches";

interface Row {
  readonly uid: number;
}

const KEYS = 10_000;
const BATCH = 20;
/** Length of the pre-drawn order, a power of two. */
const PICKS = 16_384;

const UserInfo = defineNode({
  name: "UserInfo",
  key: (uid: number) => `uid:${uid}`,
  load: async (uid): Promise<Row> => ({ uid }),
  caches: [{ storage: "local", ttl: "1h" }],
});
const cache = createCache({ storages: { local: local({ maxEntries: 4 * KEYS }) } });
const stream = drawStream(PICKS, zipf(seededRandom(1), { s: 1.001, v: 10, max: KEYS - 1 }));
let filled = false;

/** Makes that many calls; for `"batches"`, of 20 keys each. */
export async function loop(kind: LoopKind, calls: number): Promise<void> {
  if (!filled) for (let uid = 0; uid < KEYS; uid++) await cache.get(UserInfo(uid));
  filled = true;
  if (kind === "oneKey") for (let i = 0; i < calls; i++) check(await cache.get(UserInfo(7)), 7);
  else if (kind === "zipf") for (let i = 0; i < calls; i++) check(await cache.get(UserInfo(at(i))), at(i));
  else
    for (let i = 0; i < calls; i++) {
      const uids = Array.from({ length: BATCH }, (_, k) => at(i * BATCH + k));
      const rows = await cache.getAll(uids.map((uid) => UserInfo(uid)));
      check(rows[3], at(i * BATCH + 3));
    }
}

function at(i: number): number {
  return stream[i & (PICKS - 1)] ?? 0;
}

function check(row: Row | undefined, uid: number): void {
  if (row?.uid !== uid) throw new Error(`asked for ${uid}, got ${row?.uid}`);
}
