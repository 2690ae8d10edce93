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
import { createIsolate, WALL } from "./isolate.ts";
import type { Isolate } from "./isolate.ts";
import { createJudge, TIMES } from "./judge.ts";
import type { Judge, Path } from "./judge.ts";
import { OpMail } from "./mail.ts";
import type { Message } from "./mail.ts";
import { OTHER_KEY, perform } from "./operations.ts";
import type { Audience } from "./operations.ts";
import type { CacheNode } from "../../src/node-types.ts";
import type { InvalidationToken } from "../../src/types.ts";
import { asking, present, TIER_NAMES, WINDOWS } from "./plan.ts";
import type { Plan, Run, Setting, Step } from "./plan.ts";
import type { Choices } from "../../testing/random.ts";
import { createVirtualClock } from "../../testing/virtual-clock.ts";
import type { VirtualClock } from "../../testing/virtual-clock.ts";
import { forgetWakes, wakeNext } from "./wakes.ts";
import { createServer, DELAY_MS, generationsOf, KEYS } from "./world.ts";
import type { Op, Server, Version, View } from "./world.ts";

const MOST_CHANCES = 1_000_000;
const ADVANCES = [1_000, 3_000, 7_000, 12_000, 19_000, 40_000];
/** Resolves once every line that can run has run: the queue of `nextTick` is looked at when there are no microtasks left. */
function turn(): Promise<void> {
  return new Promise((resolve) => {
    process.nextTick(resolve);
  });
}

/** Runs one program. Never rejects for what it tests. */
export async function simulate(own: Plan, program: readonly Step[], choices: Choices, setting: Setting, tell = false): Promise<Run> {
  const simulation = new Simulation(own, choices, setting, tell);
  const { random } = Math;
  // What the core leaves to chance is a choice as well. Runs go one after the other, so they share this.
  Math.random = () => choices.pick(MOST_CHANCES) / MOST_CHANCES;
  try {
    await simulation.run(program);
  } finally {
    Math.random = random;
  }
  return { failure: simulation.failure, story: simulation.story, tape: choices.tape };
}

/** A run under way. The scheduler below is one way to drive it; `stage.ts` is another, for stories with a fixed course. */
export class Simulation implements Audience {
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
  private readonly node: CacheNode<number, Version>;
  private readonly rows: number[] = [1, 1, 1];
  /** The tokens of invalidations that resolved, by key. */
  private readonly tokens = new Map<number, InvalidationToken>();
  private readonly views = new Map<string, View>();
  readonly mail: OpMail;
  private drains: { readonly op: Op; readonly run: () => void }[] = [];
  private step = 0;
  /** Whether somebody died or was slow, so that work may be done twice. */
  private disturbed = false;

  constructor(own: Plan, choices: Choices, setting: Setting, telling: boolean) {
    this.own = own;
    this.choices = choices;
    this.setting = setting;
    this.telling = telling;
    forgetWakes();
    this.clock = createVirtualClock(present);
    this.mail = new OpMail(this.clock, (line) => this.say(line));
    const post = {
      now: () => this.clock.now(),
      choices,
      mail: this.mail,
      step: () => this.step,
      heard: (key: string, atStep: number) => this.heard(KEYS.indexOf(key), atStep),
    };
    this.servers = own.tiers.map(({ ttlMs, weak }, index) => createServer(TIER_NAMES[index] ?? "", ttlMs, weak, post, own.flaws));
    const node = own.nodes[setting.windows];
    if (!node) throw new Error(`no node ${setting.windows}`);
    this.node = node;
    const keepMs = WINDOWS[setting.windows]?.ifErrorMs ?? 0;
    this.judge = createJudge({ ops: this.ops, servers: this.servers, node: node.name, tagged: own.tagged === true, keepMs });
    const drain = (run: () => void): void => void this.drains.push({ op: present(), run });
    this.isolates = Array.from({ length: own.isolates ?? 2 }, (_, id) => createIsolate({ id, own, setting, clock: this.clock, servers: this.servers, drain }));
  }

