/**
 * Puts the figures of bench/results.md into README.md, between the markers; with `--check` it only says whether they are the
 * same. So no figure in the README is typed by hand. Run it after a benchmark with `--write`.
 *
 * @module
 */
import { writeFileSync } from "node:fs";
import { finish, root, textOf } from "./lib/tools.mjs";

const BEGIN = "<!-- begin measured -->";
const END = "<!-- end measured -->";

const results = textOf("bench/results.md");
const readme = textOf("README.md");
const table = `${BEGIN}\n\n${measured()}\n\n${END}`;
const next = `${readme.slice(0, readme.indexOf(BEGIN))}${table}${readme.slice(readme.indexOf(END) + END.length)}`;
if (process.argv.includes("--check")) {
  finish(
    next === readme ? [] : ["README.md: figures differ from bench/results.md; run node scripts/readme-results.mjs"],
    "readme: figures are those of bench/results.md",
  );
} else writeFileSync(`${root}README.md`, next);

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
