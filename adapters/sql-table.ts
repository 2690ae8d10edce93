/**
 * The name of the table of a SQL storage: checked, and quoted as a dialect wants it. A name cannot be a parameter of a
 * statement, so nothing but plain identifiers is let through.
 *
 * @module
 */

/** The table unless another is named. */
export const DEFAULT_TABLE = "cacheme";

const IDENTIFIER = /^[A-Za-z_][A-Za-z0-9_]{0,62}$/;

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
    // Cut so that the longest table still has an index: a name has at most 63 characters in Postgres.
    index: `${quote}${last.slice(0, 55)}_expires${quote}`,
  };
}
