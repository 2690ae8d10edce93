/**
 * Carries out a plan: some clients take its operations one after the other, and write down what they asked, when, and what
 * came of it.
 *
 * @module
 */
import type { Act, Rules, Way } from "./checker.ts";
import type { Answer, Worker } from "./lab.ts";
import { nameOf, type Step } from "./plan.ts";
import type { Sight, Versioned } from "./protocol.ts";
import type { Source } from "./source.ts";

const CLIENTS = 32;

/** A run, and the history it makes. */
export class Run {
  readonly acts: Act[] = [];
  /** What should not have happened at all. */
  readonly failures: string[] = [];
  private readonly source: Source;
  private readonly workers: readonly [Worker, Worker];
  private readonly turns = new Map<string, Promise<void>>();
  private readonly landings: Promise<void>[] = [];

  constructor(source: Source, workers: readonly [Worker, Worker]) {
    this.source = source;
    this.workers = workers;
  }

  /** Carries out steps in their order, several at once; resolves when all have ended and their writes have landed. */
  async through(steps: readonly Step[]): Promise<void> {
    const left = steps.values();
    const client = async (): Promise<void> => {
      for (const step of left) await (step.inTurn ? this.inTurn(step) : this.one(step));
    };
    await Promise.all(Array.from({ length: CLIENTS }, client));
    await Promise.all(this.landings.splice(0));
  }

  /** What the checker has to know of this run. */
  rules(localTtlMs: number): Rules {
    return { localTtlMs: (name) => (name.startsWith("near:") ? localTtlMs : 0), askedBy: (from) => this.source.askedBy.get(from) };
  }

  /** Waits for the changes of the same key that were begun before. */
  private inTurn(step: Step): Promise<void> {
    const name = step.places.map(nameOf).join();
    const mine = (this.turns.get(name) ?? Promise.resolve()).then(() => this.one(step));
    this.turns.set(name, mine);
    return mine;
  }

  private async one({ id, worker, op, places, loadMs, commits }: Step): Promise<void> {
    const names = places.map(nameOf);
    const startAt = performance.now();
    if (commits) for (const name of new Set(names)) this.source.commit(name);
    const standing = names.map((name) => this.source.version(name));
    const value = op === "set" ? { name: names[0] ?? "", version: standing[0] ?? 0, from: `set ${id}` } : undefined;
    let answer: Answer;
    try {
      answer = await this.workers[worker].send({ id, op, places, loadMs, value });
    } catch (error) {
      this.failures.push(String(error));
      return;
    }
    const { error, sights } = answer.reply;
    // A store that failed is no fault of the protocol; a change that says so has promised nothing.
    const rejected = error?.code === "ERR_STORAGE_WRITE" && ["set", "invalidate", "refresh"].includes(op);
    if (error && !rejected) this.failures.push(`${op}#${id}: ${error.text}`);
    const acts = names.map((name, index): Act => {
      const sight = sights[index];
      if (sight && sight.value.name !== name) this.failures.push(`${op}#${id} asked for ${name} and got ${JSON.stringify(sight)}`);
      const common = { id, worker, name, op, startAt, endAt: answer.at, landedAt: Number.POSITIVE_INFINITY };
      if (error) return { ...common, ...(value ? { value } : {}), rejected: true };
      return { ...common, ...seen(op, sight, value, standing[index] ?? 0) };
    });
    this.acts.push(...acts);
    this.landings.push(
      answer.landedAt.then((at) => {
        for (const act of acts) act.landedAt = at;
      }),
    );
  }
}

/** What an operation that was done saw of a key, and what it promises of it. */
function seen(op: Step["op"], sight: Sight | undefined, value: Versioned | undefined, standing: number): Pick<Act, "value" | "way" | "floor" | "least"> {
  if (op === "invalidate") return { floor: standing };
  if (op === "set") return { value, floor: standing };
  if (op === "refresh") return { value: sight?.value, floor: sight?.value.version, least: standing };
  return { value: sight?.value, way: sight && wayOf(sight) };
}

function wayOf({ source, collapsed }: Sight): Way {
  if (source === undefined) return "untold";
  if (collapsed) return "joined";
  if (source === "local" || source === "remote" || source === "load") return source;
  throw new Error(`a value from nowhere: ${source}`);
}
