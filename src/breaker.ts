/**
 * The circuit breaker of one storage: a state machine that is told when calls begin and how they ended, and says whether the
 * next one may be made. It relies on the times it is given, sets no timer, makes no call and emits nothing.
 *
 * After a number of failures in a row it *opens*: calls are refused at once, so a sick storage costs nobody a time budget.
 * After the cool-down the next call that is really wanted goes through as the *probe*, alone. If it succeeds the breaker
 * closes; nobody waited for that, so nothing is let loose at once. If it fails the cool-down begins anew.
 *
 * Invariant: the ticket of a call counts only in the phase in which it was given; each change of state begins a new phase. So
 * calls that were under way when the breaker opened neither close it nor count against the storage after it has healed.
 * Invariant: the probe holds a lease, not a lock. Where its request died without another line, the first to come after the
 * lease probes, and what the dead one's ticket says later is ignored.
 *
 * @module
 */

/** Rules of a breaker. */
export interface BreakerRules {
  /** Failures in a row that open it, at least 1. */
  readonly failures: number;
  /** From opening to the probe, in ms. */
  readonly coolDownMs: number;
  /** How long a probe may take before another one is let through, in ms: the call's budget and some. */
  readonly leaseMs: number;
}

/** `"probing"`: open, and one call is under way to see whether the storage has healed. */
export type BreakerState = "closed" | "open" | "probing";

/** A breaker. Times are of one monotonic clock, in ms. */
export interface Breaker {
  readonly state: BreakerState;
  /** Asks to make one call: its ticket, or `undefined` if it is refused. Whoever gets a ticket makes the call at once. */
  admit(now: number): number | undefined;
  /** Tells how the call ended; once for each ticket, and never for calls that died. Answers what that changed, if anything. */
  end(ticket: number, succeeded: boolean, now: number): "opened" | "closed" | undefined;
}

/** Makes a breaker, closed. */
export function createBreaker({ failures, coolDownMs, leaseMs }: BreakerRules): Breaker {
  let state: BreakerState = "closed";
  let phase = 0;
  let failedInARow = 0;
  /** When it opened, or when the probe began. */
  let since = 0;

  function enter(next: BreakerState, now: number): void {
    state = next;
    since = now;
    failedInARow = 0;
    phase++;
  }

  return {
    get state() {
      return state;
    },
    admit(now) {
      if (state === "closed") return phase;
      if (now - since < (state === "open" ? coolDownMs : leaseMs)) return undefined;
      enter("probing", now);
      return phase;
    },
    end(ticket, succeeded, now) {
      if (ticket !== phase) return undefined;
      if (state === "closed") {
        failedInARow = succeeded ? 0 : failedInARow + 1;
        if (failedInARow < failures) return undefined;
        enter("open", now);
        return "opened";
      }
      enter(succeeded ? "closed" : "open", now);
      return succeeded ? "closed" : undefined;
    },
  };
}
