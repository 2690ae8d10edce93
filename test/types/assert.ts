/** Exact type equality, and a few values to speak of. Nothing here is ever run. */

import type { CacheNode, Tier } from "cacheme";

/** `true` only for types that are equal in every respect, `any` and optional properties included. */
export type Equal<One, Other> = (<T>() => T extends One ? 1 : 2) extends <T>() => T extends Other ? 1 : 2 ? true : false;

/** Compiles only for `is<true>()`. */
export declare function is<Truth extends true>(): Truth;

export interface User {
  readonly id: number;
  readonly name: string;
}

export declare const db: {
  user(id: number): Promise<User>;
  users(ids: readonly number[]): Promise<(User | Error)[]>;
  count(): number;
};

export const caches = [
  { storage: "local", ttl: "30s" },
  { storage: "redis", ttl: "10d" },
] as const satisfies readonly Tier<"local" | "redis">[];

/** A node that names no storages in its type. */
export declare const Annotated: CacheNode<number, User>;
