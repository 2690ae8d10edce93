/**
 * Changes that bring back what was mended once, each a row of {@link Mutant}: see `mutants.ts`.
 *
 * @module
 */
import { mutant } from "./mutant.ts";
import type { Mutant } from "./mutant.ts";

const GENERATIONS = "test/cache/generations.test.ts";
const GET_ALL = "test/cache/get-all.test.ts";
const OPTIONS = "test/cache/options.test.ts";

/** See the file's head. */
export const MENDED: readonly Mutant[] = [
  mutant(
    "a slot that was refused is written as if there were none",
    "test/cache/validate.test.ts",
    "src/chain.ts",
    "    if (seen?.stamp === null) this.recapture(part, { stamp: stampOf(slot.bytes), numbers: seen.numbers });\n",
    "",
  ),
  mutant(
    "a copy made while a tier failed knows no generations",
    GENERATIONS,
    "src/chain.ts",
    "    this.binding.counters.errorCount++;\n    this.remember(part);\n",
    "    this.binding.counters.errorCount++;\n",
  ),
  mutant("a copy made while a generation could not be made knows none", GENERATIONS, "src/chain.ts", "    else this.remember(part);\n", ""),
  mutant(
    "what is read of a name for the first time changes nothing",
    GENERATIONS,
    "src/known-generations.ts",
    "if (own ? own.number !== number : this.guessed.delete(generation)) host.revision.value++;",
    "if (own && own.number !== number) host.revision.value++;",
  ),
  mutant("a load that has ended is held", "test/deadlines.test.ts", "src/deadlines.ts", "    queue[due.place] = undefined;\n", ""),
  mutant(
    "more and more wait for a slow sink",
    "test/stats-flush.test.ts",
    "src/stats-flush.ts",
    "(outbox.isAwaited ? Promise.resolve() : outbox.flush())",
    "outbox.flush()",
  ),
  mutant(
    "a payload is written that no reader accepts",
    "test/cache/set.test.ts",
    "src/make-slot.ts",
    "return bytes.length <= part.storage.maxValueBytes && (payload?.length ?? 0) <= MAX_PAYLOAD_BYTES;",
    "return bytes.length <= part.storage.maxValueBytes || payload === undefined;",
  ),
  mutant(
    "a result that cannot be looked at hangs its batch",
    GET_ALL,
    "src/load.ts",
    "  return (index) => guarded(() => (list.ok && Array.isArray(list.result) ? elementOf(list.result[index], node) : list));",
    "  return (index) => (list.ok && Array.isArray(list.result) ? elementOf(list.result[index], node) : list);",
  ),
  mutant("a load that waits for its turn is late", GET_ALL, "src/load.ts", "  flight.agesFrom = Number.POSITIVE_INFINITY;\n", ""),
  mutant("a follower gives up what waits for its turn", GET_ALL, "src/arrive.ts", "      if (!isOverdue(flight, core.clock.monotonic())) continue;\n", ""),
  mutant(
    "a bypass of many keys loads all at once",
    OPTIONS,
    "src/refresh.ts",
    "  if (gates) enter(gates, binding, start);\n  else start();",
    "  start();\n  void gates;",
  ),
  mutant(
    "a repeated key is too old for its own call",
    OPTIONS,
    "src/arrive.ts",
    "conclude(caller, call, one.ask, one, born)));",
    "conclude(caller, call, one.ask, one, caller.core.births)));",
  ),
  mutant(
    "what one local tier gave another survives a refused write",
    "test/cache/invalidate.test.ts",
    "src/settle.ts",
    "return held === own || (held.value === own.value && held.createdAt === own.createdAt && held.epoch === own.epoch);",
    "return held === own;",
  ),
  mutant(
    "time stops beside entries that have no end",
    "test/local/local.test.ts",
    "src/local/slots.ts",
    "if (turn !== TIMELESS || !this.timed) this.lookAt",
    "this.lookAt",
  ),
  mutant("a cache shows what is inside", "test/redaction.test.ts", "src/view.ts", "showAsText(View.prototype);\n", ""),
];
