/** Nodes: what the callable and its references are, who may have a name, and dynamic nodes. */

import { inspect } from "node:util";
import { describe, expect, test } from "vitest";
import type { Doorkeeper } from "../src/doorkeeper.ts";
import { defineNode, dynamicNode, nodes, specOf } from "../src/node.ts";
import { json } from "../src/serializer/json.ts";

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

describe("a reference", () => {
  const name = fresh();
  const User = defineNode({ name, version: "v1", key, load: (id) => ({ id }), caches });

  test("holds node, parameters and key, and nothing else", () => {
    const reference = User(7);
    expect(Object.keys(reference)).toEqual(["node", "params", "key"]);
    expect(reference.node).toBe(User);
    expect(reference.params).toBe(7);
    expect(reference.key).toBe("user:7");
  });

  test("is made from the first argument only, so a list can be mapped over the node", () => {
    expect([5, 6].map(User)).toEqual([5, 6].map((id) => User(id)));
    const seen: unknown[][] = [];
    const Spy = defineNode({
      name: fresh(),
      key: (...args: unknown[]) => {
        seen.push(args);
        return "k";
      },
      caches,
    });
    ["a"].map(Spy);
    expect(seen).toEqual([["a"]]);
  });

  test("of a node without parameters has undefined ones", () => {
    const All = defineNode({ name: fresh(), key: () => "all", load: () => [1], caches });
    expect(All()).toEqual({ node: All, params: undefined, key: "all" });
  });

  test("has a tuple key joined by the library", () => {
    const Pair = defineNode({ name: fresh(), key: (pair: { a: string; b: number }) => [pair.a, pair.b], load: () => 1, caches });
    expect(Pair({ a: "x", b: 1 }).key).toBe("\u0002s1:xn1;");
    expect(Pair({ a: "xn1", b: 1 }).key).not.toBe(Pair({ a: "x", b: 1 }).key);
  });

  test.each([undefined, null, 1, {}, ["a", null], "\uD800", Promise.resolve("k")])("is refused for the key %# when it is made, naming the node", (raw) => {
    const bad = fresh();
    const Bad = define({ name: bad, key: () => raw, caches });
    expect(messageOf(() => Reflect.apply(Bad as () => unknown, undefined, []))).toContain(`node "${bad}": key`);
  });

  test("passes on what the key function throws", () => {
    const failure = new Error("no tenant");
    const Throws = defineNode({
      name: fresh(),
      key: (): string => {
        throw failure;
      },
      caches,
    });
    expect(() => Throws()).toThrow(failure);
  });

  test("can be logged and turned into JSON: its node shows as its name", () => {
    expect(JSON.stringify(User(1))).toBe(`{"node":"${name}","params":1,"key":"user:1"}`);
    expect(inspect(User(1))).toContain(`[node ${name} v1]`);
  });
});

describe("a node", () => {
  test("is a frozen function with name and version, and no prototype", () => {
    const name = fresh();
    const User = defineNode({ name, version: "v1", key, caches });
    expect(typeof User).toBe("function");
    expect(User.name).toBe(name);
    expect(User.version).toBe("v1");
    expect(Object.keys(User).toSorted()).toEqual(["name", "version"]);
    expect(Object.isFrozen(User)).toBe(true);
    expect("prototype" in User).toBe(false);
    expect(inspect(User)).toBe(`[node ${name} v1]`);
  });

  test("without a version shows none", () => {
    const name = fresh();
    const User = defineNode({ name, key, caches });
    expect(User.version).toBe("");
    expect(inspect(User)).toBe(`[node ${name}]`);
  });

  test("may be named like a property of functions, of objects, or anything else", () => {
    for (const name of ["length", "__proto__", "constructor", "toString", "a b\u0000c", "ноды"]) {
      const Odd = defineNode({ name, key, caches });
      expect(Odd.name).toBe(name);
      expect(specOf(Odd)?.name).toBe(name);
    }
  });

  test("is listed by nodes() in the order of definition", () => {
    const one = defineNode({ name: fresh(), key, caches });
    const two = dynamicNode({ name: fresh(), caches });
    expect(nodes().slice(-2)).toEqual([one, two]);
  });

  test("cannot be changed through the list that nodes() gives", () => {
    const before = nodes().length;
    Reflect.apply(Array.prototype.pop, nodes(), []);
    expect(nodes().length).toBe(before);
  });
});

