/**
 * A flight on its way through the remote tiers of a chain, from left to right: one read a tier, and at once what was read is
 * remembered for the back-fill (the slot's stamp, the generations that stood). It decides whether what it found is an answer,
 * and hands over to `load.ts` when nothing was, to `settle.ts` when something was.
 *
 * Invariant: a tier whose read or `ensure` failed has no capture, and is not written by this flight.
 * Invariant: a storage that fails, times out or answers garbage is a miss, counted and reported, never an error.
 *
 * @module
 */

import { fullKeyOf } from "./binding.ts";
import type { Binding, Chain, LocalEntry, RemotePart } from "./binding.ts";
import { ageMs, freshLeftMs } from "./entry.ts";
import { decodeSlot } from "./envelope.ts";
import type { CacheError } from "./errors.ts";
import { Operation } from "./flight.ts";
import type { Call } from "./flight.ts";
import { keyDigest, storedKey } from "./key.ts";
import { load } from "./load.ts";
import type { ReadJob } from "./remote-storage.ts";
import type { Scope } from "./scope.ts";
import { admits, settleFound } from "./settle.ts";
import { stampOf } from "./stamp.ts";
import type { Slot } from "./storage.ts";

/** What a flight's own read of a tier saw. A storage without conditional writes has no stamp to speak of. */
export interface Capture {
  /** `null`: there was no slot; `undefined`: write unconditionally. */
  readonly stamp: Uint8Array | null | undefined;
  readonly numbers: readonly number[];
}

/** How a flight ended. */
export type Outcome = Found | Failure;

/** A value, and all that a tier needs to know of it. */
export interface Found {
  readonly ok: true;
  readonly value: unknown;
  /** The storage's name, or `"load"`. */
  readonly source: string;
  readonly loaded: boolean;
  /** Unix ms, just before the load began. */
  readonly createdAt: number;
  /** By the monotonic clock: when the load began, or the entry was read. A tier's own time counts from here. */
  readonly since: number;
  /** What is left of the entry in the tier that answered, in ms from `since`; `Infinity` after a load. */
  readonly leftMs: number;
  readonly costMs: number;
  readonly guarded: boolean;
}

/** The error that every waiter gets, unchanged. */
export interface Failure {
  readonly ok: false;
  readonly error: unknown;
  /** Whether the source was asked. */
  readonly loaded: boolean;
}

/** A loader that a caller brought along. */
export type OwnLoader = () => unknown;

const NONE: readonly undefined[] = [];

/** One load of one key, with the reads before and the writes after it. */
export class Flight extends Operation<Outcome> implements ReadJob {
  readonly binding: Binding;
  readonly chain: Chain;
  readonly key: string;
  readonly params: unknown;
  readonly fullKey: string;
  /** The view that asked, whose `flush` waits for the writes. */
  readonly scope: Scope;
  readonly loader: OwnLoader | undefined;
  readonly startedAt: number;
  /** Its place in the order in which flights began and were asked for. */
  readonly birth: number;
  /** The flight that took over from this one, for those who still wait for it. */
  heir: Flight | undefined = undefined;
  /** By the position of the remote tier; a tier whose read failed has none. */
  captures: readonly (Capture | undefined)[] = NONE;
  /** Older copies are no answer to this flight. */
  maxAgeMs: number | undefined = undefined;
  /** Cut off from storing: something newer came, or another leader took over. */
  fenced = false;
  /** `false` where the value is another operation's to store. */
  stores = true;
  /** When its writes were sent, by the monotonic clock; it can be joined for one storage budget after that. */
  sentAt: number | undefined = undefined;
  /** Writes that have not landed. */
  writing = 0;
  landed = false;
  /** Local copies this flight made. */
  filled: LocalEntry[] | undefined = undefined;
  onLanded: (() => void) | undefined = undefined;
  storedKey = "";
  private position = 0;

  constructor(call: Call, scope: Scope, binding: Binding, key: string, params: unknown, loader: OwnLoader | undefined) {
    super(call);
    this.binding = binding;
    this.chain = binding.chain;
    this.key = key;
    this.params = params;
    this.fullKey = fullKeyOf(binding, key);
    this.scope = scope;
    this.loader = loader;
    this.startedAt = binding.core.clock.monotonic();
    this.birth = ++binding.core.births;
  }

  get owner(): object {
    return this.call;
  }

  get env(): unknown {
    return this.scope.env;
  }

  get names(): readonly string[] {
    return this.part()?.names ?? [];
  }

  /** Whether it is still the one flight of its key. */
  get current(): boolean {
    return !this.fenced && this.binding.flights.get(this.key) === this;
  }

