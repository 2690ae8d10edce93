/**
 * The host by export condition `edge-light`: Vercel Edge. I/O is taken to belong to requests as on Workers; `waitUntil` has
 * to be passed in, as there is no import for it.
 *
 * @module
 */

import { drainByMicrotasks } from "./runtime.ts";
import type { Runtime } from "./runtime.ts";

export type { Runtime } from "./runtime.ts";

/** Vercel Edge. */
export const runtime: Runtime = { requestScoped: true, waitUntil: undefined, scheduleDrain: drainByMicrotasks };
