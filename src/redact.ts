/**
 * What may be told of a driver's error. A driver's message may hold the whole command with its keys and values, and the
 * address with its password. It relies on nothing.
 *
 * @module
 */

const MESSAGE_LENGTH = 200;
/** How much of a message is looked at, which may hold a whole command. */
const READ_LENGTH = 4_096;

/** A driver's error in one line: its name, its code (or its cause's: "fetch failed" says nothing) and its message. Not yet fit to be told. */
export function textOf(error: unknown): string {
  if (!(error instanceof Error)) return typeof error === "string" ? error : "something other than an Error was thrown";
  const code = codeOf(error) ?? codeOf(error.cause);
  return `${error.name}${code === undefined ? "" : ` ${code}`}: ${error.message}`;
}

function codeOf(error: unknown): string | number | undefined {
  const code: unknown = error instanceof Error && "code" in error ? error.code : undefined;
  return typeof code === "string" || typeof code === "number" ? code : undefined;
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
  return hidden(clean);
}

/** A message of a function that makes a storage: our own ones name the option and the value, so quotes stay, and addresses and tokens go. */
export function redactMaking(error: unknown): string {
  return hidden(textOf(error).slice(0, READ_LENGTH));
}

function hidden(text: string): string {
  return text
    .replaceAll(/\b([a-z][a-z0-9+.-]*:\/\/)\S*/gi, "$1…")
    .replaceAll(/\S*[@%]\S*/g, "…")
    .replaceAll(/[A-Za-z0-9+/_=-]{16,}/g, (run) => (/\d/.test(run) && /[A-Za-z]/.test(run) ? "…" : run))
    .slice(0, MESSAGE_LENGTH);
}
