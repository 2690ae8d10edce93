/** The rules of a node: their defaults, what the core reads, and how wrong ones are refused. */

import { describe, expect, test } from "vitest";
import type { Doorkeeper } from "../src/doorkeeper.ts";
import { defineNode, dynamicNode, nodes, specOf } from "../src/node.ts";
import { json } from "../src/serializer/json.ts";
import type { Serializer } from "../src/serializer/serializer.ts";

let made = 0;
/** A name that no other test uses. */
const fresh = (): string => `Node${++made}`;
const caches = [{ storage: "local", ttl: "30s" }] as const;
const key = (id: number): string => `user:${id}`;

/** Defines a node as plain JavaScript may: nothing about it is known to be right. */
function define(definition: unknown): unknown {
  return Reflect.apply(defineNode, undefined, [definition]);
}

function defineDynamic(definition: unknown): unknown {
  return Reflect.apply(dynamicNode, undefined, [definition]);
}

function messageOf(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    expect(error).toBeInstanceOf(TypeError);
    return error instanceof Error ? error.message : "";
  }
  throw new Error("nothing was thrown");
}

describe("specOf", () => {
  test("fills in every default", () => {
    const name = fresh();
    const User = defineNode({ name, key, caches });
    expect(specOf(User)).toEqual({
      node: User,
      name,
      version: "",
      load: undefined,
      loadAll: undefined,
      caches: [{ storage: "local", ttlMs: 30_000 }],
      serializer: expect.objectContaining({ name: json().name }),
      doorkeeper: undefined,
      clone: "none",
      writes: "background",
      storeWithinMs: 60_000,
      hardTimeoutMs: 20_000,
      maxLoadBatch: 100,
      loadConcurrency: 6,
      tags: undefined,
      freshness: {
        staleWhileRevalidateMs: 0,
        staleIfErrorMs: 0,
        keepMs: 0,
        softTimeoutMs: undefined,
        beta: 0,
        jitter: 0,
        ttlFor: undefined,
        validate: undefined,
      },
    });
  });

  test("takes undefined for every option that may be left out", () => {
    const none = undefined;
    const given = { version: none, allowRedefine: none, load: none, loadAll: none, serializer: none, doorkeeper: none, clone: none, writes: none };
    const name = fresh();
    const timed = { storeWithin: none, hardTimeout: none, softTimeout: none, staleWhileRevalidate: none, staleIfError: none };
    const others = { maxLoadBatch: none, loadConcurrency: none, tags: none, validate: none, refreshAhead: none, jitter: none, ttlFor: none };
    const User = defineNode({ name, key, caches, ...given, ...timed, ...others });
    const Plain = defineNode({ name: fresh(), key, caches });
    expect({ ...specOf(User), node: 0, name: 0, serializer: 0 }).toEqual({ ...specOf(Plain), node: 0, name: 0, serializer: 0 });
  });

  test("keeps what was given", () => {
    const load = (id: number): number => id;
    const loadAll = (ids: readonly number[]): number[] => [...ids];
    const serializer = json();
    const doorkeeper: Doorkeeper = { guards: "all", admit: () => true };
    const User = defineNode({
      name: fresh(),
      version: "v2",
      key,
      load,
      loadAll,
      serializer,
      doorkeeper,
      clone: "freeze",
      writes: "await",
      storeWithin: "2m",
      hardTimeout: "90s",
      maxLoadBatch: 1,
      loadConcurrency: 1,
      caches: [
        { storage: "local", ttl: 0 },
        { storage: "kv", ttl: 0.2 },
        { storage: "redis", ttl: null },
        { storage: "sql", ttl: Infinity },
      ],
    });
    expect(specOf(User)).toMatchObject({
      version: "v2",
      clone: "freeze",
      writes: "await",
      storeWithinMs: 120_000,
      hardTimeoutMs: 90_000,
      maxLoadBatch: 1,
      loadConcurrency: 1,
    });
    expect(specOf(User)?.caches.map((tier) => tier.ttlMs)).toEqual([0, 1, null, null]);
    expect(specOf(User)?.load).toBe(load);
    expect(specOf(User)?.loadAll).toBe(loadAll);
    expect(specOf(User)?.serializer).toBe(serializer);
    expect(specOf(User)?.doorkeeper).toBe(doorkeeper);
  });

  test("keeps what was given about freshness", () => {
    const ttlFor = (): "skip" => "skip";
    const tags = (id: number): string[] => [`${id}`];
    const validate = Object.assign(() => undefined, { "~standard": { version: 1, vendor: "test", validate: (value: unknown) => ({ value }) } } as const);
    const rules = { tags, ttlFor, validate, refreshAhead: { beta: 0.5 }, jitter: 1, softTimeout: "20s" } as const;
    const User = defineNode({ name: fresh(), key, load: (id) => id, caches, staleWhileRevalidate: "1.5m", staleIfError: 0.2, ...rules });
    expect(specOf(User)?.tags).toBe(tags);
    expect(specOf(User)?.freshness).toEqual({
      staleWhileRevalidateMs: 90_000,
      staleIfErrorMs: 1,
      keepMs: 90_000,
      softTimeoutMs: 20_000,
      beta: 0.5,
      jitter: 1,
      ttlFor,
      validate,
    });
    expect(specOf(defineNode({ name: fresh(), key, caches, staleIfError: "1h", staleWhileRevalidate: 0 }))?.freshness.keepMs).toBe(3_600_000);
    expect(specOf(defineNode({ name: fresh(), key, caches, hardTimeout: "5m", softTimeout: "5m" }))?.freshness.softTimeoutMs).toBe(300_000);
    expect(specOf(defineNode({ name: fresh(), key, caches, softTimeout: 0, jitter: 0 }))?.freshness).toMatchObject({ softTimeoutMs: 0, jitter: 0 });
  });

  test("raises the default of storeWithin to a longer hardTimeout", () => {
    expect(specOf(defineNode({ name: fresh(), key, caches, hardTimeout: "5m" }))?.storeWithinMs).toBe(300_000);
  });

  test("does not follow changes that are made to the definition afterwards", () => {
    const tiers = [{ storage: "local", ttl: 1_000 }];
    const User = defineNode({ name: fresh(), key, caches: tiers });
    tiers[0] = { storage: "other", ttl: 5 };
    expect(specOf(User)?.caches).toEqual([{ storage: "local", ttlMs: 1_000 }]);
    expect(Object.isFrozen(specOf(User)) && Object.isFrozen(specOf(User)?.caches)).toBe(true);
  });

  test.each([undefined, null, 1, "Users", {}, (): string => "k", { name: "Users", version: "" }])("gives nothing for %#, which is no node", (value) => {
    expect(specOf(value)).toBeUndefined();
  });
});

