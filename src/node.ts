/**
 * Nodes: what `defineNode` and `dynamicNode` make, and the references that nodes make. A node is a frozen function with a
 * name and a version; its rules lie in a table beside it, for the core alone. It relies on `node-spec.ts` for the rules and
 * on `key.ts` for keys, and knows no cache: which storages exist is settled where a node meets one.
 *
 * @module
 */

import { describe } from "./duration.ts";
import { nodeKey } from "./key.ts";
import { readFields } from "./fields.ts";
import { readFunction, readName, readSpec } from "./node-spec.ts";
import type { AnyFunction, NodeSpec, TierSpec } from "./node-spec.ts";
import type { DynamicDefinition, NodeDefinition, NodeInfo, Reference, RegisteredEnv, RegisteredStorage, TieredNode, UnknownValue } from "./node-types.ts";

export type { NodeSpec, TierSpec } from "./node-spec.ts";

// What a schema says of stored values is what is served. One conditional more, and generic functions that wrap `defineNode` would not compile.
type Settled<Value, Known> = unknown extends Known ? Value : Known;
// Names known only as `string` are not checked against a cache's storages.
type Literal<Names extends string> = string extends Names ? never : Names;
// The registered env is trusted; one that a loader was annotated with is asked of the cache.
type Asked<Env> = [RegisteredEnv] extends [Env] ? unknown : Env;

const DYNAMIC_FIELDS = ["name", "version", "caches", "serializer", "doorkeeper"];
const LOADER_FIELDS = ["key", "load", "loadAll", "maxLoadBatch", "loadConcurrency"];
const FRESHNESS_FIELDS = ["staleWhileRevalidate", "staleIfError", "softTimeout", "refreshAhead", "jitter", "ttlFor", "validate"];
const NODE_FIELDS = [...DYNAMIC_FIELDS, ...LOADER_FIELDS, ...FRESHNESS_FIELDS, "allowRedefine", "clone", "writes", "storeWithin", "hardTimeout", "tags"];

/** Under which Node, Bun and Deno look for what to show of an object. */
const INSPECT: unique symbol = Symbol.for("nodejs.util.inspect.custom") as never;

/** A node that is defined now, under its name. */
interface Registered {
  readonly node: NodeInfo;
  readonly spec: NodeSpec;
  readonly kind: "plain" | "dynamic";
}

/** Grows with the nodes that code declares, never with traffic. */
const registry = new Map<string, Registered>();
const specs = new WeakMap<object, NodeSpec>();

/**
 * Declares one kind of cached data: its key, how to load it, where it lives and for how long. Gives a function that makes
 * references: `UserInfo(1)`. `Params` is inferred from the annotated parameter of `key`, `Value` from `load` or `loadAll`.
 *
 * Does not know the storages; a name that the cache lacks is a `TypeError` at first use.
 *
 * @throws TypeError naming the option and the value for a wrong or unknown option, and for a name that is taken
 *   (unless `allowRedefine` is `true`; references that the old node made keep its rules).
 *
 * @example
 * ```ts
 * import { defineNode } from "cacheme";
 *
 * export const UserInfo = defineNode({
 *   name: "UserInfo",
 *   version: "v1",
 *   key: (userId: number) => `user:${userId}:info`,
 *   load: (userId) => db.user(userId),
 *   caches: [
 *     { storage: "local", ttl: "30s" },
 *     { storage: "redis", ttl: "10d" },
 *   ],
 * });
 * ```
 */
export function defineNode<
  Params = void,
  Value = UnknownValue,
  StorageName extends RegisteredStorage = RegisteredStorage,
  Env = RegisteredEnv,
  Known = unknown,
>(definition: NodeDefinition<Params, Value, StorageName, Env, Known>): TieredNode<Params, Settled<Value, Known>, Literal<StorageName>, Asked<Env>>;
export function defineNode(definition: unknown): NodeInfo {
  const fields = readFields(definition, NODE_FIELDS, "definition of a node");
  const name = readName(fields["name"]);
  const at = `node ${describe(name)}`;
  const key = readFunction(fields["key"], `${at}: key`);
  const spec = readSpec(fields, name);
  if (!readRedefine(fields["allowRedefine"], at) && registry.has(name)) {
    throw new TypeError(`${at} is defined already; set allowRedefine: true to let the new definition replace it`);
  }
  return register("plain", makeNode(name, spec.version, key), spec);
}

