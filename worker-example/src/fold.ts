/**
 * Text as people type it: folded to lower case without accents, so that "zurich" finds Zürich. The script that fills the
 * database and the Worker that searches it both use this one function; a search compares folded text with folded text.
 *
 * @module
 */

/** Lower case, without combining marks, trimmed, and with single spaces. */
export function fold(text: string): string {
  return text.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase().replace(/\s+/g, " ").trim();
}
