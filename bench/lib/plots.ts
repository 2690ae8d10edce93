/**
 * The plots as Vega-Lite specifications, made from the tables of `bench/results.md`. Pure functions; a plot whose figures are not
 * there is `undefined`.
 *
 * @module
 */
import { numberIn, tablesOf, valueIn } from "./results.ts";
import type { ResultTable } from "./results.ts";

/** A Vega-Lite specification. */
export type Spec = Readonly<Record<string, unknown>>;

/** A plot under the name of its file, without its ending. */
export interface Plot {
  readonly name: string;
  readonly section: string;
  spec(results: string): Spec | undefined;
}

const OURS = "#d9480f";
const THEIRS = "#adb5bd";
/** Panels stand in columns whatever their labels are. */
const GRID = { bounds: "flush", spacing: { row: 62, column: 72 } };
const LEGEND = { orient: "top", title: null, columns: 3 };
const PALETTE = ["#868e96", "#1c7ed6", "#d9480f", "#2f9e44", "#9c36b5", "#e8a700"];
/** Of the chains of the palette: those with KV are broken. */
const DASHES = [
  [1, 0],
  [1, 0],
  [1, 0],
  [6, 3],
  [6, 3],
  [2, 2],
];
const FONT = "Helvetica, Arial, sans-serif";
const CONFIG = {
  background: "white",
  font: FONT,
  padding: 12,
  axis: {
    labelFontSize: 11,
    titleFontSize: 11,
    titleFontWeight: "normal",
    gridColor: "#e9ecef",
    domainColor: "#adb5bd",
    tickColor: "#adb5bd",
    labelLimit: 260,
  },
  title: { fontSize: 14, anchor: "start", subtitleFontSize: 11, subtitleColor: "#495057", offset: 14 },
  header: { labelFontSize: 12, titleFontSize: 0, labelFontWeight: "bold" },
  legend: { labelFontSize: 11, titleFontSize: 11, labelLimit: 300 },
  view: { stroke: "transparent" },
};

/** In the order in which they are drawn. */
export const PLOTS: readonly Plot[] = [
  { name: "throughput", section: "hot-peers", spec: throughput },
  { name: "memory", section: "hot-peers", spec: memory },
  { name: "read-commands", section: "trace", spec: readCommands },
  { name: "http-requests", section: "http", spec: httpRequests },
  { name: "hit-ratio", section: "hit-ratio", spec: hitRatio },
  { name: "fleet-chains", section: "fleet", spec: fleetChains },
  { name: "fleet-policies", section: "fleet", spec: fleetPolicies },
];

/** Cacheme stands out, whatever it stands among. */
const HIGHLIGHT = { condition: { test: "datum.name === 'cacheme'", value: OURS }, value: THEIRS };

function throughput(results: string): Spec | undefined {
  const [table] = tablesOf(results, "hot-peers");
  if (!table) return undefined;
  const figures = { "10,000 keys, zipf: M hits/s": "zipf M/s", "one key: M hits/s": "one key M/s", "20 keys at once: k calls/s": "getAll of 20 k/s" };
  const values = Object.entries(figures).flatMap(([figure, column]) => table.rows.map((row) => ({ name: row[0], figure, value: valueIn(table, row, column) })));
  return bars("Hits of the memory tier", "through the public get-or-load call, by CPU time; more is better", values, Object.keys(figures));
}

function memory(results: string): Spec | undefined {
  const [table] = tablesOf(results, "hot-peers");
  if (!table) return undefined;
  const figure = "bytes per entry";
  const values = table.rows.map((row) => ({ name: row[0], figure, value: valueIn(table, row, figure) }));
  return bars("Memory of an entry", "heap and buffers, a row of one field included; less is better", values, [figure], "ascending");
}

/** Rows of the trace that stand for others until those are measured beside. */
const PUBLISHED: Readonly<Record<string, string>> = {
  "cacheme, [local 3000, redis]": "cacheme",
  "cacheme (Python), [local 3000, redis]": "cacheme (Python), published",
  cashews: "cashews, published",
};

