/**
 * The contract of every storage in every runtime where it exists, on servers that are started once, one program a runtime.
 * What was found goes to `.cache/runtimes.json`, and README.md must show just that.
 *
 * @module
 */
import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { clausesOf } from "../../contract/clauses.ts";
import { isLeftOut } from "../../servers/process.ts";
import { ROWS, RUNTIMES, type Row, type Runtime } from "./cells.ts";
import { LANES, ROOT } from "./lanes.ts";
import type { Findings } from "./protocol.ts";
import { startServers, type Servers } from "./servers.ts";

let servers: Servers | undefined;
const found = new Map<Runtime, Findings>();
const broken = new Map<Runtime, unknown>();

beforeAll(async () => {
  servers = await startServers();
  const { addresses } = servers;
  const waiting: Runtime[] = [...RUNTIMES];
  async function runLanes(): Promise<void> {
    for (let runtime = waiting.shift(); runtime !== undefined; runtime = waiting.shift()) {
      // A runtime that breaks down must not hide what the others found.
      try {
        found.set(runtime, await LANES[runtime](addresses));
      } catch (error) {
        broken.set(runtime, error);
      }
    }
  }
  // Two at a time: a machine of two cores gains nothing by more, and a database of one writer then keeps none waiting too long.
  await Promise.all([runLanes(), runLanes()]);
  // FerretDB may have to be built first.
}, 500_000);

afterAll(async () => {
  await servers?.stop();
});

const rows = ROWS.filter(({ server }) => server === undefined || !isLeftOut(server));

function clausesRun(runtime: Runtime, storage: string): ReadonlyMap<string, string | null> {
  const outcomes = found.get(runtime)?.outcomes.filter((outcome) => outcome.storage === storage) ?? [];
  return new Map(outcomes.map(({ clause, error }) => [clause, error]));
}

/** Whether every clause that applies was run, and kept. */
function isKept(runtime: Runtime, { storage, lacking }: Row): boolean {
  const outcomes = clausesRun(runtime, storage);
  return clausesOf(lacking).every(({ name }) => outcomes.get(name) === null) && [...outcomes.values()].every((error) => error === null);
}

describe.each(RUNTIMES)("in %s", (runtime) => {
  test("the program runs to its end", () => {
    if (broken.has(runtime)) throw broken.get(runtime);
    expect(found.get(runtime)?.failure).toBe(undefined);
    expect(found.get(runtime)?.runtime).toMatch(/\d/);
  });

  test("no storage is run that is not expected there", () => {
    const expected = rows.filter(({ clients }) => clients[runtime] !== undefined).map(({ storage }) => storage);
    expect(new Set(found.get(runtime)?.outcomes.map(({ storage }) => storage))).toEqual(new Set(expected));
  });

  for (const { storage, clients, lacking } of rows) {
    if (clients[runtime] === undefined) continue;
    test(`${storage} keeps every clause of the contract`, () => {
      expect(clausesRun(runtime, storage)).toEqual(new Map(clausesOf(lacking).map(({ name }) => [name, null])));
    });
  }
});

/** The subpaths of storages that no row runs: the table names them. */
function withoutRow(): string[] {
  const { exports }: { exports: Record<string, unknown> } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"));
  const others = ["testing", "msgpack", "mongo-data-api-server"];
  const subpaths = Object.keys(exports).flatMap((subpath) => /^\.\/([\w-]+)$/.exec(subpath)?.[1] ?? []);
  const run = new Set(ROWS.map(({ storage }) => subpathOf(storage)));
  return subpaths.filter((subpath) => !run.has(subpath) && !others.includes(subpath) && !subpath.startsWith("stats-"));
}

/** `mongoDataApi` is exported by `mongo-data-api`, and every kind of `sql` by `sql`. */
function subpathOf(storage: string): string {
  return storage.replace(/,.*/, "").replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

// Without a server the run says less than the table.
test.skipIf(rows.length < ROWS.length)("the table in README.md is the one of this run", () => {
  const report = {
    withoutRow: withoutRow(),
    runtimes: RUNTIMES.map((runtime) => found.get(runtime)?.runtime ?? runtime),
    rows: ROWS.map((row) => ({
      storage: row.storage,
      why: row.why,
      note: row.note,
      cells: RUNTIMES.map((runtime) => ({ client: row.clients[runtime], flag: runtime === "workerd" ? row.flag : undefined, kept: isKept(runtime, row) })),
    })),
  };
  mkdirSync(join(ROOT, ".cache"), { recursive: true });
  writeFileSync(join(ROOT, ".cache/runtimes.json"), `${JSON.stringify(report, null, 2)}\n`);
  const { status, stdout } = spawnSync(process.execPath, [join(ROOT, "scripts/runtime-table.mjs")], { encoding: "utf8" });
  expect(`${stdout}${status}`).toBe("README.md: the table of runtimes is current\n0");
});
