/**
 * The public types of nodes and references, and what an application may register once for all of them. It relies on the
 * ports for serializer and doorkeeper, and holds no code. Two rules shaped it: nothing that a loader takes may mention
 * `Value`, because the compiler would then fix `Value` before it has seen what the loader gives; and every option accepts
 * `undefined` as "not given". The oldest compiler that reads it is TypeScript 5.4 (`NoInfer`).
 *
 * @module
 */

import type { Doorkeeper } from "./doorkeeper.ts";
import type { Duration } from "./duration.ts";
import type { Serializer } from "./serializer/serializer.ts";

/**
 * What an application may tell the types once, for the whole program: the type of `context.env`, and the storage names, so
 * that a misspelt one is an error at the tier itself. A shared package must not do it, because there is one for each program.
 *
 * @example
 * ```ts
 * interface Env {
 *   TOKEN: string;
 * }
 *
 * declare module "cacheme" {
 *   interface Register {
 *     env: Env;
 *     storages: "local" | "redis";
 *   }
 * }
 * ```
 */
// oxlint-disable-next-line typescript/no-empty-object-type, typescript/no-empty-interface -- it is there to be augmented
export interface Register {}

/** The `env` of {@link Register}; `unknown` if none is registered. */
export type RegisteredEnv = Register extends { readonly env: infer Env } ? Env : unknown;

/** The storage names of {@link Register}; any `string` if none are registered. */
export type RegisteredStorage = Register extends { readonly storages: infer Names extends string } ? Names : string;

/** A value, or a promise of one. Bare thenables count, because some query builders are nothing more. */
export type MaybePromise<Value> = Value | Promise<Value> | PromiseLike<Value>;

/** One storage in a node's chain, and how long values live there. */
export interface Tier<StorageName extends string = RegisteredStorage> {
  /** A name from `createCache({ storages })`. */
  readonly storage: StorageName;
  /** Life of a value in this tier; `null` or `Infinity`: no end; `0`: not stored here. */
  readonly ttl: Duration | null;
}

/** A value that a tier still has, past its life or soon to be. */
export interface Stale<Known = unknown> {
  readonly value: Known;
  /** Time since just before it was loaded, in ms. */
  readonly ageMs: number;
}

/** What `load` gets beside the parameters. `Known` is what is known of stored values: by `validate`, by an annotation, or nothing. */
export interface LoadContext<Env = RegisteredEnv, Known = unknown> {
  /** Aborts at the node's hard timeout; never with the request of one caller. */
  readonly signal: AbortSignal;
  /**
   * The old value, if a tier still has one that no invalidation has reached. Tiers keep old values for the longer of the
   * node's stale windows; a node without one is seldom offered any.
   */
  readonly stale: Stale<Known> | undefined;
  /** What a loader returns to say that the old value still holds: it is kept, with new life. Only where `stale` is given. */
  readonly unchanged: () => never;
  /**
   * What `createCache({ env })` or `cache.with({ env })` was given.
   *
   * Invariant: it must not change the value, because callers that share a load get what the leader's `env` gave.
   */
  readonly env: Env;
}

/** What `loadAll` gets beside the list of parameters. */
export interface LoadAllContext<Env = RegisteredEnv, Known = unknown> {
  /** Aborts at the node's hard timeout; never with the request of one caller. */
  readonly signal: AbortSignal;
  /** As in {@link LoadContext}, aligned with the parameters. */
  readonly stale: readonly (Stale<Known> | undefined)[];
  /** As in {@link LoadContext}, for the position where it stands. */
  readonly unchanged: () => never;
  /** As in {@link LoadContext}. */
  readonly env: Env;
}

// Carried by types alone; no object has them at run time.
declare const valueOf: unique symbol;
declare const storagesOf: unique symbol;
declare const envOf: unique symbol;

/** A node without its types: what lists of nodes and statistics speak of. */
export interface NodeInfo {
  /** Unique in the isolate. */
  readonly name: string;
  /** Suffix of every key of the node; `""` if none was given. */
  readonly version: string;
}

/**
 * One piece of data that a node can give: the node, the parameters, and the node's part of the key. Read-only in the types;
 * it is not frozen, because freezing would cost a sixth of a local hit.
 */
