/**
 * The simulator: isolates, each with a cache of the real core, on shared servers of which every call is a message. A seeded
 * scheduler chooses what happens next: a message is applied, answered, lost, given up by its caller and applied later, or an
 * operation begins, a request is killed, time moves. One run is one program under one tape of choices; it is exact, so that a
 * failing one can be told again. No sockets, no real time.
 *
 * Where requests own their I/O, a killed request is modelled by what it never gets: its answers and its timers. Which
 * operation a call or a timer belongs to is known from the asynchronous context it was made in.
 *
 * @module
 */
import { AsyncLocalStorage } from "node:async_hooks";
import { coreOf, createCacheOn } from "../../src/cache.ts";
import type { Core } from "../../src/core.ts";
import { local } from "../../src/local/local.ts";
import { defineNode } from "../../src/node.ts";
import { drainByMicrotasks } from "../../src/runtime.ts";
import type { Runtime } from "../../src/runtime.ts";
import type { Cache, Lookup, LookupResult, Reference } from "../../src/types.ts";
import { createJudge, SOURCE_FAILED, TIMES, UNTOLD } from "./judge.ts";
import type { Judge, Path } from "./judge.ts";
import type { Choices } from "./random.ts";
import { createVirtualClock } from "./virtual-clock.ts";
import type { VirtualClock } from "./virtual-clock.ts";
import { createServer, DELAY_MS, isAwaited, versions } from "./world.ts";
import type { Flaws, Message, Op, Server, Version } from "./world.ts";

/** What a run is made of. */
export interface Scenario {
  /** Remote tiers, left to right. */
  readonly tiers: readonly { readonly ttlMs: number; readonly weak: boolean }[];
  /** What programs are drawn from; a word that stands twice is twice as likely. */
  readonly kinds: string;
  /** Default: 2. */
  readonly isolates?: number | undefined;
  /** Whether a local tier stands left of the remote ones. Default: `true`. */
  readonly local?: boolean | undefined;
  /** Messages may be lost or given up. Default: `false`. */
  readonly faults?: boolean | undefined;
  /** The isolates' wall clocks differ by minutes. Default: `false`. */
  readonly skewed?: boolean | undefined;
  /** Whether requests own their I/O. Default: as the seed says. */
  readonly requestScoped?: boolean | undefined;
  /** Breaks the core on purpose, to see the properties fail. */
  readonly sabotage?: ((core: Core) => void) | undefined;
  /** Breaks the servers on purpose. */
  readonly flaws?: Flaws | undefined;
}

/** A scenario with its node, which can be defined once only. */
export interface Plan extends Scenario {
  readonly name: string;
  readonly node: (key: number) => Reference<Version>;
}

/** One step of a program. What `x` means depends on the kind. */
export interface Step {
  readonly kind: string;
  readonly isolate: number;
  readonly key: number;
  readonly x: number;
}

/** What is random in a run and yet no choice of the scheduler. */
export interface Setting {
  readonly requestScoped: boolean;
  readonly waitUntil: boolean;
  /** How eagerly the next operation begins, against a message moving. */
  readonly pace: number;
  /** After how many moves each operation becomes slow: where the races are. */
  readonly slowFrom: readonly number[];
}

/** How a run went. */
export interface Run {
  readonly failure: string | undefined;
  readonly story: readonly string[];
  readonly tape: readonly number[];
}

const asking = new AsyncLocalStorage<Op>();
/** The operation on whose behalf the present line runs. */
function present(): Op {
  const op = asking.getStore();
  if (!op) throw new Error("the simulation lost track of whose line this is");
  return op;
}

/** Readies a scenario. */
export function plan(name: string, scenario: Scenario): Plan {
  const remote = scenario.tiers.map(({ ttlMs }, index) => ({ storage: TIER_NAMES[index] ?? "", ttl: ttlMs }));
  const node = defineNode({
    name: `simulated-${name}`,
    allowRedefine: true,
    key: (key: number) => `k${key}`,
    load: (key: number) => present().load(key),
    caches: scenario.local === false ? remote : [{ storage: "local", ttl: TIMES.local }, ...remote],
    serializer: versions,
    hardTimeout: TIMES.hard,
    storeWithin: TIMES.storeWithin,
  });
  return { ...scenario, name, node };
}

const TIER_NAMES = ["L", "R"];

function label({ op, verb, target }: Message): string {
  return `${op.name}: ${verb}${target === "source" ? "" : ` ${target}`}`;
}

