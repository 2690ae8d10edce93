/**
 * The statements for MySQL 8, MariaDB 10.5 and Vitess: what the three have in common. They rely on assignments being made
 * from left to right. A multi-row upsert answers nothing here, so a write under terms cannot tell what became of it.
 *
 * @module
 */
import type { WriteEntry } from "../src/storage.ts";
import { GENERATION_LIMIT, base64Param, keyBytes, keyed, lifeOf, params, termsOf } from "./sql-statements.ts";
import type { Params, SqlStatement, SqlStatements } from "./sql-statements.ts";
import { tableName } from "./sql-table.ts";

/** Unix µs. By UTC, because local time stands still or jumps when the clocks change. */
const MICROS = "timestampdiff(microsecond, '1970-01-01', utc_timestamp(6))";
const NOW = `(${MICROS} div 1000)`;
const LIVE = `(expires is null or expires > ${NOW})`;
const NUMBER = `n between 1 and ${GENERATION_LIMIT - 1}`;
/** Random bytes at the beginning of `terms`, by which the later assignments see whether the first one was made. */
const TOKEN_BYTES = 8;
const MODE = `substr(values(terms), ${TOKEN_BYTES + 1}, 1)`;

/** The table and its index, to be run once. */
export function mysqlSchema(table: string, owner: string): string {
  const { quoted, index } = tableName(table, "`", owner);
  return `create table if not exists ${quoted} (
  k varbinary(1500) not null primary key,
  stamp varbinary(8) generated always as (substr(v, 1, 8)) stored,
  expires bigint,
  n bigint,
  terms varbinary(32) not null default '',
  v longblob not null,
  key ${index} (expires)
);
`;
}

/** Bytes are sent as base64, because drivers write them as hexadecimal text or take them for objects. */
export function mysqlStatements(table: string): SqlStatements {
  const { quoted } = tableName(table, "`");

  function bytes(list: Params, value: Uint8Array): string {
    return `from_base64(${list.add(base64Param(value))})`;
  }
  function onKeys(text: (each: string) => string): (keys: readonly Uint8Array[]) => SqlStatement {
    return keyed(
      (each) => text(each.join(", ")),
      () => "from_base64(?)",
      base64Param,
    );
  }
  function rowOf(list: Params, entry: WriteEntry, token: Uint8Array): string {
    const key = bytes(list, keyBytes(entry.key));
    const end = `${NOW} + cast(${list.add(lifeOf(entry))} as signed)`;
    const terms = Uint8Array.of(...token, ...termsOf(entry));
    return `(${key}, ${entry.ifStamp ? `0, ${end}` : `${end}, null`}, ${bytes(list, terms)}, ${bytes(list, entry.bytes)})`;
  }
  function generate(number: string): (keys: readonly Uint8Array[]) => SqlStatement {
    const row = `(from_base64(?), ${MICROS}, '')`;
    return keyed(
      (rows) => `insert into ${quoted} (k, n, v) values ${rows.join(", ")}
on duplicate key update n = ${number}, expires = null`,
      () => row,
      base64Param,
    );
  }
  const make = generate(`if(${NUMBER}, n, values(n))`);
  const numbers = onKeys((keys) => `select k, n from ${quoted} where k in (${keys})`);

  return {
    tells: false,
    read: onKeys((keys) => `select k, v, n, expires - ${NOW} as remaining from ${quoted} where k in (${keys}) and ${LIVE}`),
    write(entries) {
      const list = params(false);
      const token = crypto.getRandomValues(new Uint8Array(TOKEN_BYTES));
      const rows = entries.map((entry) => rowOf(list, entry, token)).join(", ");
      return {
        text: `insert into ${quoted} (k, expires, n, terms, v) values ${rows}
on duplicate key update
  terms = if(case ${MODE} when '*' then true
    when '=' then ${LIVE} and stamp = substr(values(terms), ${TOKEN_BYTES + 2})
    else not ${LIVE} end, values(terms), terms),
  v = if(terms = values(terms), values(v), v),
  expires = if(terms = values(terms), if(values(expires) = 0, values(n), values(expires)), expires),
  n = if(terms = values(terms), null, n)`,
        params: list.list,
      };
    },
    remove: onKeys((keys) => `delete from ${quoted} where k in (${keys})`),
    raise: generate(`if(${NUMBER}, greatest(n + 1, values(n)), values(n))`),
    ensure: (keys) => [make(keys), numbers(keys)],
    // One delete by the index on the expiry would lock that first and then the rows, a write the other way round: a deadlock.
    prune: (limit) => ({ text: `select k from ${quoted} where expires <= ${NOW} order by expires limit ${limit}`, params: [] }),
    // `+ 0` keeps the planner from that index.
    removeExpired: onKeys((keys) => `delete from ${quoted} where k in (${keys}) and expires + 0 <= ${NOW}`),
  };
}
