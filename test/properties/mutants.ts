/**
 * Changes that break a promise on purpose, each with the test file that must notice. `scripts/mutants.mjs` applies them one at
 * a time to a copy of the tree. A change whose text is no longer found in the source is an error: it has to be brought up to
 * date, not dropped.
 *
 * @module
 */

import { mutant } from "./mutant.ts";
import type { Mutant } from "./mutant.ts";
import { FRESHNESS } from "./mutants-freshness.ts";
import { GUARD } from "./mutants-guard.ts";
import { MENDED } from "./mutants-mended.ts";
import { ROWS } from "./mutants-rows.ts";

const STORIES = "test/properties/stories.test.ts";

const ORDER: readonly Mutant[] = [
  mutant("tiers are cleared from left to right", STORIES, "src/replace.ts", "[...target.binding.chain.remotes].reverse()", "[...target.binding.chain.remotes]"),
  {
    name: "tiers are cleared in parallel",
    test: STORIES,
    edits: [
      {
        file: "src/replace.ts",
        find: "  for (let step = 0; step < depth; step++) {\n    await Promise.all(",
        replace: "  const all: unknown[] = [];\n  for (let step = 0; step < depth; step++) {\n    all.push(",
      },
      {
        file: "src/replace.ts",
        find: "if (part) await clearOr(failed, part, target);\n      }),\n    );\n  }",
        replace: "if (part) await clearOr(failed, part, target);\n      }),\n    );\n  }\n  await Promise.all(all.flat());",
      },
    ],
  },
  mutant(
    "a missing generation is made after the right tier was asked",
    STORIES,
    "src/remote-storage.ts",
    "standing = await complete(view, names, generations);",
    "void complete(view, names, generations);",
  ),
];

const FENCES: readonly Mutant[] = [
  mutant(
    "no fence",
    STORIES,
    "src/core.ts",
    "    const flight = binding.flights.get(key);\n    if (flight) {\n      flight.fenced = true;\n      binding.flights.delete(key);\n    }\n",
    "",
  ),
  mutant("set and refresh fence once", STORIES, "src/replace.ts", "  core.fence(binding, key);\n  if (refused)", "  if (refused)"),
  mutant(
    "invalidate fences once",
    STORIES,
    "src/replace.ts",
    '  cut();\n  if (failed.size > 0) throw writeError("invalidate", failed);',
    '  if (failed.size > 0) throw writeError("invalidate", failed);',
  ),
  mutant(
    "a fenced set keeps its local copy",
    STORIES,
    "src/replace.ts",
    "if (mine && lasts && !refused && failed.size === 0)",
    "if (lasts && !refused && failed.size === 0)",
  ),
  mutant(
    "a refused set keeps its local copy",
    STORIES,
    "src/replace.ts",
    "if (mine && lasts && !refused && failed.size === 0)",
    "if (mine && lasts && failed.size === 0)",
  ),
];

const REFRESHES: readonly Mutant[] = [
  mutant("the load of a refresh is shared across a fence", STORIES, "src/core.ts", "    if (refreshing) refreshing.load = undefined;\n", ""),
  mutant("the load of a dead refresh is found again", STORIES, "src/load.ts", "    if (refreshing.load === running) refreshing.load = undefined;\n", ""),
];