function errorOf({ target }: Message): Error {
  return new Error(target === "source" ? SOURCE_FAILED : "the network failed");
}

const ADVANCES = [1_000, 3_000, 7_000, 12_000, 19_000, 40_000];
const WALL = 1_700_000_000_000;
const SKEW = 600_000;

// One turn of the event loop serves all runs that go on at the same time.
let turning: (() => void)[] = [];
function turn(): Promise<void> {
  return new Promise((resolve) => {
    if (turning.push(resolve) > 1) return;
    setImmediate(() => {
      const waiting = turning;
      turning = [];
      for (const go of waiting) go();
    });
  });
}

/** Runs one program. Never rejects for what it tests. */
export async function simulate(own: Plan, program: readonly Step[], choices: Choices, setting: Setting, tell = false): Promise<Run> {
  const simulation = new Simulation(own, choices, setting, tell);
  await simulation.run(program);
  return { failure: simulation.failure, story: simulation.story, tape: choices.tape };
}

interface Isolate {
  readonly cache: Cache<string, undefined>;
  readonly core: Core;
  clear(): void;
}

/** A run under way. The scheduler below is one way to drive it; `stage.ts` is another, for stories with a fixed course. */
export class Simulation {
  readonly story: string[] = [];
  failure: string | undefined = undefined;
  private readonly own: Plan;
  private readonly choices: Choices;
  private readonly setting: Setting;
  private readonly telling: boolean;
  readonly clock: VirtualClock<Op>;
  readonly servers: readonly Server[];
  readonly isolates: readonly Isolate[];
  private readonly judge: Judge;
  readonly ops: Op[] = [];
  private readonly rows: number[] = [1, 1];
  messages: Message[] = [];
  private drains: { readonly op: Op; readonly run: () => void }[] = [];
  private step = 0;
  /** Whether somebody died or was slow, so that work may be done twice. */
  private disturbed = false;

  constructor(own: Plan, choices: Choices, setting: Setting, telling: boolean) {
    this.own = own;
    this.choices = choices;
    this.setting = setting;
    this.telling = telling;
    this.clock = createVirtualClock(present);
    const post = { now: () => this.clock.now(), choices, send: this.send.bind(this) };
    this.servers = own.tiers.map(({ ttlMs, weak }, index) => createServer(TIER_NAMES[index] ?? "", ttlMs, weak, post, own.flaws));
    this.judge = createJudge(this.ops, this.servers);
    this.isolates = Array.from({ length: own.isolates ?? 2 }, (_, id) => this.isolate(id));
  }

  async run(program: readonly Step[]): Promise<void> {
    let next = 0;
    while ((next < program.length || this.messages.length > 0) && !this.failure) {
      if (++this.step > 3_000) return this.fail("the run does not come to an end");
      const { messages } = this;
      const picked = this.choices.pick(messages.length + (next < program.length ? 1 : 0), (index) => this.weight(messages[index]));
      const message = messages[picked];
      const step = program[next];
      if (message) await this.move(message, this.own.faults === true);
      else if (step) {
        next++;
        await this.begin(step);
      }
    }
    if (!this.failure) await this.rest();
    if (!this.failure) this.judgeServers();
    if (!this.failure) await this.settle();
    if (!this.failure) this.judgeIsolates();
    if (!this.failure) await this.probes();
  }

  // ---- the isolates

  private isolate(id: number): Isolate {
    const { own, clock, setting } = this;
    const tier = local({ maxEntries: 100, policy: "lru" });
    const runtime: Runtime = {
      requestScoped: setting.requestScoped,
      waitUntil: setting.waitUntil ? () => undefined : undefined,
      scheduleDrain: setting.requestScoped ? drainByMicrotasks : (run) => void this.drains.push({ op: present(), run }),
    };
    const skewMs = own.skewed ? (id === 0 ? SKEW : -SKEW) : 0;
    const remote = this.servers.map(({ storage }) => [storage.name, storage] as const);
    const cache: Cache<string, undefined> = createCacheOn<string>(runtime, {
      storages: { local: tier, ...Object.fromEntries(remote) },
      guard: { timeout: TIMES.budget },
      clock: {
        now: () => WALL + skewMs + clock.now(),
        monotonic: () => clock.monotonic(),
        setTimeout: (run, ms) => clock.setTimeout(run, ms),
        clearTimeout: (timer) => clock.clearTimeout(timer),
      },
    });
    const core = coreOf(cache);
    own.sabotage?.(core);
    return { cache, core, clear: () => tier.clear() };
  }

  // ---- messages

