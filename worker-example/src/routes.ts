/**
 * The routes: each reads its input strictly and asks the cache. They rely on `nodes.ts` for what is cached and know nothing
 * of HTTP but their input and an {@link Answer}.
 *
 * @module
 */

import { readKvStats } from "cacheme/stats-kv";
import { env } from "cloudflare:workers";
import { type Answer, BadRequest, failure } from "./answer.ts";
import { cache } from "./cache.ts";
import { describeHit, describeInvalidation, describeLookup, describeLookups, describeMiss, describeRefresh } from "./cache-status.ts";
import { fold } from "./fold.ts";
import { CityById, Countries, remote, Search } from "./nodes.ts";
import { renderPage } from "./page.ts";
import { searchCities } from "./source.ts";

/** Where a request goes. `input` is what the path's group matched, or `""`. */
export interface Route {
  readonly method: "GET" | "POST";
  readonly path: RegExp;
  answer(input: string, query: URLSearchParams): Answer | Promise<Answer>;
}

const MOST_IDS = 100;

/** A function made cacheable: it runs once for all who ask for the same text at the same time. */
const search = cache.memoize(Search, searchCities);

export const routes: readonly Route[] = [
  { method: "GET", path: /^\/$/, answer: () => ({ body: renderPage(remote) }) },
  { method: "GET", path: /^\/cities\/([^/]*)$/, answer: (id) => showCity(parseId(id)) },
  { method: "GET", path: /^\/cities$/, answer: (_, query) => showCities(parseIds(query.get("ids"))) },
  { method: "GET", path: /^\/search$/, answer: (_, query) => showSearch(parseText(query.get("q"))) },
  { method: "GET", path: /^\/countries$/, answer: showCountries },
  { method: "POST", path: /^\/cities\/([^/]*)\/invalidate$/, answer: (id) => invalidateCity(parseId(id)) },
  { method: "POST", path: /^\/cities\/([^/]*)\/refresh$/, answer: (id) => refreshCity(parseId(id)) },
  { method: "GET", path: /^\/stats$/, answer: () => ({ body: { chain: ["local", remote], nodes: cache.stats() } }) },
  { method: "GET", path: /^\/stats\/all$/, answer: showAllStats },
];

async function showCity(id: number): Promise<Answer> {
  // `get` would do; `lookup` is `get` that also says where the value came from.
  const found = await cache.lookup(CityById(id));
  const cacheStatus = describeLookup(CityById, found);
  return found.value ? { body: found.value, cacheStatus } : failure(404, `no city has the id ${id}`, { cacheStatus });
}

async function showCities(ids: readonly number[]): Promise<Answer> {
  const found = (await cache.lookupAll(ids.map(CityById))).map((result) => {
    if ("error" in result) throw result.error;
    return result;
  });
  return { body: found.map(({ value }) => value), cacheStatus: describeLookups(CityById, found) };
}

async function showSearch(text: string): Promise<Answer> {
  const startedAt = Date.now();
  const isHere = cache.peek(Search(text)) !== undefined;
  const result = await search(text);
  // A memoized function gives its value and no more, so the value tells: one that was scanned since this request began was
  // loaded, by this request or by another that it waited for.
  const isLoaded = result.scannedAt >= startedAt;
  const cacheStatus = isHere ? describeHit(Search, "local") : isLoaded ? describeMiss(Search) : describeHit(Search, remote);
  return { body: { query: text, ...result }, cacheStatus };
}

async function showCountries(): Promise<Answer> {
  const found = await cache.lookup(Countries());
  return { body: found.value, cacheStatus: describeLookup(Countries, found) };
}

/** What all isolates wrote. This one's last ten seconds follow. */
async function showAllStats(): Promise<Answer> {
  return { body: await readKvStats(env.STATS) };
}

// A real service would ask who may do the next two.

async function invalidateCity(id: number): Promise<Answer> {
  await cache.invalidate(CityById(id));
  return { body: { invalidated: id }, cacheStatus: describeInvalidation(CityById) };
}

async function refreshCity(id: number): Promise<Answer> {
  const city = await cache.refresh(CityById(id));
  const cacheStatus = describeRefresh(CityById);
  return city ? { body: city, cacheStatus } : failure(404, `no city has the id ${id}`, { cacheStatus });
}

function parseId(text: string): number {
  if (!/^[1-9]\d{0,14}$/.test(text)) throw new BadRequest(`a city's id is a whole number above 0, got ${quote(text)}`);
  return Number(text);
}

function parseIds(text: string | null): number[] {
  const ids = (text ?? "").split(",");
  if (ids.length > MOST_IDS) throw new BadRequest(`ids takes at most ${MOST_IDS} numbers, got ${ids.length}`);
  return ids.map(parseId);
}

function parseText(text: string | null): string {
  const length = fold(text ?? "").length;
  if (text === null || length < 2 || length > 50) throw new BadRequest(`q is a text of 2 to 50 characters, got ${quote(text ?? "")}`);
  return text;
}

function quote(text: string): string {
  return JSON.stringify(text.length > 60 ? `${text.slice(0, 60)}…` : text);
}
