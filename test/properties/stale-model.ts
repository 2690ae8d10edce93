/**
 * The windows of RFC 5861 as a model: one key, one isolate, a local tier or none, remote tiers or none, and another isolate
 * that changes the remote ones. It says for every read what must be answered, from where, under which label and when, and how
 * often the source is asked. It is written from the guarantees, shares no code with the core, and knows no promises: a tier is
 * a field, a load is a time at which something happens.
 *
 * @module
 */

/** What a schedule has chosen, in ms. */
export interface Rules {
  readonly localTtl: number | undefined;
  readonly remoteTtls: readonly number[];
  readonly whileRevalidate: number;
  readonly ifError: number;
  readonly soft: number | undefined;
  readonly hard: number;
}

/** How one load goes: how long it takes, and whether it fails. Longer than the hard timeout: it hangs. */
export interface LoadPlan {
  readonly ms: number;
  readonly fails: boolean;
}

/** What a reader is told. */
export interface Answer {
  /** The value, or `"error"`. */
  readonly value: string;
  readonly source: string;
  readonly state: string;
  readonly ageMs: number;
  readonly ttlMs: number;
}

interface Copy {
  readonly value: string;
  readonly source: string;
  readonly born: number;
  readonly freshEnd: number;
  readonly generation: number;
}

interface Slot {
  readonly id: number;
  /** `undefined`: a tombstone. */
  readonly copy: Copy | undefined;
  readonly end: number;
}

interface Waiter {
  readonly id: number;
  readonly maxAge: number | undefined;
  readonly led: boolean;
}

interface Flight {
  readonly began: number;
  readonly generation: number;
  readonly stamps: readonly (number | undefined)[];
  readonly maxAge: number | undefined;
  old: Copy | undefined;
  early: number | undefined;
  cut: boolean;
  waiters: Waiter[];
  softAt: number | undefined;
  endAt: number;
  readonly value: string | undefined;
}

/** How long a tombstone and every guarded slot is kept at least: `storeWithin` and a minute. */
const SHIELD_MS = 120_000;

/** A model of one key. */
export class Model {
  now = 0;
  /** Answers by the number of their read, in the order in which they were given. */
  readonly answers = new Map<number, Answer>();
  hits = 0;
  misses = 0;
  stale = 0;
  loads = 0;
  private readonly rules: Rules;
  private readonly plan: () => LoadPlan;
  private readonly keep: number;
  private local: Copy | undefined = undefined;
  private readonly slots: (Slot | undefined)[];
  private generation = 0;
  private flight: Flight | undefined = undefined;
  /** Also those that were cut off: they still answer those who waited for them. */
  private running: Flight[] = [];
  private lastSlot = 0;

  constructor(rules: Rules, plan: () => LoadPlan) {
    this.rules = rules;
    this.plan = plan;
    this.keep = Math.max(rules.whileRevalidate, rules.ifError);
    this.slots = rules.remoteTtls.map(() => undefined);
  }

  /** Some reads at the same moment, that differ in nothing. */
  read(ids: readonly number[], maxAge: number | undefined): void {
    const copy = this.local;
    if (copy && this.isYoung(copy, maxAge)) {
      if (copy.freshEnd > this.now) return ids.forEach((id) => this.hit(id, copy));
      if (copy.freshEnd + this.rules.whileRevalidate > this.now) {
        if (!this.flight) this.begin([], undefined);
        return ids.forEach((id) => this.hit(id, copy));
      }
    }
    this.arrive(ids.map((id) => ({ id, maxAge })));
  }

  /** Moves on, and lets happen what is due. */
  moveTo(at: number): void {
    for (;;) {
      const due = this.running.map(({ softAt = Infinity, endAt }) => Math.min(softAt, endAt));
      const next = Math.min(...due);
      if (!(next <= at)) break;
      this.now = next;
      const flight = this.running[due.indexOf(next)];
      if (flight?.softAt === next) {
        flight.softAt = undefined;
        this.serveEarly(flight, this.keep);
      } else if (flight) this.end(flight);
    }
    this.now = at;
  }

