/**
 * Lanes: jobs for one storage that fall into the same drain travel in one call. Where requests own their I/O a drain is a
 * few microtasks, and no queue ever holds jobs of two requests; six calls at most are open for one call of the API. Elsewhere a
 * drain is one turn of the event loop, six calls at most are open for the storage, and later jobs wait and merge; reads go before
 * writes, of which a storage may have many in front of it. It knows nothing of keys, stamps or policy.
 *
 * @module
 */

import type { Clock } from "./clock.ts";
import type { Runtime } from "./runtime.ts";

/** Calls that may be open at once: what Workers allows a request, and a fair share elsewhere. */
const MAX_OPEN = 6;

/** One thing to do in a batch. */
export interface Job {
  /** What must not be twice in one call: the key. */
  readonly storedKey: string;
  /** The call of the API that asked for it, if background work of that call may be held back for other work of its request. */
  readonly owner?: object | undefined;
  /** The view that asked: where requests own their I/O, a storage that holds sockets has one instance for each. */
  readonly view: object;
}

/** How a lane sends its jobs. */
export interface LaneOptions<J extends Job> {
  readonly maxBatch: number;
  /**
   * Sends one call's worth of jobs and tells each of them how it ended. Never rejects.
   *
   * @param since when the first of them was asked for, by the monotonic clock.
   */
  readonly send: (jobs: readonly J[], since: number) => Promise<void>;
  /** Whether two jobs of one key may share a call. */
  readonly allowRepeats: boolean;
  /** Whether jobs wait for an open call of their request in order to share the next one: for writes, which nobody waits for. */
  readonly merges?: boolean;
  /** Whether its calls go before others: for reads, which callers wait for. */
  readonly urgent?: boolean;
}

/** Where jobs of one kind wait for their drain. */
export interface Lane<J extends Job> {
  add(job: J): void;
}

/** The lanes of one storage; they share its limit of open calls. */
export interface Lanes {
  lane<J extends Job>(options: LaneOptions<J>): Lane<J>;
}

type Call = () => Promise<void>;

/** Jobs of one lane that wait to be sent. */
class Queue<J extends Job> {
  private readonly options: LaneOptions<J>;
  private readonly clock: Clock;
  private jobs: J[] = [];
  private since = 0;
  private open = 0;

  constructor(options: LaneOptions<J>, clock: Clock) {
    this.options = options;
    this.clock = clock;
  }

  get size(): number {
    return this.jobs.length;
  }

  add(job: J): void {
    if (this.jobs.length === 0) this.since = this.clock.monotonic();
    this.jobs.push(job);
  }

  /** One call's worth of jobs. */
  take(): Call | undefined {
    if (this.jobs.length === 0) return undefined;
    const { options, since } = this;
    const [batch, rest] = split(this.jobs, options);
    this.jobs = rest;
    return () => options.send(batch, since);
  }

  /** As `take`, but less than a full batch waits for the call before it, and so merges with what comes meanwhile. */
  takeAlone(): Call | undefined {
    if (this.open > 0 && this.jobs.length < this.options.maxBatch) return undefined;
    const call = this.take();
    if (!call) return undefined;
    this.open++;
    return async () => {
      await call();
      this.open--;
    };
  }
}

/** Makes the lanes of one storage. */
export function createLanes(runtime: Runtime, clock: Clock): Lanes {
  return runtime.requestScoped ? requestLanes(runtime, clock) : sharedLanes(runtime, clock);
}

/** Lanes for hosts where any code may wait for any call: one drain a turn, over all callers. */
function sharedLanes(runtime: Runtime, clock: Clock): Lanes {
  const urgent: Kind = { queues: [], open: 0, turn: 0 };
  const others: Kind = { queues: [], open: 0, turn: 0 };
  let scheduled = false;

  function schedule(): void {
    if (scheduled || !(mayStart(urgent) || mayStart(others))) return;
    scheduled = true;
    runtime.scheduleDrain(drain);
  }
  /** Starts calls while there are jobs and room, urgent ones first. */
  function drain(): void {
    scheduled = false;
    while (mayStart(urgent)) start(urgent);
    while (mayStart(others)) start(others);
  }
  /** Neither kind takes the last place from the other: urgent jobs leave it to those that wait, and others never take it. */
  function mayStart(kind: Kind): boolean {
    if (!isWaiting(kind) || urgent.open + others.open >= MAX_OPEN) return false;
    return kind.open < MAX_OPEN - 1 || (kind === urgent && !isWaiting(others));
  }
  function start(kind: Kind): void {
    const call = takeFrom(kind);
    if (!call) return;
    kind.open++;
    void call().then(() => {
      kind.open--;
      schedule();
    });
  }

  function lane<J extends Job>(options: LaneOptions<J>): Lane<J> {
    const queue = new Queue(options, clock);
    (options.urgent ? urgent : others).queues.push(queue);
    return {
      add(job) {
        queue.add(job);
        schedule();
      },
    };
  }
  return { lane };
}

