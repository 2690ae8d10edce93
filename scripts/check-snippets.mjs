/**
 * Compiles every `ts` block of README.md, `docs/` and the docstrings' examples against the built package, as a user's own code
 * would be. Each block becomes a file in `.cache/snippets`, pushed down by blank lines, so that the compiler's line numbers are
 * those of the place it came from. What a snippet may use without declaring it is in `snippets-ambient.d.ts`. Needs a build.
 *
 * @module
 */
import { spawnSync } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { filesUnder, finish, root, textOf, withTools } from "./lib/tools.mjs";

const OPTIONS = {
  compilerOptions: {
    target: "es2022",
    module: "nodenext",
    lib: ["es2022"],
    types: ["@cloudflare/workers-types"],
    strict: true,
    noUncheckedIndexedAccess: true,
    exactOptionalPropertyTypes: true,
    noEmit: true,
    skipLibCheck: true,
  },
  include: ["."],
};

const prose = ["README.md", "CONTRIBUTING.md"].filter((file) => existsSync(root + file)).concat(filesUnder("docs", ".md"));
const code = ["src", "adapters", "testing"].flatMap((top) => filesUnder(top, ".ts"));
const snippets = [...prose.flatMap((file) => snippetsOf(file, /^```ts\s*$/, "")), ...code.flatMap((file) => snippetsOf(file, /^\s*\* ?```ts\s*$/, "*"))];

// A snippet that augments a module would change the types of all others, so each of those is a program of its own.
const augmenting = snippets.filter(({ text }) => text.includes("declare module"));
const programs = [snippets.filter((snippet) => !augmenting.includes(snippet)), ...augmenting.map((snippet) => [snippet])];
rmSync(`${root}.cache/snippets`, { recursive: true, force: true });
finish(
  programs.flatMap((program, index) => compile(`${root}.cache/snippets/${index}`, program)),
  `snippets: ${snippets.length} compile`,
);

/** Compiles snippets together; answers the compiler's complaints, at the places the snippets came from. */
function compile(folder, program) {
  mkdirSync(folder, { recursive: true });
  writeFileSync(`${folder}/tsconfig.json`, JSON.stringify(OPTIONS));
  copyFileSync(`${root}scripts/snippets-ambient.d.ts`, `${folder}/ambient.d.ts`);
  const origins = new Map();
  for (const { file, line, text } of program) {
    const name = `${file.replaceAll(/[^\w-]/g, "_")}-${line}.ts`;
    origins.set(name, file);
    writeFileSync(`${folder}/${name}`, `${"\n".repeat(line)}${text}\nexport {};\n`);
  }
  const { status, stdout, stderr, error } = spawnSync("tsc", ["-p", folder, "--pretty", "false"], { cwd: folder, encoding: "utf8", env: withTools() });
  if (status === 0) return [];
  const complaints = `${stdout ?? ""}${stderr ?? ""}${error?.message ?? ""}`.trim();
  const placed = complaints.replaceAll(/^([\w.-]+)\((\d+),(\d+)\)/gm, (_, name, line, column) => `${origins.get(name) ?? name}:${line}:${column}`);
  return placed.split(/\n(?! )/);
}

/** The fenced blocks of a file that open with `fence`; `line` is that of the fence, `text` comes without the comment's margin. */
function snippetsOf(file, fence, margin) {
  const found = [];
  let open;
  for (const [index, line] of textOf(file).split("\n").entries()) {
    const content = margin === "" ? line : line.replace(/^\s*\* ?/, "");
    if (open === undefined) {
      if (fence.test(line)) open = { file, line: index + 1, text: "" };
    } else if (content.trimEnd() === "```") {
      found.push(open);
      open = undefined;
    } else open.text += `${content}\n`;
  }
  if (open !== undefined) finish([`${file}:${open.line}: a code block that does not end`], "");
  return found;
}
