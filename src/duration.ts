/**
 * Durations as users write them. The run-time grammar is stricter than the type, because a template literal type also takes
 * `"-5s"`, `"1e3s"` and `" 5s"`.
 *
 * @module
 */

/**
 * A span of time: milliseconds as a number, or a decimal with a unit (`"250ms"`, `"30s"`, `"1.5m"`, `"2h"`, `"10d"`).
 * No sign, no blank, no exponent.
 */
export type Duration = number | `${number}${"ms" | "s" | "m" | "h" | "d"}`;

const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };
/** Hosts keep a timer's delay in 32 bits and fire at once above that. */
const MAX_TIMER_MS = 2_147_483_647;
const GRAMMAR = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/;

/**
 * A duration in whole milliseconds; fractions round up, so that "a little" never becomes "not at all".
 *
 * @returns `null` for `null`, `Infinity`, and spans too long to count.
 * @throws TypeError naming `option` and the value, if it is negative, `NaN` or malformed.
 */
export function toMs(duration: unknown, option: string): number | null {
  if (duration === null) return null;
  let ms: number = Number.NaN;
  if (typeof duration === "number") ms = duration;
  else if (typeof duration === "string") {
    const match = GRAMMAR.exec(duration);
    if (match) ms = Number(match[1]) * (UNITS[match[2] ?? ""] ?? Number.NaN);
  }
  if (!(ms >= 0)) {
    throw new TypeError(`${option} must be a duration such as 500, "30s" or "1.5h", got ${describe(duration)}`);
  }
  const whole = Math.ceil(ms);
  return whole > Number.MAX_SAFE_INTEGER ? null : whole;
}

/** As {@link toMs}, for options that need an end: `null` and `Infinity` are refused as well. */
export function toFiniteMs(duration: unknown, option: string): number {
  const ms = toMs(duration, option);
  if (ms === null) throw new TypeError(`${option} must be a finite duration, got ${describe(duration)}`);
  return ms;
}

/** As {@link toFiniteMs}, for what a timer waits: from 1 ms to what a host's timer can wait. */
export function toTimerMs(duration: unknown, option: string): number {
  const ms = toFiniteMs(duration, option);
  if (ms >= 1 && ms <= MAX_TIMER_MS) return ms;
  throw new TypeError(`${option} must be from 1 to ${MAX_TIMER_MS} ms, got ${describe(duration)}`);
}

/** A value as an error message may show it: short, and never more than its shape for objects. */
export function describe(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value.length > 60 ? `${value.slice(0, 60)}…` : value);
  if (typeof value === "function") return "a function";
  if (typeof value === "object" && value !== null) return Array.isArray(value) ? "an array" : "an object";
  return typeof value === "bigint" ? `${value}n` : String(value);
}
