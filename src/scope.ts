/**
 * What belongs to one view of a cache: its request's `waitUntil` and `env`, and the background writes it is owed.
 *
 * @module
 */

import type { Clock } from "./clock.ts";
import { describe } from "./duration.ts";
import type { WaitUntil } from "./types.ts";

/** The part of a view that its calls share. */
export class Scope {
  readonly waitUntil: WaitUntil | undefined;
  readonly env: unknown;
  private pending = 0;
  private waiters: (() => void)[] = [];

  constructor(waitUntil: WaitUntil | undefined, env: unknown) {
    if (waitUntil !== undefined && typeof waitUntil !== "function") throw new TypeError(`waitUntil must be a function, got ${describe(waitUntil)}`);
    this.waitUntil = waitUntil;
    this.env = env;
  }

  /** One more thing goes on that `flush` waits for. */
  begin(): void {
    this.pending++;
  }

  end(): void {
    this.pending--;
    if (this.pending > 0) return;
    for (const waiter of this.waiters.splice(0)) waiter();
  }

  /** Resolves when nothing goes on any more, and at the latest after `budgetMs`: what belongs to a dead request never ends. */
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
}