describe("a wrong option", () => {
  const serializer: Serializer = json();
  test.each([
    [{ name: "" }, 'node name must be a non-empty string of well-formed Unicode, got ""'],
    [{ name: undefined }, "got undefined"],
    [{ name: 5 }, "got 5"],
    [{ name: "\uD800" }, "well-formed"],
    [{ version: 1 }, "version must be well-formed text without control characters, got 1"],
    [{ version: "a\nb" }, 'version must be well-formed text without control characters, got "a\\nb"'],
    [{ version: "\u007f" }, "version must be"],
    [{ version: "\uDC00" }, "version must be"],
    [{ version: null }, "version must be"],
    [{ key: undefined }, "key must be a function, got undefined"],
    [{ key: "user" }, 'key must be a function, got "user"'],
    [{ load: 5 }, "load must be a function, got 5"],
    [{ load: null }, "load must be a function, got null"],
    [{ loadAll: {} }, "loadAll must be a function, got an object"],
    [{ caches: undefined }, "caches must be a list of at least one { storage, ttl }, got undefined"],
    [{ caches: [] }, "caches must be a list of at least one { storage, ttl }, got an empty list"],
    [{ caches: "local" }, 'caches must be a list of at least one { storage, ttl }, got "local"'],
    [{ caches: ["local"] }, 'caches[0] must be an object, got "local"'],
    [{ caches: [, caches[0]] }, "caches[0] must be an object, got undefined"], // oxlint-disable-line no-sparse-arrays -- the case
    [{ caches: [{ ttl: 5 }] }, "caches[0].storage must be the name of a storage, got undefined"],
    [{ caches: [{ storage: "", ttl: 5 }] }, 'caches[0].storage must be the name of a storage, got ""'],
    [{ caches: [{ storage: "local" }] }, "caches[0].ttl must be a duration"],
    [{ caches: [caches[0], { storage: "redis", ttl: -1 }] }, 'caches[1].ttl must be a duration such as 500, "30s" or "1.5h", got -1'],
    [{ caches: [{ storage: "local", ttl: Number.NaN }] }, "got NaN"],
    [{ caches: [{ storage: "local", ttl: "30sec" }] }, 'got "30sec"'],
    [{ caches: [{ storage: "local", ttl: "-5s" }] }, 'got "-5s"'],
    [{ caches: [{ storage: "local", tll: 5 }] }, 'caches[0]: unknown option "tll", did you mean "ttl"?'],
    [{ caches: [caches[0], { storage: "local", ttl: 1 }] }, 'caches must name each storage once, got "local" twice'],
    [{ serializer: "json" }, 'serializer must be a serializer with name, encode and decode, got "json"'],
    [{ serializer: { ...serializer, name: 1 } }, "serializer must be"],
    [{ serializer: { ...serializer, decode: undefined } }, "serializer must be"],
    [{ serializer: json }, "serializer must be a serializer with name, encode and decode, got a function"],
    [{ doorkeeper: {} }, 'doorkeeper must be a doorkeeper with guards ("local" or "all") and admit, got an object'],
    [{ doorkeeper: { guards: "remote", admit: () => true } }, "doorkeeper must be"],
    [{ doorkeeper: { guards: "all" } }, "doorkeeper must be"],
    [{ clone: "deep" }, 'clone must be one of "none", "freeze", "structured", got "deep"'],
    [{ writes: true }, 'writes must be one of "background", "await", got true'],
    [{ storeWithin: "1s" }, 'storeWithin must be at least hardTimeout (20000 ms), got "1s"'],
    [{ storeWithin: null }, "storeWithin must be a finite duration, got null"],
    [{ storeWithin: Infinity }, "storeWithin must be a finite duration"],
    [{ hardTimeout: "30s", storeWithin: "29.9s" }, 'storeWithin must be at least hardTimeout (30000 ms), got "29.9s"'],
    [{ hardTimeout: 0 }, "hardTimeout must be from 1 to 2147483647 ms, got 0"],
    [{ hardTimeout: "25d" }, 'hardTimeout must be from 1 to 2147483647 ms, got "25d"'],
    [{ hardTimeout: Infinity }, "hardTimeout must be a finite duration"],
    [{ maxLoadBatch: 0 }, "maxLoadBatch must be a positive integer, got 0"],
    [{ maxLoadBatch: 1.5 }, "maxLoadBatch must be a positive integer, got 1.5"],
    [{ maxLoadBatch: "5" }, 'maxLoadBatch must be a positive integer, got "5"'],
    [{ loadConcurrency: Infinity }, "loadConcurrency must be a positive integer, got Infinity"],
    [{ loadConcurrency: -1 }, "loadConcurrency must be a positive integer, got -1"],
    [{ tags: "all" }, 'tags must be a function, got "all"'],
    [{ tags: ["all"] }, "tags must be a function, got an array"],
    [{ tags: null }, "tags must be a function, got null"],
    [{ staleWhileRevalidate: -1 }, 'staleWhileRevalidate must be a duration such as 500, "30s" or "1.5h", got -1'],
    [{ staleWhileRevalidate: Infinity }, "staleWhileRevalidate must be a finite duration, got Infinity"],
    [{ staleWhileRevalidate: true }, "staleWhileRevalidate must be a duration"],
    [{ staleIfError: "-5s" }, 'staleIfError must be a duration such as 500, "30s" or "1.5h", got "-5s"'],
    [{ staleIfError: null }, "staleIfError must be a finite duration, got null"],
    [{ staleIfError: Number.NaN }, "staleIfError must be a duration"],
    [{ softTimeout: "20.1s" }, 'softTimeout must be at most hardTimeout (20000 ms), got "20.1s"'],
    [{ softTimeout: 1_001, hardTimeout: "1s" }, "softTimeout must be at most hardTimeout (1000 ms), got 1001"],
    [{ softTimeout: -1 }, "softTimeout must be a duration"],
    [{ softTimeout: null }, "softTimeout must be a finite duration, got null"],
    [{ refreshAhead: 1 }, "refreshAhead must be { beta } with a number above 0, got 1"],
    [{ refreshAhead: null }, "refreshAhead must be { beta } with a number above 0, got null"],
    [{ refreshAhead: true }, "refreshAhead must be { beta } with a number above 0, got true"],
    [{ refreshAhead: {} }, "refreshAhead must be { beta } with a number above 0, got beta undefined"],
    [{ refreshAhead: { beta: 0 } }, "refreshAhead must be { beta } with a number above 0, got beta 0"],
    [{ refreshAhead: { beta: -1 } }, "got beta -1"],
    [{ refreshAhead: { beta: "1" } }, 'got beta "1"'],
    [{ refreshAhead: { beta: Number.NaN } }, "got beta NaN"],
    [{ refreshAhead: { beta: Infinity } }, "got beta Infinity"],
    [{ refreshAhead: { beta: 1, delta: 2 } }, 'refreshAhead: unknown option "delta", there is only "beta"'],
    [{ refreshAhead: { betta: 1 } }, 'refreshAhead: unknown option "betta", there is only "beta"'],
    [{ jitter: -0.1 }, "jitter must be a number from 0 to 1, got -0.1"],
    [{ jitter: 1.1 }, "jitter must be a number from 0 to 1, got 1.1"],
    [{ jitter: Number.NaN }, "jitter must be a number from 0 to 1, got NaN"],
    [{ jitter: "10%" }, 'jitter must be a number from 0 to 1, got "10%"'],
    [{ jitter: null }, "jitter must be a number from 0 to 1, got null"],
    [{ ttlFor: "30s" }, 'ttlFor must be a function, got "30s"'],
    [{ ttlFor: null }, "ttlFor must be a function, got null"],
    [{ validate: key }, 'validate must be a Standard Schema, with "~standard".validate, got a function'],
    [{ validate: null }, "validate must be a Standard Schema"],
    [{ validate: "string" }, 'validate must be a Standard Schema, with "~standard".validate, got "string"'],
    [{ validate: {} }, "validate must be a Standard Schema"],
    [{ validate: { "~standard": null } }, "validate must be a Standard Schema"],
    [{ validate: { "~standard": { version: 1, vendor: "test" } } }, "validate must be a Standard Schema"],
    [{ staleWhileRevalidat: 1 }, 'unknown option "staleWhileRevalidat", did you mean "staleWhileRevalidate"?'],
    [{ staleOnError: 1 }, 'unknown option "staleOnError", did you mean "staleIfError"?'],
    [{ softTimeoutMs: 1 }, 'unknown option "softTimeoutMs", did you mean "softTimeout"?'],
    [{ refreshahead: 1 }, 'unknown option "refreshahead", did you mean "refreshAhead"?'],
    [{ ttlfor: key }, 'unknown option "ttlfor", did you mean "ttlFor"?'],
    [{ jiter: 1 }, 'unknown option "jiter", did you mean "jitter"?'],
    [{ validator: {} }, 'unknown option "validator", did you mean "validate"?'],
    [{ tag: key }, 'unknown option "tag", did you mean "tags"?'],
    [{ allowRedefine: "yes" }, 'allowRedefine must be true or false, got "yes"'],
    [{ loadall: key }, 'unknown option "loadall", did you mean "loadAll"?'],
    [{ cache: caches }, 'unknown option "cache", did you mean "caches"?'],
    [{ hardTimeoutMs: 5 }, 'unknown option "hardTimeoutMs", did you mean "hardTimeout"?'],
    [{ zzzzzz: 5 }, 'unknown option "zzzzzz"'],
  ])("is a TypeError at definition that names it and shows the value (%#)", (wrong, message) => {
    const before = nodes().length;
    const text = messageOf(() => define({ name: fresh(), key, caches, ...wrong }));
    expect(text).toContain(message);
    expect(nodes().length).toBe(before);
  });

  test.each([undefined, null, 5, "Users", [], key])("that is the whole definition (%#) is a TypeError as well", (definition) => {
    expect(messageOf(() => define(definition))).toContain("definition of a node must be an object");
    expect(messageOf(() => defineDynamic(definition))).toContain("definition of a dynamic node must be an object");
  });

  test("has the node's name in its message", () => {
    const name = fresh();
    expect(messageOf(() => define({ name, key, caches, clone: 1 }))).toMatch(new RegExp(`^node "${name}": clone`));
    expect(messageOf(() => define({ name, key, caches: [{ storage: "s", ttl: "x" }] }))).toMatch(new RegExp(`^node "${name}": caches\\[0\\]\\.ttl`));
  });

  test("suggests nothing for a name that is far from all, and survives a huge one", () => {
    expect(messageOf(() => define({ name: fresh(), key, caches, zzzzzz: 1 }))).not.toContain("did you mean");
    expect(messageOf(() => define({ name: fresh(), key, caches, ["x".repeat(10_000)]: 1 })).length).toBeLessThan(200);
  });
});
