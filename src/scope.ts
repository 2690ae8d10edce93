/**
 * What belongs to one view of a cache: its request's `waitUntil` and `env`, and the background writes it is owed.
 *
 * @module
 */

import type { Clock } from "./clock.ts";
import { describe } from "./duration.ts";
import type { WaitUntil } from "./types.ts";

/** How often somebody who waits looks, where nobody may wake them, in ms. */
const LOOK_MS = 10;

/** Things that go on, and those who wait for their end. */
export class Work {
  private pending = 0;
  private waiters: (() => void)[] = [];

  begin(): void {
    this.pending++;
  }

  end(): void {
    this.pending--;
    if (this.pending > 0) return;
    for (const waiter of this.waiters.splice(0)) waiter();
  }

  /** Resolves when nothing goes on any more, and at the latest after `budgetMs`. */
  idle(clock: Clock, budgetMs: number): Promise<void> {
    if (this.pending === 0) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = clock.setTimeout(resolve, budgetMs);
      this.waiters.push(() => {
        clock.clearTimeout(timer);
        resolve();
      });
    });
  }

  /**
   * The same where requests own their I/O: whoever waits looks by a timer of its own, as nothing of one request may wake another.
   * What belongs to a dead request never ends, and costs the whole budget.
   */
  async idleByLooking(clock: Clock, budgetMs: number): Promise<void> {
    for (let waited = 0; this.pending > 0 && waited < budgetMs; waited += LOOK_MS) {
      await new Promise<void>((resolve) => void clock.setTimeout(resolve, LOOK_MS));
    }
  }
}

/** The part of a view that its calls share. */
export class Scope {
  readonly waitUntil: WaitUntil | undefined;
  readonly env: unknown;
  /** The work of all views of a cache. */
  readonly all: Work;
  readonly own: Work = new Work();
  /** Whether it is that of `cache.with`, not that of the cache itself. */
  readonly isView: boolean;

  constructor(waitUntil: WaitUntil | undefined, env: unknown, parent?: Scope) {
    if (waitUntil !== undefined && typeof waitUntil !== "function") throw new TypeError(`waitUntil must be a function, got ${describe(waitUntil)}`);
    this.waitUntil = waitUntil;
    this.env = env;
    this.all = parent ? parent.all : new Work();
    this.isView = parent !== undefined;
  }

  /** One more thing goes on in the background. */
  begin(): void {
    this.own.begin();
    this.all.begin();
  }

  end(): void {
    this.own.end();
    this.all.end();
  }
}
