/**
 * Changes that break what is promised of nodes, tags, views and old copies. As those in `mutants.ts`, and applied with them.
 *
 * @module
 */
import { mutant } from "./mutant.ts";
import type { Mutant } from "./mutant.ts";

const STORIES = "test/properties/stories.test.ts";
const STALE = "test/cache/stale.test.ts";
const RENEWAL = "test/cache/renewal.test.ts";

const RAISING: readonly Mutant[] = [
  mutant("there is no epoch", STORIES, "src/generations.ts", "if (this.now === began) return false;", "if (this.now >= began) return false;"),
  mutant("a forgotten epoch leaves no floor", STORIES, "src/generations.ts", "return began < this.floor || names.some(", "return names.some("),
  mutant("epochs are never forgotten", RENEWAL, "src/generations.ts", "if (this.latest.size <= this.most) break;", "if (this.latest.size >= 0) break;"),
  mutant("the epoch moves once only", STORIES, "src/raise.ts", "  cutOff(core, names);\n  return failed;", "  return failed;"),
  mutant("an epoch is not looked for in local copies", STORIES, "src/raise.ts", "  revision.value++;\n", ""),
  mutant(
    "a flight that an epoch cut off is joined",
    STORIES,
    "src/arrive.ts",
    "if (flight.outlived || !suits(flight, ask)) return false;",
    "if (!suits(flight, ask)) return false;",
  ),
  mutant("the load of a refresh is shared across an epoch", STORIES, "src/load.ts", "!core.epochs.outlived(groups, epoch) && ", ""),
  mutant("the load of a refresh is shared by those who know of a later invalidation", STORIES, "src/load.ts", "return birth > bornAfter && ", "return "),
  mutant("a flight is joined as if the load it shares were its own", STORIES, "src/load.ts", "  flight.birth = refreshing.birth;\n", ""),
  mutant(
    "a flight that has come to share an older load answers those who joined it before",
    STORIES,
    "src/arrive.ts",
    "(!suits(flight, ask) || isOlder(",
    "(isOlder(",
  ),
  mutant(
    "whoever takes no old copies gets the load of a refresh that is old",
    "test/cache/options.test.ts",
    "src/load.ts",
    "if (maxAgeMs !== undefined && loaded.ok && ",
    "if (maxAgeMs === 0 && loaded.ok && ",
  ),
  mutant("a tombstone counts only when the generations beside it are known", STORIES, "src/remote-storage.ts", "job.glimpsed(slots[index]);", "void job;"),
  mutant(
    "a set or refresh that an epoch cut off keeps its local copy",
    STORIES,
    "src/replace.ts",
    "const { epoch, groups } = begun;",
    "const { groups } = begun;\n  const epoch = core.epochs.now;",
  ),
  mutant(
    "a node is raised from left to right",
    STORIES,
    "src/view.ts",
    "() => chain.remotes.map(({ storage }) => storage).reverse()",
    "() => chain.remotes.map(({ storage }) => storage)",
  ),
  mutant("a tag is raised from left to right", STORIES, "src/raise.ts", "[...core.storages.all()].reverse();", "[...core.storages.all()];"),
  mutant(
    "tiers are raised in parallel",
    STORIES,
    "src/raise.ts",
    "      const error = await storage.raise(names, scope);\n      if (error) failed.set(storage.name, error);",
    "      void storage.raise(names, scope);",
  ),
  mutant(
    "a tag is forgotten in the read of a flight",
    STORIES,
    "src/chain.ts",
    "return part ? namesIn(part, this.groups) : this.groups;",
    "return part ? namesIn(part, this.binding.groups) : this.groups;",
  ),
  mutant(
    "a tag is forgotten in the read of a set or refresh",
    STORIES,
    "src/replace.ts",
    "part.storage.maxKeyBytes), groups ?? [], target)",
    "part.storage.maxKeyBytes), groups && binding.groups, target)",
  ),
  mutant(
    "a tag is forgotten in local copies",
    STORIES,
    "src/settle.ts",
    "const own = flight.groups === groups ? undefined : flight.groups;",
    "const own = flight.groups === groups ? undefined : groups;",
  ),
  mutant(
    "a lower generation is never believed",
    STORIES,
    "src/known-generations.ts",
    "number <= own.number && sentAt <= own.learnedAt",
    "number <= own.number",
  ),
  mutant(
    "a forgotten generation is trusted",
    STORIES,
    "src/known-generations.ts",
    "(this.forgot ? undefined : numbers[index])",
    "(this.forgot ? numbers[index] : numbers[index])",
  ),
  mutant(
    "a full memory forgets what it has just learned",
    STORIES,
    "src/known-generations.ts",
    "      if (known.size >= host.mostKnown) known.delete(generation);\n",
    "",
  ),
  mutant("generations are never forgotten", STORIES, "src/known-generations.ts", "if (known.size <= host.mostKnown) break;", "if (known.size >= 0) break;"),
];

