/**
 * A simulation with a fixed course: a test says which operation begins, which message is applied, answered or lost, and when
 * time passes. For the stories in which some rule of the protocol was found to be needed. The judge watches here as well.
 *
 * @module
 */
import type { Message } from "./mail.ts";
import { plan } from "./plan.ts";
import type { Scenario } from "./plan.ts";
import type { Choices } from "../../testing/random.ts";
import { Simulation } from "./simulation.ts";
import { describeSlot } from "./world.ts";
import type { Op, Server } from "./world.ts";

/** How an operation is begun. `x` chooses a variant, as in programs. */
interface Variant {
  readonly key?: number;
  readonly x?: number;
}

/** See the file's head. A message is named by its verb and target: `"read L"`, `"load source"`. */
export interface Stage {
  begin(kind: "get" | "after" | "inv" | "node" | "tag" | "forget" | "set" | "refresh", isolate: number, variant?: Variant): Promise<Op>;
  /** The oldest message of that name: applied at its server. */
  apply(op: Op, name: string): Promise<void>;
  /** Applied before: answered now. */
  answer(op: Op, name: string): Promise<void>;
  /** Applied and answered, one after the other. */
  pass(op: Op, ...names: string[]): Promise<void>;
  /** Its caller gets an error; it can still be applied. */
  abandon(op: Op, name: string): Promise<void>;
  /** It never arrives, and its caller is told. */
  lose(op: Op, name: string): Promise<void>;
  /** The messages an operation has under way. */
  open(op: Op): string[];
  advance(ms: number): Promise<void>;
  kill(op: Op): void;
  /** Everything under way arrives. */
  rest(): Promise<void>;
  /** Begins a `get`, lets all that it asks arrive (and nothing else), and answers what it got and from where: `"v2 from local"`, `"stale v1 from L"`. */
  ask(isolate: number, key?: number): Promise<string>;
  /** What a server holds under a key: `"nothing"`, `"tombstone"`, `"v2"`. */
  holds(server: string, key?: number): string;
  /** The server forgets its generations. */
  loseGenerations(server: string): void;
  stepBack(server: string, ms: number): void;
  /** Weak servers show the oldest they may. */
  showOld(): void;
  clearLocal(isolate: number): void;
  /** What the judge has found wrong, if anything. */
  verdict(): string | undefined;
}

let staged = 0;

/** Two isolates on a host where requests own their I/O. `windows` says which of `WINDOWS` their node has. */
export function stage(scenario: Omit<Scenario, "kinds" | "faults" | "requestScoped">, windows = 0): Stage {
  let old = false;
  let generations = 0;
  const choices: Choices = {
    tape: [],
    // The salt of a generation differs each time; everything else is the first or the last that is possible.
    pick: (count) => (count > 1_000 ? ++generations % count : old ? count - 1 : 0),
  };
  const setting = { requestScoped: true, waitUntil: true, windows, pace: 1, slowFrom: [] };
  const simulation = new Simulation(plan(`story-${++staged}`, { ...scenario, kinds: "" }), choices, setting, true);

  function message(op: Op, name: string): Message {
    const found = simulation.mail.messages.find((candidate) => candidate.owner === op && `${candidate.verb} ${candidate.target}` === name);
    if (!found) throw new Error(`${op.name} has no "${name}" under way:\n${simulation.story.join("\n")}`);
    return found;
  }
  const first = (op: Op): Message | undefined => simulation.mail.messages.find((candidate) => candidate.owner === op);
  function server(name: string): Server {
    const found = simulation.servers.find(({ storage }) => storage.name === name);
    if (!found) throw new Error(`no server ${name}`);
    return found;
  }
  const begin: Stage["begin"] = (kind, isolate, { key = 0, x = kind === "get" || kind === "after" ? 2 : 0 } = {}) => simulation.call({ kind, isolate, key, x });
  const apply: Stage["apply"] = (op, name) => simulation.handle("apply", message(op, name));
  const answer: Stage["answer"] = (op, name) => simulation.handle("answer", message(op, name));
  return {
    begin,
    apply,
    answer,
    async pass(op, ...names) {
      for (const name of names) {
        await apply(op, name);
        await answer(op, name);
      }
    },
    abandon: (op, name) => simulation.handle("abandon", message(op, name)),
    lose: (op, name) => simulation.handle("lose", message(op, name)),
    open: (op) => simulation.mail.messages.filter((candidate) => candidate.owner === op).map(({ verb, target }) => `${verb} ${target}`),
    advance: (ms) => simulation.advance(ms),
    kill: (op) => simulation.kill(op),
    rest: () => simulation.rest(),
    async ask(isolate, key = 0) {
      const op = await begin("get", isolate, { key });
      for (let next = first(op); next; next = first(op)) await simulation.handle(next.state === "applied" ? "answer" : "apply", next);
      const [given] = op.answers;
      return given ? `${given.stale ? "stale " : ""}v${given.version} from ${given.source ?? "somewhere"}` : "no answer";
    },
    holds: (name, key = 0) => describeSlot(server(name).standing(`cacheme:k${key}:`)?.bytes),
    loseGenerations: (name) => server(name).generations.clear(),
    stepBack: (name, ms) => server(name).stepBack(ms),
    showOld: () => void (old = true),
    clearLocal: (isolate) => simulation.isolates[isolate]?.clear(),
    verdict() {
      if (simulation.failure === undefined) simulation.judgeServers();
      return simulation.failure;
    },
  };
}
