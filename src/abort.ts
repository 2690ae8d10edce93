/**
 * One caller's patience: its signal ends its own wait and nothing else.
 *
 * @module
 */

/** A promise that rejects with the signal's reason when that aborts first. What it waited for goes on. */
export function abortable<Value>(promise: Promise<Value>, signal: AbortSignal): Promise<Value> {
  return new Promise((resolve, reject) => {
    const abort = (): void => reject(signal.reason);
    signal.addEventListener("abort", abort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", abort));
  });
}