  private send<T>(verb: string, target: string, signal: AbortSignal | undefined, apply: () => T, tell: (result: T) => string): Promise<T> {
    const op = present();
    const name = `${verb} ${target}`;
    op.calls.set(name, (op.calls.get(name) ?? 0) + 1);
    if (op.dead) return new Promise(() => undefined);
    return new Promise((resolve, reject) => {
      let result: { readonly value: T } | undefined;
      this.messages.push({
        op,
        verb,
        target,
        sentAt: this.clock.now(),
        signal,
        state: "sent",
        apply: () => void (result = { value: apply() }),
        describe: () => (result ? tell(result.value) : ""),
        answer: () => result && resolve(result.value),
        refuse: reject,
      });
    });
  }

  private weight(message: Message | undefined): number {
    if (!message) return this.setting.pace;
    return message.op.moves >= message.op.slowFrom ? 0.02 : 1;
  }

  private drop(message: Message): void {
    this.messages = this.messages.filter((other) => other !== message);
  }

  /** Moves one message on, by luck if there are faults. */
  private move(message: Message, faults: boolean): Promise<void> {
    message.op.moves++;
    const luck = faults ? this.choices.pick(14) : 0;
    if (luck === 13 && isAwaited(message)) return this.abandon(message);
    if (luck === 12 && message.state === "sent") return this.lose(message, this.choices.pick(2) === 0);
    return message.state === "applied" ? this.answer(message) : this.apply(message);
  }

  /** The server does what it was asked to. */
  apply(message: Message): Promise<void> {
    message.apply();
    const awaited = isAwaited(message);
    this.say(`${label(message)} applied${awaited ? "" : " (nobody waits)"} ${message.describe()}`);
    if (awaited) message.state = "applied";
    else this.drop(message);
    return this.flush();
  }

  /** The caller gets its answer. */
  answer(message: Message): Promise<void> {
    this.drop(message);
    message.answer();
    return this.flush();
  }

  /** The caller gets an error, and what it asked for may still happen. */
  abandon(message: Message): Promise<void> {
    this.say(`${label(message)} fails for its caller (and may still be applied)`);
    if (message.state === "sent") message.state = "abandoned";
    else this.drop(message);
    message.refuse(errorOf(message));
    return this.flush();
  }

  /** The message never arrives; the caller is told so, or is not. */
  lose(message: Message, told: boolean): Promise<void> {
    this.say(`${label(message)} is lost`);
    this.drop(message);
    if (told) message.refuse(errorOf(message));
    return this.flush();
  }

  /** Lets every line run that can run now. */
  private async flush(): Promise<void> {
    for (;;) {
      await turn();
      const due = this.drains;
      if (due.length === 0) return;
      this.drains = [];
      for (const { op, run } of due) asking.run(op, run);
    }
  }

  // ---- time and death

  /** Moves time on, timers in their order; those of `held` come late. */
  async advance(ms: number, held?: Op): Promise<void> {
    const until = this.clock.now() + ms;
    while (await this.fire(until, held));
    this.clock.moveTo(until);
    while (held && (await this.fire(until)));
    this.messages = this.messages.filter(
      ({ state, target, sentAt }) => state === "applied" || until - sentAt <= (target === "source" ? TIMES.hard : TIMES.lateness),
    );
  }

  /** Fires the earliest timer that is due by then, as an event of its own; `false` if there is none. */
  private async fire(until: number, held?: Op): Promise<boolean> {
    const timer = this.clock.takeNext(until, held);
    if (!timer) return false;
    asking.run(timer.owner, timer.run);
    await this.flush();
    return true;
  }

  kill(op: Op): void {
    this.say(`the request of ${op.name} dies`);
    this.disturbed = true;
    op.dead = true;
    if (op.endStep === Number.POSITIVE_INFINITY) this.end(op, true);
    this.clock.dropTimersOf(op);
    this.messages = this.messages.filter((message) => message.op !== op || message.state !== "applied");
  }

  private alive(): Op[] {
    return this.ops.filter((op) => !op.dead && (op.endStep === Number.POSITIVE_INFINITY || this.messages.some((message) => message.op === op)));
  }

  // ---- operations

