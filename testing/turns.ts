/**
 * Turns of the host's event loop, to wait until every line has run that can run. No real time passes but what the host needs.
 *
 * @module
 */
import { runtime } from "../src/runtime.ts";

/** Lets all microtasks run, and the tasks that are due already. */
export function turn(): Promise<void> {
  return new Promise((resolve) => runtime.scheduleDrain(resolve));
}

/** Enough turns for a drain, a call, its reply and what follows, several times over. */
const SETTLED = 12;

/** Lets everything settle that waits for no timer and for no I/O. */
export async function settled(): Promise<void> {
  for (let count = 0; count < SETTLED; count++) await turn();
}
