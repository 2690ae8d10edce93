/**
 * The mail of these simulations: messages belong to operations, which note what befell them, and everything is told for a story.
 *
 * @module
 */
import { Mail, type Message as AnyMessage } from "../../testing/mail.ts";
import { SOURCE_FAILED, TIMES } from "./judge.ts";
import { present } from "./plan.ts";
import type { Op } from "./world.ts";

/** A call on its way. */
export type Message = AnyMessage<Op>;

/** See the file's head. */
export class OpMail extends Mail<Op> {
  private readonly say: (line: string) => void;
  /** What came of a message, for a story. */
  private readonly tales = new WeakMap<Message, () => string>();

  constructor(clock: { now(): number }, say: (line: string) => void) {
    super({ now: () => clock.now(), isDead: (op) => op.dead, failureOf: errorOf });
    this.say = say;
  }

  /** Sends a call on behalf of the present operation. `tell` is for stories. */
  ask<T>(verb: string, target: string, signal: AbortSignal | undefined, apply: () => T, tell: (result: T) => string): Promise<T> {
    const op = present();
    const name = `${verb} ${target}`;
    op.calls.set(name, (op.calls.get(name) ?? 0) + 1);
    if (!op.dead) signal?.addEventListener("abort", () => void (op.troubled = true), { once: true });
    let tale = "";
    const answered = this.send<T>({
      owner: op,
      verb,
      target,
      signal,
      apply() {
        const result = apply();
        tale = tell(result);
        return result;
      },
    });
    const sent = this.messages.at(-1);
    if (!op.dead && sent) this.tales.set(sent, () => tale);
    return answered;
  }

  override apply(message: Message): void {
    const awaited = this.isAwaited(message);
    void super.apply(message);
    this.say(`${label(message)} applied${awaited ? "" : " (nobody waits)"} ${this.tales.get(message)?.() ?? ""}`);
  }

  override abandon(message: Message): void {
    this.say(`${label(message)} fails for its caller (and may still be applied)`);
    this.blame(message, true);
    super.abandon(message);
  }

  override lose(message: Message, told: boolean): void {
    this.say(`${label(message)} is lost`);
    this.blame(message, told);
    super.lose(message, told);
  }

  /** Loses, at a time, what is under way for longer than a call may be late. */
  expire(now: number): void {
    this.messages = this.messages.filter(
      ({ state, target, sentAt }) => state === "applied" || now - sentAt <= (target === "source" ? TIMES.hard : TIMES.lateness),
    );
  }

  /** Tells the judge: a read that failed may be sent once more. */
  private blame({ owner, verb, target }: Message, told: boolean): void {
    owner.troubled = true;
    if (told) owner.calls.set(`failed ${verb} ${target}`, 1);
  }
}

function label({ owner, verb, target }: Message): string {
  return `${owner.name}: ${verb}${target === "source" ? "" : ` ${target}`}`;
}

function errorOf({ target }: Message): Error {
  return new Error(target === "source" ? SOURCE_FAILED : "the network failed");
}
