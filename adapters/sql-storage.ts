/**
 * A storage made of a dialect's statements and something that runs them. It relies on the statements being atomic each; it
 * neither retries nor keeps anything between calls.
 *
 * @module
 */
import type { Storage, StorageTraits, WriteEntry } from "../src/storage.ts";
import { inHalves } from "./halves.ts";
import { addByKey, generationOf, keysBytes, slotsOf } from "./sql-statements.ts";
import type { SqlAnswer, SqlRow, SqlStatement, SqlStatements } from "./sql-statements.ts";

/** Runs statements in one round trip if it can, one after the other if not; answers aligned. */
export type SqlRun = (statements: readonly SqlStatement[], signal: AbortSignal) => Promise<readonly SqlAnswer[]>;

/** What a SQL storage is made of. */
export interface SqlParts {
  readonly name: string;
  /** What to run where the table is missing. */
  readonly setup: string;
  readonly traits: StorageTraits;
  readonly statements: SqlStatements;
  readonly run: SqlRun;
  /** What one statement takes at most. Default: no limit. */
  readonly most?: Most | undefined;
  /** Whether an error says that the answer to a read would be too large; its keys are then read in halves. Default: never. */
  readonly isTooLarge?: ((error: unknown) => boolean) | undefined;
}

/** Limits of one statement: keys, slots to write, and bytes of these slots. */
export interface Most {
  readonly keys: number;
  readonly entries: number;
  readonly bytes: number;
}

const NO_LIMIT: Most = { keys: Infinity, entries: Infinity, bytes: Infinity };

function never(): boolean {
  return false;
}

/** Runs statements one after the other. */
export function inTurn(run: (statement: SqlStatement, signal: AbortSignal) => Promise<SqlAnswer>): SqlRun {
  return async (statements, signal) => {
    const answers: SqlAnswer[] = [];
    for (const statement of statements) {
      signal.throwIfAborted();
      answers.push(await run(statement, signal));
    }
    return answers;
  };
}

/** Makes a storage. */
export function sqlStorage({ name, setup, traits, statements, run, most = NO_LIMIT, isTooLarge = never }: SqlParts): Storage {
  function runAll(list: readonly SqlStatement[], signal: AbortSignal): Promise<readonly SqlAnswer[]> | readonly [] {
    return list.length === 0 ? [] : run(list, signal);
  }
  function forKeys(keys: readonly string[], statement: (bytes: readonly Uint8Array[]) => SqlStatement | readonly SqlStatement[]): SqlStatement[] {
    return partsOf(keysBytes(keys), most.keys, Infinity, () => 0).flatMap((part) => statement(part));
  }
  /** In the order in which every caller takes its locks. */
  function forLocked(keys: readonly string[], statement: (bytes: readonly Uint8Array[]) => SqlStatement | readonly SqlStatement[]): SqlStatement[] {
    return forKeys([...new Set(keys)].sort(byText), statement);
  }

  return {
    name,
    setup,
    traits,
    async read(keys, generations, signal) {
      // A read takes no locks: neither order nor a key that comes twice matters.
      const all = generations.length === 0 ? keys : [...keys, ...generations];
      const answers = await inHalves(all, (some) => runAll(forKeys(some, statements.read), signal), isTooLarge);
      const rows = rowsOf(answers.flat());
      return {
        slots: slotsOf(keys, rows),
        generations: generations.map((key) => generationOf(rows.get(key))),
      };
    },
    async write(entries, signal) {
      const sorted = [...entries].sort((one, other) => byText(one.key, other.key));
      const parts = partsOf(sorted, most.entries, most.bytes, ({ bytes }) => bytes.length);
      const answers = await runAll(parts.map(statements.write), signal);
      if (!statements.tells) {
        if (parts.some((part, index) => part.some(({ ifStamp }) => ifStamp === undefined) && isUnchanged(answers[index]))) throw unchanged();
        return entries.map(withoutTerms);
      }
      const rows = rowsOf(answers);
      return entries.map(({ key }) => isStored(rows.get(key)));
    },
    async remove(keys, signal) {
      await runAll(forLocked(keys, statements.remove), signal);
    },
    async raise(generations, signal) {
      const answers = await runAll(forLocked(generations, statements.raise), signal);
      if (!statements.tells && answers.some(isUnchanged)) throw unchanged();
    },
    async ensure(generations, signal) {
      const rows = rowsOf(await runAll(forLocked(generations, statements.ensure), signal));
      return generations.map((key) => {
        const number = generationOf(rows.get(key));
        if (number === undefined) throw new TypeError("a generation must be a number");
        return number;
      });
    },
    async prune(limit, signal) {
      if (!Number.isSafeInteger(limit) || limit < 1) throw new TypeError(`limit must be a whole number above 0, got ${limit}`);
      const answers = await run([statements.prune(limit)], signal);
      if (statements.removeExpired === undefined) return countOf(answers[0]);
      const keys = [...rowsOf(answers).keys()];
      const [removed] = await runAll(forLocked(keys, statements.removeExpired), signal);
      return keys.length === 0 ? 0 : countOf(removed);
    },
  };
}

function byText(one: string, other: string): number {
  return one < other ? -1 : Number(one > other);
}

/** The rows of several answers by their keys. Where not one has rows, whoever ran the statements forgot to answer them. */
function rowsOf(answers: readonly SqlAnswer[]): Map<string, SqlRow> {
  const found = new Map<string, SqlRow>();
  let silent = answers.length > 0;
  for (const answer of answers) {
    if (!isRows(answer)) continue;
    silent = false;
    addByKey(found, answer);
  }
  if (silent) throw new TypeError("a query must answer a list of rows");
  return found;
}

function isRows(answer: SqlAnswer | undefined): answer is readonly SqlRow[] {
  return Array.isArray(answer);
}

/** A write on no terms and a raise always change a row: where none was, the statement was not run. */
function isUnchanged(answer: SqlAnswer | undefined): boolean {
  return !isRows(answer) && answer?.affectedRows === 0;
}

function unchanged(): TypeError {
  return new TypeError("a write on no terms changed nothing");
}

function isStored(row: SqlRow | undefined): boolean {
  return row !== undefined && Number(row["stored"]) === 1;
}

/** Where nothing is answered: what was written on no terms is stored. */
function withoutTerms(entry: WriteEntry): true | undefined {
  return entry.ifStamp === undefined ? true : undefined;
}

function countOf(answer: SqlAnswer | undefined): number {
  if (!isRows(answer)) return answer?.affectedRows ?? 0;
  const gone = answer[0]?.["gone"];
  return gone === undefined ? answer.length : Number(gone);
}

/** Items in as few parts as the limits allow; one that is too large by itself is a part of its own. */
function partsOf<T>(items: readonly T[], most: number, mostBytes: number, size: (item: T) => number): readonly (readonly T[])[] {
  if (items.length > 0 && items.length <= most && mostBytes === Infinity) return [items];
  const parts: T[][] = [];
  let bytes = 0;
  for (const item of items) {
    const last = parts.at(-1);
    bytes += size(item);
    if (last === undefined || last.length >= most || bytes > mostBytes) {
      parts.push([item]);
      bytes = size(item);
    } else last.push(item);
  }
  return parts;
}