describe("a name", () => {
  test("that is taken is a TypeError that names allowRedefine", () => {
    const name = fresh();
    const First = defineNode({ name, key, caches });
    expect(messageOf(() => defineNode({ name, key, caches }))).toMatch(new RegExp(`"${name}".*allowRedefine`));
    expect(nodes().filter((node) => node.name === name)).toEqual([First]);
  });

  test("can be taken over with allowRedefine; the old node keeps its rules", () => {
    const name = fresh();
    const Old = defineNode({ name, version: "v1", key, caches });
    const New = defineNode({ name, version: "v2", key, caches, allowRedefine: true });
    expect(nodes().filter((node) => node.name === name)).toEqual([New]);
    expect([specOf(Old)?.version, specOf(New)?.version]).toEqual(["v1", "v2"]);
    expect(Old(1).node).toBe(Old);
  });

  test("of a definition that was refused stays free", () => {
    const name = fresh();
    expect(() => define({ name, key, caches: [] })).toThrow(TypeError);
    expect(() => defineNode({ name, key, caches })).not.toThrow();
  });
});

describe("a dynamic node", () => {
  test("takes its key as its parameter", () => {
    const Bar = dynamicNode<string>({ name: fresh(), version: "v1", caches });
    expect(Bar("bar:1")).toEqual({ node: Bar, params: "bar:1", key: "bar:1" });
    expect(specOf(Bar)).toMatchObject({ version: "v1", load: undefined, loadAll: undefined });
  });

  test("is the same node for the same name with equal options", () => {
    const name = fresh();
    const doorkeeper: Doorkeeper = { guards: "local", admit: () => true };
    const options = { name, version: "v1", serializer: json(), doorkeeper };
    const one = dynamicNode({ ...options, caches: [{ storage: "local", ttl: "60s" }] });
    const two = dynamicNode({ ...options, serializer: json(), caches: [{ storage: "local", ttl: "1m" }] });
    expect(two).toBe(one);
    expect(nodes().filter((node) => node.name === name)).toEqual([one]);
  });

  test("takes the default serializer for equal to the same one written out", () => {
    const name = fresh();
    expect(dynamicNode({ name, caches, serializer: json() })).toBe(dynamicNode({ name, caches }));
  });

  test.each([
    [{ version: "v2" }, "version"],
    [{ caches: [{ storage: "local", ttl: "31s" }] }, "caches"],
    [{ caches: [{ storage: "other", ttl: "30s" }] }, "caches"],
    [{ caches: [...caches, { storage: "redis", ttl: 1 }] }, "caches"],
    [{ serializer: { ...json(), name: "other" } }, "serializer"],
    [{ doorkeeper: { guards: "local", admit: () => true } }, "doorkeeper"],
  ])("is refused for the same name with other options, naming the first that differs (%#)", (other, option) => {
    const name = fresh();
    const one = dynamicNode({ name, caches });
    expect(messageOf(() => defineDynamic({ name, caches, ...other }))).toBe(`node "${name}" is defined already, with another ${option}`);
    expect(nodes().filter((node) => node.name === name)).toEqual([one]);
  });

  test("and a defined one cannot share a name, in either order", () => {
    const [one, two] = [fresh(), fresh()];
    defineNode({ name: one, key, caches });
    expect(messageOf(() => dynamicNode({ name: one, caches }))).toContain(one);
    dynamicNode({ name: two, caches });
    expect(messageOf(() => defineNode({ name: two, key, caches }))).toContain("allowRedefine");
  });

  test("has no loader and no key function to give", () => {
    expect(messageOf(() => defineDynamic({ name: fresh(), caches, load: key }))).toContain('unknown option "load"');
    expect(messageOf(() => defineDynamic({ name: fresh(), caches, key }))).toContain('unknown option "key"');
  });

  test("refuses a parameter that is no key, naming itself", () => {
    const name = fresh();
    const Bar = dynamicNode({ name, caches });
    for (const wrong of [undefined, 5, {}, "\uD800"]) {
      expect(messageOf(() => Reflect.apply(Bar, undefined, [wrong]))).toContain(`node "${name}": key`);
    }
  });

  test("asked for 10,000 times at once is one node", () => {
    const name = fresh();
    const made10k = new Set(Array.from({ length: 10_000 }, () => dynamicNode({ name, caches })));
    expect(made10k.size).toBe(1);
  });
});
