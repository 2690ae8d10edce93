/**
 * The storage on Upstash Redis over HTTP, through the official driver. It relies on the scripts of `redis-script.ts` and
 * stores slots as text, because JSON carries no bytes. It neither retries nor keeps anything between calls, so one storage
 * serves all requests of an isolate.
 *
 * @module
 */
import { Redis } from "@upstash/redis/cloudflare";
import type { Storage, StorageTraits, WriteEntry } from "../src/storage.ts";
import { inHalves } from "./halves.ts";
import { bareUrl, checkMethods, optionsOf, textOption } from "./options.ts";
import { textCodec } from "./redis-codec.ts";
import { GENERATION_SCRIPT, WRITE_SCRIPT, generationOf, generationsOf, isNoScript, listOf, slotsOf, writeArguments, writtenOf } from "./redis-script.ts";
import type { RedisScript } from "./redis-script.ts";

/** The few methods of a `Redis` of `@upstash/redis` that are used. */
export interface UpstashClient {
  mget(keys: string[]): Promise<unknown>;
  unlink(...keys: string[]): Promise<unknown>;
  eval(script: string, keys: string[], args: string[]): Promise<unknown>;
  evalsha(sha1: string, keys: string[], args: string[]): Promise<unknown>;
}

/** Options of {@link upstash}: where the database is, or a client that is ready. */
export type UpstashOptions =
  | { readonly url: string; readonly token: string; readonly client?: undefined }
  | { readonly client: UpstashClient; readonly url?: undefined; readonly token?: undefined };

/** A request may have 10 MB; what lies above this is left for the command, its script, and a single slot that is larger. */
const MAX_REQUEST_BYTES = 9_000_000;

const TRAITS: StorageTraits = {
  conditional: true,
  consistency: "strong",
  maxBatch: 1000,
  maxKeyBytes: 32 * 1024,
  maxValueBytes: 6_700_000,
  roundTrips: "1; a batch above 9 MB, as a request, goes out in parts, all at once",
};

/**
 * A storage on an Upstash Redis database: every call is one HTTP request with one command in it (`MGET`, `EVALSHA`,
 * `UNLINK`), a second time only when the database does not know the script yet. A service that reaches the same database
 * over TCP reads the same slots with `redis({ client, encoding: "base64" })`.
 *
 * It is strong on a database of one region. Where read regions are added, a read there may still show what an
 * `invalidate` has just cleared; the driver's sync token covers this isolate's own writes only.
 *
 * With `url` and `token` it makes a client that has none of the driver's traps: no automatic pipelining (it sends reads and
 * writes as two requests), no parsing of values, no retries (a write applied twice can undo a later one), no telemetry;
 * a call that runs out of its time budget ends its request. With `client` that is up to you, and such a call only stops
 * waiting: make it with
 * `{ enableAutoPipelining: false, automaticDeserialization: false, responseEncoding: false, retry: { retries: 0 } }` and without a `signal`.
 *
 * @param options.url `https://…` or `http://…`, without user name, password, query or fragment.
 * @param options.token not empty, no blanks.
 * @throws TypeError if `url` or `token` is none, naming it without its value, if `client` is none or lacks a setting, or for an
 * option that there is not.
 * @example
 * ```ts
 * import { createCache, local } from "cacheme";
 * import { upstash } from "cacheme/upstash";
 *
 * const cache = createCache({ storages: { local: local(), redis: upstash({ url, token }) } });
 * ```
 * @see https://upstash.com/docs/redis/features/restapi
 */
export function upstash(options: UpstashOptions): Storage {
  const { client: given, url, token } = optionsOf<UpstashOptions>(options, ["client", "url", "token"], "upstash");
  const { client, send } = given === undefined ? ownClient(url, token) : givenClient(given);

  /** Scripts that have run here. One that has not is sent whole: if the database does not know it, its arguments would travel twice. */
  const known = new Set<RedisScript>();

  async function run(script: RedisScript, keys: string[], args: string[], signal: AbortSignal): Promise<unknown> {
    if (known.has(script)) {
      try {
        return await send(signal, () => client.evalsha(script.sha1, keys, args));
      } catch (error) {
        if (!isNoScript(error)) throw error;
      }
    }
    const reply = await send(signal, () => client.eval(script.source, keys, args));
    known.add(script);
    return reply;
  }
  async function readSome(keys: readonly string[], signal: AbortSignal): Promise<readonly unknown[]> {
    return listOf(await send(signal, () => client.mget([...keys])), keys.length);
  }
  async function generate(mode: "raise" | "ensure", names: readonly string[], signal: AbortSignal): Promise<readonly number[]> {
    if (names.length === 0) return [];
    const numbers = await eachPart(names, bytesInJson, async (part) => generationsOf(await run(GENERATION_SCRIPT, [...part], [mode], signal), part.length));
    return numbers.flat();
  }

  return {
    name: "upstash",
    traits: TRAITS,
    async read(keys, generations, signal) {
      const all = [...keys, ...generations];
      const parts = await eachPart(all, bytesInJson, (part) => inHalves(part, (some) => readSome(some, signal), isTooLarge));
      const items = parts.flat(2);
      return {
        slots: slotsOf(items.slice(0, keys.length), textCodec),
        generations: items.slice(keys.length).map(generationOf),
      };
    },
    async write(entries, signal) {
      const outcomes = await eachPart(entries, bytesOfWrite, async (part) => {
        const args = writeArguments(part, textCodec).map(String);
        return writtenOf(await run(WRITE_SCRIPT, part.map(keyOf), args, signal), part.length);
      });
      return outcomes.flat();
    },
    async remove(keys, signal) {
      await eachPart(keys, bytesInJson, (part) => send(signal, () => client.unlink(...part)));
    },
    async raise(generations, signal) {
      await generate("raise", generations, signal);
    },
    ensure: (generations, signal) => generate("ensure", generations, signal),
  };
}

