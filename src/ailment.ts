/**
 * What ails a storage, where a driver's error says so: what no later call mends until somebody does something. It relies on
 * nothing, and knows no driver but by the codes and words of its errors.
 *
 * @module
 */

import type { NotReadyReason } from "./events.ts";

/** What to do about it. Shown in messages, so it names nothing that only we know. */
export const REMEDIES: Readonly<Record<NotReadyReason, string>> = {
  table: "its table is missing: make it, as `setup` says",
  credentials: "it refuses the credentials: check user, password or token",
  rights: "its user lacks a right: let it read, write and delete here",
  room: "it has no room left: raise its limit, prune it or let it evict",
  closed: "its client is closed or lost its connection: give the cache an open one",
};

/** How much of a message is looked at, which may hold a whole command. */
const READ_LENGTH = 4_096;

/** Codes of Postgres (SQLSTATE), of MySQL by name and by number, of MongoDB by name, of HTTP and of the system. */
const CODES: ReadonlyMap<unknown, NotReadyReason> = new Map<unknown, NotReadyReason>([
  ["42P01", "table"],
  ["42S02", "table"],
  ["ER_NO_SUCH_TABLE", "table"],
  [1146, "table"],
  ["28P01", "credentials"],
  ["28000", "credentials"],
  ["ER_ACCESS_DENIED_ERROR", "credentials"],
  [1045, "credentials"],
  ["AuthenticationFailed", "credentials"],
  [401, "credentials"],
  ["42501", "rights"],
  ["ER_DBACCESS_DENIED_ERROR", "rights"],
  [1044, "rights"],
  ["ER_TABLEACCESS_DENIED_ERROR", "rights"],
  [1142, "rights"],
  ["Unauthorized", "rights"],
  [403, "rights"],
  ["53100", "room"],
  ["53400", "room"],
  ["ER_DISK_FULL", "room"],
  [1021, "room"],
  ["ER_RECORD_FILE_FULL", "room"],
  [1114, "room"],
  ["OutOfDiskSpace", "room"],
  ["ENOSPC", "room"],
]);

/** MySQL's name for it, and SQLite with libSQL and D1; anywhere, as the table's own name may stand before. */
const NO_TABLE = /\b42P01\b|\b42S02\b|no[ _]such[ _]table/i;
/** MySQL's number, where it is in the text only. */
const NUMBER = /\berrno:? ?(\d{4})\b/;
/** Before the first quote: what comes later may be a key or a value. Redis' words stand at the beginning. */
const WORDS: readonly (readonly [NotReadyReason, RegExp])[] = [
  ["credentials", /^(?:NOAUTH|WRONGPASS|Unauthorized)\b|\b(?:status|with) 401\b|password authentication failed/],
  ["rights", /^NOPERM\b|\b(?:status|with) 403\b|attempt to write a readonly database/],
  ["room", /^OOM\b|database or disk is full|no space left on device/i],
  ["closed", /^Connection is closed|client (?:is|was) closed|after calling end on the pool|^Pool is closed|database is not open|must be connected before/i],
];

/** What a driver's error says of its storage, if it does. Looks one cause deep, as some drivers wrap another's error. */
export function ailmentOf(error: unknown, depth = 1): NotReadyReason | undefined {
  if (!(error instanceof Error)) return typeof error === "string" ? byText(error) : undefined;
  const { code, codeName, errno, status, cause }: { code?: unknown; codeName?: unknown; errno?: unknown; status?: unknown; cause?: unknown } = error;
  const byCode = CODES.get(code) ?? CODES.get(codeName) ?? CODES.get(errno) ?? CODES.get(status);
  const found = byCode ?? byText(error.message);
  return found ?? (depth > 0 && cause !== undefined ? ailmentOf(cause, depth - 1) : undefined);
}

function byText(message: string): NotReadyReason | undefined {
  const text = message.slice(0, READ_LENGTH);
  if (NO_TABLE.test(text)) return "table";
  const number = NUMBER.exec(text)?.[1];
  const byNumber = number === undefined ? undefined : CODES.get(Number(number));
  if (byNumber) return byNumber;
  const [told = ""] = text.split(/["'`]/, 1);
  return WORDS.find(([, words]) => words.test(told))?.[0];
}
