/**
 * Changes that break the other rows of what is promised: leases, keys, decoding, time, memory, aliasing, words, budgets, books
 * and statistics. As those in `mutants.ts`, and applied with them.
 *
 * @module
 */
import { mutant } from "./mutant.ts";
import type { Mutant } from "./mutant.ts";

const STORIES = "test/properties/stories.test.ts";

const LEASES: readonly Mutant[] = [
  mutant(
    "a flight's promise bears no mark",
    "test/runtimes/workerd/own-request.test.ts",
    "src/flight.ts",
    "const made = markedPromise<Result>();",
    "const made = undefined as Resolvers<Result> | undefined;",
  ),
  mutant(
    "a set waits for a dead one without a lease",
    STORIES,
    "src/replace.ts",
    "if (before) await call.follow(before, binding.chain.capMs);",
    "if (before) await before.done;",
  ),
  mutant("a refresh waits for a dead one without a lease", STORIES, "src/refresh.ts", "    await call.follow(running, capMs);\n", "    await running.done;\n"),
  mutant(
    "a newcomer waits for a leader that has long been silent",
    "test/runtime.test.ts",
    "src/arrive.ts",
    "if (flight.call.silent(now) || isOverdue",
    "if (isOverdue",
  ),
  mutant(
    "a lease ends though the owner beats",
    STORIES,
    "src/flight.ts",
    "    watch.missed = 0;\n",
    "    watch.missed++;\n    if (watch.missed >= LEASE_BEATS) return watch.end(LOST);\n",
  ),
  mutant(
    "whoever writes statistics is waited for without a lease",
    "test/stats-flush.test.ts",
    "src/stats-flush.ts",
    "const until = clock.monotonic() + WRITE_MS;",
    "const until = Number.POSITIVE_INFINITY;",
  ),
  mutant("a follower's error is its own", "test/cache.test.ts", "src/answer.ts", "  throw outcome.error;", "  throw new Error(String(outcome.error));"),
];

const DATA: readonly Mutant[] = [
  mutant("a string part of a key has no length", "test/key.test.ts", "src/key.ts", "`s${part.length}:${part}`", "`s:${part}`"),
  mutant("a string key may imitate a tuple", "test/key.test.ts", "src/key.ts", "raw.charCodeAt(0) === MARK_CODE ? MARK + raw : raw", "raw"),
  mutant(
    "a reply of the wrong length is taken",
    "test/storage-guard.test.ts",
    "src/remote-storage.ts",
    "if (Array.isArray(reply) && reply.length === expected) return;",
    "if (expected >= 0) return;",
  ),
  mutant("an entry of another node is taken", "test/envelope.test.ts", "src/envelope.ts", "    isText(bytes, nodeAt, versionAt, owner.node) &&\n", ""),
  mutant("an entry under another prefix is taken", "test/envelope.test.ts", "src/envelope.ts", "    view.getUint32(48) === owner.prefixBytes &&\n", ""),
  mutant(
    "a payload has no cap",
    "test/envelope.test.ts",
    "src/envelope.ts",
    "if (payloadLength > MAX_PAYLOAD_BYTES)",
    "if (payloadLength > Number.MAX_SAFE_INTEGER)",
  ),
  mutant(
    "lengths need not add up",
    "test/envelope.test.ts",
    "src/envelope.ts",
    "if (payloadAt + payloadLength !== bytes.length)",
    "if (payloadAt + payloadLength > bytes.length + 1e9)",
  ),
  mutant(
    "what comes after a value is ignored",
    "test/serializer/structured.test.ts",
    "src/serializer/structured-decode.ts",
    "if (input.left() !== 0) throw corrupt();",
    "if (input.left() < 0) throw corrupt();",
  ),
  mutant(
    "the nesting of a value has no cap",
    "test/serializer/json.test.ts",
    "src/serializer/plain.ts",
    "if (depth >= MAX_DEPTH) throw",
    "if (depth >= 1e9) throw",
  ),
  mutant(
    "an expired slot's stamp is compared",
    "test/contract/memory.test.ts",
    "testing/memory-storage.ts",
    "return slot !== undefined && slot.expiresAt > now ? slot : undefined;",
    "return slot !== undefined && slot.expiresAt > now - 1e9 ? slot : undefined;",
  ),
  mutant(
    "a value is serialized after its caller has it",
    "test/cache/options.test.ts",
    "src/settle.ts",
    "  if (!(payload instanceof Promise)) return backFill(flight, found, targets, payload);",
    "  if (!(payload instanceof Promise)) return void setTimeout(() => backFill(flight, found, targets, serialize(flight, found.value) as Payload), 5);",
  ),
  mutant(
    "callers share a value that each should own",
    "test/cache/options.test.ts",
    "src/answer.ts",
    'if (spec.clone !== "structured") return value;',
    "if (spec.clone.length > 0) return value;",
  ),
  mutant(
    "a stored value is its caller's own",
    "test/cache/options.test.ts",
    "src/clone.ts",
    'return mode === "freeze" ? deepFreeze(value) : structuredClone(value);',
    'return mode === "freeze" ? deepFreeze(value) : value;',
  ),
];

