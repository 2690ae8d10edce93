/**
 * One caller's patience: its signal ends its own wait and nothing else.
 *
 * @module
 */

/** What `ask` gives, or a rejection with the signal's reason if that aborts first. What was asked for goes on. */
export function waitFor<Value>(ask: () => Promise<Value>, signal: AbortSignal | undefined): Promise<Value> {
  if (!signal) return ask();
  if (signal.aborted) return Promise.reject(signal.reason);
  const answer = ask();
  return new Promise((resolve, reject) => {
    const abort = (): void => reject(signal.reason);
    signal.addEventListener("abort", abort, { once: true });
    void answer.then(resolve, reject).then(() => signal.removeEventListener("abort", abort));
  });
}
