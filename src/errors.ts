/**
 * The errors of this library. One class, told apart by `code`; recognised by a brand, `instanceof` included, because there may
 * be several copies of it: `cacheme/msgpack` has its own, and bundlers make more. Messages hold no key, value, secret or
 * connection string.
 *
 * @module
 */

/** Every code a {@link CacheError} can have. Codes are stable; messages are not. */
export type CacheErrorCode =
  | "ERR_STORAGE_READ"
  | "ERR_STORAGE_WRITE"
  | "ERR_STORAGE_TIMEOUT"
  | "ERR_ENTRY_CORRUPT"
  | "ERR_SERIALIZE"
  | "ERR_LOAD_TIMEOUT"
  | "ERR_LOAD_ABANDONED"
  | "ERR_NO_LOADER"
  | "ERR_CLOSED";

const BRAND: unique symbol = Symbol.for("cacheme.CacheError") as never;

/** What went wrong in the cache itself. A loader's own error is never wrapped in one. */
export class CacheError extends Error {
  override readonly name: string = "CacheError";
  readonly code: CacheErrorCode;

  /** @param cause the error of ours behind it, whose message holds no more than this one's may. */
  constructor(code: CacheErrorCode, message: string, cause?: CacheError) {
    super(message, cause && { cause });
    this.code = code;
    Object.defineProperty(this, BRAND, { value: true });
  }

  static override [Symbol.hasInstance](value: unknown): boolean {
    return this === CacheError ? isCacheError(value) : Function.prototype[Symbol.hasInstance].call(this, value);
  }
}

/**
 * Whether a caught value is a {@link CacheError}, of the given code if one is given. Works across bundled copies.
 *
 * @example
 * ```ts
 * import { isCacheError } from "cacheme";
 *
 * try {
 *   await cache.invalidate(UserInfo(1));
 * } catch (error) {
 *   if (!isCacheError(error, "ERR_STORAGE_WRITE")) throw error;
 *   retryLater();
 * }
 * ```
 */
export function isCacheError(error: unknown, code?: CacheErrorCode): error is CacheError {
  if (typeof error !== "object" || error === null || !(BRAND in error)) return false;
  return code === undefined || ("code" in error && error.code === code);
}
