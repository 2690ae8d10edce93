/**
 * How workerd wakes those who wait for a promise of another request: each in an event of its own, after every line that can run
 * in the present one, and not at all if its request has died. The core makes such promises by `Promise.withResolvers` alone
 * (`flight.ts` says why); while a simulation runs, that function gives promises which wake in this way. Whose line is running is
 * known from the asynchronous context, as everywhere in a simulation.
 *
 * @module
 */
import { asking } from "./plan.ts";
import type { Op } from "./world.ts";

/** Somebody to be woken. */
interface Wake {
  readonly op: Op;
  readonly run: () => void;
}

const waiting: Wake[] = [];

/** Wakes the next one; `false` if there is none. */
export function wakeNext(): boolean {
  const wake = waiting.shift();
  if (wake && !wake.op.dead) asking.run(wake.op, wake.run);
  return wake !== undefined;
}

/** Forgets what an earlier run has left. */
export function forgetWakes(): void {
  waiting.length = 0;
}

const withResolvers = Promise.withResolvers.bind(Promise);

Promise.withResolvers = <Result>(): PromiseWithResolvers<Result> => {
  const { promise, resolve, reject } = withResolvers<Result>();
  let settledBy: Op | undefined;
  const then = promise.then.bind(promise);
  const woken = (fulfilled?: ((result: Result) => unknown) | null): Promise<unknown> => {
    const op = asking.getStore();
    if (!op || !fulfilled) return then(fulfilled);
    return new Promise((done, fail) => {
      const run = (result: Result): void => {
        try {
          done(fulfilled(result));
        } catch (error) {
          fail(error);
        }
      };
      void then((result) => (settledBy === op ? run(result) : void waiting.push({ op, run: () => run(result) })));
    });
  };
  // oxlint-disable-next-line unicorn/no-thenable -- a promise has one anyway
  void Object.defineProperty(promise, "then", { value: woken });
  return {
    promise,
    resolve(result) {
      settledBy ??= asking.getStore();
      resolve(result);
    },
    reject,
  };
};