  /** Asks the next tier, or the source after the last. */
  next(): void {
    const part = this.part();
    if (!part) return load(this);
    const stored = storedKey(this.fullKey, part.storage.maxKeyBytes);
    if (typeof stored === "string") this.ask(part, stored);
    else
      stored.then(
        (short) => this.ask(part, short),
        () => this.miss(part),
      );
  }

  answered(slot: Slot | undefined, asRead: readonly (number | undefined)[], standing: readonly number[] | undefined, ms: number): void {
    const part = this.part();
    if (!part) return;
    part.counters.readTimeMs += ms;
    const answer = slot && this.decide(part, slot, asRead);
    if (standing) this.capture(part, slot, standing, answer !== undefined);
    if (answer) this.accept(part, answer);
    else this.miss(part);
  }

  failed(error: CacheError): void {
    const part = this.part();
    if (!part) return;
    if (error.code === "ERR_STORAGE_TIMEOUT") part.counters.timeoutCount++;
    else part.counters.errorCount++;
    this.binding.counters.errorCount++;
    this.miss(part);
  }

  private part(): RemotePart | undefined {
    return this.chain.remotes[this.position];
  }

  private ask(part: RemotePart, stored: string): void {
    this.storedKey = stored;
    part.storage.read(this);
  }

  private miss(part: RemotePart): void {
    part.counters.missCount++;
    this.position++;
    this.next();
  }

  /** Remembers what this flight's own read saw. The slot that answers is not written, so its stamp is not needed. */
  private capture(part: RemotePart, slot: Slot | undefined, numbers: readonly number[], answers: boolean): void {
    const stamp = part.storage.conditional ? (slot && !answers ? stampOf(slot.bytes) : null) : undefined;
    const capture = { stamp, numbers };
    this.captures = part.index === 0 ? [capture] : Object.assign([...this.captures], { [part.index]: capture });
  }

  /** What is in a slot, if it is an answer. */
  private decide(part: RemotePart, slot: Slot, asRead: readonly (number | undefined)[]): Answer | undefined {
    const { core, owner, spec } = this.binding;
    const decoded = decodeSlot(slot.bytes, owner, this.fullKey);
    if (decoded.kind === "foreign") core.reportMismatch(part.name, spec.name, decoded.node, this.key);
    if (decoded.kind === "corrupt") this.report(part, decoded.reason);
    if (decoded.kind !== "entry" || !isOfGenerations(decoded.generations, asRead)) return undefined;
    const now = core.clock.now();
    const { times, costMs, payload } = decoded;
    const leftMs = freshLeftMs(times, slot.remainingMs, now, part.ttlMs);
    if (leftMs <= 0 || (this.maxAgeMs !== undefined && ageMs(times.createdAt, now) > this.maxAgeMs)) return undefined;
    return { payload, createdAt: times.createdAt, leftMs, costMs };
  }

  private accept(part: RemotePart, answer: Answer): void {
    const { payload } = answer;
    if (payload === null || payload === undefined) return this.hit(part, payload, answer);
    const refused = (): void => {
      this.report(part, "the serializer refused it");
      this.miss(part);
    };
    let value: unknown;
    try {
      value = this.binding.spec.serializer.decode(payload);
    } catch {
      return refused();
    }
    if (value instanceof Promise) value.then((late) => this.hit(part, late, answer), refused);
    else this.hit(part, value, answer);
  }

  private report(part: RemotePart, reason: string): void {
    const { core, spec, counters } = this.binding;
    part.counters.errorCount++;
    counters.errorCount++;
    core.emitter.emit({ type: "entry-rejected", storage: part.name, node: spec.name, key: keyDigest(this.key), reason });
  }

  private hit(part: RemotePart, value: unknown, { createdAt, leftMs, costMs }: Answer): void {
    part.counters.hitCount++;
    const since = this.binding.core.clock.monotonic();
    const { guarded } = part.storage;
    settleFound(this, { ok: true, value, source: part.name, loaded: false, createdAt, since, leftMs, costMs, guarded }, admits(this));
  }
}

/** An entry that is fresh, of this key and of the generations that stand. */
interface Answer {
  readonly payload: Uint8Array | null | undefined;
  readonly createdAt: number;
  readonly leftMs: number;
  readonly costMs: number;
}

/** Whether an entry's generations are exactly those that stood when it was read. */
function isOfGenerations(own: readonly number[], asRead: readonly (number | undefined)[]): boolean {
  if (own.length !== asRead.length) return false;
  for (let i = 0; i < own.length; i++) if (own[i] !== asRead[i]) return false;
  return true;
}
