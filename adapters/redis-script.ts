/**
 * The two scripts that make Redis a guarded storage, with their arguments and replies. `redis.ts` and `upstash.ts` send
 * them; nothing here talks to a server. They need Redis 5 or newer, or a server that speaks its Lua.
 *
 * @module
 */
import type { Slot, WriteEntry } from "../src/storage.ts";
import { byteRoom } from "../src/byte-room.ts";
import { textOf, type RedisArgument, type RedisCodec } from "./redis-codec.ts";

/** A script and the SHA-1 under which the server knows it; a test recomputes it. */
export interface RedisScript {
  readonly source: string;
  readonly sha1: string;
}

/**
 * Writes slots, each on its own terms. `ARGV[1]` is the last index of a stamp; then three for each key: the check ("" only
 * if absent, "*" always, "=…" while the slot begins so), the bytes, the life in ms ("0": no end). Answers 1 for written,
 * 0 for refused, -1 for a key of another type, which must neither be overwritten nor stop the script half-way.
 * A stamp of no bytes stands for an empty slot and, in the text form, for one that no slot begins with.
 */
export const WRITE_SCRIPT: RedisScript = {
  source: `local out, last = {}, tonumber(ARGV[1])
local function foreign(s)
  if #s % 4 ~= 0 then return true end
  if string.find(s, '^[%w+/]*[AEIMQUYcgkosw048]=$') or string.find(s, '^[%w+/]*[AQgw]==$') then return false end
  return #s > last or not string.find(s, '^[%w+/]*$')
end
local function shows(key, now, stamp)
  if stamp ~= '' then return now == stamp end
  if now == '' then return redis.call('EXISTS', key) == 1 end
  return last == 11 and foreign(now)
end
for i, key in ipairs(KEYS) do
  local at = i * 3 - 1
  local check, px = ARGV[at], ARGV[at + 2]
  local set = {'SET', key, ARGV[at + 1]}
  if px ~= '0' then set[4], set[5] = 'PX', px end
  if check == '' then
    set[#set + 1] = 'NX'
    out[i] = redis.call(unpack(set)) and 1 or 0
  else
    local now = redis.pcall('GETRANGE', key, 0, last)
    if type(now) == 'table' then out[i] = -1
    elseif check == '*' or shows(key, now, string.sub(check, 2)) then
      redis.call(unpack(set))
      out[i] = 1
    else out[i] = 0 end
  end
end
return out`,
  sha1: "3cfbd39044339afa3fa821daa21e0b03e74b42fb",
};

/**
 * Makes generations stand and answers them. `ARGV[1]` is "raise" or "ensure". The number is the server's time in µs, at
 * least old + 1; `%.0f`, because Lua's own conversion rounds to 14 digits. A key of another type is left as it is and
 * fails the call, but only after the others have been served.
 */
export const GENERATION_SCRIPT: RedisScript = {
  source: `local out, failed, time = {}, nil, redis.call('TIME')
local now = time[1] * 1000000 + time[2]
for i, key in ipairs(KEYS) do
  local old = redis.pcall('GET', key)
  if type(old) == 'table' then failed = old
  else
    local number = old and string.find(old, '^%d+$') and #old <= 16 and tonumber(old) or 0
    if number >= 9007199254740991 then number = 0 end
    if number == 0 or ARGV[1] == 'raise' then
      number = math.max(now, number + 1)
      redis.call('SET', key, string.format('%.0f', number))
    end
    out[i] = number
  end
end
return failed or out`,
  sha1: "affc09c82ea5c614880962d94341948aacaf371e",
};

/** The arguments of {@link WRITE_SCRIPT} for some entries. */
export function writeArguments(entries: readonly WriteEntry[], codec: RedisCodec): RedisArgument[] {
  const args: RedisArgument[] = [codec.last];
  for (const { bytes, ttlMs, ifStamp } of entries) {
    const check = ifStamp === undefined ? "*" : ifStamp === null ? "" : codec.check(ifStamp);
    args.push(check, codec.encode(bytes), ttlMs === null ? "0" : wholeMs(ttlMs));
  }
  return args;
}

/** Redis refuses a life of 0 and one that is no whole number, and would do so in the middle of a script. */
function wholeMs(ttlMs: number): string {
  return String(Math.min(Number.MAX_SAFE_INTEGER, Math.max(1, Math.ceil(ttlMs))));
}

/** What {@link WRITE_SCRIPT} answered, as the port wants it. */
export function writtenOf(reply: unknown, length: number): boolean[] {
  return listOf(reply, length).map((code) => Number(code) === 1);
}

/** What `MGET` answered for some slots; a key of another type reads as absent, as Redis has it. */
export function slotsOf(replies: readonly unknown[], codec: RedisCodec): (Slot | undefined)[] {
  const room = byteRoom(replies.length);
  return replies.map((reply) => (reply === null || reply === undefined ? undefined : { bytes: codec.decode(reply, room) }));
}

/** What `MGET` or a script answered for a generation; whatever is no number below 2^53 - 1 counts as missing. */
export function generationOf(reply: unknown): number | undefined {
  const text = reply instanceof Uint8Array ? textOf(reply) : String(reply);
  const number = /^\d{1,16}$/.test(text) ? Number(text) : 0;
  return number > 0 && number < Number.MAX_SAFE_INTEGER ? number : undefined;
}

/** The generations that {@link GENERATION_SCRIPT} answered. */
export function generationsOf(reply: unknown, length: number): number[] {
  return listOf(reply, length).map((item) => {
    const number = generationOf(item);
    if (number === undefined) throw new TypeError("a generation must be a number");
    return number;
  });
}

/** A reply as a list of the length that was asked for: another length cannot be matched with the keys. */
export function listOf(reply: unknown, length: number): readonly unknown[] {
  if (!Array.isArray(reply) || reply.length !== length) throw new TypeError(`a reply must be a list of ${length}`);
  return reply;
}

/**
 * Whether an error says that the server does not know a script (it was restarted, or its scripts were flushed). A bridge may
 * put its own words before Redis'; the command, which a client may quote behind them, begins with a bracket.
 */
export function isNoScript(error: unknown): error is Error {
  return error instanceof Error && /^[^["]*\bNOSCRIPT\b/.test(error.message);
}
