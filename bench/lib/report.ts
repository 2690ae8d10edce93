/**
 * Keeps `bench/results.md`: each benchmark owns the part between its two markers and replaces it whole, with the date, the
 * machine and the command, so that no figure in the file was ever typed by hand.
 *
 * @module
 */
import { readFile, writeFile } from "node:fs/promises";
import { availableParallelism, cpus, loadavg, totalmem } from "node:os";

const FILE = new URL("../results.md", import.meta.url);
const TITLE = "# Benchmark results\n\nWritten by the scripts in this folder; not edited by hand.\n";

/** When, where and how a benchmark ran, as a Markdown list. */
export function machineNote(command: string, servers: Readonly<Record<string, string>> = {}): string {
  const model = cpus()[0]?.model ?? "unknown processor";
  const versions = Object.entries({ Node: process.versions.node, ...servers }).map(([name, version]) => `${name} ${version}`);
  const lines = [
    `date: ${new Date().toISOString().slice(0, 16).replace("T", " ")} UTC`,
    `machine: ${model}, ${availableParallelism()} cores, ${Math.round(totalmem() / 2 ** 30)} GB, load average at the end ${loadavg()[0]?.toFixed(1) ?? "unknown"}`,
    `versions: ${versions.join(", ")}`,
    `command: \`${command}\``,
  ];
  return lines.map((line) => `- ${line}`).join("\n");
}

/** Replaces the part called `section`, or appends it. */
export async function updateResults(section: string, body: string): Promise<void> {
  const text = await readFile(FILE, "utf8").catch(() => TITLE);
  const [begin, end] = [`<!-- begin ${section} -->`, `<!-- end ${section} -->`];
  const part = `${begin}\n\n${body.trim()}\n\n${end}`;
  const from = text.indexOf(begin);
  const to = text.indexOf(end);
  const next = from >= 0 && to > from ? text.slice(0, from) + part + text.slice(to + end.length) : `${text.trimEnd()}\n\n${part}\n`;
  await writeFile(FILE, next);
}
