/**
 * The history of a run, and what it may not hold: a read of a value older than what a change that had resolved before the
 * read began has put in its place. All times are by one clock, that of the process which sent the operations and was the
 * source, so a slow machine makes intervals longer and never makes one wrong.
 *
 * What another Worker changed may still be seen in two ways, and only by what was under way when the change resolved. A
 * local copy lives for its ttl from the moment at which somebody in its Worker got the value; a flight can be joined until
 * its writes have landed. So every value that is too old must have been got, in the same Worker, by an act that had begun
 * before the change resolved. What a Worker changed itself, it never sees again.
 *
 * @module
 */

/** How a reader came by its value. `"untold"`: the call does not say. */
export type Way = "local" | "remote" | "load" | "joined" | "untold";

/** A value of the source: which version, and which load or `set` brought it in. */
export interface Value {
  readonly version: number;
  readonly from: string;
}

/** What one operation did to one key. Times are in ms. */
export interface Act {
  /** Of the operation: acts of one `getAll` share it. */
  readonly id: number;
  readonly worker: number;
  /** The key, with its node. */
  readonly name: string;
  readonly op: string;
  /** Before it was sent. */
  readonly startAt: number;
  /** When its answer came in. */
  readonly endAt: number;
  /** When its writes had landed; `Infinity` while they have not. */
  landedAt: number;
  /** What a reader or a `refresh` got, and what a `set` brought. */
  readonly value?: Value | undefined;
  /** Of a reader. */
  readonly way?: Way | undefined;
  /** Since it resolved, nothing below this version may be read. Left out for what only read, and for what was rejected. */
  readonly floor?: number | undefined;
  /** What a refresh must give at least: it never joins a load that began before it. */
  readonly least?: number | undefined;
  /** A `set` that was rejected may have reached the store, or may still do so. */
  readonly rejected?: boolean | undefined;
}

/** What the checker knows besides the acts. */
export interface Rules {
  /** Life of a local copy of a key in ms; 0 where there is none. */
  localTtlMs(name: string): number;
  /** The operation that asked the source for a value; `undefined` for a value that no load gave. */
  askedBy(from: string): number | undefined;
}

/** A read that must not have been. */
export interface Violation {
  readonly read: Act;
  /** What had been changed; left out where the read is wrong by itself. */
  readonly change?: Act;
  readonly rule: string;
}

/** How many reads gave something too old as it is allowed, by the reason. */
export type Excused = Record<"a set raced" | "a local copy" | "a flight that was joined" | "a refresh whose load was shared", number>;

/** What a check came to. */
export interface Verdict {
  readonly violations: readonly Violation[];
  readonly excused: Excused;
}

/** The clocks of the Workers count whole milliseconds. */
const TICK_MS = 2;

/** Judges all reads of a history, which has to be complete: what has not been answered may be what excuses a read. */
export function check(acts: readonly Act[], rules: Rules): Verdict {
  const excused: Excused = { "a set raced": 0, "a local copy": 0, "a flight that was joined": 0, "a refresh whose load was shared": 0 };
  const violations: Violation[] = [];
  for (const [name, own] of Map.groupBy(acts, (act) => act.name)) {
    const judge = judgeOf(own, rules, rules.localTtlMs(name));
    for (const read of own) {
      // Others brought a value and did not read one.
      if (read.way === undefined && read.least === undefined) continue;
      const verdict = judge(read);
      if (verdict === undefined) continue;
      if (typeof verdict === "string") excused[verdict]++;
      else violations.push(verdict);
    }
  }
  return { violations, excused };
}

type Excuse = keyof Excused;

