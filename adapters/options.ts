/**
 * The checks of options that the factories share. What they throw begins with the factory's name, names the option and what it
 * was given by its kind alone: a token in the wrong place is still a secret.
 *
 * @module
 */
export { optionsOf } from "../src/fields.ts";

/** @throws TypeError unless it is text, not empty and without blanks. `option` is its full name: `"libsql: authToken"`. */
export function textOption(value: unknown, option: string, wanted = "text without blanks"): string {
  if (typeof value === "string" && /^\S+$/.test(value)) return value;
  const got = typeof value !== "string" ? typeof value : value === "" ? "an empty one" : "one with blanks";
  throw new TypeError(`${option} must be ${wanted}, got ${got}`);
}

/** @throws TypeError unless it is a URL with one of the protocols (`https:`). `wanted` shows one: `"like https://host"`. */
export function urlOf(value: unknown, option: string, protocols: readonly string[], wanted: string): URL {
  const text = textOption(value, option, wanted);
  const url = parsed(text);
  if (url !== undefined && protocols.includes(url.protocol)) return url;
  throw new TypeError(`${option} must be ${wanted}, got ${url === undefined ? "text that is no URL" : `one with ${url.protocol}`}`);
}

/** As {@link urlOf}, for a URL with nothing in it that may be a secret, as text. */
export function bareUrl(value: unknown, option: string, protocols: readonly string[], wanted: string): string {
  const { href, username, password } = urlOf(value, option, protocols, wanted);
  if (username + password !== "" || /[?#]/.test(href)) throw new TypeError(`${option} must have no user name, password, query or fragment, got one with some`);
  return String(value);
}

/**
 * `URL.canParse` is missing where the compatibility date is old; what the constructor throws shows the URL. Without slashes, as in
 * `user:password`, what stands before the colon need not be a protocol.
 */
function parsed(text: string): URL | undefined {
  try {
    return /^(?:[a-z][a-z\d+.-]*:\/\/|file:)/i.test(text) ? new URL(text) : undefined;
  } catch {
    return undefined;
  }
}

/** @throws TypeError unless it has all these methods. `wanted` says what does: `"a KV binding"`. */
export function checkMethods(value: unknown, methods: readonly string[], option: string, wanted: string): void {
  for (const method of methods) {
    const found: unknown = (typeof value === "object" && value !== null) || typeof value === "function" ? Reflect.get(value, method) : undefined;
    if (typeof found !== "function") throw new TypeError(`${option} must be ${wanted}, got ${value === null ? "null" : `${typeof value} without ${method}()`}`);
  }
}
