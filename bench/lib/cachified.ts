/**
 * The peer `@epic-web/cachified`, which brings no memory tier: its own documents put `lru-cache` there.
 *
 * @module
 */
import type { Row } from "./contestant.ts";
import { peer } from "./peers.ts";

/** What its one function takes, as far as it is used here. */
export interface CachifiedOptions {
  readonly key: string;
  readonly cache: object;
  readonly ttl: number;
  readonly getFreshValue: () => Promise<Row>;
}

/** Its function, and a memory tier of so many entries. */
export async function cachifiedWith(max: number): Promise<{ cachified(options: CachifiedOptions): Promise<Row>; memory: object }> {
  const { cachified } = await peer<{ cachified(options: CachifiedOptions): Promise<Row> }>("@epic-web/cachified");
  const { LRUCache } = await peer<{ LRUCache: new (options: object) => object }>("lru-cache");
  return { cachified, memory: new LRUCache({ max }) };
}
