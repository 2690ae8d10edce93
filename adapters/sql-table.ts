/**
 * The name of the table of a SQL storage: checked, and quoted as a dialect wants it. A name cannot be a parameter of a
 * statement, so nothing but plain identifiers is let through.
 *
 * @module
 */

/** The table unless another is named. */
export const DEFAULT_TABLE = "cacheme";

const IDENTIFIER = /^[A-Za-z_][A-Za-z0-9_]{0,62}$/;

const MAX_NAME = 63;
const SUFFIX = "_expires";

/** A table's name in the spellings that statements need. */
export interface TableName {
  /** Quoted, with its schema if it has one. */
  readonly quoted: string;
  /** The quoted name of its index on the expiry; without a schema. */
  readonly index: string;
}

/** @throws TypeError unless `table` is an identifier or `schema.table`. `owner` is the storage's factory. */
export function tableName(table: unknown, quote: '"' | "`", owner = "sql"): TableName {
  const parts = typeof table === "string" ? table.split(".") : [];
  const last = parts.at(-1);
  if (last === undefined || parts.length > 2 || !parts.every((part) => IDENTIFIER.test(part))) {
    const got = typeof table === "string" ? JSON.stringify(table.slice(0, 100)) : typeof table;
    throw new TypeError(`${owner}: table must be an identifier or schema.table, got ${got}`);
  }
  return {
    quoted: parts.map((part) => quote + part + quote).join("."),
    index: quote + indexName(last) + quote,
  };
}

/** A name has at most 63 characters in Postgres. One that is cut carries a hash of all of it, since tables may begin alike. */
function indexName(table: string): string {
  return table.length + SUFFIX.length <= MAX_NAME ? table + SUFFIX : `${table.slice(0, MAX_NAME - SUFFIX.length - 9)}_${hashOf(table)}${SUFFIX}`;
}

/** FNV-1a of ASCII text, 8 hex digits. */
function hashOf(text: string): string {
  let hash = 0x811c9dc5;
  for (let index = 0; index < text.length; index += 1) hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193);
  return (hash >>> 0).toString(16).padStart(8, "0");
}