/** The acts of one key, prepared for many questions. */
function judgeOf(acts: readonly Act[], rules: Rules, localTtlMs: number): (read: Act) => Violation | Excuse | undefined {
  const changes = acts.filter(({ floor }) => floor !== undefined).sort((one, other) => one.endAt - other.endAt);
  const byValue = Map.groupBy(
    acts.filter(({ value }) => value !== undefined),
    ({ value }) => value?.from ?? "",
  );
  const refreshes = acts.filter(({ op }) => op === "refresh");
  const sets = new Map(acts.flatMap((act) => (act.op === "set" && act.value ? [[act.value.from, act] as const] : [])));

  /** A `set` carries no order: while it runs, whichever of it and another change reaches the store later wins. */
  function raced(value: Value, change: Act): boolean {
    const set = sets.get(value.from);
    return set !== undefined && (set.rejected === true || set.endAt > change.startAt);
  }
  /** The changes that had resolved and that a read has not seen, the first to resolve first. */
  function missedBy({ startAt }: Act, { version }: Value): Act[] {
    const missed: Act[] = [];
    for (const change of changes) {
      if (change.endAt >= startAt) break;
      if ((change.floor ?? 0) > version) missed.push(change);
    }
    return missed;
  }
  /** What got the same value in the same Worker. */
  function witnesses({ worker }: Act, { from }: Value): readonly Act[] {
    return (byValue.get(from) ?? []).filter((act) => act.worker === worker);
  }

  /** Why a read may give a value that a change of another Worker has replaced, if it may: the first to have been missed. */
  function excuse(read: Act, value: Value, change: Act): Excuse | undefined {
    const { way, startAt } = read;
    const all = witnesses(read, value);
    const before = all.filter((act) => act.startAt < change.endAt);
    if ((way === "local" || way === "untold") && localTtlMs > 0 && before.some((act) => startAt < act.endAt + localTtlMs + TICK_MS)) return "a local copy";
    if ((way === "joined" || way === "untold") && before.some((act) => startAt < act.landedAt)) return "a flight that was joined";
    const asker = rules.askedBy(value.from);
    const shared = refreshes.find((act) => act.id === asker);
    if (shared?.worker !== read.worker || shared.startAt >= change.endAt) return undefined;
    if ((way === "load" || way === "untold") && startAt < shared.endAt) return "a refresh whose load was shared";
    // The flight that shared it can be joined in its turn; it stores nothing, so it goes no further.
    const sharers = all.filter((act) => (act.way === "load" || act.way === "untold") && act.startAt < shared.endAt);
    const joins = way === "joined" || way === "untold";
    return joins && sharers.some((act) => startAt < act.landedAt) ? "a refresh whose load was shared" : undefined;
  }

  return (read) => {
    const { value, least } = read;
    if (value === undefined) return undefined;
    if (!sets.has(value.from) && rules.askedBy(value.from) === undefined) return { read, rule: "a value of this key that nobody made" };
    if (least !== undefined && value.version < least) return { read, rule: "a refresh gave what stood in the source before it began" };
    const all = missedBy(read, value);
    const missed = all.filter((change) => !raced(value, change));
    const [first] = missed;
    if (first === undefined) return all.length > 0 ? "a set raced" : undefined;
    const own = missed.find(({ worker }) => worker === read.worker);
    if (own) return { read, change: own, rule: "the same Worker had changed it" };
    return excuse(read, value, first) ?? { read, change: first, rule: "another Worker had changed it" };
  };
}

/** A violation in words: the read (`>`), the change that it missed (`!`), and what happened to the key around them. */
export function tell({ read, change, rule }: Violation, acts: readonly Act[]): string {
  const since = Math.min(read.startAt, change?.startAt ?? read.startAt);
  const matters = ({ name, startAt, endAt, value }: Act): boolean =>
    name === read.name && ((endAt >= since && startAt <= read.endAt) || (startAt <= read.endAt && value?.from === read.value?.from));
  const told = acts
    .filter(matters)
    .sort((one, other) => one.startAt - other.startAt)
    .map((act) => `  ${act === read ? ">" : act === change ? "!" : " "} ${sentence(act)}`);
  return [`${read.name}: ${rule}`, ...told].join("\n");
}

function sentence({ id, worker, op, startAt, endAt, landedAt, value, way, floor, rejected }: Act): string {
  const times = `${startAt.toFixed(1)} to ${endAt.toFixed(1)}, landed ${landedAt.toFixed(1)}`;
  const saw = value ? [`v${value.version} (${value.from}${way ? `, ${way}` : ""})`] : [];
  const promised = floor === undefined ? [] : [`nothing below v${floor}`];
  return [`${op} #${id} on ${worker}: ${times}`, ...saw, ...promised, ...(rejected ? ["rejected"] : [])].join("; ");
}
