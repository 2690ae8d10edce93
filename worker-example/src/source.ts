/**
 * The source behind the cache: three queries on a D1 table of the world's cities. The rows come from GeoNames
 * (geonames.org, CC BY 4.0). Nothing here knows that there is a cache.
 *
 * @module
 */

import { env } from "cloudflare:workers";
import { fold } from "./fold.ts";

/** One row of the table. */
export interface City {
  readonly id: number;
  readonly name: string;
  readonly country: string;
  readonly population: number;
  readonly latitude: number;
  readonly longitude: number;
}

/** What a search found. */
export interface SearchResult {
  /** When the table was scanned, in Unix ms. */
  readonly scannedAt: number;
  readonly cities: readonly City[];
}

/** What one country adds up to. */
export interface Country {
  readonly country: string;
  readonly cities: number;
  readonly population: number;
  readonly largest: string;
}

const COLUMNS = "id, name, country, population, latitude, longitude";

/** Rows by primary key, aligned with `ids`; `null` for an id that no city has. About 1 ms. */
export async function citiesByIds(ids: readonly number[]): Promise<(City | null)[]> {
  const query = env.DB.prepare(`select ${COLUMNS} from cities where id in (select value from json_each(?))`);
  const { results } = await query.bind(JSON.stringify(ids)).all<City>();
  const found = new Map(results.map((city) => [city.id, city]));
  return ids.map((id) => found.get(id) ?? null);
}

/** The 20 largest cities whose name contains `text`. No index helps here: each call scans the table. */
export async function searchCities(text: string): Promise<SearchResult> {
  const query = env.DB.prepare(`select ${COLUMNS} from cities where instr(folded, ?) > 0 order by population desc, id limit 20`);
  const { results } = await query.bind(fold(text)).all<City>();
  return { scannedAt: Date.now(), cities: results };
}

/** Every country with the number and population of its cities, the most populous first. Groups the whole table. */
export async function listCountries(): Promise<Country[]> {
  // SQLite takes the bare column `name` from the row that holds the maximum (sqlite.org/lang_select.html#bareagg).
  const query = env.DB.prepare(
    `select country, cities, total as population, largest from (
       select country, count(*) as cities, sum(population) as total, name as largest, max(population) from cities group by country
     ) order by population desc, country`,
  );
  const { results } = await query.all<Country>();
  return results;
}
