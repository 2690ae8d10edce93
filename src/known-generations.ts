/**
 * What a storage's generations stood at when this isolate last asked: by it a local entry is trusted without another read. It
 * knows no storage; `remote-storage.ts` tells it what was read.
 *
 * Invariant: a name that was forgotten is trusted in no local entry until it is read again.
 *
 * @module
 */

/** Counts every change of what is remembered of generations, so that a local entry needs one comparison to be trusted. */
export interface Revision {
  value: number;
}

/** What the memory of all storages of a cache shares. */
export interface Remembering {
  readonly revision: Revision;
  /** Names whose generations each storage remembers. What is forgotten is not trusted in local entries, which costs a read. */
  readonly mostKnown: number;
}

/** No storage has it. */
const UNREAD = -1;

interface Known {
  number: number;
  /** Order of events in the isolate; a reply counts if its read was sent after this. */
  learnedAt: number;
}

/** The memory of one storage. */
export class KnownGenerations {
  private readonly host: Remembering;
  private readonly known = new Map<string, Known>();
  private forgot = false;
  /** Names that an entry was made under without their being known. */
  private readonly guessed = new Set<string>();
  private order = 0;

  constructor(host: Remembering) {
    this.host = host;
  }

  /** A moment in the order of events: taken before a read is sent, for what it learns. */
  moment(): number {
    return ++this.order;
  }

  /** A higher number replaces what is remembered, and so does any number that was asked for after the remembered one was learned. */
  learn(names: readonly string[], numbers: readonly (number | undefined)[], sentAt: number): void {
    const { host, known } = this;
    for (const [index, generation] of names.entries()) {
      const number = numbers[index];
      if (number === undefined) continue;
      const own = known.get(generation);
      if (own && number <= own.number && sentAt <= own.learnedAt) continue;
      // A name that is new here is of entries that are being made, or not trusted since it was forgotten, or that could not be asked about.
      if (own ? own.number !== number : this.guessed.delete(generation)) host.revision.value++;
      // In a full table the oldest goes first, and what is learned again is not old.
      if (known.size >= host.mostKnown) known.delete(generation);
      known.set(generation, { number, learnedAt: this.moment() });
    }
    for (const generation of known.keys()) {
      if (known.size <= host.mostKnown) break;
      known.delete(generation);
      this.forgot = true;
      host.revision.value++;
    }
  }

  /**
   * What may be captured of generations that could not be read: the numbers remembered. What is not remembered is captured as a
   * number that stands only until the name is read.
   */
  remembered(names: readonly string[]): readonly number[] {
    const { guessed, known, host } = this;
    return names.map((generation) => {
      const own = known.get(generation)?.number;
      if (own !== undefined) return own;
      if (guessed.size >= host.mostKnown) this.forgetGuesses();
      guessed.add(generation);
      return UNREAD;
    });
  }

  /** Entries made under them are not trusted any more. */
  private forgetGuesses(): void {
    this.guessed.clear();
    this.forgot = true;
    this.host.revision.value++;
  }

  /** Whether generations captured earlier are, as far as this isolate knows, the ones that stand. */
  stands(names: readonly string[], numbers: readonly number[]): boolean {
    // What was never read here, as after `registerStorage`, is taken on trust; what was forgotten is not.
    return names.every((generation, index) => (this.known.get(generation)?.number ?? (this.forgot ? undefined : numbers[index])) === numbers[index]);
  }
}
