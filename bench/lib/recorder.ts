/**
 * Watches what an adapter asks of its driver, so that the same calls can be made again without the adapter: that is the bare
 * driver doing the same statement. It changes no argument and no answer.
 *
 * @module
 */

/** Calls as they were made. */
export interface Recorder {
  /** The object, with the calls of these methods noted. */
  watch<Client extends object>(client: Client, ...methods: readonly string[]): Client;
  /** The function, with its calls noted. */
  wrap<Args extends readonly unknown[], Result>(call: (...args: Args) => Promise<Result>): (...args: Args) => Promise<Result>;
  /** Forgets what was noted. */
  clear(): void;
  /** Makes what was noted since `clear` again, all at once; there must be something. */
  replay(): () => Promise<unknown>;
}

/** Makes one. */
export function createRecorder(): Recorder {
  let calls: (() => Promise<unknown>)[] = [];
  function wrap<Args extends readonly unknown[], Result>(call: (...args: Args) => Promise<Result>): (...args: Args) => Promise<Result> {
    return (...args) => {
      calls.push(() => call(...args));
      return call(...args);
    };
  }
  return {
    wrap,
    watch: (client, ...methods) =>
      new Proxy(client, {
        get(target, property) {
          const value: unknown = Reflect.get(target, property);
          if (typeof value !== "function") return value;
          const bound = value.bind(target);
          return typeof property === "string" && methods.includes(property) ? wrap(async (...args: unknown[]): Promise<unknown> => bound(...args)) : bound;
        },
      }),
    clear() {
      calls = [];
    },
    replay() {
      const noted = calls;
      const [only] = noted;
      if (only === undefined) throw new Error("the adapter made no call that was watched");
      return noted.length === 1 ? only : () => Promise.all(noted.map((call) => call()));
    },
  };
}
