/**
 * Timers that keep no process alive. It stands beside `runtime.ts` because it is the same on all hosts: who has no such thing is
 * asked in vain.
 *
 * @module
 */

/** Lets a process end while a timer waits, where the host knows a way to say so. */
export function unref(timer: unknown): void {
  if (typeof timer === "object" && timer !== null && "unref" in timer && typeof timer.unref === "function") return void timer.unref();
  const { Deno } = globalThis as { readonly Deno?: { unrefTimer?(id: number): void } };
  if (typeof timer === "number") Deno?.unrefTimer?.(timer);
}
