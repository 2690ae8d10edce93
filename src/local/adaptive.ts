/**
 * `adaptive()`, as users take it. It stands apart from what it makes (`adaptive-eviction.ts`), so that the published types name
 * nothing but the seam.
 *
 * @module
 */
import { Adaptive } from "./adaptive-eviction.ts";
import type { EvictionPolicy } from "./policy.ts";

/**
 * An eviction policy that watches the traffic and uses whichever of five orders would have hit most of late; for
 * `local({ policy: adaptive() })`. It costs more memory than `"w-tinylfu"`, above all in small tiers, and more time for each
 * entry stored, and hits more often on most traffic. It is of no use where the tier has room for everything.
 *
 * One object can serve several tiers; each gets a state of its own.
 *
 * @example
 * ```ts
 * import { adaptive, local } from "cacheme";
 *
 * const pages = local<string>({ policy: adaptive(), maxEntries: 5_000 });
 * pages.set("/about", "<h1>About</h1>");
 * ```
 */
export function adaptive(): EvictionPolicy {
  return { name: "adaptive", create: (room) => new Adaptive(room) };
}
