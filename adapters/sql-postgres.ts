/**
 * The statements for PostgreSQL 12 and newer, and what speaks its SQL. They rely on `on conflict` comparing with the newest
 * row under its lock, which holds at the default isolation level.
 *
 * @module
 */
import type { WriteEntry } from "../src/storage.ts";
import { GENERATION_LIMIT, base64Param, keyBytes, keyed, lifeOf, params, termsOf } from "./sql-statements.ts";
import type { Params, SqlParam, SqlStatement, SqlStatements } from "./sql-statements.ts";
import { tableName } from "./sql-table.ts";

/** Unix ms at the start of the statement: stable, so that an index on the expiry can be used. */
const NOW = "floor(extract(epoch from statement_timestamp()) * 1000)::bigint";
/** Unix µs, read anew for each row: a statement may have waited for a lock. */
const MICROS = "floor(extract(epoch from clock_timestamp()) * 1000000)::bigint";
const LIVE = `(t.expires is null or t.expires > ${NOW})`;
/** Whether proposed terms name a stamp; they begin with `=`. */
const STAMPED = "substring(terms from 1 for 1) = '\\x3d'::bytea";
const NUMBER = `t.n between 1 and ${GENERATION_LIMIT - 1}`;

/**
 * The table and its index, to be run once. It is unlogged: the server writes less, and empties it after a crash. No promise
 * is broken by that, because the generations are gone with the slots.
 */
export function postgresSchema(table: string, owner: string): string {
  const { quoted, index } = tableName(table, '"', owner);
  return `create unlogged table if not exists ${quoted} (
  k bytea not null primary key,
  stamp bytea generated always as (substring(v from 1 for 8)) stored,
  expires bigint,
  n bigint,
  terms bytea not null default '',
  v bytea not null
);
create index if not exists ${index} on ${quoted} (expires) where expires is not null;
`;
}

/** @param form `"base64"` where a driver sends bytes as hexadecimal text. */
export function postgresStatements(table: string, form: "raw" | "base64"): SqlStatements {
  const { quoted } = tableName(table, '"');
  const k = column("k");
  const v = column("v");

  function column(name: string): string {
    return form === "raw" ? name : `translate(encode(${name}, 'base64'), E'\\n', '') as ${name}`;
  }

  function cast(placeholder: string): string {
    return form === "raw" ? `${placeholder}::bytea` : `decode(${placeholder}, 'base64')`;
  }
  function param(value: Uint8Array): SqlParam {
    return form === "raw" ? value : base64Param(value);
  }
  function bytes(list: Params, value: Uint8Array): string {
    return cast(list.add(param(value)));
  }
  function onKeys(text: (keys: string) => string): (keys: readonly Uint8Array[]) => SqlStatement {
    return keyed(
      (each) => text(each.join(", ")),
      (index) => cast(`$${index + 1}`),
      param,
    );
  }
  function rowOf(list: Params, entry: WriteEntry): string {
    return `(${bytes(list, keyBytes(entry.key))}, ${list.add(lifeOf(entry))}::bigint, ${bytes(list, termsOf(entry))}, ${bytes(list, entry.bytes)})`;
  }
  function generate(number: string): (keys: readonly Uint8Array[]) => SqlStatement {
    return keyed(
      (rows) => `insert into ${quoted} as t (k, n, v) values ${rows.join(", ")}
on conflict (k) do update set n = ${number}, expires = null
returning ${k}, n::text as n`,
      (index) => `(${cast(`$${index + 1}`)}, ${MICROS}, '')`,
      param,
    );
  }
  const make = generate(`case when ${NUMBER} then t.n else ${MICROS} end`);

  return {
    tells: true,
    read: onKeys((keys) => `select ${k}, ${v}, n::text as n, (expires - ${NOW})::float8 as remaining from ${quoted} as t where k in (${keys}) and ${LIVE}`),
    write(entries) {
      const list = params(true);
      const rows = entries.map((entry) => rowOf(list, entry)).join(", ");
      return {
        text: `insert into ${quoted} as t (k, expires, n, terms, v)
select k, case when ${STAMPED} then 0 else ${NOW} + life end, case when ${STAMPED} then ${NOW} + life end, terms, v
from (values ${rows}) as proposed (k, life, terms, v)
on conflict (k) do update set v = excluded.v, terms = excluded.terms, n = null,
  expires = case when excluded.expires = 0 then excluded.n else excluded.expires end
where case substring(excluded.terms from 1 for 1) when '\\x2a'::bytea then true
  when '\\x3d'::bytea then ${LIVE} and t.stamp = substring(excluded.terms from 2)
  else not ${LIVE} end
returning ${k}, case when t.expires = 0 then 0 else 1 end as stored`,
        params: list.list,
      };
    },
    remove: onKeys((keys) => `delete from ${quoted} where k in (${keys})`),
    raise: generate(`case when ${NUMBER} then greatest(t.n + 1, ${MICROS}) else ${MICROS} end`),
    ensure: (keys) => [make(keys)],
    prune: (limit) => ({
      text: `with gone as (
  delete from ${quoted} where ctid = any(array(
    select ctid from ${quoted} where expires <= ${NOW} order by expires limit ${limit} for update skip locked
  )) returning 1
) select count(*)::float8 as gone from gone`,
      params: [],
    }),
  };
}
