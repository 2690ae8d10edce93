/**
 * The only file that knows the host. This is the variant for hosts where a promise may be awaited from anywhere (Node, Deno,
 * Bun, browsers); `runtime.workerd.ts` and `runtime.edge-light.ts` stand in for it by export condition. It does no I/O and
 * reads no environment.
 *
 * @module
 */

/** What the core has to know about its host. */
export interface Runtime {
  /**
   * `true` where a call to a storage is I/O of the request that made it and dies with it, without running another line.
   *
   * Invariant: where it is `true`, `scheduleDrain` runs before any other request can run a line.
   */
  readonly requestScoped: boolean;
  /** Keeps the present request alive until a promise settles; may throw outside of a request. */
  readonly waitUntil: ((promise: Promise<unknown>) => void) | undefined;
  /** Runs `run` once all keys that belong to the present drain have been asked for. */
  scheduleDrain(run: () => void): void;
  /**
   * The monotonic time as of some moment in the present turn, in whole ms, rounded down, where that is cheaper to have than the
   * exact one.
   */
  readonly turnTime?: (() => number) | undefined;
  /** The same time for whoever counts uses by themselves; where `turnTime` is. */
  readonly turn?: Turn | undefined;
}

/** The time of the present turn of the event loop. */
export interface Turn {
  /** The time as of some moment in the turn, or `Infinity` while nobody has looked: what ends after it lives. */
  horizon: number;
  /** Looks at the clock. */
  read(): number;
}

interface Host {
  readonly setImmediate?: ((run: () => void) => unknown) | undefined;
}

/** How often one reading of the clock is used, so that time also goes on in a turn that does not end. */
const USES = 64;

/**
 * A clock that is read once a turn of the event loop, or once in 64 uses, whichever comes first: reading it costs as much
 * as a whole look-up. On Workers the clock stands still in the same way by itself.
 */
function oncePerTurn(): Pick<Runtime, "turn" | "turnTime"> {
  const { setImmediate } = globalThis as Host;
  if (typeof setImmediate !== "function") return {};
  // Fields of an object: variables that a closure shares are slower to get at. A time in whole ms is a small integer, which can be
  // handed from function to function; a fraction takes memory each time.
  const last = { time: 0, uses: 0, armed: false };
  const endOfTurn = (): void => {
    last.armed = false;
    last.uses = 0;
    turn.horizon = Number.POSITIVE_INFINITY;
  };
  const read = (): number => {
    last.uses = USES - 1;
    last.time = Math.floor(performance.now());
    turn.horizon = last.time;
    if (!last.armed) {
      last.armed = true;
      setImmediate(endOfTurn);
    }
    return last.time;
  };
  const turn: Turn = { horizon: Number.POSITIVE_INFINITY, read };
  return { turn, turnTime: () => (last.uses-- > 0 ? last.time : read()) };
}

function turnOfTheEventLoop(): (run: () => void) => void {
  const { setImmediate } = globalThis as Host;
  if (typeof setImmediate === "function") return (run) => void setImmediate(run);
  if (typeof MessageChannel !== "function") return (run) => void setTimeout(run, 0);
  const waiting: (() => void)[] = [];
  let port: MessagePort | undefined;
  return (run) => {
    if (!port) {
      const channel = new MessageChannel();
      channel.port1.onmessage = () => waiting.shift()?.();
      port = channel.port2;
    }
    waiting.push(run);
    port.postMessage(0);
  };
}

/** The host this module was loaded in. */
export const runtime: Runtime = { requestScoped: false, waitUntil: undefined, scheduleDrain: turnOfTheEventLoop(), ...oncePerTurn() };

/**
 * A drain for hosts where requests own their I/O: a few microtasks. The microtask queue runs empty before another request's
 * event is handled, so a drain never holds keys of two requests; a few hops let callers that await something already
 * settled join in.
 */
export function drainByMicrotasks(run: () => void): void {
  queueMicrotask(() => queueMicrotask(() => queueMicrotask(run)));
}
