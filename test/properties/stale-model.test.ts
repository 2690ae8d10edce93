/**
 * Guarantee 5 on the real core: over seeded schedules, every read of a key is answered as the model in `stale-model.ts` says:
 * with that value, from that tier, under that label, at that moment. Beside the model, and without it: what is stale is within
 * its window, and nothing is served that is older than an invalidation that this isolate made before the read.
 *
 * `CACHEME_SOAK=1` runs a hundred times as many, a million; `CACHEME_SCHEDULES=20` twenty times as many; `CACHEME_SEED` begins at another seed. A failure prints the
 * seed of its schedule and what happened in it.
 *
 * @module
 */
import { expect, test } from "vitest";
import { coreOf, createCacheOn } from "../../src/cache.ts";
import { local } from "../../src/local/local.ts";
import { defineNode } from "../../src/node.ts";
import type { Cache, Lookup } from "../../src/types.ts";
import { memoryStorage } from "../../testing/memory-storage.ts";
import { SHARED } from "../support/rig.ts";
import { createRandom } from "../../testing/random.ts";
import { Model } from "./stale-model.ts";
import type { Answer, LoadPlan, Rules } from "./stale-model.ts";
import { createVirtualClock } from "../../testing/virtual-clock.ts";

const SCHEDULES = 10_000;
const FACTOR = Number(process.env["CACHEME_SCHEDULES"] ?? (process.env["CACHEME_SOAK"] === "1" ? 100 : 1));
const FIRST_SEED = Number(process.env["CACHEME_SEED"] ?? 1);
/** Schedules that share the turns of the event loop. */
const WIDTH = 64;
const TIMEOUT_MS = 3_600_000;

// Reads come at multiples of 50 ms; loads and timeouts end between them, so that nothing depends on what comes first in a moment.
const TTLS = [100, 200, 500, 1_000, 3_000];
const WINDOWS = [0, 100, 300, 1_000, 5_000, 200_000];
const LOADS_MS = [0, 0, 0, 7, 107, 407, 5_007];
const HARD_MS = 1_057;
const WALL = 1_800_000_000_000;

type Pick = <Item>(list: readonly [Item, ...Item[]] | readonly Item[]) => Item;

function rulesBy(pick: Pick, chain: { readonly local: boolean; readonly remotes: number }): Rules {
  return {
    localTtl: chain.local ? pick(TTLS) : undefined,
    remoteTtls: Array.from({ length: chain.remotes }, () => pick(TTLS)),
    whileRevalidate: pick(WINDOWS),
    ifError: pick(WINDOWS),
    soft: pick([undefined, 31, 231]),
    hard: HARD_MS,
  };
}

/** Ways to move on: a little, to the very moment at which a life or a window ends, or past all that shields a slot. */
function stepsOf({ localTtl, remoteTtls, whileRevalidate, ifError }: Rules): readonly number[] {
  const lives = localTtl === undefined ? remoteTtls : [localTtl, ...remoteTtls];
  const ends = lives.flatMap((ttl) => [ttl, ttl, ttl + whileRevalidate, ttl + ifError]);
  return [50, 50, 100, 150, 300, whileRevalidate, ifError, ...ends, ...ends, 130_000];
}

const CHAINS = [
  { local: true, remotes: 0 },
  { local: false, remotes: 1 },
  { local: true, remotes: 1 },
  { local: false, remotes: 2 },
  { local: true, remotes: 2 },
];