/**
 * Declares a node whose only parameter is the key: `Bar("bar:1")`. May be called again with the same name: with equal
 * options it gives the same node. Serializers are equal if they have the same name, doorkeepers only if they are the same
 * object, because a new one would have forgotten every arrival.
 *
 * @throws TypeError as `defineNode`, and if the name belongs to a node with other options.
 *
 * @example
 * ```ts
 * import { dynamicNode } from "cacheme";
 *
 * const Anything = dynamicNode<User>({ name: "Anything", caches: [{ storage: "redis", ttl: "1h" }] });
 * const user = await cache.get(Anything("user:1"), { load: () => db.user(1) });
 * ```
 */
export function dynamicNode<Value = unknown, StorageName extends RegisteredStorage = RegisteredStorage>(
  definition: DynamicDefinition<StorageName>,
): TieredNode<string, Value, Literal<StorageName>>;
export function dynamicNode(definition: unknown): NodeInfo {
  const fields = readFields(definition, DYNAMIC_FIELDS, "definition of a dynamic node");
  const name = readName(fields["name"]);
  const spec = readSpec(fields, name);
  const known = registry.get(name);
  if (known === undefined) return register("dynamic", makeNode(name, spec.version, ownKey), spec);
  const difference = known.kind === "dynamic" ? differenceOf(known.spec, spec) : "kind of node";
  if (difference === undefined) return known.node;
  throw new TypeError(`node ${describe(name)} is defined already, with another ${difference}`);
}

/** All nodes defined in this isolate, in the order of their definition. */
export function nodes(): readonly NodeInfo[] {
  return Array.from(registry.values(), ({ node }) => node);
}

/** The storages that nodes defined in this isolate name. */
export function storageNames(): ReadonlySet<string> {
  return new Set(Array.from(registry.values(), ({ spec }) => spec.caches.map(({ storage }) => storage)).flat());
}

/** The rules of a node that this copy of the library made; `undefined` for anything else. For the core. */
export function specOf(node: unknown): NodeSpec | undefined {
  return typeof node === "function" ? specs.get(node) : undefined;
}

/**
 * The callable. It is an arrow function, so it has no `prototype`, and it reads its first argument only, so that
 * `ids.map(UserInfo)` hands no index on. The literal is the one place where references are made: one shape for all.
 */
function makeNode(name: string, version: string, keyOf: AnyFunction): NodeInfo {
  const make = (params: unknown): Reference<unknown> => ({ node, params, key: nodeKey(keyOf(params), name) });
  const node: NodeInfo = Object.assign(make, { version });
  Object.defineProperty(node, "name", { value: name, enumerable: true });
  Object.defineProperty(node, "toJSON", { value: () => name });
  Object.defineProperty(node, INSPECT, { value: () => `[node ${version === "" ? name : `${name} ${version}`}]` });
  return Object.freeze(node);
}

/** Makes consoles show objects of a class by their `toString` alone: not what is inside. */
export function showAsText(prototype: { toString(): string }): void {
  Object.defineProperty(prototype, INSPECT, {
    value(this: { toString(): string }) {
      return this.toString();
    },
  });
}

function register(kind: Registered["kind"], node: NodeInfo, rules: Omit<NodeSpec, "node">): NodeInfo {
  const spec: NodeSpec = Object.freeze({ node, ...rules });
  specs.set(node, spec);
  registry.set(spec.name, { node, spec, kind });
  return node;
}

/** The first option in which two definitions of a dynamic node differ. */
function differenceOf(known: NodeSpec, given: Omit<NodeSpec, "node">): string | undefined {
  if (known.version !== given.version) return "version";
  if (!sameTiers(known.caches, given.caches)) return "caches";
  if (known.serializer.name !== given.serializer.name) return "serializer";
  return known.doorkeeper === given.doorkeeper ? undefined : "doorkeeper";
}

function sameTiers(known: readonly TierSpec[], given: readonly TierSpec[]): boolean {
  return known.length === given.length && known.every((tier, index) => tier.storage === given[index]?.storage && tier.ttlMs === given[index].ttlMs);
}

function readRedefine(value: unknown, at: string): boolean {
  if (value === undefined || typeof value === "boolean") return value === true;
  throw new TypeError(`${at}: allowRedefine must be true or false, got ${describe(value)}`);
}

/** The key of a dynamic node is its parameter; whether it is a string is checked with every other key. */
function ownKey(key: unknown): unknown {
  return key;
}
