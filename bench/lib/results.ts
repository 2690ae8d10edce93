/**
 * Reads figures back from `bench/results.md`, so that a plot can show nothing that is not in a table. It knows Markdown tables as
 * this folder writes them, and nothing of what they mean.
 *
 * @module
 */

/** A table under its nearest heading. */
export interface ResultTable {
  readonly title: string;
  readonly head: readonly string[];
  /** Cells as text, without emphasis and code marks. */
  readonly rows: readonly (readonly string[])[];
}

/** The tables of a section; none, if there is no such section. */
export function tablesOf(results: string, section: string): ResultTable[] {
  const from = results.indexOf(`<!-- begin ${section} -->`);
  const to = results.indexOf(`<!-- end ${section} -->`);
  if (from < 0 || to < from) return [];
  const tables: { title: string; head: readonly string[]; rows: (readonly string[])[] }[] = [];
  let title = "";
  let open: (typeof tables)[number] | undefined;
  for (const line of results.slice(from, to).split("\n")) {
    if (line.startsWith("#")) title = line.replace(/^#+ /, "");
    if (!line.startsWith("|")) {
      open = undefined;
      continue;
    }
    const cells = cellsOf(line);
    if (!open) {
      open = { title, head: cells, rows: [] };
      tables.push(open);
    } else if (!cells.every((cell) => /^:?-+:?$/.test(cell))) open.rows.push(cells);
  }
  return tables;
}

/** A cell as a number: `1,234`, `0.5 %` and `12.3` are some; `NaN` for what is none. */
export function numberIn(cell: string | undefined): number {
  const text = (cell ?? "").replaceAll(",", "").replace(/ ?%$/, "");
  return text === "" ? Number.NaN : Number(text);
}

/** The number in the column of that name. @throws Error if the table has no such column. */
export function valueIn({ title, head }: ResultTable, row: readonly string[], column: string): number {
  const at = head.indexOf(column);
  if (at < 0) throw new Error(`bench/results.md: the table ${JSON.stringify(title)} has no column ${JSON.stringify(column)}`);
  return numberIn(row[at]);
}

function cellsOf(line: string): string[] {
  const cells = line
    .trim()
    .replace(/^\|/, "")
    .replace(/\|$/, "")
    .split(/(?<!\\)\|/);
  return cells.map((cell) => cell.trim().replaceAll(/\*\*|`/g, ""));
}