/** One schedule; gives what went wrong, with its story. */
async function play(seed: number, lane: number): Promise<string | undefined> {
  const random = createRandom(Math.imul(seed, 0x9e3779b1));
  const pick: Pick = (list) => list[Math.floor(random() * list.length)] as never;
  const rules = rulesBy(pick, pick(CHAINS));
  const steps = stepsOf(rules);
  const story: string[] = [JSON.stringify(rules)];
  const clock = createVirtualClock(() => 0);
  const wall = { ...clock, now: () => WALL + clock.now() };
  const remotes = Object.fromEntries(rules.remoteTtls.map((_, index) => [`remote${index}`, memoryStorage({ clock: wall })]));
  const plans: LoadPlan[] = [];
  const nextPlan = (index: number): LoadPlan => (plans[index] ??= index === 0 ? { ms: 0, fails: false } : { ms: pick(LOADS_MS), fails: random() < 0.35 });
  let loads = 0;
  const bornAt = new Map<string, number>();

  function load(): Promise<string> {
    const { ms, fails } = nextPlan(loads++);
    const value = `load ${loads}`;
    bornAt.set(value, clock.now());
    const ended = ms === 0 ? Promise.resolve() : new Promise<void>((resolve) => void clock.setTimeout(resolve, ms));
    return ended.then(() => (fails ? Promise.reject(new Error("the source is down")) : value));
  }
  const Item = defineNode({
    name: `StaleModel${lane}`,
    allowRedefine: true,
    key: (key: string) => key,
    load,
    staleWhileRevalidate: rules.whileRevalidate,
    staleIfError: rules.ifError,
    softTimeout: rules.soft,
    hardTimeout: rules.hard,
    caches: [
      ...(rules.localTtl === undefined ? [] : [{ storage: "local", ttl: rules.localTtl }]),
      ...rules.remoteTtls.map((ttl, index) => ({ storage: `remote${index}`, ttl })),
    ],
  });
  const isolate = (): Cache => createCacheOn(SHARED, { storages: { ...remotes, local: local() }, clock: wall }) as Cache;
  const cache = isolate();
  let elsewhere: Cache | undefined;
  let planned = 0;
  const model = new Model(rules, () => nextPlan(planned++));

  const answers = new Map<number, Partial<Lookup<string>>>();
  /** When a read was asked, and the last invalidation of this isolate before it. */
  const asked = new Map<number, { readonly at: number; readonly cutAt: number }>();
  let cutAt = -1;
  let reads = 0;
  let sets = 0;
  const longest = Math.max(rules.localTtl ?? 0, ...rules.remoteTtls) + Math.max(rules.whileRevalidate, rules.ifError) + HARD_MS;

  /** Within the moment: whatever can run has run. */
  const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
  function compare(): string | undefined {
    for (const [id, answer] of model.answers) {
      const real = answers.get(id);
      const wanted = Object.entries(real ?? {}).every(([field, told]) => told === answer[field as keyof Answer]);
      if (!real || !wanted) return `read ${id}: expected ${JSON.stringify(answer)}, got ${JSON.stringify(real)}`;
      const { at = 0, cutAt: cut = 0 } = asked.get(id) ?? {};
      const born = bornAt.get(answer.value);
      if (born !== undefined && born < cut) return `read ${id} of ${at} got ${answer.value} of ${born}, after an invalidation at ${cut}`;
      if (answer.state === "stale" && answer.ageMs >= longest) return `read ${id}: stale beyond its window: ${JSON.stringify(answer)}`;
      answers.delete(id);
    }
    model.answers.clear();
    for (const [id, answer] of answers) return `read ${id}: expected nothing yet, got ${JSON.stringify(answer)}`;
    return loads === model.loads ? undefined : `expected ${model.loads} loads, got ${loads}`;
  }
  async function arrived(): Promise<string | undefined> {
    await settle();
    model.moveTo(clock.now());
    return compare();
  }
  async function advance(ms: number): Promise<string | undefined> {
    const until = clock.now() + ms;
    for (let timer = clock.takeNext(until); timer; timer = clock.takeNext(until)) {
      timer.run();
      await settle();
      for (let same = clock.takeNext(clock.now()); same; same = clock.takeNext(clock.now())) {
        same.run();
        await settle();
      }
      const wrong = await arrived();
      if (wrong) return wrong;
    }
    clock.moveTo(until);
    return arrived();
  }
  function read(count: number, maxAge: number | undefined): void {
    const ids = Array.from({ length: count }, () => ++reads);
    for (const id of ids) {
      asked.set(id, { at: clock.now(), cutAt });
      const failed = (): void => void answers.set(id, { value: "error" });
      // `get` tells the value alone.
      if (maxAge === undefined)
        cache.lookup(Item("k")).then(({ value, source, state, ageMs, ttlMs }) => void answers.set(id, { value, source, state, ageMs, ttlMs }), failed);
      else cache.get(Item("k"), { maxAge }).then((value) => void answers.set(id, { value }), failed);
    }
    model.read(ids, maxAge);
    story.push(`${clock.now()}: read ${ids.join(", ")}${maxAge === undefined ? "" : ` no older than ${maxAge}`}`);
  }
  async function change(): Promise<void> {
    const own = rules.remoteTtls.length === 0 || random() < 0.5;
    const value = `set ${++sets}`;
    bornAt.set(value, clock.now());
    const kind = pick(["invalidate", "invalidateNode", "set"] as const);
    story.push(`${clock.now()}: ${own ? "" : "elsewhere "}${kind}${kind === "set" ? ` ${value}` : ""}`);
    const by = own ? cache : (elsewhere ??= isolate());
    const changing = kind === "set" ? by.set(Item("k"), value) : kind === "invalidate" ? by.invalidate(Item("k")) : by.invalidateNode(Item);
    if (own && kind === "set") model.set(value);
    else if (own) model.invalidate(kind === "invalidateNode");
    else if (kind === "set") model.setElsewhere(value);
    else model.invalidateElsewhere(kind === "invalidateNode");
    await changing;
    if (own) cutAt = clock.now();
  }

  const length = 8 + Math.floor(random() * 16);
  for (let step = 0; step < length; step++) {
    const kind = random();
    let wrong: string | undefined;
    if (kind < 0.45) {
      read(pick([1, 1, 2, 3]), pick([undefined, undefined, undefined, 2_000, 4_000]));
      wrong = await arrived();
    } else if (kind < 0.85) {
      const ms = pick(steps);
      story.push(`${clock.now()}: advance ${ms}`);
      wrong = await advance(ms);
    } else {
      await change();
      wrong = await arrived();
    }
    if (wrong) return [`seed ${seed}: ${wrong}`, ...story].join("\n");
  }
  const wrong = await advance(3 * HARD_MS);
  if (wrong) return [`seed ${seed}: ${wrong}`, ...story].join("\n");
  const { requestCount, hitCount, missCount, staleCount, loadCount } = cache.stats(Item);
  const books = JSON.stringify([requestCount, hitCount, missCount, staleCount, loadCount, coreOf(cache).inFlight()]);
  const expected = JSON.stringify([reads, model.hits, model.misses, model.stale, model.loads, 0]);
  return books === expected ? undefined : [`seed ${seed}: expected the books ${expected}, got ${books}`, ...story].join("\n");
}

test(`guarantee 5: every read is answered as the model says, over ${Math.ceil(SCHEDULES * FACTOR)} schedules`, { timeout: TIMEOUT_MS }, async () => {
  let next = 0;
  let failure: string | undefined;
  const total = SCHEDULES * FACTOR;
  async function run(lane: number): Promise<void> {
    while (next < total && failure === undefined) {
      const seed = FIRST_SEED + next++;
      const found = await play(seed, lane);
      // Not in one assignment: it would take the present value before it waits.
      failure ??= found;
    }
  }
  await Promise.all(Array.from({ length: WIDTH }, (_, lane) => run(lane)));
  expect(failure).toBeUndefined();
});
