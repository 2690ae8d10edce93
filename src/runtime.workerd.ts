/**
 * The host by export condition `workerd`: Cloudflare Workers. I/O belongs to requests, and `waitUntil` of the present
 * request is imported, so users need not pass it.
 *
 * @module
 */

import { waitUntil } from "cloudflare:workers";
import { drainByMicrotasks } from "./runtime.ts";
import type { Runtime } from "./runtime.ts";

export type { Runtime } from "./runtime.ts";

/** Cloudflare Workers. */
export const runtime: Runtime = { requestScoped: true, waitUntil: (promise) => waitUntil(promise), scheduleDrain: drainByMicrotasks };
