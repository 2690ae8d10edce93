import { DatabaseSync } from "node:sqlite";
import { describe, expect, test } from "vitest";
import { d1, schema as d1Schema, type D1Options } from "../../adapters/d1.ts";
import { libsql, schema as libsqlSchema } from "../../adapters/libsql.ts";
import { neon, schema as neonSchema } from "../../adapters/neon.ts";
import { planetscale, schema as planetscaleSchema } from "../../adapters/planetscale.ts";
import { schema, sql, type SqlDialect, type SqlOptions, type SqlParam, type SqlQuery } from "../../adapters/sql.ts";
import type { Storage, WriteEntry } from "../../src/storage.ts";

const signal = new AbortController().signal;
const DIALECTS: readonly SqlDialect[] = ["postgres", "mysql", "sqlite"];

interface Sent {
  readonly text: string;
  readonly params: readonly SqlParam[];
}

/** A storage whose statements are kept; each is answered by what is given. */
function kept(dialect: SqlDialect, answer: object = [], table?: string): { storage: Storage; sent: Sent[] } {
  const sent: Sent[] = [];
  const query: SqlQuery = async (text, params) => {
    sent.push({ text, params });
    return answer;
  };
  return { storage: sql({ dialect, query, table }), sent };
}

function entryOf(key: string, ifStamp?: Uint8Array | null): WriteEntry {
  return { key, bytes: Uint8Array.of(1, 2, 3), ttlMs: 1000, ifStamp };
}

function placeholders({ text }: Sent): number {
  return new Set(text.match(/\$\d+/g)).size + (text.match(/\?/g)?.length ?? 0);
}

describe("the index of a table", () => {
  const LONG = "cache_entries_of_the_european_region_for_product_listing_";
  function tablesWithIndex(database: DatabaseSync): unknown[] {
    const found = database.prepare("select tbl_name from sqlite_master where type = 'index' and sql is not null order by tbl_name").all();
    return found.map((row) => row["tbl_name"]);
  }

  test("is there for each of two tables that begin alike, however often the statements are run", () => {
    const database = new DatabaseSync(":memory:");
    for (const end of ["a", "b", "listed", "a"]) database.exec(schema("sqlite", LONG + end));
    expect(tablesWithIndex(database)).toEqual(["a", "b", "listed"].map((end) => LONG + end));
    database.close();
  });

  test("is called by its table up to 55 characters, and has at most 63 itself", () => {
    for (const length of [1, 54, 55]) for (const dialect of DIALECTS) expect(schema(dialect, "t".repeat(length))).toContain(`${"t".repeat(length)}_expires`);
    for (const length of [56, 62, 63]) {
      const names = ["a", "b"].map((end) => /[\w]+_expires/.exec(schema("postgres", "t".repeat(length - 1) + end))?.[0] ?? "");
      expect(names.map((name) => name.length)).toEqual([63, 63]);
      expect(names[0]).not.toBe(names[1]);
      expect(names[0]).toMatch(/^t{46}_[0-9a-f]{8}_expires$/);
    }
    expect(schema("postgres", "app.cache")).toContain('"cache_expires" on "app"."cache"');
  });
});