function readCommands(results: string): Spec | undefined {
  const peers = tablesOf(results, "trace-peers");
  const tables = peers.length > 0 ? peers : tablesOf(results, "trace").filter(({ title }) => title.startsWith("200,000 gets"));
  if (tables.length === 0) return undefined;
  const values = tables.flatMap((table) =>
    table.rows.flatMap((row) => {
      const name = peers.length > 0 ? row[0] : PUBLISHED[row[0] ?? ""];
      return name === undefined ? [] : [{ name, figure: workersIn(table), value: valueIn(table, row, "read commands") }];
    }),
  );
  const gets = /^[\d,]+/.exec(tables[0]?.title ?? "")?.[0] ?? "";
  return bars(
    `Read commands for ${gets} gets`,
    "zipf stream, a memory tier of 3,000 entries and Redis; less is better",
    values,
    tables.map(workersIn),
    "ascending",
    "log",
  );
}

function httpRequests(results: string): Spec | undefined {
  const tables = tablesOf(results, "http");
  if (tables.length === 0) return undefined;
  const values = tables.flatMap((table) => table.rows.map((row) => ({ name: row[0], figure: workersIn(table), value: valueIn(table, row, "HTTP requests") })));
  return bars(
    "HTTP requests for 20,000 gets",
    "memory tier and Upstash's REST protocol, 5 ms a request; less is better",
    values,
    tables.map(workersIn),
    "ascending",
    "log",
  );
}

function workersIn({ title }: ResultTable): string {
  return /[\d,]+ workers/.exec(title)?.[0] ?? title;
}

/** A table of `trace @capacity` rows and a column for each policy, in percent. */
function hitRatio(results: string): Spec | undefined {
  const values = tablesOf(results, "hit-ratio").flatMap(({ head, rows }) =>
    rows.flatMap((row) => {
      const [, trace, capacity] = /^(.+?) ?@ ?([\d,]+)$/.exec(row[0] ?? "") ?? [];
      if (trace === undefined) return [];
      return head.slice(1).map((policy, at) => ({ trace, capacity: numberIn(capacity), policy, value: numberIn(row[at + 1]) }));
    }),
  );
  const policies = [...new Set(values.map(({ policy }) => policy))].filter((policy) =>
    values.some((value) => value.policy === policy && Number.isFinite(value.value)),
  );
  if (policies.length === 0) return undefined;
  return {
    ...head("Hit ratio against capacity", "percent of requests, each trace at several capacities; OPT knows the future"),
    data: { values: values.filter(({ value }) => Number.isFinite(value)) },
    facet: { field: "trace", title: null },
    columns: 4,
    ...GRID,
    resolve: { scale: { x: "independent", y: "independent" } },
    spec: {
      width: 170,
      height: 120,
      mark: { type: "line", point: { size: 18 } },
      encoding: {
        x: { field: "capacity", type: "quantitative", scale: { type: "log", nice: false }, axis: { title: null, tickCount: 3, format: "~s" } },
        y: { field: "value", type: "quantitative", axis: { title: null, tickCount: 4 } },
        color: { field: "policy", type: "nominal", sort: policies, legend: { orient: "top", title: null, columns: 6 } },
      },
    },
  };
}

const CHAINS = ["local 30s", "upstash 5m", "local 30s, upstash 5m", "kv 5m", "local 30s, kv 5m", "local 30s, kv 1m, upstash 5m"];
/** Columns of the table, and what stands above a panel. */
const FIGURES = {
  "dollars a month": "dollars a month",
  "loads per M gets": "loads of the source, in a million gets",
  "p50 ms": "median of a get, ms",
  "p99 ms": "99th percentile of a get, ms",
  "worst staleness s": "oldest answer after a change, s",
};

function fleetChains(results: string): Spec | undefined {
  const figures = ["dollars a month", "loads per M gets", "p99 ms", "worst staleness s"] as const;
  const values = fleetValues(results, figures).filter(({ name }) => CHAINS.includes(name));
  if (values.length === 0) return undefined;
  return {
    ...head("Chains, by the number of isolates that share the same traffic", "simulated on virtual time; see the assumptions beside the table"),
    data: { values },
    facet: { field: "figure", title: null, sort: figures.map((figure) => FIGURES[figure]) },
    columns: 2,
    ...GRID,
    resolve: { scale: { y: "independent" }, axis: { x: "independent" } },
    spec: {
      width: 320,
      height: 190,
      mark: { type: "line", point: { size: 36 }, strokeWidth: 2 },
      encoding: {
        x: {
          field: "isolates",
          type: "quantitative",
          scale: { type: "log" },
          axis: { title: "isolates", values: [...new Set(values.map(({ isolates }) => isolates))], format: "," },
        },
        y: { field: "value", type: "quantitative", axis: { title: null, tickCount: 5 } },
        color: { field: "name", type: "nominal", sort: CHAINS, scale: { domain: CHAINS, range: PALETTE }, legend: LEGEND },
        strokeDash: { field: "name", type: "nominal", sort: CHAINS, scale: { domain: CHAINS, range: DASHES }, legend: LEGEND },
      },
    },
  };
}

