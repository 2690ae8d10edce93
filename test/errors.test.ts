/** Errors of this library are told by their brand, so that several copies of it are as good as one. */
import { expect, test, vi } from "vitest";
import { CacheError, isCacheError } from "../src/errors.ts";

test("an error of another copy of the library is one of this", async () => {
  vi.resetModules();
  const other = await import("../src/errors.ts");
  expect(other.CacheError).not.toBe(CacheError);
  const error = new other.CacheError("ERR_CLOSED", "the cache is closed");
  expect(error instanceof CacheError).toBe(true);
  expect([isCacheError(error), isCacheError(error, "ERR_CLOSED"), isCacheError(error, "ERR_SERIALIZE")]).toEqual([true, true, false]);
  expect(error).toMatchObject({ name: "CacheError", message: "the cache is closed" });
});

test("nothing else is one", () => {
  for (const other of [undefined, null, 5, "CacheError", {}, new Error("no"), { name: "CacheError", code: "ERR_CLOSED" }]) {
    expect(other instanceof CacheError).toBe(false);
    expect(isCacheError(other)).toBe(false);
  }
});

test("a class of its own below it keeps to its own", () => {
  class Special extends CacheError {}
  const special = new Special("ERR_CLOSED", "special");
  expect([special instanceof Special, special instanceof CacheError]).toEqual([true, true]);
  expect(new CacheError("ERR_CLOSED", "plain") instanceof Special).toBe(false);
});
