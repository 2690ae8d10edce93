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

import { fullKeyOf, namesIn } from "./binding.ts";
import type { Binding, Chain, LocalEntry, RemotePart } from "./binding.ts";
import { vacant } from "./capture.ts";
import type { Capture } from "./capture.ts";
import { protect } from "./clone.ts";
import { decodeValue } from "./decode.ts";
import { serveWhileLoading } from "./early.ts";
import { isTombstone } from "./envelope.ts";
import type { CacheError } from "./errors.ts";
import { Operation } from "./flight.ts";
import type { Call, OwnLoader } from "./flight.ts";
import { foundInCopy, isBetter } from "./found.ts";
import type { Found, OldCopy, Outcome } from "./found.ts";
import { keyDigest, storedKey } from "./key.ts";
import { finishLoad, load } from "./load.ts";
import type { Loaded, LoadWaiter } from "./execution.ts";
import { passingEntry } from "./local-entry.ts";
import type { Unread } from "./local-entry.ts";
import { isYoung, stillStands } from "./local-probe.ts";
import type { ReadJob } from "./remote-storage.ts";
import type { Scope } from "./scope.ts";
import { admits, reportHook, settleFound } from "./settle.ts";
import { answerIn } from "./slot.ts";
import type { Answer } from "./slot.ts";
import { stampOf } from "./stamp.ts";
import type { Slot } from "./storage.ts";

const NONE: readonly undefined[] = [];