describe("options", () => {
  test.each([
    ["nothing", undefined, /sql takes an object of options, got undefined/],
    ["null", null, /sql takes an object of options, got null/],
    ["no dialect", { query: async () => [] }, /^sql: dialect must be "postgres", "mysql" or "sqlite", got undefined/],
    ["another dialect", { dialect: "oracle", query: async () => [] }, /got "oracle"/],
    ["a name that every object has", { dialect: "constructor", query: async () => [] }, /got "constructor"/],
    ["no query", { dialect: "sqlite" }, /^sql: query must be a function, got undefined/],
    ["a client for a query", { dialect: "sqlite", query: {} }, /^sql: query must be a function, got object/],
    ["another scope", { dialect: "sqlite", query: async () => [], scope: "worker" }, /^sql: scope must be "isolate" or "request", got "worker"/],
  ])("sql() refuses %s", (_, options, message) => {
    expect(() => sql(options as unknown as SqlOptions)).toThrow(TypeError);
    expect(() => sql(options as unknown as SqlOptions)).toThrow(message);
  });

  test.each(["", "a b", "a-b", "1a", "a.b.c", "a.", ".a", "a;drop table b", 'a"b', "a`b", "é", "a\n", "x".repeat(64), "a\u0000", null, 7, {}])(
    "the table %j is refused in every dialect and by every adapter",
    (table) => {
      const name = table as string;
      for (const dialect of DIALECTS) {
        expect(() => sql({ dialect, query: async () => [], table: name })).toThrow(/^sql: table must be an identifier or schema\.table, got/);
        expect(() => schema(dialect, name)).toThrow(TypeError);
      }
      for (const other of [d1Schema, libsqlSchema, neonSchema, planetscaleSchema]) expect(() => other(name)).toThrow(TypeError);
      const database = { prepare: () => undefined, batch: async () => [] } as unknown as D1Options["database"];
      expect(() => d1({ database, table: name })).toThrow(TypeError);
      expect(() => libsql({ url: "http://127.0.0.1", table: name })).toThrow(TypeError);
      expect(() => neon({ connectionString: "postgres://u:p@h/d", table: name })).toThrow(TypeError);
      expect(() => planetscale({ url: "http://u:p@127.0.0.1", table: name })).toThrow(TypeError);
    },
  );

  test("tables are quoted, with their schema, and keep their case", async () => {
    for (const dialect of DIALECTS) {
      const quote = dialect === "mysql" ? "`" : '"';
      const quoted = `${quote}My_Schema${quote}.${quote}Order${quote}`;
      const { storage, sent } = kept(dialect, [], "My_Schema.Order");
      await storage.read(["k"], [], signal);
      await storage.remove(["k"], signal);
      await storage.prune?.(1, signal);
      for (const { text } of sent) expect(text).toContain(quoted);
      expect(schema(dialect, "My_Schema.Order")).toContain(quoted);
    }
  });

  test("the schema of an adapter is that of its dialect", () => {
    expect([neonSchema("t"), planetscaleSchema("t"), libsqlSchema("t"), d1Schema("t")]).toEqual([
      schema("postgres", "t"),
      schema("mysql", "t"),
      schema("sqlite", "t"),
      schema("sqlite", "t"),
    ]);
    expect(neonSchema()).toBe(schema("postgres", "cacheme"));
  });

  test("a socket's scope is the user's to say", () => {
    expect(sql({ dialect: "postgres", query: async () => [] }).traits.scope).toBe("isolate");
    expect(sql({ dialect: "postgres", query: async () => [], scope: "request" }).traits.scope).toBe("request");
  });
});

