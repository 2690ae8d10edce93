/**
 * Mistakes as users make them, each on a line of its own. The compilers must refuse every one, in words that say what to
 * do; `types.test.ts` knows which words.
 */

import { createCache, defineNode } from "cacheme";
import type { Storage } from "cacheme";

declare const storage: Storage;
declare const user: { readonly id: number };
const cache = createCache({ storages: { local: storage, redis: storage } });
const Typo = defineNode({ name: "Typo", key: (id: number) => `${id}`, load: () => 1, caches: [{ storage: "reids", ttl: 5 }] });
const All = defineNode({ name: "All", key: () => "all", load: () => [1], caches: [{ storage: "local", ttl: 5 }] });
const Memo = defineNode({ name: "Memo", key: (id: number) => `${id}`, caches: [{ storage: "local", ttl: 5 }] });

void cache.get(Typo(1));
All(1);
void cache.get(All);
void cache.set(Memo(1), user);
defineNode({ name: "A", key: () => "k", load: () => 1, caches: [{ storage: "local", ttl: "30sec" }] });
defineNode({ name: "B", key: () => "k", load: () => 1, caches: [{ storage: "local", ttl: 5 }], hardTimeOut: 5 });