/** Upstash has one limit for a command and its answer. The command, which the driver quotes behind the message, begins with a bracket. */
function isTooLarge(error: unknown): boolean {
  return error instanceof Error && /^[^["]*\bmax request size exceeded\b/.test(error.message);
}

function keyOf(entry: WriteEntry): string {
  return entry.key;
}

/** Bytes that text takes at most as an argument of a command in JSON. Keys of the core have no lone surrogates, which take more. */
function bytesInJson(text: string): number {
  // A thousand such keys fit a request whatever is in them, and counting takes longer than encoding.
  if (text.length <= COUNTED_ABOVE) return 6 * text.length + 3;
  // Two quotes and a comma.
  let bytes = 3;
  for (let index = 0; index < text.length; index += 1) {
    const unit = text.charCodeAt(index);
    if (unit < 0x20) bytes += 6;
    else if (unit < 0x80) bytes += unit === QUOTE || unit === BACKSLASH ? 2 : 1;
    // Halves of a surrogate pair take two each.
    else bytes += unit < 0x800 || (unit & 0xf800) === 0xd800 ? 2 : 3;
  }
  return bytes;
}

const COUNTED_ABOVE = 256;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;

function bytesOfWrite({ key, bytes }: WriteEntry): number {
  return bytesInJson(key) + Math.ceil(bytes.length / 3) * 4 + 64;
}

/** Runs a command on each of as few parts as a request's limit allows, all at once; on none, if there are no items. */
function eachPart<Item, Answer>(items: readonly Item[], bytesOf: (item: Item) => number, run: (part: readonly Item[]) => Promise<Answer>): Promise<Answer[]> {
  let total = 0;
  for (const item of items) total += bytesOf(item);
  if (total <= MAX_REQUEST_BYTES) return items.length === 0 ? Promise.resolve([]) : run(items).then((answer) => [answer]);
  const parts: Item[][] = [];
  let room = 0;
  for (const item of items) {
    const bytes = bytesOf(item);
    const last = parts.at(-1);
    if (last === undefined || bytes > room) {
      parts.push([item]);
      room = MAX_REQUEST_BYTES - bytes;
    } else {
      last.push(item);
      room -= bytes;
    }
  }
  return Promise.all(parts.map(run));
}

interface Sender {
  readonly client: UpstashClient;
  readonly send: (signal: AbortSignal, command: () => Promise<unknown>) => Promise<unknown>;
}

/**
 * A client without traps. The driver knows no signal per call, and its signal object, once aborted, answers every call with
 * a made-up result; its signal function makes the request fail, as it should.
 *
 * Invariant: the driver asks for the signal in the turn in which a command is called, so `current` is that call's own.
 */
function ownClient(url: unknown, token: unknown): Sender {
  let current: AbortSignal | undefined;
  const client = new Redis({
    url: bareUrl(url, "upstash: url", ["https:", "http:"], "the REST URL, like https://NAME.upstash.io"),
    token: textOption(token, "upstash: token"),
    enableAutoPipelining: false,
    automaticDeserialization: false,
    responseEncoding: false,
    retry: { retries: 0 },
    enableTelemetry: false,
    signal: () => current ?? new AbortController().signal,
  });
  return {
    client,
    send(signal, command) {
      current = signal;
      const reply = command();
      current = undefined;
      return reply;
    },
  };
}

/** Checks what can be seen of a client's settings: each of these silently changes what a call means. */
function givenClient(client: UpstashClient): Sender {
  checkMethods(client, ["mget", "unlink", "eval", "evalsha"], "upstash: client", "a Redis of @upstash/redis");
  const demands: readonly [setting: string, kept: boolean][] = [
    ["enableAutoPipelining: false", peek(client, "enableAutoPipelining") !== true],
    ["automaticDeserialization: false", peek(client, "opts") === undefined || peek(client, "opts", "automaticDeserialization") === false],
    // Its decoder drops a leading U+FEFF, so that foreign text would pass for a slot of ours.
    ["responseEncoding: false", peek(client, "client", "options", "responseEncoding") !== "base64"],
    ["retry: { retries: 0 }", [undefined, 0].includes(attemptsOf(client))],
    ["no signal, or a function", typeof peek(client, "client", "options", "signal") !== "object"],
  ];
  for (const [setting, kept] of demands) if (!kept) throw new TypeError(`upstash: client must be made with ${setting}`);
  return {
    client,
    async send(signal, command) {
      signal.throwIfAborted();
      return command();
    },
  };
}

function attemptsOf(client: UpstashClient): number | undefined {
  const attempts = peek(client, "client", "retry", "attempts");
  return typeof attempts === "number" ? attempts : undefined;
}

function peek(value: unknown, ...path: readonly string[]): unknown {
  return path.reduce((at: unknown, name) => (typeof at === "object" && at !== null ? Reflect.get(at, name) : undefined), value);
}
