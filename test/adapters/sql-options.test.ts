import type { Client as LibsqlDriver } from "@libsql/client";
import { neon as neonDriver } from "@neondatabase/serverless";
import { Client as PlanetscaleDriver } from "@planetscale/database";
import type { D1Database } from "@cloudflare/workers-types";
import { expect, test } from "vitest";
import { d1, type D1Options } from "../../adapters/d1.ts";
import { libsql, type LibsqlOptions } from "../../adapters/libsql.ts";
import { neon, type NeonOptions } from "../../adapters/neon.ts";
import { planetscale, type PlanetscaleOptions } from "../../adapters/planetscale.ts";
import type { Storage } from "../../src/storage.ts";

test("the official clients fit, as their types and as objects", () => {
  const planets = new PlanetscaleDriver({ url: "http://u:p@127.0.0.1" });
  expect(planetscale({ client: planets }).name).toBe("planetscale");
  expect(neon({ client: neonDriver("postgres://u:p@h/d", { disableWarningInBrowsers: true }) }).name).toBe("neon");
  const types: { readonly d1: (database: D1Database) => D1Options; readonly libsql: (client: LibsqlDriver) => LibsqlOptions } = {
    d1: (database) => ({ database }),
    libsql: (client) => ({ client }),
  };
  expect(Object.keys(types)).toEqual(["d1", "libsql"]);
});

test.each([
  ["neon", {}, /neon: connectionString must be like postgresql:.*, got undefined/],
  ["neon", { connectionString: "host=secret" }, /neon: connectionString must be like postgresql:.*, got text that is no URL/],
  ["neon", { connectionString: "https://u:secret@h/d" }, /got one with https:/],
  ["neon", { connectionString: "postgres://secret/d" }, /got one that lacks a part/],
  ["neon", { connectionString: "postgres://u:secret@h" }, /got one that lacks a part/],
  ["neon", { client: {} }, /neon: client must be what neon\(\) .* answers, got object without query\(\)/],
  ["neon", { client: null }, /got null/],
  ["planetscale", {}, /planetscale: url must be like https:.*, got undefined/],
  ["planetscale", { url: "secret" }, /planetscale: url must be like https:.*, got text that is no URL/],
  ["planetscale", { url: "ftp://u:secret@h" }, /got one with ftp:/],
  ["planetscale", { url: "https://secret" }, /lacks a part/],
  ["planetscale", { url: "https://u:secret%20@h" }, /no encoded characters/],
  ["planetscale", { host: "https://u:secret@h", username: "u", password: "secret" }, /planetscale: host must be a host name/],
  ["planetscale", { host: "h", username: "u", password: "" }, /planetscale: password must be text without blanks, got an empty one/],
  ["planetscale", { url: "https://u:secret@h", fetch: "secret" }, /planetscale: fetch must be a function, got string/],
  ["planetscale", { client: 7 }, /planetscale: client must be a Client of @planetscale\/database, got number without execute\(\)/],
  ["libsql", {}, /libsql: url must be like libsql:.*, got undefined/],
  ["libsql", { url: "ws://secret" }, /got one with ws:/],
  ["libsql", { url: "file:secret.db" }, /got one with file:/],
  ["libsql", { url: "libsql://h?authToken=secret" }, /no user name, password, query or fragment/],
  ["libsql", { url: "libsql://h", authToken: "secret " }, /libsql: authToken must be text without blanks, got one with blanks/],
  ["libsql", { client: {} }, /libsql: client must be a client of @libsql\/client, got object without execute\(\)/],
  ["d1", {}, /d1: database must be a D1 binding, got undefined without prepare\(\)/],
  ["d1", { database: null }, /d1: database must be a D1 binding, got null/],
  ["d1", { database: { prepare() {} } }, /got object without batch\(\)/],
])("%s(%j) is refused, and says nothing secret", (kind, options, message) => {
  const make = (): Storage => {
    if (kind === "neon") return neon(options as NeonOptions);
    if (kind === "planetscale") return planetscale(options as PlanetscaleOptions);
    return kind === "libsql" ? libsql(options as LibsqlOptions) : d1(options as D1Options);
  };
  expect(make).toThrow(TypeError);
  expect(make).toThrow(message);
  expect(make).not.toThrow(/secret/);
});