/** Policies on the chain of a local tier and Upstash, in a fleet of 100. */
function fleetPolicies(results: string): Spec | undefined {
  const base = "local 30s, upstash 5m";
  const figures = ["dollars a month", "loads per M gets", "p50 ms", "worst staleness s"] as const;
  const values = fleetValues(results, figures)
    .filter(({ name, isolates }) => isolates === 100 && (name.startsWith(base) || name === "local 5s, upstash 5m"))
    .map((value) => ({ ...value, name: value.name === base ? "as it is" : value.name.replace(`${base}, `, "") }));
  if (values.length === 0) return undefined;
  const names = [...new Set(values.map(({ name }) => name))];
  return {
    ...head("Policies on [local 30s, upstash 5m], 100 isolates", "simulated on virtual time"),
    data: { values },
    facet: { field: "figure", title: null, sort: figures.map((figure) => FIGURES[figure]) },
    columns: 2,
    ...GRID,
    resolve: { scale: { x: "independent" } },
    spec: {
      width: 240,
      height: { step: 20 },
      layer: [
        { mark: { type: "bar" }, encoding: { color: { condition: { test: "datum.name === 'as it is'", value: OURS }, value: THEIRS } } },
        { mark: { type: "text", align: "left", dx: 3, fontSize: 10 }, encoding: { text: { field: "value", type: "quantitative", format: ",.6~r" } } },
      ],
      encoding: {
        y: { field: "name", type: "nominal", sort: names, axis: { title: null } },
        x: { field: "value", type: "quantitative", axis: { title: null, tickCount: 4 } },
      },
    },
  };
}

function fleetValues(results: string, figures: readonly (keyof typeof FIGURES)[]): { name: string; isolates: number; figure: string; value: number }[] {
  return tablesOf(results, "fleet").flatMap((table) =>
    table.rows.flatMap((row) =>
      figures.map((column) => ({
        name: row[0] ?? "",
        isolates: numberIn(/^[\d,]+/.exec(table.title)?.[0]),
        figure: FIGURES[column],
        value: valueIn(table, row, column),
      })),
    ),
  );
}

interface Bar {
  readonly name: string | undefined;
  readonly figure: string;
  readonly value: number;
}

/** A panel for each figure, a bar for each name, sorted by the first figure. */
function bars(
  title: string,
  subtitle: string,
  values: readonly Bar[],
  figures: readonly string[],
  order: "ascending" | "descending" = "descending",
  scale: "linear" | "log" = "linear",
): Spec {
  const first = values.filter(({ figure }) => figure === figures[0]).sort((a, b) => (order === "ascending" ? a.value - b.value : b.value - a.value));
  const names = first.map(({ name }) => name);
  return {
    ...head(title, subtitle),
    data: { values },
    facet: { field: "figure", title: null, sort: figures },
    columns: 3,
    ...GRID,
    resolve: { scale: { x: scale === "log" ? "shared" : "independent" } },
    spec: {
      width: figures.length === 1 ? 420 : 190,
      height: { step: 20 },
      layer: [
        { mark: { type: "bar" }, encoding: { color: HIGHLIGHT, ...(scale === "log" && { x2: { datum: 1 } }) } },
        { mark: { type: "text", align: "left", dx: 3, fontSize: 10 }, encoding: { text: { field: "value", type: "quantitative", format: ",.6~r" } } },
      ],
      encoding: {
        y: { field: "name", type: "nominal", sort: names, axis: { title: null } },
        x: {
          field: "value",
          type: "quantitative",
          scale: scale === "log" ? { type: "log", domainMin: 1 } : { zero: true },
          axis: { title: null, tickCount: 4, format: scale === "log" ? "~s" : "~r" },
        },
      },
    },
  };
}

function head(text: string, subtitle: string): Spec {
  return { $schema: "https://vega.github.io/schema/vega-lite/v6.json", title: { text, subtitle }, config: CONFIG };
}
