/**
 * Turns results into Markdown tables: one for each stream and concurrency, the published figures below ours, and one of
 * ratios to the hand-written reference. Pure functions of the results.
 *
 * @module
 */
import type { Result } from "./plan.ts";
import { goalOf, publishedFor } from "./variants.ts";
import type { Variant } from "./variants.ts";

/** What makes a result wrong, whatever its speed; empty if it is right. */
export function faultsOf({ loads, uniques, wrong, failed, firstError }: Result): string[] {
  const faults: string[] = [];
  if (loads !== uniques) faults.push(`${loads} loads for ${uniques} unique keys`);
  if (wrong > 0) faults.push(`${wrong} wrong answers`);
  if (failed > 0) faults.push(`${failed} calls failed, the first with ${firstError ?? "nothing"}`);
  return faults;
}

/** A result in one line, for the terminal. */
export function lineOf(result: Result): string {
  const { variant, wallS, cpuS, peakMb, reads, writes, loads, uniques } = result;
  const reports = Object.entries(result.reports).map(([name, count]) => `${name} ${count}`);
  const commands = Object.entries(result.commands).map(([name, count]) => `${name} ${count}`);
  const figures = `${wallS.toFixed(2)} s, CPU ${cpuS.toFixed(2)} s, ${peakMb.toFixed(0)} MB, ${reads} reads, ${writes} writes, ${loads} loads of ${uniques}`;
  return `${variant.id}: ${figures} (${[...commands, ...reports].join(", ")})${faultsOf(result)
    .map((fault) => `; WRONG: ${fault}`)
    .join("")}`;
}

/** The tables of a plan, medians where there was more than one round. */
export function traceTables(results: readonly Result[]): string {
  const groups = groupBy(results, ({ variant }) => titleOf(variant));
  return [...groups].map(([title, group]) => `### ${title}\n\n${traceTable(group)}`).join("\n\n");
}

function titleOf({ batch, calls, workers }: Variant): string {
  const what = batch === 1 ? `${count(calls)} gets` : `${count(calls)} batches of ${batch}`;
  return `${what}, ${count(workers)} workers`;
}

function traceTable(group: readonly Result[]): string {
  const first = group[0];
  if (!first) return "";
  const rows = [["", "wall s", "client CPU s", "Redis CPU s", "peak MB", "read commands", "write commands", "loads", "unique keys", "p50 ms", "p99 ms"]];
  const goals: string[] = [];
  for (const runs of groupBy(group, ({ variant }) => variant.id).values()) {
    const [run] = runs;
    if (!run) continue;
    const middle = (pick: (result: Result) => number): number => median(runs.map(pick));
    const reads = middle((r) => r.reads);
    const writes = middle((r) => r.writes);
    rows.push([
      `**${labelOf(run.variant)}**`,
      middle((r) => r.wallS).toFixed(2),
      middle((r) => r.cpuS).toFixed(2),
      middle((r) => r.redisCpuS).toFixed(2),
      middle((r) => r.peakMb).toFixed(0),
      count(reads),
      count(writes),
      count(middle((r) => r.loads)),
      count(run.uniques),
      middle((r) => r.p50Ms).toFixed(2),
      middle((r) => r.p99Ms).toFixed(1),
    ]);
    const goal = goalOf(run.variant);
    if (goal) goals.push(goalLine(labelOf(run.variant), "read", reads, goal.reads));
    if (goal?.writes !== undefined) goals.push(goalLine(labelOf(run.variant), "write", writes, goal.writes));
  }
  for (const { label, wallS, reads, loads } of publishedFor(first.variant)) {
    rows.push([label, wallS.toFixed(0), "", "", "", count(reads), "", count(loads), "", "", ""]);
  }
  return [markdownTable(rows), ...(goals.length > 0 ? ["", goals.join("\n")] : [])].join("\n");
}

function labelOf({ contestant, local }: Variant): string {
  return `${contestant}, ${local > 0 ? `[local ${local}, redis]` : "[redis]"}`;
}

function goalLine(label: string, kind: string, value: number, goal: number): string {
  return `- ${label}: ${count(value)} ${kind} commands, goal at most ${count(goal)}: ${value <= goal ? "reached" : "**missed**"}`;
}

/** The library beside the reference: median of the ratios of each round, and their range. */
export function ratioTable(results: readonly Result[]): string {
  const rows = [["", "rounds", "client CPU s", "reference", "ratio", "range", "peak MB", "reference", "ratio", "range"]];
  for (const [key, group] of groupBy(results, ({ variant }) => variant.id.slice(variant.id.indexOf("/") + 1))) {
    const ours = group.filter(({ variant }) => variant.contestant === "cacheme");
    const theirs = group.filter(({ variant }) => variant.contestant === "reference");
    const rounds = Math.min(ours.length, theirs.length);
    if (rounds > 0) rows.push([key, String(rounds), ...ratioCells(ours, theirs, (r) => r.cpuS, 2), ...ratioCells(ours, theirs, (r) => r.peakMb, 0)]);
  }
  return markdownTable(rows);
}

function ratioCells(ours: readonly Result[], theirs: readonly Result[], pick: (result: Result) => number, digits: number): string[] {
  const ratios = ours.map((our, i) => pick(our) / (theirs[i] ? pick(theirs[i]) : Number.NaN));
  const range = `${Math.min(...ratios).toFixed(2)}–${Math.max(...ratios).toFixed(2)}`;
  return [median(ours.map(pick)).toFixed(digits), median(theirs.map(pick)).toFixed(digits), median(ratios).toFixed(2), range];
}

/** A Markdown table; the first row is the head, the first column is text, the others are numbers. */
export function markdownTable([head = [], ...body]: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(" | ")} |`;
  return [line(head), line(head.map((_, i) => (i === 0 ? "---" : "--:"))), ...body.map(line)].join("\n");
}

/** The middle value; of an even number, the mean of the two in the middle. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const half = sorted.length >> 1;
  const upper = sorted[half] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[half - 1] ?? Number.NaN) + upper) / 2;
}

function groupBy<Item>(items: readonly Item[], keyOf: (item: Item) => string): Map<string, Item[]> {
  const groups = new Map<string, Item[]>();
  for (const item of items) {
    const key = keyOf(item);
    const group = groups.get(key);
    if (group) group.push(item);
    else groups.set(key, [item]);
  }
  return groups;
}

function count(value: number): string {
  return Math.round(value).toLocaleString("en-US");
}