export interface Reference<Value, Params = unknown> {
  readonly node: NodeInfo;
  readonly params: Params;
  /** The node's part of the key; `cache.keyOf` gives the full one. */
  readonly key: string;
  // A function type keeps `undefined` in `Value` where `exactOptionalPropertyTypes` is off.
  readonly [valueOf]?: (() => Value) | undefined;
}

/** What a reference asks of the cache that answers it: storage names, and an `env` if its loader was annotated with one. */
export interface Needs<StorageName extends string, Env = unknown> {
  readonly [storagesOf]?: StorageName | undefined;
  readonly [envOf]?: ((env: Env) => void) | undefined;
}

/** The arguments of a node: none for a `key` without a parameter, an optional one where `undefined` is allowed. */
export type NodeArguments<Params> = unknown extends Params
  ? [params?: Params]
  : [Params] extends [void]
    ? []
    : undefined extends Params
      ? [params?: Params]
      : [params: Params];

/**
 * A node as one writes it in an annotation. The annotation flows into `defineNode`, so parameters need no types of their
 * own; in exchange the node's storage names are checked at run time only.
 *
 * @example
 * ```ts
 * import { defineNode } from "cacheme";
 * import type { CacheNode } from "cacheme";
 *
 * export const UserInfo: CacheNode<number, User> = defineNode({
 *   name: "UserInfo",
 *   key: (userId) => `user:${userId}`,
 *   load: (userId) => db.user(userId),
 *   caches: [{ storage: "local", ttl: "30s" }],
 * });
 * ```
 */
export interface CacheNode<Params, Value> extends NodeInfo {
  /** Makes a reference. Reads its first argument only, so `ids.map(UserInfo)` is safe. */
  (...args: NodeArguments<Params>): Reference<Value, Params>;
}

/** What `defineNode` gives: a {@link CacheNode} that also knows its storages and the `env` that its loader asks for. */
export interface TieredNode<Params, Value, StorageName extends string, Env = unknown> extends NodeInfo {
  /** Makes a reference. Reads its first argument only, so `ids.map(UserInfo)` is safe. */
  (...args: NodeArguments<Params>): Reference<Value, Params> & Needs<StorageName, Env>;
}

/** The value type of a node that has no loader and no annotation; its one property is the advice that an error shows. */
export interface UnknownValue {
  readonly "cacheme: give the node a `load` (above `ttlFor`), or annotate it as CacheNode<Params, Value>": never;
}

/** What a schema makes of a value. */
export type SchemaResult<Output> = { readonly value: Output; readonly issues?: undefined } | { readonly issues: readonly unknown[] };

/**
 * The part of Standard Schema (version 1) that is used; Zod, Valibot, ArkType and others implement it.
 *
 * @see https://standardschema.dev
 */
export interface StandardSchema<Output = unknown> {
  readonly "~standard": {
    readonly version: 1;
    readonly vendor: string;
    readonly validate: (value: unknown) => SchemaResult<Output> | Promise<SchemaResult<Output>>;
    readonly types?: { readonly input: unknown; readonly output: Output } | undefined;
  };
}

/** A tuple key. Parts differ by type (`1` and `"1"`), `-0` is `0`, and `NaN` is refused. */
export type KeyTuple = readonly (string | number | bigint | boolean)[];

