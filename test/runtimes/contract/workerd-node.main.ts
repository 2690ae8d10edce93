/**
 * The Worker under the flag `nodejs_compat`, where clients that open sockets work. `lanes.ts` runs it.
 *
 * @module
 */
import { given } from "./anywhere.ts";
import { openMongo } from "./mongo-driver.ts";
import { clauseHandler } from "./worker.ts";

export const handle = clauseHandler(({ mongodb }) => ({ mongodb: given(mongodb, openMongo) }));
