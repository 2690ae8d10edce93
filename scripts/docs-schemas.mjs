/**
 * Puts what storages have to be set up with into docs/schemas.md, as the built adapters export it; with `--check` it only says
 * whether the page shows today's. So no statement in the documentation is typed by hand.
 *
 * @module
 */
import { writeFileSync } from "node:fs";
import { finish, root, textOf } from "./lib/tools.mjs";

const PAGE = "docs/schemas.md";
const BEGIN = "<!-- begin schemas -->";
const END = "<!-- end schemas -->";

const load = (adapter) => import(`../dist/adapters/${adapter}.js`);
const [{ schema: sql }, { schema: neon }, { schema: planetscale }, { schema: libsql }, { schema: d1 }, { ttlIndex }] = await Promise.all(
  ["sql", "neon", "planetscale", "libsql", "d1", "mongodb"].map(load),
);

/** Adapters whose statements are the same share a heading. */
const byStatements = new Map();
for (const [name, statements] of [
  ['`sql({ dialect: "postgres" })`', sql("postgres")],
  ["`neon()`", neon()],
  ['`sql({ dialect: "mysql" })`', sql("mysql")],
  ["`planetscale()`", planetscale()],
  ['`sql({ dialect: "sqlite" })`', sql("sqlite")],
  ["`libsql()`", libsql()],
  ["`d1()`", d1()],
])
  byStatements.set(statements, [...(byStatements.get(statements) ?? []), name]);

const sections = Array.from(byStatements, ([statements, names]) => `## ${names.join(", ")}\n\n\`\`\`sql\n${statements.trim()}\n\`\`\``);
const index = `## \`mongodb()\`\n\n\`\`\`json\n${JSON.stringify({ key: ttlIndex.key, ...ttlIndex.options }, undefined, 2)}\n\`\`\``;
const page = textOf(PAGE);
const next = `${page.slice(0, page.indexOf(BEGIN))}${BEGIN}\n\n${[...sections, index].join("\n\n")}\n\n${END}${page.slice(page.indexOf(END) + END.length)}`;
if (process.argv.includes("--check")) {
  finish(
    next === page ? [] : [`${PAGE}: the adapters export something else; run node scripts/docs-schemas.mjs`],
    "schemas: docs show what the adapters export",
  );
} else writeFileSync(`${root}${PAGE}`, next);
