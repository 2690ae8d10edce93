/**
 * The checks of options that the storages of the SQL family share. What they throw names the option, never a secret.
 *
 * @module
 */

export { optionsOf } from "./options.ts";

/** @throws TypeError unless it is text, not empty and without blanks. */
export function textOption(value: unknown, name: string): string {
  if (typeof value === "string" && /^\S+$/.test(value)) return value;
  const got = typeof value !== "string" ? typeof value : value === "" ? "an empty one" : "one with blanks";
  throw new TypeError(`${name} must be text without blanks, got ${got}`);
}

/** @throws TypeError unless it is a URL with one of the protocols (`https:`). */
export function urlOf(text: string, name: string, protocols: readonly string[]): URL {
  const url = parsed(text);
  if (url === undefined) throw new TypeError(`${name} must be a URL with ${protocols.join(" or ")}, got other text`);
  if (!protocols.includes(url.protocol)) throw new TypeError(`${name} must be a URL with ${protocols.join(" or ")}, got one with ${url.protocol}`);
  return url;
}

/** `URL.canParse` is missing where the compatibility date is old; what the constructor throws shows the URL. */
function parsed(text: string): URL | undefined {
  try {
    return new URL(text);
  } catch {
    return undefined;
  }
}