describe("statements", () => {
  test.each(DIALECTS)("in %s each call is one statement with as many parameters as placeholders, whatever its size", async (dialect) => {
    const { storage, sent } = kept(dialect);
    const keys = Array.from({ length: 1000 }, (_, index) => `k${index}`);
    await storage.read(keys, ["\u0001g", "\u0001h"], signal);
    await storage.write(
      keys.map((key, index) => entryOf(key, [undefined, null, Uint8Array.of(1)][index % 3])),
      signal,
    );
    await storage.remove(keys, signal);
    await storage.raise(["\u0001g", "\u0001h"], signal);
    await storage.prune?.(100, signal);
    expect(sent.length).toBe(5);
    for (const statement of sent) expect(placeholders(statement)).toBe(statement.params.length);
  });

  test.each(DIALECTS)("in %s nothing is asked for an empty batch", async (dialect) => {
    const { storage, sent } = kept(dialect);
    expect(await storage.read([], [], signal)).toEqual({ slots: [], generations: [] });
    expect(await storage.write([], signal)).toEqual([]);
    expect(await storage.ensure?.([], signal)).toEqual([]);
    await storage.remove([], signal);
    await storage.raise([], signal);
    expect(sent).toEqual([]);
  });

  test.each(DIALECTS)("in %s neither keys nor bytes are part of the text", async (dialect) => {
    const { storage, sent } = kept(dialect);
    const evil = "'); drop table cacheme; --";
    await storage.read([evil], [evil], signal);
    await storage.write([{ key: evil, bytes: new TextEncoder().encode(evil), ttlMs: null, ifStamp: new TextEncoder().encode(evil) }], signal);
    await storage.remove([evil], signal);
    await storage.raise([evil], signal);
    for (const { text } of sent) expect(text).not.toContain("drop table");
  });

  test.each(DIALECTS)("in %s a batch takes its locks in an order that is the same for all", async (dialect) => {
    const { storage, sent } = kept(dialect);
    await storage.raise(["b", "c", "a", "b"], signal);
    await storage.raise(["a", "b", "c"], signal);
    expect(sent[0]?.params).toEqual(sent[1]?.params);
    await storage.write([entryOf("b"), entryOf("a")], signal);
    const [first, second] = [keyAt(sent[2], 0), keyAt(sent[2], 4)];
    expect([first, second]).toEqual(["a", "b"]);
  });

  function keyAt(statement: Sent | undefined, index: number): string {
    const param = statement?.params[index];
    return typeof param === "string" ? Buffer.from(param, "base64").toString() : Buffer.from(param instanceof Uint8Array ? param : []).toString();
  }

  test.each([0, -1, 1.5, Number.NaN, Infinity, "1; drop table cacheme" as unknown as number])(
    "prune(%s) is refused before a statement is sent",
    async (limit) => {
      const { storage, sent } = kept("mysql");
      await expect(storage.prune?.(limit, signal)).rejects.toThrow(/limit must be a whole number above 0/);
      expect(sent).toEqual([]);
    },
  );

  test("a batch that no packet of MySQL could take goes out in parts", async () => {
    const { storage, sent } = kept("mysql");
    const bytes = new Uint8Array(4 * 1024 * 1024);
    await storage.write(
      ["a", "b", "c", "d", "e"].map((key) => ({ key, bytes, ttlMs: null })),
      signal,
    );
    expect(sent.map(({ params }) => params.length)).toEqual([8, 8, 4]);
  });

  test("MySQL does not tell what was refused, but that a write on no terms is stored", async () => {
    const { storage } = kept("mysql", { affectedRows: 2 });
    expect(await storage.write([entryOf("a"), entryOf("b", null), entryOf("c", Uint8Array.of(1))], signal)).toEqual([true, undefined, undefined]);
  });

  test("MySQL prunes by the rows' keys, so that locks are taken in the order of a write, and counts what went", async () => {
    const sent: Sent[] = [];
    const storage = sql({
      dialect: "mysql",
      async query(text, params) {
        sent.push({ text, params });
        return text.startsWith("select") ? ["b", "a", "c"].map((k) => ({ k: new TextEncoder().encode(k) })) : { affectedRows: 2 };
      },
    });
    expect(await storage.prune?.(3, signal)).toBe(2);
    expect(sent.map(({ text }) => text.split(" ")[0])).toEqual(["select", "delete"]);
    expect(sent[1]?.params).toEqual(["a", "b", "c"].map((k) => btoa(k)));
    expect(await kept("mysql").storage.prune?.(3, signal)).toBe(0);
  });

  test("a tombstone or a raise that changed nothing is an error where an answer says no more than that", async () => {
    const { storage } = kept("mysql", { affectedRows: 0 });
    await expect(storage.write([entryOf("a")], signal)).rejects.toThrow("changed nothing");
    await expect(storage.write([entryOf("a", null), entryOf("b")], signal)).rejects.toThrow("changed nothing");
    await expect(storage.raise(["g"], signal)).rejects.toThrow("changed nothing");
    expect(await storage.write([entryOf("a", null)], signal)).toEqual([undefined]);
  });

  test("nothing is sent once the signal is aborted", async () => {
    const { storage, sent } = kept("postgres");
    await expect(storage.read(["k"], [], AbortSignal.abort())).rejects.toThrow(/abort/i);
    expect(sent).toEqual([]);
  });
});