  private async begin(step: Step): Promise<void> {
    const { x } = step;
    const server = this.servers[x % this.servers.length];
    const names = ["cacheme:k0:", "cacheme:k1:"];
    if (step.kind === "advance") {
      const ms = ADVANCES[x] ?? 0;
      this.say(`--- ${ms / 1000} s pass`);
      await this.advance(ms);
    } else if (step.kind === "kill" || step.kind === "lease") {
      const alive = this.alive();
      const op = alive[x % Math.max(1, alive.length)];
      if (op && step.kind === "kill") this.kill(op);
      else if (op) {
        this.say(`--- ${op.name} is slow`);
        this.disturbed = true;
        await this.advance(TIMES.stall, op);
      }
    } else if (step.kind === "flush") {
      this.say(`${server?.storage.name} loses everything`);
      server?.flush();
    } else if (step.kind === "evictGen") {
      this.say(`${server?.storage.name} evicts its generations`);
      server?.generations.clear();
    } else if (step.kind === "evictOld" || step.kind === "evictAny") {
      if (server?.evict(names[step.key] ?? "", step.kind === "evictAny")) this.say(`${server.storage.name} evicts its slot`);
    } else if (step.kind === "stepBack") {
      this.say(`the clock of ${server?.storage.name} steps back`);
      server?.stepBack((3 + x) * 1_000);
    } else await this.call(step);
    await this.flush();
  }

  /** Begins an operation of the API. */
  async call({ kind, isolate: chosen, key, x }: Step): Promise<Op> {
    const id = chosen % this.isolates.length;
    const isolate = this.isolates[id];
    if (!isolate) throw new Error(`no isolate ${id}`);
    this.step++;
    const index = this.ops.length;
    const keys = kind === "getAll" || (kind === "inv" && x === 5) ? [0, 1] : [key];
    const op: Op = {
      index,
      kind: kind === "refresh" && x === 5 ? "bypass" : kind,
      name: `${kind}#${index}@${id}`,
      isolate: id,
      keys,
      startStep: this.step,
      startAt: this.clock.now(),
      endStep: Number.POSITIVE_INFINITY,
      endAt: Number.POSITIVE_INFINITY,
      dead: false,
      failed: false,
      versions: new Map(),
      answers: [],
      calls: new Map(),
      moves: 0,
      slowFrom: this.setting.slowFrom[index] ?? Number.POSITIVE_INFINITY,
      load: (row) =>
        this.send(
          "load",
          "source",
          undefined,
          () => ({ key: row, version: this.rows[row] ?? 0, by: index, how: "load" as const }),
          ({ version }) => `v${version}`,
        ),
    };
    this.ops.push(op);
    if (kind === "inv" || kind === "set" || kind === "refresh") {
      for (const row of keys) this.rows[row] = (this.rows[row] ?? 0) + 1;
      op.versions = new Map(keys.map((row) => [row, this.rows[row] ?? 0]));
    }
    const change = op.versions.size === 0 ? "" : `; the source has ${[...op.versions.values()].map((version) => `v${version}`).join(" and ")}`;
    this.say(`${op.name} begins for key ${keys.join(" and ")}${change}`);
    asking.run(op, () => this.start(op, isolate, x)).then(
      () => {
        if (!op.dead) this.end(op, false);
      },
      (error: unknown) => {
        if (op.dead) return;
        this.end(op, true);
        this.say(`${op.name} rejects: ${String(error)}`);
        const wrong = this.judge.rejection(op, error);
        if (wrong !== undefined) this.fail(wrong);
      },
    );
    await this.flush();
    return op;
  }

  private async start(op: Op, { cache }: Isolate, x: number): Promise<void> {
    const [key = 0] = op.keys;
    const reference = this.own.node(key);
    switch (op.kind) {
      case "get":
        if (x % 2 === 0) return this.answered(op, key, await cache.get(reference), UNTOLD);
        return this.lookedUp(op, key, await cache.lookup(reference));
      case "getAll": {
        const asked = x < 2 ? [0, 1, 0] : [0, 1];
        const references = asked.map((row) => this.own.node(row));
        if (x % 2 === 0) (await cache.getAll(references)).forEach((value, at) => this.answered(op, asked[at] ?? -1, value, UNTOLD));
        else (await cache.lookupAll(references)).forEach((found, at) => this.lookedUp(op, asked[at] ?? -1, found));
        return;
      }
      case "inv":
        await cache.invalidate(op.keys.map((row) => this.own.node(row)));
        return this.resolved(op, op.versions);
      case "set":
        await cache.set(reference, { key, version: op.versions.get(key) ?? 0, by: op.index, how: "set" }, x === 5 ? { ttl: 3_000 } : undefined);
        return this.resolved(op, op.versions);
      case "refresh":
      case "bypass": {
        const value = await (op.kind === "refresh" ? cache.refresh(reference) : cache.get(reference, { bypass: true }));
        if (value.version < (op.versions.get(key) ?? 0) && !op.dead) this.fail(`${op.name} gave v${value.version}, loaded before it began`);
        this.answered(op, key, value, UNTOLD);
        return this.resolved(op, new Map([[key, value.version]]));
      }
      default:
        throw new Error(`no operation ${op.kind}`);
    }
  }

