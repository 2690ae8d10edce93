/**
 * Draws the plots from the tables of `bench/results.md` as SVG files in `bench/plots`, by Vega-Lite. Says which have no figures yet.
 * Installs the peers.
 *
 *     npm run bench:plots
 *
 * @module
 */
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { installPeers, peer } from "./lib/peers.ts";
import { PLOTS } from "./lib/plots.ts";
import type { Spec } from "./lib/plots.ts";

interface View {
  toSVG(): Promise<string>;
  finalize(): void;
}
interface Vega {
  parse(spec: unknown): unknown;
  View: new (runtime: unknown, options: { renderer: "none" }) => View;
}

installPeers();
const { compile } = await peer<{ compile(spec: Spec): { spec: unknown } }>("vega-lite");
const vega = await peer<Vega>("vega");
const folder = new URL("plots/", import.meta.url);
const results = await readFile(new URL("results.md", import.meta.url), "utf8");
await mkdir(folder, { recursive: true });
for (const { name, section, spec } of PLOTS) {
  const drawn = spec(results);
  if (!drawn) {
    console.log(`${name}: bench/results.md has no figures for it in its part "${section}"`);
    continue;
  }
  const view = new vega.View(vega.parse(compile(drawn).spec), { renderer: "none" });
  await writeFile(new URL(`${name}.svg`, folder), `${await view.toSVG()}\n`);
  view.finalize();
  console.log(`${name}: drawn`);
}