  async run(program: readonly Step[]): Promise<void> {
    let next = 0;
    while ((next < program.length || this.mail.messages.length > 0) && !this.failure) {
      if (++this.step > 3_000) return this.fail("the run does not come to an end");
      const { messages } = this.mail;
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

  // ---- the schedule

  private weight(message: Message | undefined): number {
    if (!message) return this.setting.pace;
    return message.owner.moves >= message.owner.slowFrom ? 0.02 : 1;
  }

  /** Moves one message on, by luck if there are faults. */
  private move(message: Message, faults: boolean): Promise<void> {
    message.owner.moves++;
    const { luck = 14 } = this.own;
    const drawn = faults ? this.choices.pick(luck) : 0;
    if (drawn === luck - 1 && this.mail.isAwaited(message)) return this.handle("abandon", message);
    if (drawn === luck - 2 && message.state === "sent") return this.handle("lose", message, this.choices.pick(2) === 0);
    return this.handle(message.state === "applied" ? "answer" : "apply", message);
  }

  /** Does one thing to a message, and lets the isolates run until nothing is left to do. */
  handle(what: "apply" | "answer" | "abandon" | "lose", message: Message, told = true): Promise<void> {
    this.mail[what](message, told);
    return this.flush();
  }

  /** Lets every line run that can run now. */
  private async flush(): Promise<void> {
    for (;;) {
      await turn();
      const due = this.drains;
      this.drains = [];
      for (const { op, run } of due) asking.run(op, run);
      if (due.length === 0 && !wakeNext()) return;
    }
  }

  // ---- time and death

  /** Moves time on, timers in their order; those of `held` come late. */
  async advance(ms: number, held?: Op): Promise<void> {
    const until = this.clock.now() + ms;
    while (await this.fire(until, held));
    this.clock.moveTo(until);
    while (held && (await this.fire(until)));
    this.mail.expire(until);
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
    this.mail.dropAnswersTo(op);
  }

  private alive(): Op[] {
    return this.ops.filter((op) => !op.dead && (op.endStep === Number.POSITIVE_INFINITY || this.mail.messages.some((message) => message.owner === op)));
  }

  // ---- operations

  private async begin(step: Step): Promise<void> {
    const { x } = step;
    const server = this.servers[x % this.servers.length];
    if (step.kind === "advance") {
      const { advances = ADVANCES } = this.own;
      const ms = advances[x % advances.length] ?? 0;
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
      const names = generationsOf(this.node.name, this.own.tagged === true, 0);
      const name = names[(x >> 1) % names.length] ?? "";
      if (server?.generations.delete(name)) this.say(`${server.storage.name} evicts the generation of the ${name === names[0] ? "node" : "tag"}`);
    } else if (step.kind === "evictOld" || step.kind === "evictAny") {
      if (server?.evict(KEYS[step.key] ?? "", step.kind === "evictAny")) this.say(`${server.storage.name} evicts its slot`);
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
    const called = calledFor(kind, x);
    const keys = keysOf(kind, key, x);
    const op: Op = {
      index,
      kind: called,
      name: `${called}#${index}@${id}`,
      isolate: id,
      keys,
      startStep: this.step,
      startAt: this.clock.now(),
      endStep: Number.POSITIVE_INFINITY,
      endAt: Number.POSITIVE_INFINITY,
      dead: false,
      failed: false,
      troubled: false,
      versions: new Map(),
      answers: [],
      calls: new Map(),
      moves: 0,
      slowFrom: this.setting.slowFrom[index] ?? Number.POSITIVE_INFINITY,
      view: kind === "after" ? this.viewFor(id, key, x < 4) : undefined,
      load: (row) =>
        this.mail.ask(
          "load",
          "source",
          undefined,
          () => ({ key: row, version: this.rows[row] ?? 0, by: index, how: "load" as const }),
          ({ version }) => `v${version}`,
        ),
    };
    this.ops.push(op);
    if (["inv", "node", "tag", "set", "refresh"].includes(kind)) {
      for (const row of keys) this.rows[row] = (this.rows[row] ?? 0) + 1;
      op.versions = new Map(keys.map((row) => [row, this.rows[row] ?? 0]));
    }
    const change = op.versions.size === 0 ? "" : `; the source has ${[...op.versions.values()].map((version) => `v${version}`).join(" and ")}`;
    this.say(`${op.name} begins for key ${keys.join(" and ")}${change}`);
    asking
      .run(op, () => perform(op, isolate.cache, this.node, x, this))
      .then(
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

  /** An operation got a value. */
  answered(op: Op, key: number, value: Version, path: Path): void {
    if (op.dead) return;
    op.answers.push({ version: value.version, source: path.source, ...(path.stale ? { stale: true } : {}) });
    this.say(`${op.name} answers v${value.version} (${path.source ?? "unsaid"}${path.stale ? ", stale" : ""}${path.collapsed ? ", joined" : ""})`);
    const wrong = this.judge.answer(op, key, value, path, this.clock.now());
    if (wrong !== undefined) this.fail(wrong);
  }

  /** An operation that replaces values resolved. */
  resolved(op: Op, replaced: ReadonlyMap<number, number>, token?: InvalidationToken): void {
    if (op.dead) return;
    this.end(op, false);
    this.say(`${op.name} resolves`);
    if (token !== undefined) for (const key of op.keys) this.tokens.set(key, token);
    // As a read it answers whatever its writes have come to, so it promises nothing where one failed.
    if (op.kind !== "bypass" || !this.sharedTrouble(op)) this.judge.resolved(op, replaced);
  }

  /** Whether a call failed of this operation, or of a refresh that it may have shared. */
  private sharedTrouble(op: Op): boolean {
    return this.ops.some((other) => other.troubled && other.isolate === op.isolate && other.endStep >= op.startStep);
  }

  /** A view that knows of the last invalidation of a key: one that was made before, or a new one. */
  private viewFor(isolate: number, key: number, again: boolean): View | undefined {
    const token = this.tokens.get(key);
    const cache = this.isolates[isolate]?.cache;
    if (token === undefined || !cache) return undefined;
    const name = `${isolate} ${token}`;
    const known = again ? this.views.get(name) : undefined;
    const view = known ?? { cache: cache.with({ after: token }), madeAtStep: this.step };
    this.views.set(name, view);
    return view;
  }

  /** What the present operation's isolate was told. */
  private heard(key: number, atStep: number): void {
    if (key >= 0) this.judge.heard(present().isolate, key, atStep, this.step);
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
      const [first] = this.mail.messages;
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
    while ((await this.fire(deadline)) || this.mail.messages.length > 0) {
      const [first] = this.mail.messages;
      if (first) await this.move(first, false);
    }
    if (this.disturbed) await this.advance(TIMES.budget + TIMES.stall);
  }

  judgeServers(): void {
    const now = this.clock.now();
    const wrong = this.judge.atRest(now, WALL + now);
    if (wrong !== undefined) this.fail(wrong);
  }

  private judgeIsolates(): void {
    if (this.disturbed) return;
    const left = this.isolates.findIndex(({ core }) => core.inFlight() > 0);
    if (left >= 0) return this.fail(`isolate ${left} has something in flight though all is at rest`);
    if (!this.setting.requestScoped) return;
    for (const op of this.ops) {
      const cost = this.judge.cost(op);
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
    await this.call({ kind: "get", isolate, key: 0, x: 2 });
    await this.rest();
    return this.ops[index]?.answers[0]?.source ?? "nothing";
  }

  private say(line: string): void {
    if (this.telling) this.story.push(`${(this.clock.now() / 1000).toFixed(1).padStart(6)} ${line}`);
  }

  /** Something does not hold. */
  fail(what: string): void {
    this.failure ??= what;
    this.say(`!! ${what}`);
  }
}

function calledFor(kind: string, x: number): string {
  if (kind === "refresh" && x === 5) return "bypass";
  // A `get` like any other, in a run whose node may serve while it loads.
  return kind === "swr" ? "get" : kind === "forget" ? "other" : kind;
}

function keysOf(kind: string, key: number, x: number): readonly number[] {
  if (kind === "tag") return [0];
  if (kind === "forget") return [OTHER_KEY];
  return kind === "getAll" || kind === "node" || (kind === "inv" && x === 5) ? [0, 1] : [key];
}
