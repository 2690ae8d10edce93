/**
 * Pruning while readers run: a million expired rows are deleted by `prune(limit)`, part after part, from a real PostgreSQL,
 * MariaDB and sqld, while four readers read ten living keys each, again and again with a pause between. Reported are the
 * seconds until none is left and the 99th percentile of a read beside that of the same readers before. `--rows` makes it
 * smaller, `--limit` sets the size of a part (after each there is a pause as long as it took), `--only` names servers, `--write` updates bench/results.md.
 *
 * @module
 */
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { machineNote, updateResults } from "./lib/report.ts";
import { SQL_SERVERS } from "./lib/sql-servers.ts";
import type { SqlServer, SqlStorage } from "./lib/sql-servers.ts";
import { markdownTable } from "./lib/table.ts";

const LIVING = 20_000;
const READERS = 4;
const KEYS = 10;
const PAUSE_MS = 2;
const BASE_MS = 10_000;
const GOAL_RATIO = 3;
const GOAL_S = 60;

const { values: options } = parseArgs({
  options: {
    rows: { type: "string", default: "1000000" },
    limit: { type: "string", default: "200" },
    only: { type: "string", default: Object.keys(SQL_SERVERS).join(",") },
    write: { type: "boolean", default: false },
  },
});
const rows = Number(options.rows);
const limit = Number(options.limit);
const signal = new AbortController().signal;

const table = [["", "rows", "seconds", "reads before", "p50 ms", "p99 ms", "reads during", "p50 ms", "p99 ms", "p99 ratio"]];
const goals: string[] = [];
const versions: Record<string, string> = {};
for (const [name, start] of Object.entries(SQL_SERVERS)) {
  if (options.only.split(",").includes(name)) await bench(await start());
}
const command = ["node bench/prune.ts", ...process.argv.slice(2)].join(" ");
const text = `## Pruning while readers run\n\n${machineNote(command, versions)}\n\n${READERS} readers, ${KEYS} of ${LIVING.toLocaleString("en-US")} living keys a read, ${PAUSE_MS} ms between; \`prune(${limit})\` again and again, after each a pause as long as it took.\n\n${markdownTable(table)}\n\n${goals.join("\n")}`;
console.log(text);
if (options.write) await updateResults("prune", text);

async function bench(server: SqlServer): Promise<void> {
  try {
    const { storage, name } = server;
    versions[name] = server.version;
    await fillLiving(storage);
    await server.fillExpired(rows);
    await measureReads(storage, sleep(1_000));
    const before = await measureReads(storage, sleep(BASE_MS));
    const began = performance.now();
    const pruning = pruneAll(storage);
    const during = await measureReads(storage, pruning);
    const seconds = (performance.now() - began) / 1_000;
    const pruned = await pruning;
    if (pruned !== rows) throw new Error(`${name}: ${pruned} rows pruned, ${rows} had expired`);
    const ratio = during.p99 / before.p99;
    const ms = (value: number): string => value.toFixed(2);
    table.push([
      name,
      pruned.toLocaleString("en-US"),
      seconds.toFixed(1),
      ...[before, during].flatMap(({ count, p50, p99 }) => [count.toLocaleString("en-US"), ms(p50), ms(p99)]),
      ms(ratio),
    ]);
    goals.push(
      `- ${name}: p99 ${ms(ratio)} times that before, goal at most ${GOAL_RATIO}: ${verdict(ratio <= GOAL_RATIO)}; ${seconds.toFixed(1)} s, goal at most ${GOAL_S}: ${verdict(seconds <= GOAL_S)}`,
    );
  } finally {
    await server.stop();
  }
}

function verdict(reached: boolean): string {
  return reached ? "reached" : "**missed**";
}

async function fillLiving(storage: SqlStorage): Promise<void> {
  for (let start = 0; start < LIVING; start += 500) {
    const entries = Array.from({ length: 500 }, (_, at) => ({ key: `live ${start + at}`, bytes: new Uint8Array(100), ttlMs: 3_600_000 }));
    await storage.write(entries, signal);
  }
}

async function pruneAll(storage: SqlStorage): Promise<number> {
  for (let pruned = 0; ;) {
    const began = performance.now();
    const part = (await storage.prune?.(limit, signal)) ?? 0;
    if (part === 0) return pruned;
    pruned += part;
    // As a job beside other work does it: half of the time is the readers' alone.
    await sleep(Math.ceil(performance.now() - began));
  }
}

interface Reads {
  readonly count: number;
  readonly p50: number;
  readonly p99: number;
}

/** Reads until `until` has settled. */
async function measureReads(storage: SqlStorage, until: Promise<unknown>): Promise<Reads> {
  const times: number[] = [];
  let over = false;
  const end = until.finally(() => (over = true));
  let next = 0;
  await Promise.all(
    Array.from({ length: READERS }, async () => {
      while (!over) {
        const keys = Array.from({ length: KEYS }, () => `live ${(next = (next + 7_919) % LIVING)}`);
        const began = performance.now();
        const { slots } = await storage.read(keys, [], signal);
        times.push(performance.now() - began);
        if (slots.includes(undefined)) throw new Error("a living row is gone");
        await sleep(PAUSE_MS);
      }
    }),
  );
  await end;
  times.sort((a, b) => a - b);
  const at = (share: number): number => times[Math.floor(times.length * share)] ?? Number.NaN;
  return { count: times.length, p50: at(0.5), p99: at(0.99) };
}