const TIME: readonly Mutant[] = [
  mutant(
    "the reader's clock decides where the storage's could",
    "test/entry.test.ts",
    "src/entry.ts",
    "remainingMs !== undefined && Number.isFinite(times.expiresAt)",
    "remainingMs !== undefined && Number.isNaN(times.expiresAt)",
  ),
  mutant("an entry outlives the reading tier's ttl", "test/entry.test.ts", "src/entry.ts", "return Math.min(left, ttlMs);", "return ttlMs > 0 ? left : ttlMs;"),
  mutant("an age may be negative", "test/entry.test.ts", "src/entry.ts", "return Math.max(0, now - createdAt);", "return now - createdAt;"),
  mutant(
    "local lives go by the wall clock",
    "test/cache/time.test.ts",
    "src/local-probe.ts",
    "return hitAt(binding, key, core.turnTime());",
    "return hitAt(binding, key, core.clock.now() - 1_799_999_995_000);",
  ),
];

const BOUNDS: readonly Mutant[] = [
  mutant("a request has seven calls open", "test/batch.test.ts", "src/batch.ts", "const MAX_OPEN = 6;", "const MAX_OPEN = 7;"),
  mutant("writes take the place of reads", "test/batch.test.ts", "src/batch.ts", "return kind.open < MAX_OPEN - 1 ||", "return kind.open < MAX_OPEN ||"),
  mutant("slots of one call lie over each other", "test/cache/get-all.test.ts", "src/byte-room.ts", "    used += length;\n", ""),
  mutant("json() hands out where it works", "test/serializer/json.test.ts", "src/utf8.ts", "place.slice(", "place.subarray("),
  mutant("a generation is made for every read", "test/cache/generations.test.ts", "src/remote-storage.ts", "ensuring.get(id) ?? ", ""),
  mutant("loads of one call are not limited", "test/cache/get-all.test.ts", "src/load.ts", "while (gate.open < limit) {", "while (gate.open < limit + 1) {"),
  mutant("a doorkeeper is never cleared", "test/doorkeeper.test.ts", "src/doorkeeper.ts", "clear: () => table.fill(0)", "clear: () => undefined"),
  mutant("a command is told", "test/redaction.test.ts", "src/redact.ts", "  if (end >= 0) clean = `${clean.slice(0, end)}…`;\n", ""),
  mutant("a key is told", "test/redaction.test.ts", "src/redact.ts", "  for (const secret of secrets) {\n", "  for (const secret of secrets.slice(1e9)) {\n"),
  {
    name: "an address is told",
    test: "test/redaction.test.ts",
    edits: [
      { file: "src/redact.ts", find: '    .replaceAll(/\\b([a-z][a-z0-9+.-]*:\\/\\/)\\S*/gi, "$1…")\n', replace: "" },
      { file: "src/redact.ts", find: '    .replaceAll(/\\S*[@%]\\S*/g, "…")\n', replace: "" },
    ],
  },
  mutant(
    "a miss is counted as a hit where it loads",
    "test/stats.test.ts",
    "src/answer.ts",
    "if (outcome.ok && !outcome.loaded) counters.hitCount++;",
    "if (outcome.ok) counters.hitCount++;",
  ),
  mutant(
    "a failed load is not counted",
    "test/stats.test.ts",
    "src/load.ts",
    "  countLoad(counters, told.ms, told.ok);\n",
    "  if (told.ok) countLoad(counters, told.ms, told.ok);\n",
  ),
  mutant(
    "a batch of statistics that failed is forgotten",
    "test/stats-flush.test.ts",
    "src/stats-flush.ts",
    "      this.failedWrites++;\n",
    "      this.failedWrites++;\n      this.owed = undefined;\n",
  ),
  mutant(
    "statistics of a dead request are written by nobody",
    "test/stats-flush.test.ts",
    "src/stats-flush.ts",
    "const overdue = this.lingersUntil !== undefined && now >= this.lingersUntil;",
    "const overdue = this.lingersUntil !== undefined && now < 0;",
  ),
];

/** See the file's head. */
export const ROWS: readonly Mutant[] = [...LEASES, ...DATA, ...TIME, ...BOUNDS];
