/** What a driver's error may tell: never a key, a value or a secret. Canary strings in the places where drivers put them. */

import { inspect } from "node:util";
import { describe, expect, test } from "vitest";
import { local } from "../src/local/local.ts";
import { wrap } from "../src/storage-guard.ts";
import { counted, failure, rig } from "./support/rig.ts";
import { stub } from "./support/storages.ts";

const CANARY = "canary";
const KEY = `cacheme:user:${CANARY}:v1`;

const told = (message: string, over: object = {}): string => wrap(Object.assign(new Error(message), over), "far", "write", [KEY]).message;

describe("a wrapped error", () => {
  test.each([
    ["a key of the call", `no slot for ${KEY}`],
    ["a key of the call, several times", `${KEY} and ${KEY}`],
    ["a command", `WRONGTYPE Operation against a key, command was: ["set","k","${CANARY}"]`],
    ["a command, otherwise written", `ERR failed, Command: set k ${CANARY}`],
    ["a connection string", `connect failed: redis://default:${CANARY}@db.example.com:6379/0`],
    ["the query of a URL", `GET https://kv.example.com/v1?token=${CANARY} failed`],
    ["the path of a URL", `GET https://kv.example.com/v1/${CANARY} failed`],
    ["a quoted value", `unexpected value "${CANARY}" at 3`],
    ["a value in single quotes", `syntax error near '${CANARY}'`],
    ["a value in backticks", `column \`${CANARY}\` is unknown`],
    ["a token", `token AXa1${CANARY}Zz09Yy88 was revoked`],
    ["a bearer token", `Authorization: Bearer eyJ${CANARY}0123456789`],
  ])("does not hold %s", (_what, message) => {
    expect(message).toContain(CANARY);
    expect(told(message)).not.toContain(CANARY);
  });

  test("keeps what helps: storage, operation, name and code of the driver's error, and the rest of its words", () => {
    const error = Object.assign(new RangeError("connection reset by peer"), { code: "ECONNRESET" });
    expect(wrap(error, "far", "write", []).message).toBe('storage "far": write failed: RangeError ECONNRESET: connection reset by peer');
  });

  test("is short, however long the driver's was", () => {
    expect(told("word ".repeat(10_000)).length).toBeLessThan(300);
  });

  test("does not hold the driver's error, nor what hung on it", () => {
    const wrapped = wrap(Object.assign(new Error("failed"), { command: CANARY, cause: CANARY, args: [CANARY] }), "far", "write", []);
    expect(inspect(wrapped, { depth: 9, showHidden: true })).not.toContain(CANARY);
    expect(JSON.stringify(wrapped)).not.toContain(CANARY);
  });

  test("is made from anything that can be thrown", () => {
    for (const thrown of [undefined, null, 5, {}, { message: CANARY }, Symbol(CANARY)]) expect(wrap(thrown, "far", "read", []).message).not.toContain(CANARY);
    expect(wrap("just text", "far", "read", []).message).toContain("just text");
  });
});

describe("guarantee 14: whatever a failing storage says", () => {
  test("neither errors, events nor stats show a key or a value", async () => {
    const talkative = async (first: unknown): Promise<never> => {
      throw new Error(`cannot do ${JSON.stringify(first)}`);
    };
    const far = stub({ read: talkative, write: talkative, remove: talkative, ensure: talkative });
    const { cache, events, clock } = rig({ storages: { local: local(), far } });
    const Item = counted<string>({
      caches: [
        { storage: "local", ttl: "1m" },
        { storage: "far", ttl: "1m" },
      ],
      load: () => `value ${CANARY}`,
    });
    const reference = Item(`user:${CANARY}`);
    await cache.getAll([reference]);
    const errors = [await failure(cache.invalidate(reference)), await failure(cache.set(reference, CANARY)), await failure(cache.refresh(reference))];
    await clock.settle();
    expect(events.length).toBeGreaterThan(3);
    for (const shown of [errors, events, cache.stats()]) expect(inspect(shown, { depth: 9, showHidden: true })).not.toContain(CANARY);
  });

  test("nor does a cache that is shown in a console", async () => {
    const { cache } = rig({ storages: { near: local() }, prefix: "shop", env: { password: CANARY } });
    const Item = counted<string>({ caches: [{ storage: "near", ttl: "1m" }], load: () => CANARY });
    await cache.get(Item(CANARY));
    for (const shown of [cache, cache.with({ env: { token: CANARY } }), { cache }, [cache]])
      expect(inspect(shown, { depth: 20, showHidden: true })).not.toContain(CANARY);
    expect(inspect(cache)).toBe('[cache "shop": near]');
    expect(String(cache)).toBe('[cache "shop": near]');
  });

  test("events name a key by eight digits of a digest", async () => {
    const far = stub({ read: async (keys) => ({ slots: keys.map(() => ({ bytes: new TextEncoder().encode(CANARY) })), generations: [1] }) });
    const { cache, seen } = rig({ storages: { far } });
    await cache.get(counted({ caches: [{ storage: "far", ttl: "1m" }] })(CANARY));
    expect(seen("entry-rejected")).toMatchObject([{ key: expect.stringMatching(/^[0-9a-f]{8}$/) }]);
    expect(inspect(seen("entry-rejected"))).not.toContain(CANARY);
  });
});
