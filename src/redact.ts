/**
 * What may be told of a driver's error, and what it means. A driver's message may hold the whole command with its keys and
 * values, and the address with its password. It relies on nothing, and knows no driver but by the words of its errors.
 *
 * @module
 */

const MESSAGE_LENGTH = 200;
/** How much of a message is looked at, which may hold a whole command. */
const READ_LENGTH = 4_096;
/** Postgres; MySQL by its SQL state or number, as PlanetScale has them in its text; MySQL's name for it, and SQLite with libSQL and D1. */
const NO_TABLE = /\b42P01\b|\b42S02\b|\berrno:? ?1146\b|no[ _]such[ _]table/i;
const NO_TABLE_NUMBER = 1146;

/** Whether a driver's error says that the table does not exist. Looks one cause deep, as some drivers wrap another's error. */
export function lacksTable(error: unknown, depth = 1): boolean {
  if (!(error instanceof Error)) return typeof error === "string" && NO_TABLE.test(error);
  const { code, errno, cause }: { code?: unknown; errno?: unknown; cause?: unknown } = error;
  if (code === NO_TABLE_NUMBER || errno === NO_TABLE_NUMBER) return true;
  if (NO_TABLE.test(`${typeof code === "string" ? code : ""} ${error.message}`.slice(0, READ_LENGTH))) return true;
  return depth > 0 && cause !== undefined && lacksTable(cause, depth - 1);
}

/** A driver's error in one line: its name, its code and its message. Not yet fit to be told. */
export function textOf(error: unknown): string {
  if (!(error instanceof Error)) return typeof error === "string" ? error : "something other than an Error was thrown";
  const code = "code" in error && (typeof error.code === "string" || typeof error.code === "number") ? ` ${error.code}` : "";
  return `${error.name}${code}: ${error.message}`;
}

/**
 * Takes from a driver's message what may be a secret: the keys of the call in any spelling, everything from the first
 * quote, brace or bracket on, and from the word "command"; URLs and what stands before an @; anything percent-encoded; and
 * any run of 16 or more letters and digits that has both (tokens, hashes, base64). What is left tells the kind of failure.
 */
export function redact(text: string, secrets: readonly string[]): string {
  let clean = text.slice(0, READ_LENGTH);
  for (const secret of secrets) {
    for (const spelling of [secret, encodeURIComponent(secret), JSON.stringify(secret).slice(1, -1)])
      if (spelling !== "") clean = clean.replaceAll(spelling, "…");
  }
  const end = clean.search(/["'`{[<]|\bcommands?\b/i);
  if (end >= 0) clean = `${clean.slice(0, end)}…`;
  return clean
    .replaceAll(/\b([a-z][a-z0-9+.-]*:\/\/)\S*/gi, "$1…")
    .replaceAll(/\S*[@%]\S*/g, "…")
    .replaceAll(/[A-Za-z0-9+/_=-]{16,}/g, (run) => (/\d/.test(run) && /[A-Za-z]/.test(run) ? "…" : run))
    .slice(0, MESSAGE_LENGTH);
}
