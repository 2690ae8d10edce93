/**
 * A Worker that answers questions about the world's cities through cacheme: finds the route, times it, and turns what goes
 * wrong into JSON. What is cached and for how long is in `nodes.ts`, which is the file to read first.
 *
 * @module
 */

import { isCacheError } from "cacheme";
import { compactOnSchedule } from "cacheme/stats-kv";
import { type Answer, BadRequest, failure, toResponse } from "./answer.ts";
import { routes } from "./routes.ts";

async function answer(request: Request): Promise<Answer> {
  const { pathname, searchParams } = new URL(request.url);
  const method = request.method === "HEAD" ? "GET" : request.method;
  const matching = routes.filter((route) => route.path.test(pathname));
  const route = matching.find((candidate) => candidate.method === method);
  if (matching.length === 0) return failure(404, "no such route; the page at / lists them");
  if (!route) return failure(405, `this route takes ${matching[0]?.method}`, { headers: { Allow: matching[0]?.method ?? "GET" } });
  return route.answer(route.path.exec(pathname)?.[1] ?? "", searchParams);
}

function toFailure(error: unknown): Answer {
  if (error instanceof BadRequest) return failure(400, error.message);
  console.error(error);
  // A read never fails because of a tier. `invalidate` and `refresh` do when they could not reach one: it may hold the old value.
  if (isCacheError(error, "ERR_STORAGE_WRITE")) return failure(503, "a tier could not be reached and may still serve an old value; ask again");
  return failure(500, "the source failed; the log says why. Was the database filled? `npm start` does it.");
}

export default {
  async fetch(request: Request): Promise<Response> {
    const startedAt = Date.now();
    const result = await answer(request).catch(toFailure);
    return toResponse(result, Date.now() - startedAt);
  },
  // The cron trigger: the statistics of each hour that is over become one value.
  scheduled: compactOnSchedule((env: Cloudflare.Env) => env.STATS),
} satisfies ExportedHandler<Cloudflare.Env>;