  /** This isolate makes the key absent, or all keys of the node. */
  invalidate(whole: boolean): void {
    this.cut();
    if (whole) this.generation++;
    else this.bury();
  }

  set(value: string): void {
    this.cut();
    this.write(value);
    const { localTtl } = this.rules;
    if (localTtl !== undefined) this.local = this.copy(value, "local", localTtl);
  }

  /** Another isolate does it: this one learns of it only by reading. */
  invalidateElsewhere(whole: boolean): void {
    if (whole) this.generation++;
    else this.bury();
  }

  setElsewhere(value: string): void {
    this.write(value);
  }

  /** Joins the flight, or begins one that the first of them leads. */
  private arrive(asking: readonly Pick<Waiter, "id" | "maxAge">[]): void {
    const { flight } = this;
    const [first] = asking;
    if (!first) return;
    if (!flight) {
      return this.begin(
        asking.map((one, index) => ({ ...one, led: index === 0 })),
        first.maxAge,
      );
    }
    for (const { id, maxAge } of asking) {
      const old = flight.early === undefined ? undefined : this.servable(flight, flight.early, maxAge);
      if (old) this.hit(id, old);
      else flight.waiters.push({ id, maxAge, led: false });
    }
  }

  /** Answers those for whom a copy is young enough; the others ask again, all at once. */
  private answerWith(copy: Copy, waiters: readonly Waiter[]): void {
    const again: Waiter[] = [];
    for (const waiter of waiters) {
      if (waiter.led || this.isYoung(copy, waiter.maxAge)) this.hit(waiter.id, copy);
      else again.push(waiter);
    }
    this.arrive(again);
  }

  private begin(waiters: Waiter[], maxAge: number | undefined): void {
    // The generation is read beside the first slot, and known from then on.
    if (this.rules.remoteTtls.length > 0 && this.local?.generation !== this.generation) this.local = undefined;
    let old = this.local && this.local.freshEnd + this.keep > this.now ? this.local : undefined;
    let distrusted = false;
    const stamps: (number | undefined)[] = [];
    for (const [index, ttl] of this.rules.remoteTtls.entries()) {
      const slot = this.standing(index);
      stamps.push(slot?.id);
      if (!slot) continue;
      if (!slot.copy || slot.copy.generation !== this.generation) {
        this.local = undefined;
        old = undefined;
        distrusted = true;
        continue;
      }
      const copy = { ...slot.copy, source: `remote${index}` };
      if (copy.freshEnd + this.keep <= this.now || !this.isYoung(copy, maxAge)) continue;
      if (copy.freshEnd > this.now) {
        this.backFill(copy, index, Math.min(ttl, copy.freshEnd - this.now), stamps);
        return this.answerWith(copy, waiters);
      }
      if (!distrusted && (!old || !this.isYoung(old, maxAge) || this.isBetter(copy, old))) old = copy;
    }
    const { ms, fails } = this.plan();
    const number = ++this.loads;
    const hangs = ms >= this.rules.hard;
    const flight: Flight = {
      began: this.now,
      generation: this.generation,
      stamps,
      maxAge,
      old,
      early: undefined,
      cut: false,
      waiters,
      softAt: this.rules.soft === undefined || !old ? undefined : this.now + this.rules.soft,
      endAt: this.now + Math.min(ms, this.rules.hard),
      value: hangs || fails ? undefined : `load ${number}`,
    };
    this.flight = flight;
    this.running.push(flight);
    this.serveEarly(flight, this.rules.whileRevalidate);
  }

  private serveEarly(flight: Flight, window: number): void {
    if (flight.early !== undefined) return;
    const old = this.servable(flight, window, flight.maxAge);
    if (!old) return;
    flight.early = window;
    flight.softAt = undefined;
    const { waiters } = flight;
    flight.waiters = [];
    for (const waiter of waiters) {
      if (this.isYoung(old, waiter.maxAge)) this.hit(waiter.id, old);
      else flight.waiters.push(waiter);
    }
  }

