/**
 * Whether the code runs on Workers, for storages whose clients hold sockets: there a socket belongs to the request that opened
 * it, so such a storage has the scope of a request.
 *
 * @module
 */

/** By the name that the runtime gives itself, from compatibility date 2022-03-21 on. */
export function onWorkers(): boolean {
  return typeof navigator === "object" && navigator.userAgent === "Cloudflare-Workers";
}