const VIEWS: readonly Mutant[] = [
  mutant(
    "a view takes the local copy",
    STORIES,
    "src/local-probe.ts",
    "  if (bornAfter !== undefined) return undefined;\n",
    "  if (bornAfter === -1) return undefined;\n",
  ),
  mutant(
    "a view takes the local copy that lingers",
    STORIES,
    "src/linger.ts",
    "if (!binding.lingers || bornAfter !== undefined) return undefined;",
    "if (!binding.lingers || bornAfter === -1) return undefined;",
  ),
  mutant("a view joins an older flight", STORIES, "src/arrive.ts", "bornAfter === undefined || birth > bornAfter", "bornAfter === undefined || birth >= 0"),
  mutant(
    "a view falls back on a stale local copy",
    STORIES,
    "src/arrive.ts",
    "if (binding.lingers && bornAfter === undefined) flight.old",
    "if (binding.lingers) flight.old",
  ),
  mutant("a view takes what a flight fell back on", STORIES, "src/arrive.ts", " || isOwnCopy(ask, outcome))) {", ")) {"),
  mutant("a view takes what a flight hands out early", STALE, "src/arrive.ts", "early: early && isOwnCopy(ask, early) ? undefined : early", "early"),
];

const OLD: readonly Mutant[] = [
  mutant("a stale copy is served after a tombstone", STORIES, "src/slot.ts", 'if (decoded.kind === "tombstone") flight.distrust();\n', ""),
  mutant("a stale copy is served after another generation", STORIES, "src/slot.ts", "asRead)) {\n    flight.distrust();\n", "asRead)) {\n"),
  mutant(
    "a later flight falls back on what a tombstone was read for",
    STORIES,
    "src/chain.ts",
    "    if (this.current) for (const { space } of this.chain.locals) space.delete(this.key);\n",
    "",
  ),
  mutant(
    "a flight falls back on what a refresh has read a tombstone for",
    STORIES,
    "src/tier-calls.ts",
    "        if (slot && isTombstone(slot.bytes)) forsake(binding, key);\n",
    "",
  ),
  mutant("a flight keeps what it had found when a refresh reads a tombstone", STORIES, "src/tier-calls.ts", "  binding.flights.get(key)?.distrust();\n", ""),
  mutant(
    "a stale copy is back-filled",
    STORIES,
    "src/settle.ts",
    "  land(flight);\n  flight.settle(old ?? failure);",
    "  if (old) store(flight, { ...old, leftMs: 60_000 }, OPEN);\n  if (flight.writing === 0) land(flight);\n  flight.settle(old ?? failure);",
  ),
  mutant("a stale copy is served beyond its window", STORIES, "src/early.ts", "  if (now >= freshUntil(old.entry) + windowMs) return undefined;\n", ""),
  mutant(
    "a stale copy is served while loading where only an error allows it",
    STORIES,
    "src/linger.ts",
    "if (leftMs > -staleWhileRevalidateMs) old ??= ",
    "old ??= ",
  ),
  mutant("a stale copy is called fresh", STALE, "src/found.ts", "stale: leftMs <= 0,", "stale: false,"),
  mutant("a stale copy of an invalidated key is served", STORIES, "src/replace.ts", "      dropLocal(target);\n    }\n  };\n  cut();", "    }\n  };\n  cut();"),
  mutant(
    "a slow load is waited for though a stale copy may answer",
    STORIES,
    "src/early.ts",
    "if (!flight.final && softTimeoutMs !== undefined)",
    "if (flight.final && softTimeoutMs !== undefined)",
  ),
  mutant(
    "the timer of a slow load is left behind",
    RENEWAL,
    "src/chain.ts",
    "    if (this.softTimer !== undefined) this.binding.core.clock.clearTimeout(this.softTimer);\n",
    "",
  ),
  mutant(
    "a renewal does not keep its request alive",
    RENEWAL,
    "src/arrive.ts",
    "  call.begin();\n  scope.begin();\n",
    "  if (background) Object.assign(call, { waitUntil: undefined });\n  call.begin();\n  scope.begin();\n",
  ),
  mutant(
    "a renewal is begun where nothing outlives the request",
    STALE,
    "src/linger.ts",
    "if (!old || !outlives(caller)) return undefined;",
    "if (!old) return undefined;",
  ),
  mutant(
    "an old copy answers early where nothing outlives the request",
    RENEWAL,
    "src/chain.ts",
    "if (this.final || this.result || !this.call.lasts) return;",
    "if (this.final || this.result) return;",
  ),
  mutant("nothing is renewed ahead of its end", RENEWAL, "src/freshness.ts", "return beta * costMs * LARGEST_DRAW;", "return 0 * beta * costMs;"),
  mutant("everything is renewed ahead of its end", RENEWAL, "src/freshness.ts", "return fade > 0 && (", "return fade > 0 || ("),
  mutant("the jitter is ignored", RENEWAL, "src/freshness.ts", "ttlMs * (1 - jitter * Math.random())", "ttlMs"),
  mutant(
    "what is unchanged gets no new life",
    RENEWAL,
    "src/load.ts",
    "  settleFound(flight, foundByLoad(loaded, result, lifeOf(flight, result)), admits(flight), loaded.since + loaded.ms);",
    "  if (result === flight.offered?.value) flight.stores = false;\n  settleFound(flight, foundByLoad(loaded, result, lifeOf(flight, result)), admits(flight), loaded.since + loaded.ms);",
  ),
  mutant("what is not to be stored is", RENEWAL, "src/freshness.ts", 'if (life === "skip") return undefined;', 'if (life === "skip") return 1_000;'),
];

/** See the file's head. */
export const FRESHNESS: readonly Mutant[] = [...RAISING, ...VIEWS, ...OLD];
