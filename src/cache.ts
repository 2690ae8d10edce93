/**
 * Making a cache: the options, the state that all views share (`core.ts`) and the first view of it (`view.ts`).
 *
 * @module
 */

import { runtime as host } from "#runtime";
import { Core } from "./core.ts";
import { describe } from "./duration.ts";
import { hostOf } from "./host.ts";
import type { Runtime } from "./runtime.ts";
import { Scope } from "./scope.ts";
import type { Cache, CreateCacheOptions, RegisteredEnv } from "./types.ts";
import { View } from "./view.ts";

/**
 * Makes a cache: binds nodes to storages by name, and answers their references.
 *
 * Does no I/O itself, so it may stand at module scope on Workers; storages given as functions are made at first use.
 *
 * @throws TypeError naming the option and the value.
 *
 * @example
 * ```ts
 * import { createCache, local } from "cacheme";
 * import { upstash } from "cacheme/upstash";
 *
 * export const cache = createCache({
 *   prefix: "shop",
 *   storages: { local: local({ maxEntries: 10_000 }), redis: upstash({ url, token }) },
 * });
 * ```
 */
export function createCache<Names extends string, Env extends RegisteredEnv | undefined = undefined>(
  options: CreateCacheOptions<Names, Env>,
): Cache<Names, Env> {
  return createCacheOn(hostOf(options) ?? host, options);
}

/** As {@link createCache}, on a given host: for tests of what happens where requests own their I/O. */
export function createCacheOn<Names extends string, Env extends RegisteredEnv | undefined = undefined>(
  on: Runtime,
  options: CreateCacheOptions<Names, Env>,
): Cache<Names, Env> {
  if (typeof options !== "object" || options === null) throw new TypeError(`createCache: options must be an object, got ${describe(options)}`);
  const core = new Core(on, options);
  const scope = new Scope(options.waitUntil === undefined ? on.waitUntil : options.waitUntil, options.env);
  // The generics of `Cache` exist for the compiler alone: what a value is, no view looks at.
  return new View(core, scope, core.prefix) as unknown as Cache<Names, Env>;
}

/** The state behind a cache, for tests that look at what is left in flight. */
export function coreOf(cache: unknown): Core {
  if (cache instanceof View) return cache.core;
  throw new TypeError("not a cache of this library");
}
