/**
 * The names a snippet in the documentation may use without declaring them: what the reader's own program would hold.
 *
 * @module
 */
import type { Cache, CacheNode } from "cacheme";

declare global {
  interface User {
    id: number;
    name: string;
  }
  const db: {
    user(id: number): Promise<User>;
    users(ids: readonly number[]): Promise<(User | Error)[]>;
    price(sku: string): Promise<number | null>;
    priceChangedWithin(sku: string, ms: number): Promise<boolean>;
  };
  const url: string;
  const token: string;
  interface Env {
    KV: KVNamespace;
    DB: D1Database;
  }
  const env: Env;
  const ctx: ExecutionContext;
  const cache: Cache<string>;
  const UserInfo: CacheNode<number, User>;
  function fetchBar(id: number): Promise<string>;
  function retryLater(): void;
  function test(name: string, run: () => unknown): void;
}
