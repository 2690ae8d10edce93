/**
 * The seam by which a cache is made on another host than the one it runs on. `testing/` has one in virtual time, and reaches the
 * core by its public entry only, so that the core can be built as one file.
 *
 * @module
 */
import type { Runtime } from "./runtime.ts";

/** The name under which options of `createCache` may bring a host along. No part of the public API. */
export const HOST: unique symbol = Symbol.for("cacheme.host") as never;

/** The host that options bring along, if they are options at all. */
export function hostOf(options: unknown): Runtime | undefined {
  if (typeof options !== "object" || options === null) return undefined;
  // Only `testing/` writes under this name.
  return Reflect.get(options, HOST) as Runtime | undefined;
}

/** The same options, bringing a host along. */
export function onHost<Options extends object>(host: Runtime, options: Options): Options {
  return { ...options, [HOST]: host };
}