  private lookedUp(op: Op, key: number, found: Lookup<Version> | LookupResult<Version>): void {
    if ("error" in found) throw found.error;
    this.answered(op, key, found.value, found);
  }

  private answered(op: Op, key: number, value: Version, path: Path): void {
    if (op.dead) return;
    op.answers.push({ version: value.version, source: path.source });
    this.say(`${op.name} answers v${value.version} (${path.source ?? "unsaid"}${path.collapsed ? ", joined" : ""})`);
    const wrong = this.judge.answer(op, key, value, path, this.clock.now());
    if (wrong !== undefined) this.fail(wrong);
  }

  private resolved(op: Op, replaced: ReadonlyMap<number, number>): void {
    if (op.dead) return;
    this.end(op, false);
    this.say(`${op.name} resolves`);
    this.judge.resolved(op, replaced);
  }

  private end(op: Op, failed: boolean): void {
    if (op.endStep !== Number.POSITIVE_INFINITY) return;
    op.endStep = this.step;
    op.endAt = this.clock.now();
    op.failed = failed;
  }

  // ---- the end of a run

  /** No faults any more: everything under way arrives, and time moves as far as anybody still waits for it. */
  async rest(): Promise<void> {
    const deadline = this.clock.now() + 600_000;
    for (let steps = 0; steps < 20_000; steps++) {
      const [first] = this.messages;
      if (first) {
        this.step++;
        await this.move(first, false);
        continue;
      }
      const waiting = this.ops.find((op) => op.endStep === Number.POSITIVE_INFINITY);
      if (!waiting) return;
      if (!(await this.fire(deadline))) return this.fail(`${waiting.name} never ends`);
    }
    this.fail("never comes to rest");
  }

  /** What runs in the background ends as well, and what dead requests left behind can be told to be dead. */
  async settle(): Promise<void> {
    const deadline = this.clock.now() + 600_000;
    while ((await this.fire(deadline)) || this.messages.length > 0) {
      const [first] = this.messages;
      if (first) await this.move(first, false);
    }
    if (this.disturbed) await this.advance(TIMES.budget + TIMES.stall);
  }

  judgeServers(): void {
    const now = this.clock.now();
    const wrong = this.judge.atRest(this.servers, `simulated-${this.own.name}`, now, WALL + now);
    if (wrong !== undefined) this.fail(wrong);
  }

  private judgeIsolates(): void {
    if (this.disturbed) return;
    const left = this.isolates.findIndex(({ core }) => core.inFlight() > 0);
    if (left >= 0) return this.fail(`isolate ${left} has something in flight though all is at rest`);
    if (!this.setting.requestScoped) return;
    for (const op of this.ops) {
      const cost = this.judge.cost(op, this.servers);
      if (cost !== undefined) return this.fail(cost);
    }
  }

  /** A cold get, a warm one, and the same elsewhere: what was stored is found. */
  async probes(): Promise<void> {
    const weak = this.servers.some((server) => server.weak);
    const hasLocal = this.own.local !== false;
    for (const isolate of this.isolates) isolate.clear();
    const cold = await this.probe(0);
    const warm = await this.probe(0);
    if (hasLocal && warm !== "local") return this.fail(`a warm local tier did not answer, ${warm} did`);
    if (weak) await this.advance(DELAY_MS + 1);
    if (this.isolates.length < 2) return;
    const elsewhere = await this.probe(1);
    const again = await this.probe(1);
    if (elsewhere === "load" && (cold === "load" || !weak)) return this.fail(`after ${cold}, another isolate had to load`);
    if (hasLocal && again !== "local") this.fail(`a warm local tier elsewhere did not answer, ${again} did`);
  }

  private async probe(isolate: number): Promise<string> {
    const index = this.ops.length;
    await this.call({ kind: "get", isolate, key: 0, x: 1 });
    await this.rest();
    return this.ops[index]?.answers[0]?.source ?? "nothing";
  }

  private say(line: string): void {
    if (this.telling) this.story.push(`${(this.clock.now() / 1000).toFixed(1).padStart(6)} ${line}`);
  }

  private fail(what: string): void {
    this.failure ??= what;
    this.say(`!! ${what}`);
  }
}
