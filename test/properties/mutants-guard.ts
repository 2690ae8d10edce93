/**
 * Changes that break the guard of a storage on purpose: its breaker, the lease of a probe, reads that are tried once more, and
 * what is said of a missing table. As those in `mutants.ts`, and applied with them.
 *
 * @module
 */
import type { Mutant } from "./mutant.ts";

const BREAKER = "test/breaker.test.ts";
const CALLS = "test/guard-calls.test.ts";

/** See the file's head. */
export const GUARD: readonly Mutant[] = [
  {
    name: "the breaker never opens",
    test: BREAKER,
    edits: [{ file: "src/breaker.ts", find: "if (failedInARow < failures) return undefined;", replace: "return undefined;" }],
  },
  {
    name: "the breaker never closes",
    test: BREAKER,
    edits: [{ file: "src/breaker.ts", find: 'enter(succeeded ? "closed" : "open", now);', replace: 'enter("open", now);' }],
  },
  {
    name: "a dead probe is never reclaimed",
    test: CALLS,
    edits: [{ file: "src/breaker.ts", find: '(state === "open" ? coolDownMs : leaseMs)', replace: '(state === "open" ? coolDownMs : Infinity)' }],
  },
  {
    name: "a probe's lease is its budget alone",
    test: CALLS,
    edits: [{ file: "src/storage-guard.ts", find: "leaseMs: budgetMs + PROBE_GRACE_MS", replace: "leaseMs: budgetMs" }],
  },
  {
    name: "calls from before the breaker opened count after it closed",
    test: CALLS,
    edits: [{ file: "src/breaker.ts", find: "if (ticket !== phase) return undefined;", replace: "" }],
  },
  {
    name: "a success does not end the row of failures",
    test: BREAKER,
    edits: [{ file: "src/breaker.ts", find: "succeeded ? 0 : failedInARow + 1", replace: "failedInARow + (succeeded ? 0 : 1)" }],
  },
  {
    name: "the breaker opens one failure late",
    test: BREAKER,
    edits: [{ file: "src/breaker.ts", find: "failedInARow < failures", replace: "failedInARow <= failures" }],
  },
  {
    name: "a failed probe does not begin the cool-down anew",
    test: BREAKER,
    edits: [{ file: "src/breaker.ts", find: "    since = now;\n", replace: '    if (next !== "open" || since === 0) since = now;\n' }],
  },
  { name: "all callers pass after the cool-down", test: BREAKER, edits: [{ file: "src/breaker.ts", find: '      enter("probing", now);\n', replace: "" }] },
  {
    name: "the cool-down ends a millisecond late",
    test: BREAKER,
    edits: [{ file: "src/breaker.ts", find: "if (now - since < (", replace: "if (now - since <= (" }],
  },
  {
    name: "a refused call is reported",
    test: BREAKER,
    edits: [
      {
        file: "src/storage-guard.ts",
        find: "    if (ticket !== undefined) return ticket;\n",
        replace: '    if (ticket !== undefined) return ticket;\n    emitter.emit({ type: "breaker-closed", storage: name });\n',
      },
    ],
  },
  {
    name: "timeouts do not open the breaker",
    test: BREAKER,
    edits: [{ file: "src/storage-guard.ts", find: "      ended(ticket, false);", replace: "      if (!hangs) ended(ticket, false);" }],
  },
  {
    name: "nonsense does not open the breaker",
    test: BREAKER,
    edits: [
      {
        file: "src/storage-guard.ts",
        find: "      check(value);\n      hangs = false;\n      ended(ticket, true);",
        replace: "      ended(ticket, true);\n      check(value);\n      hangs = false;",
      },
    ],
  },
  {
    name: "each reopening is reported",
    test: BREAKER,
    edits: [{ file: "src/breaker.ts", find: 'return succeeded ? "closed" : undefined;', replace: 'return succeeded ? "closed" : "opened";' }],
  },
  {
    name: "that the breaker closed is not reported",
    test: BREAKER,
    edits: [{ file: "src/storage-guard.ts", find: 'if (change === "closed")', replace: "if (change === undefined && false)" }],
  },
  {
    name: "the breaker goes by the wall clock",
    test: BREAKER,
    edits: [{ file: "src/storage-guard.ts", find: "breaker.admit(clock.monotonic())", replace: "breaker.admit(clock.now() - 1_799_999_995_000)" }],
  },
  {
    name: "a write that failed is sent again",
    test: CALLS,
    edits: [{ file: "src/storage-guard.ts", find: 'operation === "read" && breaker', replace: "breaker" }],
  },
  { name: "a read is repeated however late", test: CALLS, edits: [{ file: "src/storage-guard.ts", find: "budgetMs / 2 - waited", replace: "budgetMs" }] },
  { name: "a read is repeated for ever", test: CALLS, edits: [{ file: "src/storage-guard.ts", find: "      mayRepeat = false;\n", replace: "" }] },
  { name: "a read is repeated after its budget", test: CALLS, edits: [{ file: "src/storage-guard.ts", find: "!controller.signal.aborted && ", replace: "" }] },
  {
    name: "a probe is repeated",
    test: BREAKER,
    edits: [{ file: "src/storage-guard.ts", find: 'operation === "read" && breaker?.state !== "probing"', replace: 'operation === "read"' }],
  },
  { name: "a read of a missing table is repeated", test: CALLS, edits: [{ file: "src/storage-guard.ts", find: " && mayHeal(error);", replace: ";" }] },
  {
    name: "a repeated read has no budget",
    test: CALLS,
    edits: [
      {
        file: "src/storage-guard.ts",
        find: "      if (again) return attempt();",
        replace: "      if (again) { clock.clearTimeout(timer); return attempt(); }",
      },
    ],
  },
  {
    name: "a missing table is reported each time",
    test: CALLS,
    edits: [{ file: "src/storage-guard.ts", find: " < NOT_READY_EVERY_MS) return;", replace: " < 0) return;" }],
  },
  {
    name: "a missing table is reported once for ever",
    test: CALLS,
    edits: [{ file: "src/storage-guard.ts", find: "const NOT_READY_EVERY_MS = 60_000", replace: "const NOT_READY_EVERY_MS = 60_000_000" }],
  },
  {
    name: "one ailment hides another",
    test: CALLS,
    edits: [{ file: "src/storage-guard.ts", find: "toldNotReadyAt.get(reason) ??", replace: "toldNotReadyAt.get([...toldNotReadyAt.keys()][0] ?? reason) ??" }],
  },
  {
    name: "a table is to be made for every ailment",
    test: CALLS,
    edits: [{ file: "src/storage-guard.ts", find: ' || reason !== "table"', replace: "" }],
  },
  { name: "what to do is not told", test: CALLS, edits: [{ file: "src/storage-guard.ts", find: "${remedy}", replace: "" }] },
  {
    name: "a read of a lost connection is not repeated",
    test: CALLS,
    edits: [{ file: "src/storage-guard.ts", find: ' || ailment === "closed"', replace: "" }],
  },
  {
    name: "a value is taken for an ailment",
    test: CALLS,
    edits: [{ file: "src/ailment.ts", find: 'const [told = ""] = text.split(/["\'`]/, 1);', replace: "const told = text;" }],
  },
  {
    name: "what to run is not told",
    test: CALLS,
    edits: [{ file: "src/storage-guard.ts", find: '...(setup === undefined || reason !== "table" ? {} : { setup }), ', replace: "" }],
  },
  {
    name: "a wrapped driver's error is not looked at",
    test: CALLS,
    edits: [{ file: "src/ailment.ts", find: "depth > 0 && cause", replace: "depth > 1 && cause" }],
  },
  {
    name: "a driver's error number is not looked at",
    test: CALLS,
    edits: [{ file: "src/ailment.ts", find: " ?? CODES.get(errno)", replace: "" }],
  },
  { name: "a port is taken for an error number", test: CALLS, edits: [{ file: "src/ailment.ts", find: "\\berrno:? ?(", replace: "(" }] },
  {
    name: "removals pass the guard by",
    test: BREAKER,
    edits: [
      {
        file: "src/remote-storage.ts",
        find: 'await guard.call({ operation: "remove", secrets: keys, run: (signal) => instanceFor(jobs[0]?.view).remove(keys, signal), check: () => undefined, since });',
        replace: "await storage.remove(keys, new AbortController().signal);",
      },
    ],
  },
  {
    name: "breaker: false is ignored",
    test: BREAKER,
    edits: [{ file: "src/storage-guard.ts", find: "if (options === false) return undefined;", replace: "" }],
  },
];
