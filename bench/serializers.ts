/**
 * The serializers beside others, to bytes and back: speed by CPU time, size, and whether the value is the same afterwards. Each in
 * its own process, in turn, medians of the rounds, ratios to JSON with TextEncoder in the same round. Needs a built package;
 * installs the peers.
 *
 *     npm run bench:serializers -- --write
 *
 * @module
 */
import { parseArgs } from "node:util";
import { PAYLOADS } from "./lib/payloads.ts";
import type { PayloadName } from "./lib/payloads.ts";
import { installPeers, versionOf } from "./lib/peers.ts";
import { machineNote, updateResults } from "./lib/report.ts";
import { chosen, runRounds, wholeNumber } from "./lib/rounds.ts";
import { SERIALIZERS } from "./lib/serializer-run.ts";
import type { PayloadFigures, SerializerFigures, SerializerJob, SerializerName } from "./lib/serializer-run.ts";
import { markdownTable, median } from "./lib/table.ts";

const BASE = "JSON and TextEncoder";
const OWN = 3;
const { values: options } = parseArgs({
  options: {
    only: { type: "string", default: "" },
    rounds: { type: "string", default: "5" },
    /** CPU time for each figure. */
    ms: { type: "string", default: "80" },
    write: { type: "boolean", default: false },
  },
});
const rounds = wholeNumber("--rounds", options.rounds);
const ms = wholeNumber("--ms", options.ms);
const names = chosen(SERIALIZERS, options.only);
const builtIn = new Set<SerializerName>([...SERIALIZERS.slice(0, OWN), BASE, "node:v8"]);
const others = names.filter((name) => !builtIn.has(name));
if (others.length > 0) installPeers();
const results = await runRounds<SerializerName, SerializerFigures>({
  contestants: names,
  rounds,
  program: "serializer-run.ts",
  job: (name): SerializerJob => ({ name, ms }),
});
const base = results.get(BASE) ?? [];

const command = ["npm run bench:serializers", ...(process.argv.length > 2 ? ["--", ...process.argv.slice(2)] : [])].join(" ");
const report = `## Serializers

${machineNote(command)}
- peers: ${[...others.map(versionOf), versionOf("msgpackr")].join(", ")}

Medians of ${rounds} rounds, thousands by CPU time of the thread; ratios are to plain JSON with TextEncoder, which loses or refuses what is not JSON. What is not equal afterwards is not timed.

${PAYLOADS.map((payload) => `### ${payload}\n\n${tableOf(payload)}`).join("\n\n")}`;
console.log(report);
if (options.write) await updateResults("serializers", report);

function tableOf(payload: PayloadName): string {
  const head = ["", "encode, ratio", "decode, ratio", "encode k/s", "decode k/s", "bytes", "gzipped", "round trip"];
  const rows = names.map((name) => {
    const runs = (results.get(name) ?? []).map((run) => run[payload]);
    const label = SERIALIZERS.indexOf(name) < OWN ? `**${name}**` : name;
    const fault = runs.find((run) => run.fault !== undefined)?.fault;
    if (fault !== undefined) return [label, "", "", "", "", "", "", fault.replaceAll("|", "\\|")];
    const middle = (pick: (run: PayloadFigures) => number): number => median(runs.map(pick));
    const ratio = (pick: (run: PayloadFigures) => number): string => {
      const value = median(runs.map((run, round) => pick(run) / (base[round] ? pick(base[round][payload]) : Number.NaN)));
      // Null where the base cannot do it.
      return Number.isFinite(value) ? value.toFixed(2) : "";
    };
    return [
      label,
      ratio((run) => run.encode),
      ratio((run) => run.decode),
      middle((run) => run.encode).toFixed(1),
      middle((run) => run.decode).toFixed(1),
      middle((run) => run.bytes).toLocaleString("en-US"),
      middle((run) => run.gzipped).toLocaleString("en-US"),
      "exact",
    ];
  });
  return markdownTable([head, ...rows]);
}
