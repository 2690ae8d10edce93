/**
 * The README's table of storages and runtimes, made from what test/runtimes/contract found (`.cache/runtimes.json`): with
 * `--write` it is put between the markers, without it is compared with what stands there. It is never typed.
 *
 * @module
 */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { finish, root, textOf } from "./lib/tools.mjs";

const REPORT = `${root}.cache/runtimes.json`;
const BEGIN = "<!-- begin runtimes -->";
const END = "<!-- end runtimes -->";
const REMEDY = "npm test -- test/runtimes/contract, then node scripts/runtime-table.mjs --write";

if (!existsSync(REPORT)) finish([`there is no .cache/runtimes.json: ${REMEDY}`]);
const readme = textOf("README.md");
const [begin, end] = [readme.indexOf(BEGIN), readme.indexOf(END)];
if (begin < 0 || end < begin) finish([`README.md lacks the lines ${BEGIN} and ${END}`]);
const wanted = `${BEGIN}\n${tableOf(JSON.parse(readFileSync(REPORT, "utf8")))}\n${END}`;
const standing = readme.slice(begin, end + END.length);
if (process.argv.includes("--write")) {
  writeFileSync(`${root}README.md`, readme.slice(0, begin) + wanted + readme.slice(end + END.length));
  finish([], "README.md: the table of runtimes is written");
}
finish(standing === wanted ? [] : [`README.md: the table of runtimes is not that of the last run: ${REMEDY}`], "README.md: the table of runtimes is current");

/** A mark is given where the run kept every clause; a client is named where it is not the storage's own. */
function tableOf({ runtimes, rows, withoutRow }) {
  const remarks = [...new Set(rows.flatMap(({ why, note }) => [why, note]).filter((remark) => remark !== undefined))];
  const mark = (remark) => (remark === undefined ? "" : ` (${remarks.indexOf(remark) + 1})`);
  const cell = ({ client, flag, kept }, why) => {
    if (client === undefined) return `–${mark(why)}`;
    return `${kept ? "✓" : "✗"}${client === "" ? "" : ` ${client}`}${flag === undefined ? "" : ` \`${flag}\``}`;
  };
  return [
    line(["", ...runtimes]),
    line(["---", ...runtimes.map(() => "---")]),
    ...rows.map(({ storage, why, note, cells }) => line([`\`${storage}\`${mark(note)}`, ...cells.map((one) => cell(one, why))])),
    ...(remarks.length === 0 ? [] : ["", remarks.map((remark, index) => `(${index + 1}) ${remark}`).join(" · ")]),
    ...(withoutRow.length === 0 ? [] : ["", `Not part of this run: ${withoutRow.map((subpath) => `\`cacheme/${subpath}\``).join(", ")}.`]),
  ].join("\n");
}

function line(cells) {
  return `| ${cells.join(" | ")} |`;
}
