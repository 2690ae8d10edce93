/** Generations as the isolate sees them: what an epoch cuts off, what it goes on cutting off once it is forgotten, and which tags can be. */

import { describe, expect, test } from "vitest";
import type { Binding } from "../src/binding.ts";
import { coreOf, createCacheOn } from "../src/cache.ts";
import { BadTags, Epochs, generationsOf, tagKeys } from "../src/generations.ts";
import { local } from "../src/local/local.ts";
import { defineNode } from "../src/node.ts";
import { counted, freshName, rig, SHARED } from "./support/rig.ts";
import { puppet } from "./support/storages.ts";

const LIMIT = 10_000;

describe("an epoch", () => {
  test("cuts off what began before it, under its own names alone", () => {
    const epochs = new Epochs();
    const before = epochs.now;
    epochs.raise(["a", "b"]);
    expect(epochs.outlived(["a"], before)).toBe(true);
    expect(epochs.outlived(["c", "b"], before)).toBe(true);
    expect(epochs.outlived(["c"], before)).toBe(false);
    expect(epochs.outlived([], before)).toBe(false);
    expect(epochs.outlived(["a"], epochs.now)).toBe(false);
    epochs.raise(["c"]);
    expect(epochs.outlived(["a"], epochs.now - 1)).toBe(false);
  });

  test("counts up, once for each invalidation", () => {
    const epochs = new Epochs();
    expect(epochs.now).toBe(0);
    epochs.raise(["a"]);
    epochs.raise(["a", "b"]);
    expect(epochs.now).toBe(2);
  });

  test("is remembered for 10,000 names; the oldest is forgotten, and cuts off what began before it under every name", () => {
    const epochs = new Epochs();
    for (let name = 0; name < LIMIT; name++) epochs.raise([`${name}`]);
    expect(epochs.outlived(["never raised"], 0)).toBe(false);
    epochs.raise(["one more"]);
    expect(epochs.outlived(["never raised"], 0)).toBe(true);
    expect(epochs.outlived(["never raised"], 1)).toBe(false);
    expect(epochs.outlived(["0"], 0)).toBe(true);
    expect(epochs.outlived(["1"], 1)).toBe(true);
  });

  test("that is raised again is the youngest, so that another is forgotten in its place", () => {
    const epochs = new Epochs();
    for (let name = 0; name < LIMIT; name++) epochs.raise([`${name}`]);
    epochs.raise(["0"]);
    const between = epochs.now - 1;
    epochs.raise(["one more"]);
    // Forgotten was "1", of epoch 2, and not "0", which would cut off everything.
    expect(epochs.outlived(["0"], between)).toBe(true);
    expect(epochs.outlived(["never raised"], 2)).toBe(false);
    expect(epochs.outlived(["never raised"], 1)).toBe(true);
  });

  test("of many names at once is forgotten as well, down to the limit, and the floor never falls", () => {
    const epochs = new Epochs();
    epochs.raise(Array.from({ length: LIMIT + 5 }, (_, name) => `${name}`));
    expect(epochs.outlived(["never raised"], 0)).toBe(true);
    expect(epochs.outlived(["never raised"], 1)).toBe(false);
    epochs.raise(["again"]);
    expect(epochs.outlived(["never raised"], 0)).toBe(true);
    expect(epochs.outlived([`${LIMIT}`], 0)).toBe(true);
  });
});

/** A node in a cache; without `tags` it has none. */
function bound(tags?: { readonly give: unknown }): Binding {
  const made = createCacheOn(SHARED, { prefix: "shop", storages: { local: local() } });
  const node = defineNode<string, string>({
    name: "Tagged",
    allowRedefine: true,
    key: (key) => key,
    load: (key) => key,
    caches: [{ storage: "local", ttl: "1m" }],
    tags: tags && (() => tags.give as readonly string[]),
  });
  return coreOf(made).bind(node, "shop");
}

function groupsOf(give: unknown): readonly string[] {
  return generationsOf(bound({ give }), "a");
}

describe("the generations of a key", () => {
  test("are that of its node, then those of its tags, each once", () => {
    expect(groupsOf(["red", "ä", "red"])).toEqual(["\u0001shop\u0001n\u0001Tagged", "\u0001shop\u0001t\u0001red", "\u0001shop\u0001t\u0001ä"]);
    expect(groupsOf([])).toEqual(["\u0001shop\u0001n\u0001Tagged"]);
  });

  test("without tags are one list for all keys of the node, so that a batch need not compare them", () => {
    for (const binding of [bound(), bound({ give: [] })]) expect(generationsOf(binding, "a")).toBe(generationsOf(binding, "b"));
  });

  test("may be of 8 tags and not of 9", () => {
    const tags = Array.from({ length: 9 }, (_, tag) => `${tag}`);
    expect(groupsOf(tags.slice(1))).toHaveLength(9);
    expect(() => groupsOf(tags)).toThrow(new BadTags('node "Tagged": tags must give at most 8 tags, got 9'));
  });

  test.for([
    ["no list", "red", 'node "Tagged": tags must give a list of strings, got "red"'],
    ["an empty tag", [""], 'node "Tagged": tags: a tag must be a non-empty string of well-formed Unicode, got another string'],
    ["a lone surrogate", ["\ud800"], 'node "Tagged": tags: a tag must be a non-empty string of well-formed Unicode, got another string'],
    ["a number", [7], 'node "Tagged": tags: a tag must be a non-empty string of well-formed Unicode, got 7'],
  ] as const)("cannot be of %s", ([, tags, message]) => {
    expect(() => groupsOf(tags)).toThrow(new BadTags(message));
  });

  test("of tags to invalidate are each once, and must be some", () => {
    expect(tagKeys("shop", ["red", "blue", "red"])).toEqual(["\u0001shop\u0001t\u0001red", "\u0001shop\u0001t\u0001blue"]);
    expect(() => tagKeys("shop", [])).toThrow(new BadTags("invalidateTags: expected at least one tag"));
    expect(() => tagKeys("shop", ["red", undefined])).toThrow(
      new BadTags("invalidateTags: a tag must be a non-empty string of well-formed Unicode, got undefined"),
    );
    expect(() => tagKeys("shop", [""])).toThrow(/^invalidateTags: .* got another string$/);
  });

  test("that cannot be reject every call that needs them, and store nothing", async () => {
    const { cache } = rig();
    const Item = counted({ tags: () => [""] });
    await expect(cache.get(Item("a"))).rejects.toThrow(BadTags);
    await expect(cache.set(Item("a"), "b")).rejects.toThrow(BadTags);
    expect(cache.peek(Item("a"))).toBe(undefined);
  });
});

describe("invalidateTags and invalidateNode", () => {
  test("cut off what is tagged so, in every tier, and nothing else", async () => {
    const far = puppet();
    const { cache } = rig({ storages: { local: local(), far } });
    const caches = [
      { storage: "local", ttl: "1h" },
      { storage: "far", ttl: "1h" },
    ] as const;
    const Item = counted({ name: freshName(), caches, tags: (key) => [key.slice(0, 1)] });
    await cache.getAll([Item("a1"), Item("a2"), Item("b1")]);
    await cache.flush();
    await cache.invalidateTags("a", "c");
    expect(cache.peek(Item("a1"))).toBe(undefined);
    expect(cache.peek(Item("b1"))).toBe("b1#3");
    expect(await cache.getAll([Item("a1"), Item("b1")])).toEqual(["a1#4", "b1#3"]);
    await cache.flush();
    await cache.invalidateNode(Item.node);
    expect(await cache.getAll([Item("a1"), Item("b1")])).toEqual(["a1#5", "b1#6"]);
  });
});
