/**
 * The statements for SQLite 3.35 and newer, libSQL and D1. They rely on one writer at a time, which SQLite sees to. Every
 * statement answers rows, because some drivers have one method for those that do and another for those that do not.
 *
 * @module
 */
import type { WriteEntry } from "../src/storage.ts";
import { GENERATION_LIMIT, keyBytes, keyed, lifeOf, params, termsOf } from "./sql-statements.ts";
import type { Params, SqlStatement, SqlStatements } from "./sql-statements.ts";
import { tableName } from "./sql-table.ts";

/** Unix ms; `unixepoch('subsec')` would need 3.42 and give nothing before it. */
const NOW = "cast(round((julianday('now') - 2440587.5) * 86400000) as integer)";
/** The clock has ms only: chance fills the rest. */
const MICROS = `(${NOW} * 1000 + abs(random() % 1000))`;
const LIVE = `(t.expires is null or t.expires > ${NOW})`;
/** Whether proposed terms name a stamp; they begin with `=`. */
const STAMPED = "substr(column3, 1, 1) = x'3d'";
/** Where a proposed life ends. Some drivers send every number as a real one. */
const END = `${NOW} + cast(column2 as integer)`;
const NUMBER = `t.n between 1 and ${GENERATION_LIMIT - 1}`;

/** The table and its index, to be run once. */
export function sqliteSchema(table: string, owner: string): string {
  const { quoted, index } = tableName(table, '"', owner);
  const schema = quoted.includes(".") ? quoted.slice(0, quoted.indexOf(".") + 1) : "";
  return `create table if not exists ${quoted} (
  k blob not null primary key,
  stamp blob generated always as (coalesce(substr(v, 1, 8), x'')) stored,
  expires integer,
  n integer,
  terms blob not null default x'',
  v blob not null
);
create index if not exists ${schema}${index} on ${quoted.slice(schema.length)} (expires) where expires is not null;
`;
}

export function sqliteStatements(table: string): SqlStatements {
  const { quoted } = tableName(table, '"');

  /** Some drivers take empty bytes for `null`. */
  function bytes(list: Params, value: Uint8Array): string {
    return value.length === 0 ? "x''" : list.add(value);
  }
  function onKeys(text: (each: readonly string[]) => string): (keys: readonly Uint8Array[]) => SqlStatement {
    const usual = keyed(
      text,
      () => "?",
      (key) => key,
    );
    return (keys) => {
      if (!keys.some((key) => key.length === 0)) return usual(keys);
      const list = params(false);
      return { text: text(keys.map((key) => bytes(list, key))), params: list.list };
    };
  }
  function rowOf(list: Params, entry: WriteEntry): string {
    return `(${bytes(list, keyBytes(entry.key))}, ${list.add(lifeOf(entry))}, ${bytes(list, termsOf(entry))}, ${bytes(list, entry.bytes)})`;
  }
  function generate(number: string): (keys: readonly Uint8Array[]) => SqlStatement {
    return onKeys(
      (each) => `insert into ${quoted} as t (k, n, v) values ${each.map((key) => `(${key}, ${MICROS}, x'')`).join(", ")}
on conflict (k) do update set n = ${number}, expires = null
returning k, n`,
    );
  }
  const make = generate(`case when ${NUMBER} then t.n else ${MICROS} end`);

  return {
    tells: true,
    read: onKeys((each) => `select k, v, n, expires - ${NOW} as remaining from ${quoted} as t where k in (${each.join(", ")}) and ${LIVE}`),
    write(entries) {
      const list = params(false);
      const rows = entries.map((entry) => rowOf(list, entry)).join(", ");
      return {
        text: `insert into ${quoted} as t (k, expires, n, terms, v)
select column1, case when ${STAMPED} then 0 else ${END} end, case when ${STAMPED} then ${END} end, column3, column4
from (values ${rows}) where true
on conflict (k) do update set v = excluded.v, terms = excluded.terms, n = null,
  expires = case when excluded.expires = 0 then excluded.n else excluded.expires end
where case substr(excluded.terms, 1, 1) when x'2a' then 1
  when x'3d' then ${LIVE} and t.stamp = coalesce(substr(excluded.terms, 2), x'')
  else not ${LIVE} end
returning k, case when expires = 0 then 0 else 1 end as stored`,
        params: list.list,
      };
    },
    remove: onKeys((each) => `delete from ${quoted} where k in (${each.join(", ")}) returning 1 as gone_key`),
    raise: generate(`case when ${NUMBER} then max(t.n + 1, ${MICROS}) else ${MICROS} end`),
    ensure: (keys) => [make(keys)],
    prune: (limit) => ({
      text: `delete from ${quoted} where rowid in (select rowid from ${quoted} where expires <= ${NOW} order by expires limit ${limit}) returning 1 as one`,
      params: [],
    }),
  };
}
