/**
 * The messages of a simulation, between isolates, servers and the source. A message is *sent*, *applied* where it goes, and
 * *answered*; when each happens is for the scheduler to say. A message can be applied though nobody waits for it any more,
 * and the answers to a killed request are never given.
 *
 * @module
 */
import { SOURCE_FAILED, TIMES } from "./judge.ts";
import { present } from "./plan.ts";
import type { Op } from "./world.ts";

/** A call on its way. */
export interface Message {
  readonly op: Op;
  readonly verb: string;
  readonly target: string;
  readonly sentAt: number;
  readonly signal: AbortSignal | undefined;
  state: "sent" | "applied" | "abandoned";
  /** Takes effect at the server. */
  apply(): void;
  /** What came of it, for a story. */
  describe(): string;
  answer(): void;
  refuse(error: Error): void;
}

/** Whether somebody waits for the answer. */
export function isAwaited({ state, op, signal }: Message): boolean {
  return state !== "abandoned" && !op.dead && signal?.aborted !== true;
}

/** See the file's head. */
export class Mail {
  /** Those under way, oldest first. */
  messages: readonly Message[] = [];
  private readonly clock: { now(): number };
  private readonly say: (line: string) => void;

  constructor(clock: { now(): number }, say: (line: string) => void) {
    this.clock = clock;
    this.say = say;
  }

  /** Sends a call on behalf of the present operation. `tell` is for stories. */
  send<T>(verb: string, target: string, signal: AbortSignal | undefined, apply: () => T, tell: (result: T) => string): Promise<T> {
    const op = present();
    const name = `${verb} ${target}`;
    op.calls.set(name, (op.calls.get(name) ?? 0) + 1);
    if (op.dead) return new Promise(() => undefined);
    signal?.addEventListener("abort", () => void (op.troubled = true), { once: true });
    return new Promise((resolve, reject) => {
      let result: { readonly value: T } | undefined;
      const message: Message = {
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
      };
      this.messages = [...this.messages, message];
    });
  }

  /** The server does what it was asked to. */
  apply(message: Message): void {
    message.apply();
    const awaited = isAwaited(message);
    this.say(`${label(message)} applied${awaited ? "" : " (nobody waits)"} ${message.describe()}`);
    if (awaited) message.state = "applied";
    else this.drop(message);
  }

  /** The caller gets its answer. */
  answer(message: Message): void {
    this.drop(message);
    message.answer();
  }

  /** The caller gets an error, and what it asked for may still happen. */
  abandon(message: Message): void {
    this.say(`${label(message)} fails for its caller (and may still be applied)`);
    if (message.state === "sent") message.state = "abandoned";
    else this.drop(message);
    message.op.troubled = true;
    refuse(message);
  }

  /** It never arrives; the caller is told so, or is not. */
  lose(message: Message, told: boolean): void {
    this.say(`${label(message)} is lost`);
    this.drop(message);
    message.op.troubled = true;
    if (told) refuse(message);
  }

  /** Loses, at a time, what is under way for longer than a call may be late. */
  expire(now: number): void {
    this.messages = this.messages.filter(
      ({ state, target, sentAt }) => state === "applied" || now - sentAt <= (target === "source" ? TIMES.hard : TIMES.lateness),
    );
  }

  /** The answers that a killed request will not get. */
  dropAnswersTo(op: Op): void {
    this.messages = this.messages.filter((message) => message.op !== op || message.state !== "applied");
  }

  private drop(message: Message): void {
    this.messages = this.messages.filter((other) => other !== message);
  }
}

/** Tells the caller, and the judge: a read that failed may be sent once more. */
function refuse(message: Message): void {
  message.op.calls.set(`failed ${message.verb} ${message.target}`, 1);
  message.refuse(errorOf(message));
}

function label({ op, verb, target }: Message): string {
  return `${op.name}: ${verb}${target === "source" ? "" : ` ${target}`}`;
}

function errorOf({ target }: Message): Error {
  return new Error(target === "source" ? SOURCE_FAILED : "the network failed");
}
