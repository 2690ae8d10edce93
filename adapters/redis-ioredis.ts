/**
 * The wire of ioredis. A single server gets every command as it is; a cluster gets one pipeline per owner, because ioredis
 * refuses a pipeline whose keys have several owners and sends single commands in a write each.
 *
 * @module
 */
import type { RedisArgument } from "./redis-codec.ts";
import { listOf } from "./redis-script.ts";
import { hashSlot } from "./redis-slot.ts";
import { flatArguments, hasMethod, keepNoScript, runAll, toBuffer, type RedisCommand, type RedisWire } from "./redis-wire.ts";

/** A client of ioredis 5: `new Redis()` or `new Cluster()`. */
export interface IoredisLike {
  mgetBuffer: unknown;
  callBuffer: unknown;
  pipeline: unknown;
}

/** Methods that give bytes. `callBuffer` would do for all, but loses the command's name once ioredis pipelines by itself. */
type IoredisMethods<Result> = { readonly [Name in `${RedisCommand["name"]}Buffer`]: (args: RedisArgument[]) => Result };

interface Ioredis extends IoredisMethods<Promise<unknown>> {
  pipeline(): IoredisMethods<unknown> & { exec(): Promise<unknown> };
}

interface IoredisCluster extends Ioredis {
  /** The nodes that serve each slot, master first; no slot has any until the cluster is connected. */
  readonly slots: readonly (readonly string[] | undefined)[];
  readonly options?: { readonly keyPrefix?: unknown };
}

export function isIoredis(client: unknown): client is Ioredis {
  return ["mgetBuffer", "evalshaBuffer", "evalBuffer", "unlinkBuffer", "pipeline"].every((method) => hasMethod(client, method));
}

export function ioredisWire(client: Ioredis): RedisWire {
  if (isCluster(client)) return { spread: true, send: (commands) => sendByOwner(client, commands) };
  return { spread: false, send: (commands) => runAll(commands, (command) => call(client, command)) };
}

function isCluster(client: Ioredis): client is IoredisCluster {
  return "isCluster" in client && client.isCluster === true && "slots" in client;
}

function call(client: Ioredis, command: RedisCommand): Promise<unknown> {
  return client[`${command.name}Buffer`](flatArguments(command).map(toBuffer));
}

async function sendByOwner(cluster: IoredisCluster, commands: readonly RedisCommand[]): Promise<readonly unknown[]> {
  const prefix = typeof cluster.options?.keyPrefix === "string" ? cluster.options.keyPrefix : "";
  const groups = new Map<string, RedisCommand[]>();
  for (const command of commands) {
    const owner = cluster.slots[hashSlot(prefix + (command.keys[0] ?? ""))]?.join(";") ?? "";
    const group = groups.get(owner);
    if (group === undefined) groups.set(owner, [command]);
    else group.push(command);
  }
  const replies = new Map<RedisCommand, unknown>();
  await Promise.all(
    Array.from(groups, async ([owner, group]) => {
      // Without a known owner each command goes alone, and the driver finds its way.
      const answers = owner === "" ? await runAll(group, (command) => call(cluster, command)) : await sendTogether(cluster, group);
      for (const [index, command] of group.entries()) replies.set(command, answers[index]);
    }),
  );
  return commands.map((command) => replies.get(command));
}

async function sendTogether(cluster: IoredisCluster, group: readonly RedisCommand[]): Promise<readonly unknown[]> {
  const pipeline = cluster.pipeline();
  for (const command of group) pipeline[`${command.name}Buffer`](flatArguments(command).map(toBuffer));
  const outcome = await pipeline.exec().catch(keepDisagreement);
  if (outcome instanceof Error) return runAll(group, (command) => call(cluster, command));
  const answers = listOf(outcome, group.length);
  return Promise.all(group.map((command, index) => replyOf(cluster, command, answers[index])));
}

/**
 * Once it was redirected, ioredis disagrees with its own table of owners until that is refreshed, and refuses a pipeline
 * before any of it is sent.
 */
function keepDisagreement(error: unknown): Error {
  if (error instanceof Error && error.message.includes("same slots allocation group")) return error;
  throw error;
}

/** A slot that moved while the pipeline was under way was not served: its command goes alone, once. */
async function replyOf(cluster: IoredisCluster, command: RedisCommand, answer: unknown): Promise<unknown> {
  if (!Array.isArray(answer)) throw new TypeError("a pipeline must answer with lists");
  const [error, reply]: unknown[] = answer;
  if (error === null) return reply;
  if (error instanceof Error && /^(?:MOVED|ASK) /.test(error.message)) return call(cluster, command).catch(keepNoScript);
  return keepNoScript(error);
}
