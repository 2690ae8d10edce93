/**
 * Definitions with one mistake each, a line each, beside a `load` that is right. The compilers must give one error for each
 * line, the true one: `types.test.ts` counts them.
 */

import { defineNode } from "cacheme";

declare const user: { readonly id: number };
const caches = [{ storage: "local", ttl: "5s" }] as const;
const key = (id: number): string => `${id}`;
defineNode({ name: "A", key, load: () => user, caches: [{ storage: "local", ttl: "30sec" }] });
defineNode({ name: "B", key, load: async () => user, caches: [{ storage: "local" }] });
defineNode({ name: "C", key, load: async () => user, caches, jitter: "0.1" });
defineNode({ name: "D", key, load: () => user, caches, tags: ["a"] });
defineNode({ name: "E", key, load: () => user, caches, clone: true });
defineNode({ name: "F", key: (id: number) => id, load: () => user, caches });
defineNode({ name: "G", key, load: () => user });
defineNode({ name: "H", key, loadAll: (ids) => ids.map(() => user), caches: [{ storage: "local", ttl: "30sec" }] });
defineNode({ name: "I", key, loadAll: async (ids) => ids.map(() => user) });
