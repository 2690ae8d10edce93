/**
 * The part of MongoDB Extended JSON (v2) that a cache's documents need: dates, binary, and numbers in either form. It keeps
 * plain values on both sides and knows no other type.
 *
 * @module
 */
import { fromBase64, toBase64 } from "./base64.ts";
import { isFields } from "./mongo-document.ts";

/** Nothing of ours is nested deeper, and a recursion needs an end. */
const MAX_DEPTH = 12;

/** Plain values as what `JSON.stringify` takes. */
export function toEjson(value: unknown): unknown {
  if (value instanceof Date) return { $date: { $numberLong: String(value.getTime()) } };
  if (value instanceof Uint8Array) return { $binary: { base64: toBase64(value), subType: "00" } };
  if (Array.isArray(value)) return value.map(toEjson);
  return isFields(value) ? Object.fromEntries(Object.entries(value).map(([name, item]) => [name, toEjson(item)])) : value;
}

/**
 * Plain values of what `JSON.parse` gave. Types it does not know stay the objects they are.
 *
 * @throws TypeError if the value is nested too deeply.
 */
export function fromEjson(value: unknown, depth = 0): unknown {
  if (depth > MAX_DEPTH) throw new TypeError("the document is nested too deeply");
  if (Array.isArray(value)) return value.map((item) => fromEjson(item, depth + 1));
  if (!isFields(value)) return value;
  const entries = Object.entries(value);
  const [first] = entries;
  const typed = entries.length === 1 && first !== undefined && first[0].startsWith("$") ? typedOf(first[0], first[1]) : undefined;
  return typed ?? Object.fromEntries(entries.map(([name, item]) => [name, fromEjson(item, depth + 1)]));
}

function typedOf(type: string, value: unknown): unknown {
  if (type === "$numberInt" || type === "$numberLong" || type === "$numberDouble") return typeof value === "string" ? Number(value) : undefined;
  if (type === "$date") return dateOf(isFields(value) ? value["$numberLong"] : value);
  if (type === "$binary" && isFields(value)) return typeof value["base64"] === "string" ? fromBase64(value["base64"]) : undefined;
  return undefined;
}

/** Milliseconds as text or a number, or ISO 8601. */
function dateOf(value: unknown): Date | undefined {
  const date = typeof value === "string" && !/^-?\d+$/.test(value) ? new Date(value) : new Date(Number(value));
  return Number.isNaN(date.getTime()) ? undefined : date;
}