  private end(flight: Flight): void {
    this.running = this.running.filter((other) => other !== flight);
    if (this.flight === flight) this.flight = undefined;
    const { value, waiters } = flight;
    if (value === undefined) {
      const old = this.servable(flight, this.keep, flight.maxAge);
      if (old) return this.answerWith(old, waiters);
      for (const { id } of waiters) this.answer(id, { value: "error", source: "", state: "", ageMs: 0, ttlMs: 0 }, false);
      return;
    }
    const { localTtl, remoteTtls } = this.rules;
    const ttl = localTtl ?? remoteTtls[0] ?? 0;
    const ttlMs = Math.max(0, flight.began + ttl - this.now);
    for (const { id } of waiters) this.answer(id, { value, source: "load", state: "fresh", ageMs: this.now - flight.began, ttlMs }, false);
    if (flight.cut) return;
    const { generation, began } = flight;
    const made = { value, source: "local", born: began, freshEnd: began + (localTtl ?? 0), generation };
    this.local = localTtl === undefined || made.freshEnd <= this.now ? undefined : made;
    for (const [index, remoteTtl] of remoteTtls.entries()) {
      const own = { ...made, source: `remote${index}`, freshEnd: this.now + remoteTtl };
      if (!this.writeIf(index, flight.stamps[index], own)) this.local = undefined;
    }
  }

  /** An old copy that may be handed out: in its window, young enough, and not cut off. */
  private servable(flight: Flight, window: number, maxAge: number | undefined): Copy | undefined {
    const { old } = flight;
    if (!old || flight.cut || old.freshEnd + window <= this.now || !this.isYoung(old, maxAge)) return undefined;
    return old;
  }

  private backFill(copy: Copy, from: number, left: number, stamps: readonly (number | undefined)[]): void {
    const { localTtl, remoteTtls } = this.rules;
    if (localTtl !== undefined) this.local = { ...copy, source: "local", freshEnd: this.now + Math.min(localTtl, left) };
    for (const [index, ttl] of remoteTtls.entries()) {
      if (index < from) this.writeIf(index, stamps[index], { ...copy, freshEnd: this.now + Math.min(ttl, left) });
    }
  }

  private writeIf(index: number, stamp: number | undefined, copy: Copy): boolean {
    if (this.standing(index)?.id !== stamp) return false;
    this.slots[index] = { id: ++this.lastSlot, copy, end: Math.max(copy.freshEnd + this.keep, this.now + SHIELD_MS) };
    return true;
  }

  private write(value: string): void {
    for (const [index, ttl] of this.rules.remoteTtls.entries()) this.writeIf(index, this.standing(index)?.id, this.copy(value, `remote${index}`, ttl));
  }

  private bury(): void {
    for (const index of this.slots.keys()) this.slots[index] = { id: ++this.lastSlot, copy: undefined, end: this.now + SHIELD_MS };
  }

  private cut(): void {
    if (this.flight) this.flight.cut = true;
    this.flight = undefined;
    this.local = undefined;
  }

  private copy(value: string, source: string, ttl: number): Copy {
    return { value, source, born: this.now, freshEnd: this.now + ttl, generation: this.generation };
  }

  private standing(index: number): Slot | undefined {
    const slot = this.slots[index];
    return slot && slot.end > this.now ? slot : undefined;
  }

  private isYoung({ born }: Copy, maxAge: number | undefined): boolean {
    return maxAge === undefined || this.now - born <= maxAge;
  }

  private isBetter(copy: Copy, other: Copy): boolean {
    if (other.freshEnd > this.now) return false;
    return copy.born > other.born || (copy.born === other.born && copy.freshEnd > other.freshEnd);
  }

  private hit(id: number, { value, source, born, freshEnd }: Copy): void {
    const left = freshEnd - this.now;
    if (left <= 0) this.stale++;
    this.answer(id, { value, source, state: left > 0 ? "fresh" : "stale", ageMs: this.now - born, ttlMs: Math.max(0, left) }, true);
  }

  private answer(id: number, answer: Answer, isHit: boolean): void {
    if (isHit) this.hits++;
    else this.misses++;
    this.answers.set(id, answer);
  }
}
