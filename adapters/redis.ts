/**
 * The storage on Redis over TCP, for a client that the user has made. It relies on `redis-script.ts` for what happens on the
 * server and on `redis-client.ts` for how each driver is spoken to. It opens, closes and configures nothing.
 *
 * @module
 */
import { onWorkers } from "./workers.ts";
import type { Storage, StorageTraits } from "../src/storage.ts";
import { optionsOf } from "./options.ts";
import { wireOf, type RedisClient } from "./redis-client.ts";
import { bytesCodec, textCodec, type RedisArgument } from "./redis-codec.ts";
import { GENERATION_SCRIPT, WRITE_SCRIPT, generationOf, generationsOf, isNoScript, listOf, slotsOf, writeArguments, writtenOf } from "./redis-script.ts";
import type { RedisScript } from "./redis-script.ts";
import type { RedisCommand } from "./redis-wire.ts";

export type { BunRedisLike, NodeRedisLike, RedisClient } from "./redis-client.ts";
export type { IoredisLike } from "./redis-ioredis.ts";

/** Options of {@link redis}. */
export interface RedisOptions {
  /** A client of ioredis 5, node-redis 5 or newer, or Bun; of a single server or (but for Bun) of a cluster. */
  readonly client: RedisClient;
  /** `"bytes"` (default) is compact; `"base64"` shares a database with `upstash()`. One database has one of them. */
  readonly encoding?: "bytes" | "base64" | undefined;
}

/** The longest string a server takes by default. */
const MAX_STRING_BYTES = 512 * 1024 * 1024;

/**
 * A storage on a Redis server or cluster. Slots are plain strings with the server's own expiry; a batch of writes is one
 * script, so each slot is compared and written atomically; a key that holds another type refuses only itself.
 *
 * It does not connect, retry or close: the client is yours. Give it these settings, which no adapter can give it later: no
 * resending after a lost connection (ioredis: `autoResendUnfulfilledCommands: false`), since a write that is applied twice,
 * or long after its time, can undo a later one; reads from masters (no `scaleReads`), since a lagging replica does not
 * know of an `invalidate` yet; an eviction policy other than `volatile-ttl`, which evicts tombstones first.
 *
 * Invariant: on a single server every call is one command (`EVALSHA`, `MGET`, `UNLINK`), twice only when the server does not
 * know the script yet. Bun with `"bytes"` reads by one `GET` for each key, in one write. In a cluster each key is a
 * command of its own, and the commands for one node travel together.
 *
 * @param options.client told apart by its methods; see {@link RedisOptions}.
 * @param options.encoding default `"bytes"`.
 * @throws TypeError if `client` is no known client, `encoding` is another value, or for an option that there is not.
 * @example
 * ```ts
 * import { Redis } from "ioredis";
 * import { createCache, local } from "cacheme";
 * import { redis } from "cacheme/redis";
 *
 * const client = new Redis("redis://127.0.0.1:6379", { autoResendUnfulfilledCommands: false });
 * const cache = createCache({ storages: { local: local(), redis: redis({ client }) } });
 * ```
 * @see https://redis.io/docs/latest/develop/programmability/eval-intro/
 */
export function redis(options: RedisOptions): Storage {
  const { client, encoding = "bytes" } = optionsOf(options, ["client", "encoding"], "redis");
  if (encoding !== "bytes" && encoding !== "base64") {
    throw new TypeError(`redis: encoding must be "bytes" or "base64", got ${JSON.stringify(encoding)}`);
  }
  const codec = encoding === "bytes" ? bytesCodec : textCodec;
  const wire = wireOf(client, encoding === "base64");

  /** One command for all keys, or one for each where they lie on several servers. */
  function split(keys: readonly string[]): readonly (readonly string[])[] {
    return wire.spread ? keys.map((key) => [key]) : [keys];
  }
  async function run(script: RedisScript, calls: readonly Call[], signal: AbortSignal): Promise<readonly unknown[]> {
    const replies = [
      ...(await wire.send(
        calls.map((call) => toCommand("evalsha", script.sha1, call)),
        signal,
      )),
    ];
    const unknown = calls.flatMap((call, index) => (isNoScript(replies[index]) ? [{ call, index }] : []));
    if (unknown.length === 0) return replies;
    signal.throwIfAborted();
    const again = await wire.send(
      unknown.map(({ call }) => toCommand("eval", script.source, call)),
      signal,
    );
    for (const [at, { index }] of unknown.entries()) replies[index] = again[at];
    return replies;
  }
  async function generate(mode: "raise" | "ensure", names: readonly string[], signal: AbortSignal): Promise<readonly number[]> {
    if (names.length === 0) return [];
    const parts = split(names);
    const replies = await run(
      GENERATION_SCRIPT,
      parts.map((keys) => ({ keys, args: [mode] })),
      signal,
    );
    return parts.flatMap((keys, index) => generationsOf(replies[index], keys.length));
  }

  return {
    name: "redis",
    traits: traitsOf(encoding, wire.spread),
    async read(keys, generations, signal) {
      const parts = keys.length + generations.length === 0 ? [] : split([...keys, ...generations]);
      const replies = await wire.send(
        parts.map((part) => ({ name: "mget", keys: part, args: [] })),
        signal,
      );
      const items = parts.flatMap((part, index) => listOf(replies[index], part.length));
      return {
        slots: slotsOf(items.slice(0, keys.length), codec),
        generations: items.slice(keys.length).map(generationOf),
      };
    },
    async write(entries, signal) {
      if (entries.length === 0) return [];
      const parts = wire.spread ? entries.map((entry) => [entry]) : [entries];
      const calls = parts.map((part) => ({ keys: part.map((entry) => entry.key), args: writeArguments(part, codec) }));
      const replies = await run(WRITE_SCRIPT, calls, signal);
      return parts.flatMap((part, index) => writtenOf(replies[index], part.length));
    },
    async remove(keys, signal) {
      const parts = keys.length === 0 ? [] : split(keys);
      await wire.send(
        parts.map((part) => ({ name: "unlink", keys: part, args: [] })),
        signal,
      );
    },
    async raise(generations, signal) {
      await generate("raise", generations, signal);
    },
    ensure: (generations, signal) => generate("ensure", generations, signal),
  };
}

interface Call {
  readonly keys: readonly string[];
  readonly args: readonly RedisArgument[];
}

function toCommand(name: "eval" | "evalsha", script: string, { keys, args }: Call): RedisCommand {
  return { name, script, keys, args };
}

function traitsOf(encoding: "bytes" | "base64", spread: boolean): StorageTraits {
  return {
    conditional: true,
    consistency: "strong",
    // A script of 1,000 keys holds the server up for about 7 ms.
    maxBatch: 1000,
    maxValueBytes: encoding === "bytes" ? MAX_STRING_BYTES : Math.floor(MAX_STRING_BYTES / 4) * 3 - 8,
    scope: onWorkers() ? "request" : "isolate",
    ...(spread && { roundTrips: "1 per node, one command per key" }),
  };
}