/** Lanes of the same urgency, and how many of their calls are open. */
interface Kind {
  readonly queues: Pick<Queue<Job>, "size" | "take">[];
  open: number;
  turn: number;
}

function isWaiting({ queues }: Kind): boolean {
  return queues.some(({ size }) => size > 0);
}

/** The next call of a kind; each lane in its turn, so that none starves. */
function takeFrom(kind: Kind): Call | undefined {
  for (let looked = 0; looked < kind.queues.length; looked++) {
    const call = kind.queues[kind.turn++ % kind.queues.length]?.take();
    if (call) return call;
  }
  return undefined;
}

/** What one call of the API has at a storage: its open calls, and queues that wait for room. It dies with the request. */
interface Party {
  open: number;
  readonly takes: (() => Call | undefined)[];
}

interface Asked {
  readonly owner: object | undefined;
  /** Puts the job into its lane's queue of a party. */
  readonly enter: (party: Party) => void;
}

/**
 * Lanes for hosts where a call belongs to the request that made it: a drain holds its own jobs, and its own request sends them.
 * Jobs beyond six open calls wait in a queue of the API's call that asked for them and merge. (A view would be the wider party,
 * but may be of many requests.)
 *
 * Invariant: every job sets an alarm, and the first to go off sends the drain from its own job on. A request that is killed
 * between asking and sending takes its alarms along; whoever then finds the drain it left behind sends its own jobs, and
 * none of the dead.
 */
function requestLanes(runtime: Runtime, clock: Clock): Lanes {
  const parties = new WeakMap<object, Party>();
  let current: Asked[] = [];

  /** All jobs of a drain are of one request: the party that one of their owners has is that of all. */
  function partyOf(asked: readonly Asked[]): Party {
    const owners = asked.flatMap(({ owner }) => owner ?? []);
    const known = owners.map((owner) => parties.get(owner)).find((one) => one !== undefined);
    const party = known ?? { open: 0, takes: [] };
    for (const owner of owners) if (!parties.has(owner)) parties.set(owner, party);
    return party;
  }
  function ask(job: Asked): void {
    const drain = current;
    const place = drain.push(job) - 1;
    runtime.scheduleDrain(() => {
      if (current !== drain) return;
      current = [];
      const mine = drain.slice(place);
      const party = partyOf(mine);
      for (const { enter } of mine) enter(party);
      pump(party);
    });
  }

  function lane<J extends Job>(options: LaneOptions<J>): Lane<J> {
    const queues = new WeakMap<Party, Queue<J>>();
    function queueOf(party: Party): Queue<J> {
      const known = queues.get(party);
      if (known) return known;
      const queue = new Queue(options, clock);
      queues.set(party, queue);
      party.takes.push(options.merges ? () => queue.takeAlone() : () => queue.take());
      return queue;
    }
    return { add: (job) => ask({ owner: job.owner, enter: (party) => queueOf(party).add(job) }) };
  }
  return { lane };
}

/** Starts a request's calls while there is room; the promises all belong to that request. */
function pump(party: Party): void {
  for (const take of party.takes) {
    for (let call = party.open < MAX_OPEN ? take() : undefined; call; call = party.open < MAX_OPEN ? take() : undefined) {
      party.open++;
      void call().then(() => {
        party.open--;
        pump(party);
      });
    }
  }
}

/** The jobs of the next call and those left for later; a key that may not be repeated waits for the call after it. */
function split<J extends Job>(jobs: J[], { maxBatch, allowRepeats }: LaneOptions<J>): [J[], J[]] {
  if (allowRepeats) return jobs.length <= maxBatch ? [jobs, []] : [jobs.slice(0, maxBatch), jobs.slice(maxBatch)];
  const batch: J[] = [];
  const rest: J[] = [];
  const keys = new Set<string>();
  let taken = 0;
  for (const job of jobs) {
    if (batch.length >= maxBatch) break;
    taken++;
    if (keys.has(job.storedKey)) rest.push(job);
    else {
      keys.add(job.storedKey);
      batch.push(job);
    }
  }
  return [batch, taken === jobs.length ? rest : rest.concat(jobs.slice(taken))];
}
