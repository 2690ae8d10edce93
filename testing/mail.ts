/**
 * The messages of a simulation, between isolates, servers and the source. A message is *sent*, *applied* where it goes, and
 * *answered*; when each happens is for a scheduler to say. A message can be applied though nobody waits for it any more, and the
 * answers to somebody dead are never given.
 *
 * @module
 */

/** A call on its way. */
export interface Message<Owner> {
  /** On whose behalf it was sent. */
  readonly owner: Owner;
  readonly verb: string;
  readonly target: string;
  readonly sentAt: number;
  readonly signal: AbortSignal | undefined;
  state: "sent" | "applied" | "abandoned";
  /** Takes effect where it goes; settles once it has. */
  apply(): Promise<void> | void;
  answer(): void;
  refuse(error: Error): void;
}

/** What is sent: the call, and what it does where it arrives. */
export interface Letter<Owner, Result> {
  readonly owner: Owner;
  readonly verb: string;
  readonly target: string;
  readonly signal?: AbortSignal | undefined;
  readonly apply: () => Result;
}

/** What the mail has to know of its simulation. */
export interface MailHost<Owner> {
  now(): number;
  isDead(owner: Owner): boolean;
  /** What the sender is told of a message that failed. */
  failureOf(message: Message<Owner>): Error;
}

/** See the file's head. */
export class Mail<Owner> {
  /** Those under way, oldest first. */
  messages: readonly Message<Owner>[] = [];
  private readonly host: MailHost<Owner>;

  constructor(host: MailHost<Owner>) {
    this.host = host;
  }

  /** Sends a call; its promise settles when the message is answered or refused, if ever. */
  send<Result>({ owner, verb, target, signal, apply }: Letter<Owner, Result | Promise<Result>>): Promise<Result> {
    if (this.host.isDead(owner)) return new Promise(() => undefined);
    return new Promise((resolve, reject) => {
      let outcome: { readonly value: Result | Promise<Result> } | undefined;
      const message: Message<Owner> = {
        owner,
        verb,
        target,
        sentAt: this.host.now(),
        signal,
        state: "sent",
        apply() {
          const value = apply();
          outcome = { value };
          return value instanceof Promise ? value.then(nothing, nothing) : undefined;
        },
        answer: () => outcome && resolve(outcome.value),
        refuse: reject,
      };
      this.messages = [...this.messages, message];
    });
  }

  /** Whether somebody waits for the answer. */
  isAwaited({ state, owner, signal }: Message<Owner>): boolean {
    return state !== "abandoned" && !this.host.isDead(owner) && signal?.aborted !== true;
  }

  /** It does where it goes what it is for. */
  apply(message: Message<Owner>): Promise<void> | void {
    const awaited = this.isAwaited(message);
    const applied = message.apply();
    if (awaited) message.state = "applied";
    else this.drop(message);
    return applied;
  }

  /** The sender gets the answer. */
  answer(message: Message<Owner>): void {
    this.drop(message);
    message.answer();
  }

  /** The sender gets an error, and what it asked for may still happen. */
  abandon(message: Message<Owner>): void {
    if (message.state === "sent") message.state = "abandoned";
    else this.drop(message);
    message.refuse(this.host.failureOf(message));
  }

  /** It never arrives; the sender is told so, or is not. */
  lose(message: Message<Owner>, told: boolean): void {
    this.drop(message);
    if (told) message.refuse(this.host.failureOf(message));
  }

  /** The answers that somebody dead will not get. */
  dropAnswersTo(owner: Owner): void {
    this.messages = this.messages.filter((message) => message.owner !== owner || message.state !== "applied");
  }

  private drop(message: Message<Owner>): void {
    this.messages = this.messages.filter((other) => other !== message);
  }
}

/** A failure is the sender's to see, when the message is answered. */
function nothing(): void {
  return undefined;
}