describe("answers", () => {
  test("bytes may come as bytes, a buffer, a list of numbers or base64 in lines, and hold on to no larger buffer of the driver's", async () => {
    const k = new TextEncoder().encode("k");
    const large = Uint8Array.from({ length: 50_000 }, (_, index) => index);
    const alone = Uint8Array.of(7, 8, 9);
    for (const v of [
      large.subarray(7, 10),
      Buffer.from(large.buffer, 7, 3),
      Buffer.from(alone.slice().buffer),
      alone,
      alone.slice().buffer,
      [7, 8, 9],
      "BwgJ\n",
    ]) {
      const { storage } = kept("sqlite", [{ k, v, n: null, remaining: "12.5" }]);
      const { slots } = await storage.read(["k", "other"], [], signal);
      expect(slots).toStrictEqual([{ bytes: Uint8Array.of(7, 8, 9), remainingMs: 12.5 }, undefined]);
      expect(slots[0]?.bytes.constructor).toBe(Uint8Array);
      expect(slots[0]?.bytes.buffer).not.toBe(large.buffer);
      expect(slots[0]?.bytes.buffer.byteLength).toBeLessThan(50_000);
    }
  });

  test("slots that share a buffer do not overlap, and a large one has its own", async () => {
    const sizes = [0, 1, 70_000, 5, 20_000, 20_000, 20_000, 20_000, 3, 65_536, 0, 9];
    const rows = sizes.map((size, index) => ({ k: new TextEncoder().encode(`k${index}`), v: new Uint8Array(size).fill(index + 1), n: null, remaining: null }));
    // Slices of one buffer, as drivers answer them.
    const whole = Buffer.concat(rows.map(({ v }) => v));
    let end = 0;
    const answer = rows.map((row) => {
      end += row.v.length;
      return { ...row, v: whole.subarray(end - row.v.length, end) };
    });
    const { slots } = await kept("sqlite", answer).storage.read(
      sizes.map((_, index) => `k${index}`),
      [],
      signal,
    );
    whole.fill(0);
    for (const [index, slot] of slots.entries()) {
      expect(slot?.bytes.length).toBe(sizes[index]);
      expect(slot?.bytes.every((byte) => byte === index + 1)).toBe(true);
      slot?.bytes.fill(0);
    }
  });

  test("generations may come as text; what is no number of ours is missing", async () => {
    const k = new TextEncoder().encode("g");
    const answers = await Promise.all(
      ["1700000000000000", 5, "0", "-1", "1.5", "9007199254740991", null, "x"].map(
        async (n) => (await kept("postgres", [{ k, v: k, n, remaining: null }]).storage.read([], ["g"], signal)).generations[0],
      ),
    );
    expect(answers).toEqual([1_700_000_000_000_000, 5, undefined, undefined, undefined, undefined, undefined, undefined]);
  });

  test("a query that answers the driver's result instead of its rows is an error, not an empty cache", async () => {
    const { storage } = kept("postgres", { rows: [] });
    await expect(storage.read(["k"], [], signal)).rejects.toThrow("a query must answer a list of rows");
    await expect(storage.write([entryOf("k")], signal)).rejects.toThrow("a query must answer a list of rows");
    await expect(storage.ensure?.(["g"], signal)).rejects.toThrow("a query must answer a list of rows");
  });

  test("a generation that does not stand after `ensure` is an error", async () => {
    const { storage } = kept("sqlite", []);
    await expect(storage.ensure?.(["g"], signal)).rejects.toThrow("a generation must be a number");
  });

  test("what a driver throws goes through as it is", async () => {
    const failure = new Error("closed");
    for (const dialect of DIALECTS) {
      const storage = sql({ dialect, query: () => Promise.reject(failure) });
      await expect(storage.read(["k"], [], signal)).rejects.toBe(failure);
      await expect(storage.write([entryOf("k")], signal)).rejects.toBe(failure);
      await expect(storage.prune?.(1, signal)).rejects.toBe(failure);
    }
  });
});

test.each([
  [0.25, 1],
  [1.5, 2],
  [Number.MAX_VALUE, 2 ** 52],
  [Infinity, 2 ** 52],
])("a life of %s ms is sent as %s ms", async (ttlMs, whole) => {
  for (const dialect of DIALECTS) {
    const { storage, sent } = kept(dialect);
    await storage.write([{ key: "k", bytes: new Uint8Array(1), ttlMs }], signal);
    expect(sent[0]?.params).toContain(whole);
  }
});

test("a slot that was proposed under a stamp where there was none is absent, and can be pruned", async () => {
  const database = new DatabaseSync(":memory:");
  database.exec(schema("sqlite"));
  const storage = sql({ dialect: "sqlite", query: async (text, params) => database.prepare(text).all(...params) });
  expect(await storage.write([entryOf("k", Uint8Array.of(1))], signal)).toEqual([false]);
  expect((await storage.read(["k"], [], signal)).slots).toEqual([undefined]);
  expect(await storage.write([entryOf("k", Uint8Array.of(1, 2, 3))], signal)).toEqual([false]);
  expect(await storage.prune?.(10, signal)).toBe(1);
  expect(await storage.prune?.(10, signal)).toBe(0);
});
