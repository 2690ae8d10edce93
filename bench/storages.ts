/**
 * Storages beside their bare drivers: the calls that an adapter makes of its driver are recorded and made again without it,
 * in interleaved pairs. Reported are the medians of both, the median of the pairs' ratios, the microseconds that the adapter
 * adds to a call, and the bytes on the wire for each byte of a random value. `--only` names backends, `--write` updates
 * bench/results.md.
 *
 * @module
 */
import { randomBytes } from "node:crypto";
import { parseArgs } from "node:util";
import { startByteCounter } from "./lib/byte-counter.ts";
import { createRecorder } from "./lib/recorder.ts";
import type { Recorder } from "./lib/recorder.ts";
import { machineNote, updateResults } from "./lib/report.ts";
import type { SqlStorage } from "./lib/sql-servers.ts";
import { BACKENDS } from "./lib/storage-subjects.ts";
import type { Backend } from "./lib/storage-subjects.ts";
import { markdownTable, median } from "./lib/table.ts";

const PAIRS = 30;
const VALUE_BYTES = 1_000;
const BATCH = 100;
const WIRE_BYTES = 64_000;
const GOAL = 1.25;

/** Calls that are timed together, so that one of them is not lost in the clock's noise. */
const REPEATS = { single: 20, batch: 4 };

const { values: options } = parseArgs({
  options: { only: { type: "string", default: Object.keys(BACKENDS).join(",") }, write: { type: "boolean", default: false } },
});
const signal = new AbortController().signal;
const keys = Array.from({ length: BATCH }, (_, index) => `bench:${index}`);
const entries = keys.map((key) => ({ key, bytes: new Uint8Array(randomBytes(VALUE_BYTES)), ttlMs: 3_600_000 }));

const times = [["", "call", "driver ms", "storage ms", "ratio, median", "added µs"]];
const wire = [["", "written", "read"]];
const missed: string[] = [];
const notes: string[] = [];
const versions: Record<string, string> = {};
for (const [name, start] of Object.entries(BACKENDS)) {
  if (options.only.split(",").includes(name)) await benchBackend(await start());
}
const command = ["node bench/storages.ts", ...process.argv.slice(2)].join(" ");
const goal = missed.length === 0 ? `goal at most ${GOAL} for each read: reached` : `goal at most ${GOAL} for each read: **missed** by ${missed.join(", ")}`;
const text = `## Storages beside their drivers

${machineNote(command, versions)}

Medians of ${PAIRS} interleaved pairs, values of ${VALUE_BYTES.toLocaleString("en-US")} bytes; the driver's side makes the same calls without the adapter.

${markdownTable(times)}

${[goal, ...notes].map((line) => `- ${line}`).join("\n")}

### Bytes on the wire for each byte of a value

A random value of ${WIRE_BYTES.toLocaleString("en-US")} bytes, heads and answers included.

${markdownTable(wire)}`;
console.log(text);
if (options.write) await updateResults("storages", text);

async function benchBackend(backend: Backend): Promise<void> {
  try {
    Object.assign(versions, backend.versions);
    for (const { name, port, connect, readsOnly } of backend.subjects) {
      const recorder = createRecorder();
      const { storage, close } = connect(port, recorder);
      await storage.write(entries, signal);
      await benchCall(name, "read 1", REPEATS.single, () => storage.read(["bench:7"], [], signal), recorder);
      await benchCall(name, `read ${BATCH}`, REPEATS.batch, () => storage.read(keys, [], signal), recorder);
      if (readsOnly === undefined) await benchCall(name, `write ${BATCH}`, REPEATS.batch, () => storage.write(entries, signal), recorder);
      else notes.push(`${name} is not measured writing: ${readsOnly}`);
      await close();
      if (port > 0) wire.push([name, ...(await bytesOnTheWire(port, (counted) => connect(counted, createRecorder())))]);
      console.error(`measured ${name}`);
    }
  } finally {
    await backend.stop();
  }
}

async function benchCall(name: string, what: string, repeats: number, call: () => Promise<unknown>, recorder: Recorder): Promise<void> {
  // A script that the server does not know yet is sent once more: that must not be recorded.
  await call();
  recorder.start();
  await call();
  const bare = recorder.replay();
  const samples: { bare: number; storage: number }[] = [];
  for (let pair = -4; pair < PAIRS; pair += 1) {
    const first = pair % 2 === 0 ? await timeOf(bare, repeats) : undefined;
    const storage = await timeOf(call, repeats);
    const sample = { bare: first ?? (await timeOf(bare, repeats)), storage };
    // The first pairs are for the compiler.
    if (pair >= 0) samples.push(sample);
  }
  const ratio = median(samples.map((sample) => sample.storage / sample.bare));
  const added = median(samples.map((sample) => (sample.storage - sample.bare) * 1_000));
  times.push([
    name,
    what,
    median(samples.map((sample) => sample.bare)).toFixed(3),
    median(samples.map((sample) => sample.storage)).toFixed(3),
    ratio.toFixed(2),
    added.toFixed(0),
  ]);
  if (ratio > GOAL && what.startsWith("read")) missed.push(`${name}, ${what}`);
}

/** Milliseconds of one call. */
async function timeOf(call: () => Promise<unknown>, repeats: number): Promise<number> {
  const began = performance.now();
  for (let time = 0; time < repeats; time += 1) await call();
  return (performance.now() - began) / repeats;
}

async function bytesOnTheWire(port: number, connect: (port: number) => { storage: SqlStorage; close(): Promise<void> | void }): Promise<[string, string]> {
  const counter = await startByteCounter(port);
  const { storage, close } = connect(counter.port);
  const entry = { key: "bench:wire", bytes: new Uint8Array(randomBytes(WIRE_BYTES)), ttlMs: 3_600_000 };
  await storage.write([entry], signal);
  counter.reset();
  await storage.write([entry], signal);
  const written = counter.sent / WIRE_BYTES;
  counter.reset();
  await storage.read([entry.key], [], signal);
  const read = counter.received / WIRE_BYTES;
  await close();
  await counter.stop();
  return [written.toFixed(2), read.toFixed(2)];
}