const STAMPS: readonly Mutant[] = [
  mutant("the stamp is ignored", STORIES, "src/make-slot.ts", "Math.ceil(lifeMs), ifStamp: stamp };", "Math.ceil(lifeMs) };"),
  mutant(
    "the stamp is taken after the load",
    STORIES,
    "src/settle.ts",
    "const job = (short: string): void => part.storage.write(new BackFill(flight, part, found, payload, short));",
    `const job = (short: string): void =>
      part.storage.read({
        storedKey: short,
        names: flight.groups,
        answered: (slot) => {
          flight.captures = Object.assign([...flight.captures], {
            [part.index]: { stamp: slot ? slot.bytes.slice(0, 8) : null, numbers: flight.captures[part.index]?.numbers ?? [] },
          });
          part.storage.write(new BackFill(flight, part, found, payload, short));
        },
        failed: () => wrote(flight),
      });`,
  ),
  mutant("set writes without a stamp", STORIES, "src/replace.ts", "capture: seen, ttlMs: lifeMs", "capture: { ...seen, stamp: undefined }, ttlMs: lifeMs"),
  mutant(
    "a refused set or refresh leaves the slot",
    STORIES,
    "src/replace.ts",
    "    refused ||= !tooLarge && lasts && seen !== undefined;\n    await clearOr(failed, part, target);\n",
    "    refused ||= !tooLarge && lasts && seen !== undefined;\n",
  ),
  mutant(
    "a slot is kept for its ttl only",
    STORIES,
    "src/entry.ts",
    "guarded ? Math.max(ttlMs + keepMs, storeWithinMs + MARGIN_MS) : ttlMs + keepMs",
    "guarded && storeWithinMs < 0 ? MARGIN_MS : ttlMs + keepMs",
  ),
  mutant(
    "a tombstone is served as a value",
    STORIES,
    "src/slot.ts",
    'if (decoded.kind !== "entry") return undefined;',
    'if (decoded.kind === "tombstone") return { payload: undefined, createdAt: 0, leftMs: 1_000, costMs: 0, use: "answer" };\n    if (decoded.kind !== "entry") return undefined;',
  ),
  mutant(
    "a tier is written though its read failed",
    STORIES,
    "src/chain.ts",
    "    this.binding.counters.errorCount++;\n    this.remember(part);\n    this.miss(part);",
    "    this.binding.counters.errorCount++;\n    this.captures = Object.assign([...this.captures], { [part.index]: { stamp: null, numbers: this.groups.map(() => 0) } });\n    this.miss(part);",
  ),
  mutant(
    "age is not looked at when a set or refresh sends",
    STORIES,
    "src/replace.ts",
    "now - begun.startedAt > spec.storeWithinMs",
    "now - begun.startedAt > Number.POSITIVE_INFINITY",
  ),
  {
    name: "age is not looked at when a back-fill is made or sent",
    test: STORIES,
    edits: [
      {
        file: "src/settle.ts",
        find: "now - flight.startedAt <= spec.storeWithinMs",
        replace: "now - flight.startedAt <= Number.POSITIVE_INFINITY",
      },
      {
        file: "src/settle.ts",
        find: "now - flight.startedAt > flight.binding.spec.storeWithinMs",
        replace: "now - flight.startedAt > Number.POSITIVE_INFINITY",
      },
    ],
  },
];

const GENERATIONS: readonly Mutant[] = [
  mutant(
    "the generation is captured after the load",
    STORIES,
    "src/settle.ts",
    "const job = (short: string): void => part.storage.write(new BackFill(flight, part, found, payload, short));",
    `const job = (short: string): void =>
      part.storage.read({
        storedKey: short,
        names: flight.groups,
        answered: (_slot, _asRead, standing) => {
          flight.captures = Object.assign([...flight.captures], {
            [part.index]: { stamp: flight.captures[part.index]?.stamp, numbers: standing ?? [] },
          });
          part.storage.write(new BackFill(flight, part, found, payload, short));
        },
        failed: () => wrote(flight),
      });`,
  ),
  mutant(
    "a missing generation is read as fresh",
    STORIES,
    "src/generations.ts",
    "if (own[i] !== asRead[i]) return false;",
    "if (asRead[i] !== undefined && own[i] !== asRead[i]) return false;",
  ),
  mutant(
    "generations are compared by older",
    STORIES,
    "src/generations.ts",
    "if (own[i] !== asRead[i]) return false;",
    "if ((own[i] ?? 0) < (asRead[i] ?? Number.POSITIVE_INFINITY)) return false;",
  ),
  {
    name: "tiers share what is remembered of generations",
    test: STORIES,
    edits: [
      { file: "src/known-generations.ts", find: "known = new Map<string, Known>();", replace: "known = SHARED;" },
      {
        file: "src/known-generations.ts",
        find: "/** The memory of one storage. */",
        replace: "const SHARED = new Map<string, Known>();\n\n/** The memory of one storage. */",
      },
    ],
  },
];