/** The declaration of a node. Every field is checked by `defineNode`. */
export interface NodeDefinition<Params, Value, StorageName extends string = RegisteredStorage, Env = RegisteredEnv, Known = unknown> {
  /** Unique in the isolate; shown in stats and events. */
  readonly name: string;
  /** Lets this definition replace one of the same name, for hot reload. Default: `false`. */
  readonly allowRedefine?: boolean | undefined;
  /** Suffix of the key: a change makes every entry of the node a miss. No control characters. Default: `""`. */
  readonly version?: string | undefined;
  /** The node's part of the key. A string is used as it is, a tuple is joined injectively. Annotate its parameter. */
  readonly key: (params: Params) => string | KeyTuple;
  /** Gets one value from the source. Optional for a node that is only memoized. */
  readonly load?: ((params: NoInfer<Params>, context: LoadContext<Env, Known>) => MaybePromise<Value & NoInfer<Known>> | Excused<Value>) | undefined;
  /**
   * Gets many values in one call, aligned with its input; an `Error` at a position is the failure of that key alone.
   * A node whose values are errors cannot use it.
   */
  readonly loadAll?:
    | ((
        params: readonly NoInfer<Params>[],
        context: LoadAllContext<Env, Known>,
      ) => MaybePromise<readonly ((Value & NoInfer<Known>) | Error)[]> | ExcusedAll<Value>)
    | undefined;
  /** Most keys in one call of `loadAll`, at least 1. Default: 100. */
  readonly maxLoadBatch?: number | undefined;
  /** Most calls of `load` at a time for one `getAll`, at least 1. Default: 6. */
  readonly loadConcurrency?: number | undefined;
  /** The node's tiers from left to right, local ones first; no storage twice. */
  readonly caches: readonly Tier<StorageName>[];
  /** For remote tiers; local ones hold values. Default: `json()`. */
  readonly serializer?: Serializer | undefined;
  /** Answers a first arrival without storing it. Default: none. */
  readonly doorkeeper?: Doorkeeper | undefined;
  /** What callers may do to each other's value: share it, share it frozen, or get a copy each. Default: `"none"`. */
  readonly clone?: "none" | "freeze" | "structured" | undefined;
  /** Whether `get` waits for back-fills. Default: `"background"`. */
  readonly writes?: "background" | "await" | undefined;
  /** A flight older than this answers but stores nothing; at least `hardTimeout`. Default: the larger of 60 s and it. */
  readonly storeWithin?: Duration | undefined;
  /** A load that takes longer fails with `ERR_LOAD_TIMEOUT`; above 0, at most 2,147,483,647 ms. Default: 20 s. */
  readonly hardTimeout?: Duration | undefined;
  /** Groups that `cache.invalidateTags` reaches together: at most 8, of well-formed Unicode, not empty. What it throws leaves the value unstored. */
  readonly tags?: ((params: NoInfer<Params>) => readonly string[]) | undefined;
  /**
   * A stored value that does not satisfy it is a miss; what it makes of the value is served. It sees what the serializer
   * decoded, never what `load` gave.
   */
  readonly validate?: StandardSchema<Known> | undefined;
  /** Window after the ttl in which the old value is served while a new one is loaded in the background (RFC 5861). Default: 0. */
  readonly staleWhileRevalidate?: Duration | undefined;
  /** Window after the ttl in which the old value is served if the load fails (RFC 5861). Default: 0. */
  readonly staleIfError?: Duration | undefined;
  /** A load that takes longer goes on in the background, if there is an old value to serve; at most `hardTimeout`. Default: none. */
  readonly softTimeout?: Duration | undefined;
  /**
   * Renews a value before its end, at random, the sooner the longer its load took (XFetch; Vattani, Chierichetti and
   * Lowenstein, 2015): with `beta` 1 about one load time before. `beta` is above 0.
   */
  readonly refreshAhead?: { readonly beta: number } | undefined;
  /** Share, 0 to 1, by which a life is shortened at random, so that what was stored together does not end together. Default: 0. */
  readonly jitter?: number | undefined;
  /**
   * The life of a loaded value, decided from it: each tier keeps it for the smaller of this and its own ttl; `"skip"`: it is
   * not stored. Write it below `load`. What it throws leaves the value unstored.
   */
  readonly ttlFor?: ((value: Value, params: NoInfer<Params>) => Duration | null | "skip") | undefined;
}

/** The declaration of a node whose only parameter is the key. Fields mean what they mean in {@link NodeDefinition}. */
export interface DynamicDefinition<StorageName extends string = RegisteredStorage> {
  readonly name: string;
  readonly version?: string | undefined;
  readonly caches: readonly Tier<StorageName>[];
  readonly serializer?: Serializer | undefined;
  readonly doorkeeper?: Doorkeeper | undefined;
}

/**
 * What else `load` may give where its value was not inferred, which is so whenever anything in the definition is wrong: the true
 * error stands alone then, and no false one beside it. Never, where all is well.
 */
type Excused<Value> = [Value] extends [UnknownValue] ? ([UnknownValue] extends [Value] ? unknown : never) : never;

/** The same for `loadAll`. */
type ExcusedAll<Value> = [Value] extends [UnknownValue] ? ([UnknownValue] extends [Value] ? MaybePromise<readonly unknown[]> : never) : never;
