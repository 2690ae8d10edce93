/**
 * What the storage asks of any Redis client: a list of commands goes out in one turn and their replies come back in order.
 * `redis-ioredis.ts` and `redis-client.ts` make one of each driver; here are the parts they share. Nothing here opens,
 * closes or retries.
 *
 * @module
 */
import { hostBuffer, type HostBuffer } from "./host-buffer.ts";
import type { RedisArgument } from "./redis-codec.ts";
import { isNoScript } from "./redis-script.ts";

/** A command in parts, because clients route by `keys`, and some prefix them. */
export interface RedisCommand {
  readonly name: "mget" | "unlink" | "eval" | "evalsha";
  /** Source or SHA-1, for the two that take one. */
  readonly script?: string;
  readonly keys: readonly string[];
  readonly args: readonly RedisArgument[];
}

/** A client, seen from the storage. */
export interface RedisWire {
  /** Whether a command may hold only one key, because keys lie on several servers. */
  readonly spread: boolean;
  /** Replies aligned with the commands; where a server did not know a script, that error. Any other error rejects. */
  send(commands: readonly RedisCommand[], signal: AbortSignal): Promise<readonly unknown[]>;
}

/** Runs every command at once. */
export function runAll(commands: readonly RedisCommand[], run: (command: RedisCommand) => Promise<unknown>): Promise<readonly unknown[]> {
  return Promise.all(commands.map((command) => run(command).catch(keepNoScript)));
}

/** Makes a reply of the one error that the storage has an answer to. */
export function keepNoScript(error: unknown): Error {
  if (isNoScript(error)) return error;
  throw error;
}

/** A command's arguments as they go over the wire. */
export function flatArguments({ script, keys, args }: RedisCommand): RedisArgument[] {
  return script === undefined ? [...keys] : [script, String(keys.length), ...keys, ...args];
}

/** The host's `Buffer`, without which neither ioredis nor node-redis could have been loaded. */
export function neededBuffer(): HostBuffer {
  const found = hostBuffer();
  if (found === undefined) throw new TypeError("this Redis client needs a global Buffer");
  return found;
}

/** Bytes as the `Buffer` that drivers insist on, sharing their memory. */
export function toBuffer(argument: RedisArgument): RedisArgument {
  if (typeof argument === "string") return argument;
  return neededBuffer().from(argument.buffer, argument.byteOffset, argument.byteLength);
}

/** Whether a value is an object with a method of that name. */
export function hasMethod(value: unknown, name: string): boolean {
  return typeof value === "object" && value !== null && typeof Reflect.get(value, name) === "function";
}