/** One load of one key, with the reads before and the writes after it. */
export class Flight extends Operation<Outcome> implements ReadJob, LoadWaiter {
  readonly binding: Binding;
  readonly chain: Chain;
  readonly key: string;
  readonly params: unknown;
  readonly fullKey: string;
  /** The view that asked, whose `flush` waits for the writes. */
  readonly scope: Scope;
  readonly loader: OwnLoader | undefined;
  readonly startedAt: number;
  /** From when on it may be late, by the monotonic clock: its beginning, or that of its load where that had to wait for its turn. */
  agesFrom: number;
  /** Its place in the order in which flights and loads began; while it shares the load of a refresh, that load's place. */
  birth: number;
  /** The epoch at which it began. */
  readonly epoch: number;
  /** The generations of its key: of the node, and of tags. */
  groups: readonly string[];
  /** The flight that took over from this one, for those who still wait for it. */
  heir: Flight | undefined = undefined;
  /** By the position of the remote tier; a tier whose read failed has none. */
  captures: readonly (Capture | undefined)[] = NONE;
  /** The same for tiers without a capture: the generations that this isolate remembers. */
  unread: Unread = NONE;
  /** Older copies are no answer to this flight. */
  maxAgeMs: number | undefined = undefined;
  /** Nor are loads that began no later than this. */
  bornAfter = 0;
  /** Nobody asked for it but a copy that is about to end, or has ended. */
  background = false;
  /** What chance said about renewing early, once it was asked. */
  drawn: number | undefined = undefined;
  /** The best copy that may answer while the source is asked, or in its place. */
  old: OldCopy | undefined = undefined;
  /** The copy that the loader was offered. */
  offered: LocalEntry | undefined = undefined;
  /** What those wait for who came after the flight had answered with an old copy. */
  final: Operation<Outcome> | undefined = undefined;
  /** How long past its life a copy may be to be that early answer. */
  earlyWindowMs = 0;
  softTimer: unknown = undefined;
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
  /** It met a tombstone or another generation: an old copy is no answer any more. */
  private distrusts = false;
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
    this.startedAt = binding.core.turnTime();
    this.agesFrom = this.startedAt;
    this.birth = ++binding.core.births;
    this.epoch = binding.core.epochs.now;
    this.groups = binding.groups;
  }

  get owner(): object {
    return this.call;
  }

  get view(): object {
    return this.scope;
  }

  get env(): unknown {
    return this.scope.env;
  }

  get names(): readonly string[] {
    const part = this.part();
    return part ? namesIn(part, this.groups) : this.groups;
  }

  /** Whether its node or one of its tags was invalidated since it began. */
  get outlived(): boolean {
    return this.binding.core.epochs.outlived(this.groups, this.epoch);
  }

  /** Whether it is still the one flight of its key. */
  get current(): boolean {
    return !this.fenced && this.binding.flights.get(this.key) === this && !this.outlived;
  }

  /** Those who wait get this, while the flight goes on for those who come later. Only where it can outlive the answer. */
  answerEarly(found: Found, windowMs: number): void {
    if (this.final || this.result || !this.call.lasts) return;
    this.final = new Operation<Outcome>(this.call);
    this.earlyWindowMs = windowMs;
    super.settle(found);
  }

  override settle(outcome: Outcome): void {
    if (this.softTimer !== undefined) this.binding.core.clock.clearTimeout(this.softTimer);
    if (this.final) this.final.settle(outcome);
    else super.settle(outcome);
  }

  /** Asks the next tier, or the source after the last. */
  next(): void {
    const part = this.part();
    if (!part) {
      serveWhileLoading(this);
      return load(this);
    }
    const stored = storedKey(this.fullKey, part.storage.maxKeyBytes);
    if (typeof stored === "string") this.ask(part, stored);
    else
      stored.then(
        (short) => this.ask(part, short),
        () => this.miss(part),
      );
  }

  glimpsed(slot: Slot | undefined): void {
    if (slot && isTombstone(slot.bytes)) this.distrust();
  }

  answered(slot: Slot | undefined, asRead: readonly (number | undefined)[], standing: readonly number[] | undefined, ms: number): void {
    const part = this.part();
    if (!part) return;
    part.counters.readTimeMs += ms;
    const answer = slot && answerIn(slot, this, part, asRead);
    if (standing) this.capture(part, slot, standing, answer?.use === "answer");
    else this.remember(part);
    if (slot && answer) this.accept(part, slot, answer);
    else this.miss(part);
  }

  loaded(loaded: Loaded): void {
    finishLoad(this, loaded);
  }

  failed(error: CacheError): void {
    const part = this.part();
    if (!part) return;
    if (error.code === "ERR_STORAGE_TIMEOUT") part.counters.timeoutCount++;
    else part.counters.errorCount++;
    this.binding.counters.errorCount++;
    this.remember(part);
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
    if (part.index > 0) this.recapture(part, { stamp, numbers });
    else this.captures = stamp === null ? vacant(this.binding, numbers) : [{ stamp, numbers }];
  }

  /** Without a capture a tier is not written; local copies go by what was known before the load began. */
  private remember(part: RemotePart): void {
    this.unread = Object.assign([...this.unread], { [part.index]: part.storage.remembered(namesIn(part, this.groups)) });
  }

  private recapture(part: RemotePart, seen: Capture): void {
    this.captures = Object.assign([...this.captures], { [part.index]: seen });
  }

  /** A slot that was to answer is no answer, so it is to be written after all. */
  private refuse(part: RemotePart, slot: Slot, reason: string): void {
    const seen = this.captures[part.index];
    if (seen?.stamp === null) this.recapture(part, { stamp: stampOf(slot.bytes), numbers: seen.numbers });
    this.report(part, reason);
    this.miss(part);
  }

  /** Local copies go as well: they would be served again, once they are stale, to those who never come to a flight. */
  distrust(): void {
    this.distrusts = true;
    this.old = undefined;
    // Those of a newer `set` or `refresh` are none of its business.
    if (this.current) for (const { space } of this.chain.locals) space.delete(this.key);
  }

  private accept(part: RemotePart, slot: Slot, answer: Answer): void {
    decodeValue(this.binding.spec, answer.payload, {
      served: (value) => this.use(part, value, answer),
      refused: (reason) => this.refuse(part, slot, reason),
      threw: () => {
        this.stores = false;
        reportHook(this);
        this.miss(part);
      },
    });
  }

  /** What is past its life, or due for renewal, is kept while the flight goes on. */
  private use(part: RemotePart, value: unknown, answer: Answer): void {
    if (answer.use === "answer") return this.hit(part, value, answer);
    const now = this.binding.core.clock.monotonic();
    const copy = this.copyOf(part, value, answer, now);
    if (copy && isBetter(copy.entry, this.rival(), now)) this.old = copy;
    if (answer.use === "old") return this.miss(part);
    if (!copy) return this.hit(part, value, answer);
    part.counters.hitCount++;
    this.answerEarly(foundInCopy(copy, now), this.binding.spec.freshness.keepMs);
    this.position++;
    this.next();
  }

  /** What an old copy has to be better than: the one that is held, if that may be an answer at all. */
  private rival(): LocalEntry | undefined {
    const entry = this.old?.entry;
    return entry && stillStands(this.binding, entry) && isYoung(this.binding, entry, this.maxAgeMs) ? entry : undefined;
  }

  private copyOf(part: RemotePart, value: unknown, { createdAt, leftMs }: Answer, now: number): OldCopy | undefined {
    // Without a capture the generations beside it are not known to stand.
    if (this.distrusts || !this.captures[part.index]) return undefined;
    let own: unknown;
    try {
      own = protect(value, this.binding.spec.clone);
    } catch {
      return undefined;
    }
    const { epoch, groups, captures, unread } = this;
    const copy = { value: own, createdAt, until: now + leftMs, guarded: part.storage.guarded };
    return { entry: passingEntry(copy, captures, unread, epoch, groups), source: part.name };
  }

  report(part: RemotePart, reason: string): void {
    const { core, spec, counters } = this.binding;
    part.counters.errorCount++;
    counters.errorCount++;
    core.emitter.emit({ type: "entry-rejected", storage: part.name, node: spec.name, key: keyDigest(this.key), reason });
  }

  private hit(part: RemotePart, value: unknown, { createdAt, leftMs, costMs }: Answer): void {
    part.counters.hitCount++;
    const since = this.binding.core.clock.monotonic();
    const { guarded } = part.storage;
    settleFound(this, { ok: true, value, source: part.name, loaded: false, stale: false, createdAt, since, leftMs, costMs, guarded }, admits(this), since);
  }
}
