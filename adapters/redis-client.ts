/**
 * The Redis clients that `redis()` takes, told apart by their methods and described by the few that are used, so that no
 * driver is imported, not even its types.
 *
 * @module
 */
import type { RedisArgument } from "./redis-codec.ts";
import { ioredisWire, isIoredis, type IoredisLike } from "./redis-ioredis.ts";
import { flatArguments, hasMethod, neededBuffer, runAll, toBuffer, type RedisCommand, type RedisWire } from "./redis-wire.ts";

/** A client of node-redis 5 or newer: `createClient()`, `createClientPool()` or `createCluster()`. */
export interface NodeRedisLike {
  withCommandOptions: unknown;
  mGet: unknown;
  evalSha: unknown;
}

/** Bun's own client: `new RedisClient()`. */
export interface BunRedisLike {
  send(command: string, args: string[]): Promise<unknown>;
  getBuffer(key: string): Promise<Uint8Array | null>;
}

/** What `redis()` takes. */
export type RedisClient = IoredisLike | NodeRedisLike | BunRedisLike;

/**
 * The wire of a client.
 *
 * @param text whether replies may come as text; otherwise they come as bytes.
 * @throws TypeError if it is no known client.
 */
export function wireOf(client: unknown, text: boolean): RedisWire {
  if (isIoredis(client)) return ioredisWire(client);
  if (isNodeRedis(client)) return nodeRedisWire(client);
  if (isBun(client)) return bunWire(client, text);
  const got = typeof client === "object" && client !== null ? "another object" : String(typeof client);
  throw new TypeError(`redis: client must be a client of ioredis 5, of node-redis 5 or newer, or Bun's, got ${got}`);
}

interface NodeRedis {
  withCommandOptions(options: { typeMapping: Readonly<Record<number, unknown>>; abortSignal: AbortSignal }): NodeRedisCommands;
}

interface NodeRedisCommands {
  mGet(keys: readonly string[]): Promise<unknown>;
  unlink(keys: readonly string[]): Promise<unknown>;
  eval(script: string, options: NodeRedisScriptOptions): Promise<unknown>;
  evalSha(sha1: string, options: NodeRedisScriptOptions): Promise<unknown>;
}

interface NodeRedisScriptOptions {
  readonly keys: readonly string[];
  readonly arguments: readonly RedisArgument[];
}

/** The type byte of a bulk string: the driver makes strings of them unless it is mapped to `Buffer`. */
const BULK_STRING = 36;

function isNodeRedis(client: unknown): client is NodeRedis {
  return hasMethod(client, "withCommandOptions") && hasMethod(client, "mGet") && hasMethod(client, "evalSha");
}

/** In a cluster, too, the commands of one turn share a write for each socket: the driver routes them by their first key. */
function nodeRedisWire(client: NodeRedis): RedisWire {
  return {
    spread: hasMethod(client, "getSlotRandomNode"),
    send(commands, signal) {
      // The signal takes a command back that still waits for a connection; later it would be applied out of its time.
      const bound = client.withCommandOptions({ typeMapping: { [BULK_STRING]: neededBuffer() }, abortSignal: signal });
      return runAll(commands, (command) => callNodeRedis(bound, command));
    },
  };
}

function callNodeRedis(client: NodeRedisCommands, { name, script = "", keys, args }: RedisCommand): Promise<unknown> {
  if (name === "mget") return client.mGet(keys);
  if (name === "unlink") return client.unlink(keys);
  const options = { keys, arguments: args.map(toBuffer) };
  return name === "eval" ? client.eval(script, options) : client.evalSha(script, options);
}

interface BunRedis {
  send(command: string, args: readonly RedisArgument[]): Promise<unknown>;
  getBuffer(key: string): Promise<Uint8Array | null>;
}

function isBun(client: unknown): client is BunRedis {
  return hasMethod(client, "send") && hasMethod(client, "getBuffer");
}

/** `send` makes text of every reply, so bytes are read by `getBuffer`: one command a key, all in one write. */
function bunWire(client: BunRedis, text: boolean): RedisWire {
  function run(command: RedisCommand): Promise<unknown> {
    if (command.name === "mget" && !text) return Promise.all(command.keys.map((key) => client.getBuffer(key).catch(absentIfForeign)));
    return client.send(command.name.toUpperCase(), flatArguments(command));
  }
  return { spread: false, send: (commands) => runAll(commands, run) };
}

/** A key of another type is absent to `MGET` and an error to `getBuffer`. */
function absentIfForeign(error: unknown): null {
  if (error instanceof Error && error.message.startsWith("WRONGTYPE")) return null;
  throw error;
}
