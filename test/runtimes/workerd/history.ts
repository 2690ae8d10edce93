/**
 * The history of a run over versioned keys, and its checker: which versions a read may give, when invalidations, sets and
 * loads of several isolates race. It knows times of one process only, the one that sent the requests.
 *
 * @module
 */

/** A change that resolved: from then on nothing below `version` may be read. */
export interface Change {
  readonly isolate: number;
  readonly key: string;
  readonly version: number;
  readonly resolvedAt: number;
}

/** A read, and what it gave. */
export interface Read {
  readonly isolate: number;
  readonly key: string;
  readonly version: number;
  readonly startedAt: number;
  /**
   * `"tier"`: read remotely, or loaded, for this caller; `"local"`: by a local tier; `"joined"`: by a flight that began
   * earlier; `"unknown"`: by any of them.
   */
  readonly from: "tier" | "local" | "joined" | "unknown";
}

/** How old what another isolate changed may be. */
export interface Bounds {
  /** Life of a local copy, and one storage budget. */
  readonly localMs: number;
  /** Longest that a flight can be joined. */
  readonly joinedMs: number;
}

/** A read that gave something older than it may, and by how much. */
export interface Violation {
  readonly read: Read;
  readonly floor: Change;
  readonly rule: string;
  readonly lateByMs: number;
}

/** What a run recorded. */
export class History {
  readonly changes: Change[] = [];
  readonly reads: Read[] = [];

  /** The newest change of a key that had resolved by a moment. */
  private floor(read: Read, by: number, own: boolean): Change | undefined {
    let newest: Change | undefined;
    for (const change of this.changes) {
      if (change.key !== read.key || change.resolvedAt > by || (own && change.isolate !== read.isolate)) continue;
      if (!newest || change.version > newest.version) newest = change;
    }
    return newest;
  }

  private judge(read: Read, { localMs, joinedMs }: Bounds): Violation | undefined {
    const slackMs = { tier: 0, local: localMs, joined: joinedMs, unknown: Math.max(localMs, joinedMs) }[read.from];
    const rules = [
      { rule: "what this isolate changed itself", floor: this.floor(read, read.startedAt, true) },
      { rule: `what any isolate changed, ${slackMs} ms ago`, floor: this.floor(read, read.startedAt - slackMs, false) },
    ];
    for (const { rule, floor } of rules) {
      if (floor && read.version < floor.version) return { read, floor, rule, lateByMs: read.startedAt - floor.resolvedAt };
    }
    return undefined;
  }

  /** All reads that break the promise. */
  violations(bounds: Bounds): Violation[] {
    return this.reads.flatMap((read) => this.judge(read, bounds) ?? []);
  }

  /** How many reads gave something older than the newest change that had resolved: what the bounds were needed for. */
  staleReads(): number {
    return this.reads.filter((read) => read.version < (this.floor(read, read.startedAt, false)?.version ?? 0)).length;
  }
}
