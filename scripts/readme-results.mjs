/**
 * Puts the figures of bench/results.md into README.md and docs/choosing-a-chain.md, between the markers; with `--check` it only
 * says whether they are the same. So no figure there is typed by hand. Run it after a benchmark with `--write`.
 *
 * @module
 */
import { writeFileSync } from "node:fs";
import { finish, root, textOf } from "./lib/tools.mjs";

const results = textOf("bench/results.md");
/** Each file, the name of its markers, and what stands between them. */
const TARGETS = [
  { file: "README.md", marker: "measured", text: measured() },
  { file: "docs/choosing-a-chain.md", marker: "fleet", text: fleet() },
];
const stale = TARGETS.map(({ file, marker, text }) => ({ file, before: textOf(file), after: replaced(textOf(file), marker, text) })).filter(
  ({ before, after }) => before !== after,
);
if (process.argv.includes("--check")) {
  finish(
    stale.map(({ file }) => `${file}: figures differ from bench/results.md; run node scripts/readme-results.mjs`),
    "readme: figures are those of bench/results.md",
  );
} else for (const { file, after } of stale) writeFileSync(root + file, after);

function replaced(text, marker, body) {
  const [begin, end] = [`<!-- begin ${marker} -->`, `<!-- end ${marker} -->`];
  return `${text.slice(0, text.indexOf(begin))}${begin}\n\n${body}\n\n${text.slice(text.indexOf(end))}`;
}

/** The table of a fleet of a hundred with what is said below it, and the assumptions. */
function fleet() {
  const section = part("<!-- begin fleet -->", "<!-- end fleet -->");
  const assumptions = section.split("\n").filter((line) => /^- (traffic|isolates|assumed|prices)/.test(line));
  const [, after = ""] = section.split("### 100 isolates\n");
  const [table = ""] = after.split("\n### ");
  const title =
    "A hundred isolates; the other fleets are in [bench/results.md](../bench/results.md). An operation is what is billed; a stale answer is one whose row had changed before the get began.";
  return [title, "", table.trim(), "", ...assumptions].join("\n");
}

function measured() {
  const section = part("<!-- begin trace -->", "<!-- end trace -->");
  const date = /- date: (.*)/.exec(section)?.[1] ?? "";
  const machine = /- machine: (.*?), load/.exec(section)?.[1] ?? "";
  const rows = ["1,000", "10,000", "100,000"].map((workers) => {
    const run = section.slice(section.indexOf(`### 200,000 gets, ${workers} workers`));
    const ours = cells(run, "**cacheme, [local 3000, redis]**");
    const python = cells(run, "cacheme (Python), [local 3000, redis]");
    return `| ${workers} | ${ours[1]} s | ${ours[5]} | ${ours[6]} | ${ours[7]} of ${ours[8]} | ${python[5]} | ${python[7]} |`;
  });
  return [
    `The trace benchmark of the Python project, with its parameters: 200,000 requests of a zipf stream, a load of 100 ms, tiers \`[local 3000, redis]\`, a real Redis, commands counted on the wire (${date}; ${machine}). The last two columns are what the Python project publishes for the same chain.`,
    "",
    "| workers | wall | read commands | write commands | loads of unique keys | read commands, published | loads, published |",
    "| --: | --: | --: | --: | --: | --: | --: |",
    ...rows,
  ].join("\n");
}

function part(begin, end) {
  const from = results.indexOf(begin);
  const to = results.indexOf(end);
  return results.slice(from, to < 0 ? undefined : to);
}

/** The cells of the first row whose name is `name`; cell 0 is the name. */
function cells(text, name) {
  const row = text.split("\n").find((line) => line.startsWith(`| ${name} |`));
  return (row ?? "")
    .split("|")
    .slice(1, -1)
    .map((cell) => cell.trim());
}