const FLIGHTS: readonly Mutant[] = [
  mutant(
    "a weak hit is back-filled into a strong tier",
    STORIES,
    "src/settle.ts",
    "return found.guarded || !part.storage.guarded;",
    "return found.guarded || part.index >= 0;",
  ),
  mutant(
    "the local copy is kept after a refused write",
    STORIES,
    "src/settle.ts",
    "      flight.binding.counters.fencedCount++;\n      dropFilled(flight);\n",
    "      flight.binding.counters.fencedCount++;\n",
  ),
  mutant(
    "a back-fill gets the full ttl",
    STORIES,
    "src/settle.ts",
    "Math.max(0, Math.min(jittered(part.ttlMs, binding.spec.freshness), found.leftMs - spentMs))",
    "Math.max(0, part.ttlMs + 0 * spentMs)",
  ),
  mutant(
    "the flight is freed before its write has landed",
    STORIES,
    "src/settle.ts",
    "  if (flight.writing === 0) land(flight);\n  flight.settle(own);",
    "  flight.binding.flights.delete(flight.key);\n  if (flight.writing === 0) land(flight);\n  flight.settle(own);",
  ),
  {
    name: "a flight is joined whatever has become of it",
    test: STORIES,
    edits: [
      { file: "src/arrive.ts", find: "  if (flight.call.silent(now) || isOverdue(flight, now)) return false;\n", replace: "" },
      { file: "src/arrive.ts", find: "return flight.sentAt === undefined || now - flight.sentAt <= writeBudgetMs(flight);", replace: "return now >= 0;" },
    ],
  },
  mutant(
    "the generations of a local copy are not compared",
    STORIES,
    "src/local-probe.ts",
    "if (own && !part.storage.stands(namesIn(part, groups), own)) return false;",
    "if (own && namesIn(part, groups).length < 0) return false;",
  ),
  mutant("an error is cached", STORIES, "src/settle.ts", "  land(flight);\n  flight.settle(old ?? failure);", "  flight.settle(old ?? failure);"),
  mutant("the heartbeat is never checked", STORIES, "src/flight.ts", "else if (++watch.missed >= LEASE_BEATS) return watch.end(LOST);", "else watch.missed++;"),
  {
    name: "two waiters take over",
    test: STORIES,
    edits: [
      { file: "src/arrive.ts", find: "  if (dead.heir) return joined(dead.heir, ask);\n", replace: "" },
      { file: "src/arrive.ts", find: "  if (flights.get(flight.key) === flight) flights.delete(flight.key);", replace: "  flights.delete(flight.key);" },
    ],
  },
  mutant("waitUntil is dropped", "test/runtime.test.ts", "src/flight.ts", "      this.waitUntil(finished);", "      void finished;"),
  mutant(
    "one caller's abort is the load's",
    "test/cache/options.test.ts",
    "src/abort.ts",
    "const abort = (): void => reject(signal.reason);",
    "const abort = (): void => void promise.finally(() => reject(signal.reason));",
  ),
];

const REST: readonly Mutant[] = [
  mutant("the identity of an entry is not compared", "test/envelope.test.ts", "src/envelope.ts", "isText(bytes, keyAt, payloadAt, fullKey);", "keyAt >= 0;"),
  mutant(
    "a chunk ends one too late",
    "test/batch.test.ts",
    "src/batch.ts",
    "[jobs.slice(0, maxBatch), jobs.slice(maxBatch)]",
    "[jobs.slice(0, maxBatch + 1), jobs.slice(maxBatch + 1)]",
  ),
  mutant(
    "a chunk leaves one out",
    "test/batch.test.ts",
    "src/batch.ts",
    "[jobs.slice(0, maxBatch), jobs.slice(maxBatch)]",
    "[jobs.slice(0, maxBatch), jobs.slice(maxBatch + 1)]",
  ),
  mutant(
    "a duplicate reference is dropped",
    "test/cache/get-all.test.ts",
    "src/answer.ts",
    "return asks.filter((_, index) => entries[index] === undefined);",
    "return asks.filter(({ reference }, index) => entries[index] === undefined && asks.findIndex((ask) => ask.reference.key === reference.key) === index);",
  ),
  mutant(
    "a follower is counted twice",
    "test/stats.test.ts",
    "src/answer.ts",
    "  if (collapsed) counters.collapsedCount++;",
    "  if (collapsed) counters.collapsedCount++;\n  if (collapsed) counters.hitCount++;",
  ),
  {
    name: "the doorkeeper is skipped in getAll",
    test: "test/cache/doorkeeper.test.ts",
    edits: [
      {
        file: "src/settle.ts",
        find: "  if (!doorkeeper || flight.background || flight.old) return OPEN;",
        replace: '  if (!doorkeeper || "many" in flight.call) return OPEN;',
      },
      { file: "src/arrive.ts", find: "  limitLoads(call);", replace: "  Object.assign(call, { many: true });\n  limitLoads(call);" },
    ],
  },
];

/** All changes that must be noticed. */
export const MUTANTS: readonly Mutant[] = [
  ...ORDER,
  ...FENCES,
  ...REFRESHES,
  ...STAMPS,
  ...GENERATIONS,
  ...FLIGHTS,
  ...REST,
  ...FRESHNESS,
  ...ROWS,
  ...GUARD,
  ...MENDED,
];
